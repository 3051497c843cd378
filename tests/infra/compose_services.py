"""The services of ``infra/compose/compose.yaml`` without containers: its commands, variables and checks.

The file is read by docker compose itself. What it calls ``postgres:5432`` is a port of 127.0.0.2 here, an
address of this machine that is no *localhost*, as in a network of containers; its folders lie in a temporary
one. Images are what this machine has: Debian's Postgres, SeaweedFS of ``.venv-s3``, and this interpreter.
"""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import free_port
from tests.infra.tools import tool
from tests.s3_servers import ROOT, WEED

HOST = "127.0.0.2"
FILE = ROOT / "infra/compose/compose.yaml"
EXAMPLE = ROOT / "infra/compose/env.example"
WAIT_SECONDS = 900.0
PORTS = {"postgres": 5432, "s3": 8333, "prefect": 4200, "mlflow": 5000}
POSTGRES_BIN = Path("/usr/lib/postgresql")


def config(env_file: Path, *options: str) -> dict[str, Any]:
    """The file as docker compose understands it."""
    compose = tool("docker-compose")
    done = subprocess.run(
        [compose, "--env-file", str(env_file), "-f", str(FILE), *options, "config", "--format", "json"],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Services:
    """Parts of the file that run on this machine."""

    def __init__(self, folder: Path, env_file: Path) -> None:
        self.folder = folder
        begin, self.ports = 23000 + os.getpid() % 5000, {}
        for name in PORTS:
            begin = self.ports[name] = free_port(begin + 1)
        with env_file.open("a") as lines:
            lines.write(f"\nRPT_MLFLOW_HOST={HOST}:{self.ports['mlflow']}\n")
        self.config = config(env_file)
        self.parts: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, text: str) -> str:
        """A word of the file, with this machine's addresses and folders."""
        for name, port in PORTS.items():
            text = text.replace(f"{name}:{port}", f"{HOST}:{self.ports[name]}")
            text = text.replace(f"127.0.0.1:{port}", f"{HOST}:{self.ports[name]}")
            if text in (str(port), f"-s3.port={port}"):
                text = text.replace(str(port), str(self.ports[name]))
        places = {"0.0.0.0": HOST, "-ip=s3": f"-ip={HOST}", "/data": str(self.folder / "data")}
        places |= {"/etc/mlflow": str(self.folder), "/etc/seaweedfs": str(self.folder)}
        for word, place in places.items():
            text = text.replace(word, place)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """What the service sees: the file's variables, and of ours only what programs are found by."""
        kept = {
            word: os.environ[word] for word in ("LANG", "TMPDIR", "OMP_NUM_THREADS") if word in os.environ
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        given = self.config["services"][name].get("environment") or {}
        return {
            **kept, "PATH": path, "HOME": str(self.folder), "RPT_HOME": str(self.folder / "state"),
            "RPT_WORKDIR": str(ROOT), "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
            "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "OMP_WAIT_POLICY": "PASSIVE",
            "MLFLOW_DISABLE_TELEMETRY": "true", **{word: self.here(value) for word, value in given.items()},
        }  # fmt: skip

    def words(self, name: str) -> list[str]:
        """The service's command; ``$$`` is how the file writes a dollar."""
        return [self.here(word).replace("$$", "$") for word in self.config["services"][name]["command"]]

    def start(self, name: str, *more: str, program: str = "") -> None:
        """Begin a service, in a group of its own."""
        words = [*filter(None, [program]), *self.words(name), *more]
        (self.folder / "data").mkdir(exist_ok=True)
        with self.log(name).open("ab") as log:
            self.parts[name] = subprocess.Popen(
                words, cwd=self.folder, env=self.environment(name), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip

    def run(self, name: str) -> None:
        """A service that ends: bucket, deploy."""
        done = subprocess.run(
            self.words(name),
            cwd=ROOT,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def until_healthy(self, name: str) -> None:
        """Until the file's own check succeeds."""
        _, *test = self.config["services"][name]["healthcheck"]["test"]
        words = [self.here(word) for word in test]
        self.until(
            lambda: (
                subprocess.run(words, env=self.environment(name), capture_output=True, check=False).returncode
                == 0
            ),
            name,
        )

    def until(self, there: Callable[[], object], what: str) -> None:
        give_up = time.monotonic() + WAIT_SECONDS
        while not there():
            for name, part in self.parts.items():
                assert part.poll() is None, f"{name} ended:\n{self.said(name)}"
            assert time.monotonic() < give_up, f"{what} is not there:\n{self.said(what)}"
            time.sleep(0.5)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text(errors="replace")[-4000:] if self.log(name).exists() else ""

    def write_configs(self) -> None:
        """The file's own small files."""
        for name, target in (("mlflow_auth", "auth.ini"), ("s3", "s3.json"), ("databases", "databases.sql")):
            text = self.here(self.config["configs"][name]["content"]).replace("$$", "$")
            (self.folder / target).write_text(text)

    def end(self) -> None:
        for part in reversed(self.parts.values()):
            if part.poll() is None:
                os.killpg(part.pid, 9)
                part.wait()


def postgres_programs() -> Path:
    """Where Debian keeps initdb and its like; skips the test by name where they are not."""
    found = sorted(POSTGRES_BIN.glob("*/bin/initdb"))
    if not found:
        pytest.skip("no Postgres here: sh infra/setup_debian.sh installs it (Debian, Ubuntu)")
    return found[-1].parent


def start_postgres(services: Services, folder: Path) -> None:
    """Postgres with the file's user, password and databases, as the system's user of that name."""
    programs, port = postgres_programs(), str(services.ports["postgres"])
    given = services.config["services"]["postgres"]["environment"]
    user, password = given["POSTGRES_USER"], given["POSTGRES_PASSWORD"]
    (folder / "password").write_text(password)
    as_user: list[str] = []
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        os.chown(folder, account.pw_uid, account.pw_gid)
        os.chown(folder / "password", account.pw_uid, account.pw_gid)
    subprocess.run(
        [*as_user, programs / "initdb", f"--pgdata={folder}/db", f"--username={user}", "--auth=scram-sha-256",
         f"--pwfile={folder}/password", "--no-sync", "--encoding=UTF8"],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with services.log("postgres").open("ab") as log:
        services.parts["postgres"] = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", folder / "db", "-h", HOST, "-p", port, "-k", folder,
             "-c", "fsync=off"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    env = {**os.environ, "PGHOST": HOST, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password}
    ready = [programs / "pg_isready", "--quiet"]
    services.until(lambda: subprocess.run(ready, env=env, check=False).returncode == 0, "postgres")
    subprocess.run([programs / "createdb", given["POSTGRES_DB"]], env=env, check=True)
    with (services.folder / "databases.sql").open() as sql:
        psql = [programs / "psql", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname=postgres"]
        subprocess.run(psql, env=env, check=True, stdin=sql)


def start_s3(services: Services) -> None:
    """SeaweedFS by the file's words, with the ports that containers keep to themselves."""
    if not WEED.exists():
        pytest.skip("no SeaweedFS here: sh infra/setup_s3.sh installs it")
    begin, more = 29000 + os.getpid() % 3000, []
    for flag in ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
                 "filer.port.grpc", "s3.port.grpc"):  # fmt: skip
        begin = free_port(begin + 1)
        more.append(f"-{flag}={begin}")
    sockets = [f"-{part}.localSocket={services.folder}/{part}.sock" for part in ("filer", "s3")]
    services.start("s3", *more, *sockets, "-s3.port.iceberg=0", "-s3.port.lance=0", program=str(WEED))


@contextmanager
def stack(folder: Path) -> Iterator[Services]:
    """Postgres, S3, Prefect and MLflow of the file, healthy, with everything deployed; its worker works."""
    env_file = folder / "env"
    shutil.copy(EXAMPLE, env_file)
    services = Services(folder, env_file)
    services.write_configs()
    database = Path(tempfile.mkdtemp(prefix="rpt-postgres-"))  # where the system's user of that name comes
    try:
        start_postgres(services, database)
        start_s3(services)
        services.until(lambda: _bucket_is_there(services), "s3")
        services.start("prefect")
        services.start("mlflow")
        services.until_healthy("prefect")
        services.run("deploy")
        services.until_healthy("mlflow")
        services.start("cpu-worker")
        yield services
    finally:
        services.end()
        shutil.rmtree(database)


def _bucket_is_there(services: Services) -> bool:
    words, env = services.words("bucket"), services.environment("bucket")
    return subprocess.run(words, env=env, capture_output=True, check=False).returncode == 0


def values(services: Services) -> Mapping[str, str]:
    """What a client of the stack has in its environment."""
    return services.environment("cpu-worker")
