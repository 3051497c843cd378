#!/bin/sh
# Make .venv-peers with the corpus benchmarks' peers; nothing happens when that is done already.
#   sh infra/setup_peers.sh      PIP_ARGS is honoured. `make peers` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-peers
what='datatrove[io,processing]==0.10.1 spacy==3.8.18 rensa==0.5.0 datasketch==2.0.0 presidio-analyzer==2.2.366'

sum=$(printf '%s\n' "$PWD" "$what" "${PIP_ARGS:-}" | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
echo "installing datatrove, rensa and presidio into $venv (once)"
# Wheels alone: else pip, looking for versions that agree, builds old ones of spaCy from source.
# shellcheck disable=SC2086  # both are several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q --only-binary :all: \
    ${PIP_ARGS:-} $what </dev/null || {
    echo "pip could not install the peers (its own words are above). When it is the network, try again." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
