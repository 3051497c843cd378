#!/bin/sh
# Make .venv-trl with TRL and what our side of the race imports; nothing happens when that is done already.
#   sh infra/setup_trl.sh      PIP_ARGS is honoured. `make bench-trainer` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-trl
what='trl==1.16.0 accelerate==1.15.0 datasets==5.2.0 torch transformers tokenizers safetensors numpy pyarrow psutil pydantic'

sum=$(printf '%s\n' "$PWD" "$what" "${PIP_ARGS:-}" | cat - constraints.txt | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
echo "installing TRL into $venv (once)"
# The lock gives both sides one torch and one transformers; what TRL alone needs is pinned above.
# shellcheck disable=SC2086  # both are several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q \
    ${PIP_ARGS:-} -c constraints.txt $what </dev/null || {
    echo "pip could not install TRL (its own words are above). When it is the network, try again." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
