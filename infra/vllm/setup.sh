#!/bin/sh
# Make .venv-vllm, the environment of the vLLM worker; nothing happens when that is done already.
#   sh infra/vllm/setup.sh cpu|gpu      PYTHON and PIP_ARGS are honoured; gpu is what nvidia-smi says when left out
# vLLM and this project do not go into one environment: vLLM wants fastapi below 0.137, Prefect 0.139 and up.
set -eu
cd "$(dirname "$0")/../.."
kind=${1:-$(nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)}
venv=.venv-vllm
wanted=infra/vllm/requirements-$kind.txt
if [ ! -f "$wanted" ]; then
    echo "setup.sh takes cpu or gpu, not '$kind'." >&2
    exit 2
fi

sum=$(printf '%s\n' "$PWD" "$kind" "${PIP_ARGS:-}" | cat - "$wanted" infra/vllm/setup.sh | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi

python=${PYTHON:-}
for candidate in .venv/bin/python python3.11 python3.12 python3.13 python3.14; do
    if [ -z "$python" ] && "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        python=$candidate
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11 to 3.14 with its venv module was found. Run make setup first, or name one: PYTHON=..." >&2
    exit 2
fi

install() {
    # shellcheck disable=SC2086  # PIP_ARGS is several words
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q \
        ${PIP_ARGS:-} "$@" </dev/null || {
        echo "pip could not install vLLM into $venv (its own words are above). When it is the network, try again." >&2
        exit 2
    }
}

rm -rf "$venv"
"$python" -m venv "$venv"
echo "installing vLLM for ${kind}s into $venv (once; about 3.5 GB)"
if [ "$kind" = cpu ]; then
    # The lock says which torch, and what torch needs; vLLM's own requirements differ from the lock's.
    install -c constraints.txt "$(grep '^torch==' "$wanted")"
fi
install -r "$wanted"
if [ "$kind" = cpu ]; then
    "$venv/bin/python" -m pip uninstall --disable-pip-version-check -q -y torchvision torchaudio torchcodec
fi
# Compiled once here, so that no worker does it again: half a minute of every first start (measured).
"$venv/bin/python" -W ignore -c 'from vllm import LLM, SamplingParams' >/dev/null || {
    echo "the installed vLLM cannot be loaded (Python's own words are above)." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
