#!/bin/sh
# Make .venv in this clone and install the project into it; nothing happens when that is done already.
#   sh infra/setup.sh core|dev      PYTHON and PIP_ARGS are honoured
set -eu
cd "$(dirname "$0")/.."
kind=${1:-dev}
venv=.venv
suits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))'

fail() {
    printf '%s\n' "$@" >&2
    exit 2
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        "$PYTHON" -c "$suits" 2>/dev/null || fail \
            "PYTHON=$PYTHON is not a Python 3.11 to 3.14 that runs here." \
            "Name one that is, or leave PYTHON out to have one looked for."
        printf '%s' "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
        if "$candidate" -c "$suits" >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "No Python 3.11 to 3.14 was found on PATH (looked for python3.11 ... python3.14, python3, python)." \
        "Install one, for example:  apt install python3.11 python3.11-venv  |  brew install python@3.12" \
        "and run this again, or name it:  make ${MAKECMDGOALS:-setup} PYTHON=/path/to/python3.12"
}

wanted() {
    # A move of the clone counts: an editable install and the scripts' first lines hold its path.
    printf '%s\n' "$PWD" "${PIP_ARGS:-}"
    cat pyproject.toml constraints.txt
}

stamp_of() { printf '%s/.installed-%s' "$venv" "$1"; }

sum=$(wanted | cksum)
for done_kind in dev "$kind"; do
    stamp=$(stamp_of "$done_kind")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
        exit 0
    fi
done

if ! { grep -qF "$PWD/$venv" "$venv/bin/activate" \
    && "$venv/bin/python" -c "$suits" && "$venv/bin/python" -m pip --version; } >/dev/null 2>&1; then
    python=$(find_python)
    echo "setting up $venv with $("$python" --version)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail \
        "$python cannot make virtual environments: its venv module is not installed." \
        "On Debian or Ubuntu:  apt install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

case $kind in
    dev) what='.[dev]' ;;
    core) what='.' ;;
    *) fail "setup.sh takes core or dev, not '$kind'." ;;
esac
echo "installing $what (torch is the large one; later runs skip this)"
# Without --no-compile pip byte-compiles every file of torch, mlflow and 160 others: half of its time
# (measured), for modules that are mostly never imported. Python compiles the others when it loads them.
quiet=-q
[ -t 1 ] && quiet=
# DeepSpeed comes as source: without DS_BUILD_OPS=0 its build looks for a compiler and CUDA.
export DS_BUILD_OPS=0
# shellcheck disable=SC2086  # PIP_ARGS is several words, and quiet may be none
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile $quiet \
    ${PIP_ARGS:-} -c constraints.txt -e "$what" </dev/null || fail \
    "pip could not install the project (its own words are above). When it is the network, try again: what was" \
    "downloaded is kept. PIP_ARGS is passed to pip, for example a mirror or a CPU build of torch (README)."
# What every run loads is compiled here, side by side, even where PYTHONDONTWRITEBYTECODE is set: else each of
# the dozen processes of a run would compile torch and transformers again (7 s each, measured).
unset PYTHONDONTWRITEBYTECODE
"$venv/bin/python" -W ignore -c 'import rpt_core.train.rl.reinforce, rpt_core.evaluation.evaluate, rpt_core.report.journey' &
science=$!
"$venv/bin/python" -W ignore -c 'import tasks.build, infra.metrics.projection, prefect.server.api.server, mlflow.tracking' ||
    fail "the installed project cannot be loaded (Python's own words are above)."
wait $science || fail "the installed project cannot be loaded (Python's own words are above)."
printf '%s' "$sum" >"$(stamp_of "$kind")"
