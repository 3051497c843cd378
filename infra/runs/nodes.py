r"""The machines a training runs on, when they are more than one: told by the environment.

    RPT_NODES=2 RPT_RENDEZVOUS=head:29500 RPT_NODES_START="srun --ntasks-per-node=1 --kill-on-bad-exit=1" \
        rpt run rpt_14b --placement ranks=16

Every machine sees the state folder under the same path. What stands in ``RPT_NODES_START`` runs the command
after it once on every machine; under Slurm that is ``srun``. Without it, run by hand on each of the others
the torchrun command that the attempt's log begins with, which is of this form:

    torchrun --nnodes=2 --nproc-per-node=8 --max-restarts=0 --rdzv-backend=c10d --rdzv-endpoint=head:29500 \
        --rdzv-id=rpt-0123456789ab -m tasks.train_main /shared/.../job.json
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from rpt_core.errors import CapacityError

NODES, RENDEZVOUS, START = "RPT_NODES", "RPT_RENDEZVOUS", "RPT_NODES_START"


@dataclass(frozen=True, slots=True)
class Nodes:
    """How many machines take part, and how they find each other."""

    count: int = 1
    rendezvous: str = ""
    """``host:port`` on one of them."""
    start: tuple[str, ...] = ()
    """What runs a command on each; empty where somebody else does."""


def nodes_of(environment: Mapping[str, str] = os.environ) -> Nodes:
    """The machines that an environment names; this one alone where it names none.

    Raises:
        CapacityError: several, and not where they meet.
    """
    said = environment.get(NODES, "1")
    count = int(said) if said.isdecimal() else 0
    if count < 1 or (count > 1 and ":" not in environment.get(RENDEZVOUS, "")):
        raise CapacityError(
            f"{NODES}={said} and {RENDEZVOUS}={environment.get(RENDEZVOUS, '')!r} name no machines that can "
            f"find each other. Set {NODES} to their number and {RENDEZVOUS} to host:port of one of them."
        )
    return Nodes(count, environment.get(RENDEZVOUS, ""), tuple(shlex.split(environment.get(START, ""))))


def torchrun(module: str, arguments: Sequence[str], world_size: int, nodes: Nodes) -> list[str]:
    """The command that starts a module's ranks, on this machine or on all.

    ``-P`` keeps the working folder out of the module path; the ranks, which torchrun starts with ``-m`` and
    without ``-P``, have ``PYTHONSAFEPATH`` for that.

    Raises:
        CapacityError: the ranks do not divide by the machines.
    """
    each, left = divmod(world_size, nodes.count)
    if left:
        raise CapacityError(
            f"{world_size} ranks do not divide by {nodes.count} machines, and each starts as many. Set ranks "
            f"to a multiple of {nodes.count}."
        )
    meeting = ["--standalone", "--local-addr=127.0.0.1"]
    if nodes.count > 1:
        attempt = sha256("\0".join(arguments).encode()).hexdigest()[:12]
        meeting = [
            f"--nnodes={nodes.count}", "--rdzv-backend=c10d", f"--rdzv-endpoint={nodes.rendezvous}",
            f"--rdzv-id=rpt-{attempt}",
        ]  # fmt: skip
    return [
        *(nodes.start if nodes.count > 1 else ()), sys.executable, "-P", "-m", "torch.distributed.run",
        *meeting, "--max-restarts=0", f"--nproc-per-node={each}", "-m", module, *arguments,
    ]  # fmt: skip
