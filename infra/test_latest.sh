#!/bin/sh
# The fast tests with the newest versions that pyproject.toml allows, in an environment of its own: no lock.
#   sh infra/test_latest.sh [PYTEST WORDS]     PYTHON and PIP_ARGS are honoured; the environment is made anew each time
# What was installed is left in .venv-latest/versions.txt, and what differs from the lock is shown first.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-latest
python=${PYTHON:-.venv/bin/python}
"$python" -c 'import venv, ensurepip' 2>/dev/null || {
    echo "$python cannot make virtual environments; run make setup first, or name another: PYTHON=..." >&2
    exit 2
}
rm -rf "$venv"
"$python" -m venv "$venv"
echo "installing the newest allowed versions into $venv"
export DS_BUILD_OPS=0
# shellcheck disable=SC2086  # PIP_ARGS is several words
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile -q ${PIP_ARGS:-} -e '.[dev]' \
    </dev/null || {
    echo "pip could not install the newest versions together (its own words are above): narrow a range." >&2
    exit 1
}
"$venv/bin/python" -m pip freeze --exclude-editable >"$venv/versions.txt"
grep -ivxFf constraints.txt "$venv/versions.txt" || true
"$venv/bin/python" -m pip check || echo "some packages disagree about each other (above)"
exec "$venv/bin/python" -m pytest -q -n 2 --dist loadfile \
    -m "not slow and not faults and not long and not gpu and not s3 and not vllm and not browser and not harness and not infra and not slurm" \
    "${@:-tests/unit}"
