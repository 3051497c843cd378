#!/bin/sh
# Make .venv-harness with lm-evaluation-harness, its own Hugging Face model, and what our engine imports; nothing
# happens when that is done already.
#   sh infra/setup_harness.sh      PIP_ARGS is honoured. `make harness` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-harness
what='lm_eval==0.4.13 datasets==5.2.0 evaluate==0.4.6 accelerate==1.15.0 peft==0.21.2'
ours='torch transformers tokenizers safetensors numpy scipy pyarrow pydantic psutil xxhash lxml jinja2 math-verify[antlr4_13_2]'

sum=$(printf '%s\n' "$PWD" "$what" "$ours" "${PIP_ARGS:-}" | cat - constraints.txt | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
echo "installing lm-evaluation-harness into $venv (once)"
# The lock gives both sides one torch and one transformers; what the harness alone needs is pinned above.
# shellcheck disable=SC2086  # both are several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q \
    ${PIP_ARGS:-} -c constraints.txt $what $ours </dev/null || {
    echo "pip could not install lm-evaluation-harness (its own words are above). When it is the network, try again." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
