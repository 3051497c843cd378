"""`rpt up` as a user starts it: in a folder of its own, found by what it writes there, ended by a signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from infra.local import links
from infra.local.prefect_api import PrefectApi

UP = "import sys; from flows.__main__ import main; sys.argv = ['rpt', 'up']; main()"


def of_home(home: Path) -> list[str]:
    """Processes that carry this state folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RPT_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.cmdline()[:6]}")
        except (psutil.Error, OSError):
            continue
    return found


class Up:
    """A running `rpt up` in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "state é"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "RPT_"))}
        self.log = (folder / "up.log").open("w")
        self.process = self.spawn(self.log)

    def spawn(self, output) -> subprocess.Popen:
        env = {**self.env, "RPT_HOME": str(self.home)}
        command = [sys.executable, "-c", UP]
        return subprocess.Popen(command, cwd=self.folder, env=env, stdout=output, stderr=subprocess.STDOUT)

    def wait_until_up(self) -> None:
        give_up = time.monotonic() + 480
        while "Ctrl-C stops" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < give_up, self.said()
            time.sleep(0.2)

    def said(self) -> str:
        return (self.folder / "up.log").read_text()

    @property
    def links(self) -> dict[str, str]:
        return links.read_env(self.folder / ".env")

    @property
    def api(self) -> PrefectApi:
        return PrefectApi(self.links[links.PREFECT])

    def prefect(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess:
        """The command a user types: Prefect finds the server by .env in the folder it is started in."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        return subprocess.run(
            command,
            cwd=cwd or self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(150)
        self.log.close()
        return code

    def runs(self, flow: str) -> list[dict]:
        """All runs of a flow, the latest first."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC"}
        return self.api.call("POST", "/flow_runs/filter", asked)
