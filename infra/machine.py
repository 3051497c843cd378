"""What this machine is, and the explicit placement and numerics that ``auto`` stands for on it.

Nothing here imports torch: a plan must be printed, and refused, in the first second.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from infra.runs.nodes import nodes_of
from infra.zero import backend_name, check_zero, zero_of
from rpt_core.artifacts.interpreters import vllm_python
from rpt_core.artifacts.placement import BACKENDS, ENGINES, Numerics, Placement
from rpt_core.artifacts.recipe import Frozen
from rpt_core.errors import CapacityError

GPU_PARAMETERS_MIN = 5_000_000
"""Below this size a GPU waits for kernel launches and one CPU core is as fast."""
BFLOAT16_PARAMETERS_MIN = 100_000_000
"""Below this size float32 fits anywhere and its small updates are not rounded away."""
CGROUP = Path("/sys/fs/cgroup")
_OLD_CGROUP_NAMES = {"memory.max": "memory.limit_in_bytes", "cpu.max": "cpu.cfs_quota_us"}
_INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")


DRM = Path("/sys/class/drm")
"""Where Linux's driver for AMD's cards tells of them."""
_AMD = "AMD"


class Gpu(Frozen):
    """One device of CUDA's or ROCm's as its driver describes it."""

    name: str
    memory_bytes: int


class Machine(Frozen):
    """What there is to run on, as this process is allowed to use it."""

    cores: int
    """CPU cores of the affinity mask, cut to the container's share."""
    memory_bytes: int
    """Main memory, cut to the container's limit."""
    cpu: str
    gpus: tuple[Gpu, ...] = ()
    torch: str
    """Installed version of torch, or ``absent``."""
    torch_has_cuda: bool = False
    """Whether torch is built for these GPUs: for CUDA, or for ROCm, which torch calls ``cuda`` as well."""
    nodes: int = 1
    """Machines like this one that a training runs on together (:mod:`infra.runs.nodes`)."""

    @property
    def usable_gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that the installed torch can use."""
        return self.gpus if self.torch_has_cuda else ()

    @property
    def platform(self) -> str:
        """What a build of torch for these GPUs is called."""
        return "ROCm" if any(gpu.name.startswith(_AMD) for gpu in self.gpus) else "CUDA"


@cache
def this_machine() -> Machine:
    """Describe the machine; asked once per process (0.1 s, a GPU driver may take 2 s)."""
    return Machine(
        cores=_cores(),
        memory_bytes=min([psutil.virtual_memory().total, *_cgroup_numbers("memory.max", "memory")]),
        cpu=_cpu_model(),
        gpus=_gpus(),
        torch=package_version("torch"),
        torch_has_cuda=_torch_has_cuda(),
        nodes=nodes_of().count,
    )


def package_version(package: str) -> str:
    """Installed version by its metadata alone, or ``absent``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cores() -> int:
    allowed = psutil.cpu_count() or 1
    if platform.system() == "Linux":
        allowed = len(psutil.Process().cpu_affinity())
    share = [quota // 100_000 for quota in _cgroup_numbers("cpu.max", "cpu")]
    return max(1, min([allowed, *share]))


def _cgroup_numbers(name: str, old_controller: str) -> Iterator[int]:
    """Limits set on this process's control group and on every group above it.

    ``cpu.max`` is ``quota period`` in microseconds; it comes out per 100 ms, whatever the period is.
    """
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _limits_upwards(CGROUP, path, name)
        elif old_controller in controllers.split(","):
            yield from _limits_upwards(CGROUP / old_controller, path, _OLD_CGROUP_NAMES[name])


def _limits_upwards(root: Path, path: str, name: str) -> Iterator[int]:
    folder = root / path.lstrip("/")
    for group in [folder, *folder.parents]:
        if not group.is_relative_to(root):
            return
        if (group / name).is_file():
            first, *period = (group / name).read_text().split()
            if first not in ("max", "-1"):
                yield int(first) * 100_000 // int(period[0]) if period else int(first)  # old: 100 ms


def _cpu_model() -> str:
    """The model's name and its vector instructions: other ones may add up in another order.

    A virtual machine often tells a bare "AMD EPYC", which has been several chips.
    """
    if platform.system() == "Linux":
        fields = dict(
            [part.strip() for part in line.split(":", 1)]
            for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
            if ":" in line
        )
        flags = set(fields.get("flags", fields.get("Features", "")).split())
        name = fields.get("model name") or platform.machine()
        return " ".join([name, *(flag for flag in _INSTRUCTION_SETS if flag in flags)])
    if platform.system() == "Darwin":
        return output_of("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.machine()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[Gpu, ...]:
    """NVIDIA's cards that this process may see, else AMD's. An Apple GPU is none: stages run on the CPU."""
    return _nvidia_gpus() or _amd_gpus()


def _amd_gpus() -> tuple[Gpu, ...]:
    """Cards of AMD's driver that this process may see, in its order."""
    found = []
    for card in sorted(DRM.glob("card[0-9]*/device"), key=lambda path: int(path.parent.name[4:])):
        memory, name = card / "mem_info_vram_total", card / "product_name"
        if memory.is_file():  # AMD's driver writes it, and no other
            called = name.read_text().strip() if name.is_file() else ""
            called = called or (card / "device").read_text().strip()
            label = called if called.startswith(_AMD) else f"{_AMD} {called}"
            found.append(Gpu(name=label, memory_bytes=int(memory.read_text())))
    for variable in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        visible = os.environ.get(variable)
        if visible is not None:  # one after another: the second counts among what the first leaves
            chosen = [word.strip() for word in visible.split(",")]
            found = [found[int(word)] for word in chosen if word.isdecimal() and int(word) < len(found)]
    return tuple(found)


def _nvidia_gpus() -> tuple[Gpu, ...]:
    """NVIDIA's cards that this process may see, in the driver's order."""
    table = output_of(
        "nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"
    )
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines() if line.count(",") == 3]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        rows = [
            row for row in rows if row[0] in names or any(name and row[1].startswith(name) for name in names)
        ]
    mebibyte = 2**20
    return tuple(Gpu(name=row[2], memory_bytes=int(row[3]) * mebibyte) for row in rows if row[3].isdecimal())


def output_of(*command: str) -> str:
    """What a program prints, or nothing when it is not there or does not answer."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _torch_has_cuda() -> bool:
    """Whether the installed torch is a build for GPUs, CUDA's or ROCm's, seen from its files."""
    found = find_spec("torch")
    folders = found.submodule_search_locations if found else None
    libraries = ("libtorch_cuda.so", "libtorch_hip.so")
    return any((Path(folder) / "lib" / name).exists() for folder in folders or () for name in libraries)


def check_served(placement: Placement) -> None:
    """Refuse a placement that no stage can carry out, before anything is read or built.

    Raises:
        CapacityError: names the field, what it asks for, and what there is.
    """
    for name, asked, there in (
        ("engine", placement.engine, ENGINES),
        ("backend", placement.backend, BACKENDS),
    ):
        if asked != "auto" and asked not in there:
            can = " or ".join(str(each) for each in there)
            raise CapacityError(
                f"the placement asks for {name}={asked}, and no stage of this version can run so: there is "
                f"{name}={can}. Set placement.{name} to {can}, or leave it at auto."
            )
    check_zero(placement, package_version("deepspeed"))
    if placement.engine == "vllm":
        vllm_python()
        return
    of_processes = ("engine_replicas", "tensor_parallel", "engine_memory_share")
    asked_for = {name: getattr(placement, name) for name in of_processes}
    if asked_for != {name: getattr(Placement(), name) for name in of_processes}:
        fields = ", ".join(f"{name}={value}" for name, value in asked_for.items())
        raise CapacityError(
            f"the placement asks for {fields} of engine={placement.engine}, which draws in the stage's own "
            "process. Set placement.engine to vllm, or leave these fields out."
        )


def resolve_placement(
    placement: Placement,
    num_parameters: float | None,
    machine: Machine | None = None,
    *,
    many_ranks: bool = True,
) -> Placement:
    """The same placement with every ``auto`` replaced by what it means here.

    Args:
        placement: As asked for; explicit fields are kept.
        num_parameters: Size of the model of the stage; None when there is none or it is not known.
        machine: Where it will run; this machine when left out.
        many_ranks: Whether the stage can run in several processes; if not, it runs in one.

    Raises:
        CapacityError: more GPUs are asked for than there are, or what no stage can carry out.
    """
    check_served(placement)
    machine = machine or this_machine()
    usable = len(machine.usable_gpus)
    if placement.gpus != "auto" and placement.gpus > usable:
        raise CapacityError(_missing_gpus(placement.gpus, machine))
    gpus, ranks = _gpus_and_ranks(placement, num_parameters, machine, many_ranks=many_ranks)
    on_gpu = gpus > 0
    large = (num_parameters or 0) >= BFLOAT16_PARAMETERS_MIN
    auto = {
        "pool": "gpu-pool" if on_gpu else "cpu-pool",
        "engine": ENGINES[0],
        "backend": BACKENDS[0],
        "layout": "two-pass",
        "dtype": "bfloat16" if on_gpu and large else "float32",
        "tokens_per_micro_batch": 32_768 if on_gpu else 16_384 if not large else 4_096,
        "threads": 1,
        "zero_stage": 0,
        "stages_at_once": 1 if on_gpu else machine.cores,
    }
    chosen = {name: value for name, value in auto.items() if getattr(placement, name) == "auto"}
    explicit = placement.model_copy(update={**chosen, "gpus": gpus, "ranks": ranks})
    if explicit.backend == "deepspeed":
        room = machine.usable_gpus[0].memory_bytes if on_gpu else machine.memory_bytes // ranks
        zero = zero_of(placement, num_parameters, ranks, room, bfloat16=explicit.dtype == "bfloat16")
        explicit = explicit.model_copy(update={"zero_stage": zero.stage})
    return explicit


def _gpus_and_ranks(
    placement: Placement, num_parameters: float | None, machine: Machine, *, many_ranks: bool
) -> tuple[int, int]:
    """GPUs of each machine that a stage really uses, and its processes on all of them.

    Raises:
        CapacityError: machines would run different numbers of processes, or processes share a GPU.
    """
    usable, nodes = len(machine.usable_gpus), machine.nodes
    is_tiny = num_parameters is not None and num_parameters < GPU_PARAMETERS_MIN
    gpus = (0 if is_tiny else usable) if placement.gpus == "auto" else placement.gpus
    if not many_ranks:
        return min(gpus, 1), 1
    if placement.ranks == "auto":
        return gpus, max(gpus, 1) * nodes
    here, left = divmod(placement.ranks, nodes)
    if left:
        raise CapacityError(
            f"{placement.ranks} ranks do not divide by {nodes} machines, and each runs as many. Set ranks to "
            f"a multiple of {nodes}, or leave it at auto."
        )
    if placement.gpus == "auto":
        gpus = min(gpus, here)
    if 0 < gpus < here:
        raise CapacityError(
            f"ranks={placement.ranks} are {here} processes on a machine with {gpus} GPUs to use, and each "
            f"trains on a GPU of its own. Set ranks={gpus * nodes}, or gpus=0 to train on the CPU."
        )
    return gpus, placement.ranks


def _missing_gpus(wanted: int, machine: Machine) -> str:
    there = ", ".join(gpu.name for gpu in machine.gpus) or "no GPU"
    if machine.gpus and not machine.torch_has_cuda:
        return (
            f"{wanted} GPUs are asked for; this machine has {there}, but the installed torch {machine.torch} "
            f"is a CPU build. Install a {machine.platform} build of the same version into this environment."
        )
    return (
        f"{wanted} GPUs are asked for and this machine has {there}. Ask for fewer "
        "(gpus=auto takes what is there), or run it where a gpu-pool worker has them."
    )


def numerics_of(
    placement: Placement,
    num_parameters: float | None = None,
    machine: Machine | None = None,
    *,
    many_ranks: bool = True,
) -> Numerics:
    """The numerics key of a placement on this machine: same key, same recipe, same bytes."""
    machine = machine or this_machine()
    explicit = resolve_placement(placement, num_parameters, machine, many_ranks=many_ranks)
    gpus = int(explicit.gpus)
    return Numerics(
        backend=backend_name(explicit),
        engine=explicit.engine,
        layout=explicit.layout,
        dtype=explicit.dtype,
        world_size=int(explicit.ranks),
        tokens_per_micro_batch=int(explicit.tokens_per_micro_batch),
        torch=machine.torch,
        device=machine.usable_gpus[0].name if gpus else machine.cpu,
        threads=int(explicit.threads),
        engine_replicas=explicit.engine_replicas,
        tensor_parallel=explicit.tensor_parallel,
    )
