#!/bin/sh
# Make the environments of the corpus benchmarks' peers; nothing happens for one that is there already.
#   sh infra/setup_peers.sh      PIP_ARGS is honoured. `make peers` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."

# environment FOLDER 'PACKAGES' ['PACKAGES WITHOUT THEIR REQUIREMENTS']
environment() {
    venv=$1 what=$2 alone=${3:-}
    sum=$(printf '%s\n' "$PWD" "$what" "$alone" "${PIP_ARGS:-}" | cksum)
    stamp=$venv/.installed
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
        return
    fi
    rm -rf "$venv"
    .venv/bin/python -m venv "$venv"
    echo "installing into $venv (once): $what $alone"
    install "$what"
    if [ -n "$alone" ]; then
        install "--no-deps $alone"
    fi
    printf '%s' "$sum" >"$stamp"
}

# Wheels alone: else pip, looking for versions that agree, builds old ones of spaCy from source.
install() {
    # shellcheck disable=SC2086  # both are several words
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q --only-binary :all: \
        ${PIP_ARGS:-} $1 </dev/null || {
        echo "pip could not fill $venv (its own words are above). When it is the network, try again." >&2
        exit 2
    }
}

environment .venv-peers \
    'datatrove[io,processing]==0.10.1 fasttext-numpy2-wheel==0.9.2 spacy==3.8.18 rensa==0.5.0 datasketch==2.0.0 presidio-analyzer==2.2.366'

# text-dedup wants urllib3 1 and rich 13, older than what the others come with, and for its other methods Spark, UniSim
# and fire, some of it built from source. What its MinHash imports is named here, within the ranges it names.
environment .venv-text-dedup \
    'click==8.5.1 click-option-group==0.5.9 datasets==5.2.0 numpy==2.4.6 regex==2026.11.15 rich==13.9.4 scipy==1.17.1
    tqdm==4.70.1 urllib3==1.26.20 xxhash==4.1.0' \
    'text-dedup==0.4.0'
