#!/bin/sh
# One tarball that runs `python -m tests.gpu.proof` where torch and transformers are and no network is.
#   sh tests/gpu/bundle.sh OUT.tar.gz      FOR_PYTHON=3.12 is the Python over there; PIP_ARGS is honoured
# Carried beside the repository's files: pydantic, psutil, pyarrow and msgpack in the lock's versions, and DeepSpeed as pure
# Python (its operations are built nowhere). There: tar -xzf OUT.tar.gz && cd rpt-proof && sh prove.sh
set -eu
cd "$(dirname "$0")/../.."
out=${1:-gpu-bundle.tar.gz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${FOR_PYTHON:-3.11}
to=$work/rpt-proof
carried=$to/carried-$python
mkdir -p "$carried"
git archive HEAD rpt_core infra tests pyproject.toml LICENSE | tar -x -C "$to"
rm -rf "$to/tests/realdata" "$to/tests/data"
pip_into() {
    # shellcheck disable=SC2086  # several words
    .venv/bin/python -m pip install --disable-pip-version-check --no-input -q ${PIP_ARGS:-} -c constraints.txt \
        --target "$carried" --no-deps "$@" </dev/null
}
pip_into --only-binary=:all: --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
    --python-version "$python" --implementation cp \
    pydantic pydantic-core annotated-types typing-inspection psutil pyarrow msgpack
for package in 'deepspeed>=0.19,<0.20' hjson einops py-cpuinfo; do
    DS_BUILD_OPS=0 pip_into --no-build-isolation "$package" ||
        echo "$package could not be carried: the proof's part on DeepSpeed may not run." >&2
done
cat >"$to/prove.sh" <<'RUN'
#!/bin/sh
# What is carried stands before what is installed. PYTHON names another Python than python3.
cd "$(dirname "$0")"
python=${PYTHON:-python3}
carried=carried-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ -d "$carried" ] || echo "nothing is carried for this Python: $carried is not here, only $(echo carried-*)" >&2
PYTHONPATH=".:$carried" exec "$python" -m tests.gpu.proof "$@"
RUN
tar -czf "$out" -C "$work" rpt-proof
echo "$out: $(du -h "$out" | cut -f1), for Python $python on x86-64 Linux"
