"""Two machines on this one: network, host name and /etc/hosts of their own, joined by a cable (veth).

    with two_machines(folder) as (first, second):
        process = first.start(["python", "-m", "flows", "run", ...], RPT_NODES="2", ...)
        second.lose()                 # every process killed and the cable cut, as when a machine goes dark

Files they share, as machines with a network disk do. Nothing of it has a name outside: what is left when the
processes are gone, the kernel takes away.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.s3_servers import ROOT

NETWORK = "10.213.77"
NEEDED = ("ip", "unshare", "nsenter", "mount")


@dataclass
class Machine:
    """One of the two."""

    name: str
    address: str
    holder: subprocess.Popen[bytes]
    """Keeps the machine's namespaces."""
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def words(self, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """A command as one of this machine's."""
        spaces = ["--net", "--uts", "--mount"]
        return ["nsenter", "--target", str(self.holder.pid), *spaces, "--", *map(str, command)]

    def run(self, *command: str) -> str:
        done = subprocess.run(self.words(command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, command: Sequence[str | os.PathLike[str]], **env: str) -> subprocess.Popen[bytes]:
        """A program of this machine, in a session of its own; what it says is in its log."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RPT_", "PREFECT_", "MLFLOW_"))}
        with (self.folder / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.words(command), env={**kept, "PYTHONPATH": str(ROOT), **env}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def said(self) -> str:
        log = self.folder / f"{self.name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Whatever runs in this machine's network, in whatever session it hides."""
        own, found = _network_of(self.holder.pid), []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != self.holder.pid and _network_of(process.pid) == own:
                    found.append(process)
        return found

    def lose(self) -> None:
        """Cut the cable, then the power: nothing of it says good-bye."""
        self.run("ip", "link", "set", "cable", "down")
        self.stop()

    def stop(self) -> None:
        """End what runs here, by process id."""
        while found := self.processes():
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(found, timeout=1)
        for process in self.started:
            process.wait()


def _network_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


@contextmanager
def two_machines(folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """Both, while the block lasts; skips the test by name where this user may not make them."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"no {', '.join(missing)} here: two machines cannot be made (sh infra/setup_debian.sh)")
    spaces = ["unshare", "--net", "--uts", "--mount"]
    if subprocess.run([*spaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may make no network of its own (unshare --net)")
    machines = [
        Machine(name, f"{NETWORK}.{number}", subprocess.Popen([*spaces, "sleep", "infinity"]), folder)
        for number, name in enumerate(("first", "second"), 1)
    ]
    try:
        _join(machines, folder)
        yield machines[0], machines[1]
    finally:
        for machine in machines:
            machine.stop()
            machine.holder.send_signal(signal.SIGKILL)
            machine.holder.wait()


def _join(machines: Sequence[Machine], folder: Path) -> None:
    """A cable between them, their names, and a file that knows both."""
    here = os.readlink("/proc/self/ns/net")
    while any(_network_of(machine.holder.pid) == here for machine in machines):  # unshare is still at it
        time.sleep(0.05)
    hosts = folder / "hosts"
    lines = [f"{machine.address} {machine.name}" for machine in machines]
    hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    ends = [f"rpt{os.getpid()}{side}" for side in "ab"]
    subprocess.run(["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]], check=True)
    for end, machine in zip(ends, machines, strict=True):
        words = ["ip", "link", "set", end, "netns", str(machine.holder.pid), "name", "cable"]
        subprocess.run(words, check=True)
        machine.run("ip", "address", "add", f"{machine.address}/24", "dev", "cable")
        machine.run("ip", "link", "set", "cable", "up")
        machine.run("ip", "link", "set", "lo", "up")
        machine.run("hostname", machine.name)
        machine.run("mount", "--bind", str(hosts), "/etc/hosts")


PYTHON = sys.executable
