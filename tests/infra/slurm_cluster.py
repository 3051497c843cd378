"""A real Slurm on this machine: made-up nodes with made-up GPUs, on loopback, in a temporary folder.

    with slurm(folder) as cluster:
        job = cluster.sbatch("infra/slurm/train.sbatch", "tiny_rpt", RPT_HOME=...)
        cluster.wait(job, "COMPLETED")

The daemons are Debian's (``sh infra/slurm/setup.sh``). They are this test's own: key, ports, sockets and
state lie in the folder, and each is ended by its process id. Nothing of a Slurm that the machine may have is
read.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.s3_servers import free_ports

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
READY_SECONDS = 300.0
REQUEUE_SECONDS = 10
"""A requeued job waits this long (``cred_expire``; Slurm's own is 120)."""
ENDED = ("FAILED", "COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")
CONFIG = """\
ClusterName=rpt-test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue}
CredType=cred/munge
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=5
JobRequeue=0
GresTypes=gpu
LaunchParameters=use_interactive_step
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
GPUS = "Name=gpu File=/dev/null Count=1\nName=gpu File=/dev/zero Count=1\n"
"""Two devices that every machine has; nothing is computed on them."""


@dataclass(frozen=True)
class Cluster:
    """A Slurm that answers."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """One of Slurm's commands, to its end."""
        return subprocess.run(
            command,
            env={**self.env, **env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def sbatch(self, *words: str, **env: str) -> int:
        """Hand a job in from the repository's folder; its number."""
        log = self.folder / "job-%j.log"
        done = self.run("sbatch", "--parsable", f"--output={log}", *words, **env)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    @property
    def python(self) -> str:
        """The interpreter of the tests."""
        return sys.executable

    def update(self, job: int, **fields: object) -> None:
        """Change a job as an administrator may."""
        words = [f"{name}={value}" for name, value in fields.items()]
        done = self.run("scontrol", "update", f"JobId={job}", *words)
        assert done.returncode == 0, done.stderr

    def term(self, job: int) -> None:
        """SIGTERM to the job's script alone, as ``--signal=B:TERM`` has it sent."""
        done = self.run("scancel", "--batch", "--signal=TERM", str(job))
        assert done.returncode == 0, done.stderr

    def said(self, job: int) -> str:
        """All that a job has written so far, in all its lives."""
        log = self.folder / f"job-{job}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def state(self, job: int) -> dict[str, str]:
        """What Slurm knows of a job."""
        words = self.run("scontrol", "show", "job", str(job), "--oneliner").stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def until(self, job: int, there: Callable[[], object], seconds: float = 1500) -> None:
        """Until something is there that a job makes, which must not end before."""
        give_up = time.monotonic() + seconds
        while not there():
            state = self.state(job)["JobState"]
            assert state not in ENDED, f"{state}:\n{self.said(job)[-4000:]}"
            assert time.monotonic() < give_up, f"{state}:\n{self.said(job)[-4000:]}"
            time.sleep(0.3)

    def wait(self, job: int, wanted: str, seconds: float = 1500) -> dict[str, str]:
        """Until the job is in a state; ended otherwise, the test fails with its log."""
        give_up = time.monotonic() + seconds
        while (found := self.state(job)).get("JobState") != wanted:
            ended = found.get("JobState") in ENDED
            assert not ended, f"{found.get('JobState')}, not {wanted}:\n{self.said(job)[-4000:]}"
            assert time.monotonic() < give_up, f"{found}\n{self.said(job)[-4000:]}"
            time.sleep(0.5)
        return found


@contextmanager
def slurm(folder: Path, num_nodes: int = 1) -> Iterator[Cluster]:
    """A cluster while the block lasts; skips the test by name where Slurm is not installed."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: sh infra/slurm/setup.sh installs Slurm (Debian, Ubuntu)")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started as root here")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rpt-slurm-") as short:  # a socket's path has 107 bytes at most
        place = Path(short)
        names = (
            [f"n{number}" for number in range(1, num_nodes + 1)] if num_nodes > 1 else [os.uname().nodename]
        )
        _configure(place, names)
        env = _environment(place)
        daemons: list[subprocess.Popen[bytes]] = []
        try:
            _start(daemons, place, env, names)
            cluster = Cluster(folder, env)
            _until_idle(cluster, daemons, place, num_nodes)
            yield cluster
            cluster.run("scancel", "--state=PENDING", "--user", "root")
            cluster.run("scancel", "--signal=KILL", "--full", "--user", "root")
        finally:
            _end(daemons, place)


_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def _environment(place: Path) -> dict[str, str]:
    """Of whoever asks this cluster; nothing of an outer Slurm or of the developer's stack."""
    strange = ("SLURM", "SBATCH", "PREFECT_", "MLFLOW_", "RPT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    bin_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([bin_folder, _PATH])
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "SLURM_CONF": str(place / "slurm.conf")}


def _configure(place: Path, names: list[str]) -> None:
    control, *ports = free_ports(1 + len(names))
    host, cores = os.uname().nodename, os.cpu_count() or 1
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} "
        "RealMemory=1000 Gres=gpu:2"
        for name, port in zip(names, ports, strict=True)
    )
    user = "root"
    words = {"host": host, "user": user, "folder": place, "port": control, "nodes": nodes}
    (place / "slurm.conf").write_text(CONFIG.format(**words, requeue=REQUEUE_SECONDS))
    (place / "gres.conf").write_text(GPUS)
    (place / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (place / "munge.key").write_bytes(os.urandom(64))
    (place / "munge.key").chmod(0o600)
    (place / "state").mkdir()
    for name in names:
        (place / f"spool-{name}").mkdir()


def _start(
    daemons: list[subprocess.Popen[bytes]], place: Path, env: Mapping[str, str], names: list[str]
) -> None:
    munged = [
        "munged", "--foreground", "--force", f"--socket={place}/munge.socket",
        f"--key-file={place}/munge.key", f"--log-file={place}/munged.log",
        f"--pid-file={place}/munged.pid", f"--seed-file={place}/munge.seed",
    ]  # fmt: skip
    nodes = [["slurmd", "-D", "-N", name] if len(names) > 1 else ["slurmd", "-D"] for name in names]
    for command in (munged, ["slurmctld", "-D", "-c"], *nodes):
        if command[0] == "slurmctld":
            _until((place / "munge.socket").exists, "munged")
        with (place / f"{command[0]}.out").open("ab") as log:
            daemons.append(
                subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )


def _until(there: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not there():
        assert time.monotonic() < give_up, f"{what} did not come up in {READY_SECONDS:.0f} s"
        time.sleep(0.1)


def _until_idle(
    cluster: Cluster, daemons: list[subprocess.Popen[bytes]], place: Path, num_nodes: int
) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while True:
        idle = cluster.run("sinfo", "--noheader", "--format=%D", "--states=idle").stdout.split()
        if sum(int(word) for word in idle) == num_nodes:
            return
        logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in place.glob("*.log"))
        ended = [daemon.args for daemon in daemons if daemon.poll() is not None]
        assert not ended, f"{ended}\n{logs}"
        assert time.monotonic() < give_up, logs
        time.sleep(0.2)


def _end(daemons: list[subprocess.Popen[bytes]], place: Path) -> None:
    """Every daemon by its process id, the nodes first: they end what their jobs have left."""
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(10)
            continue
        daemon.kill()
        daemon.wait()
    for path in place.glob("munge.*"):
        path.unlink(missing_ok=True)
