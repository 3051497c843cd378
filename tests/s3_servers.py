"""S3 servers on this machine: moto in this process, and SeaweedFS, a real one (``sh infra/setup_s3.sh``)."""

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
WEED = ROOT / ".venv-s3/bin/weed"
READY_SECONDS = 60.0
_BUCKET = "rpt-tests"
_SHARES = "master", "volume", "filer", "s3"
"""Of SeaweedFS; each listens on two ports."""


@dataclass(frozen=True)
class S3Server:
    """A server that answers, and who may ask it."""

    url: str
    access_key: str = "test"
    secret_key: str = "test"
    process: "subprocess.Popen[bytes] | None" = None
    """None where it runs in this process."""

    def environment(self, url: str = "") -> dict[str, str]:
        """The variables by which everything that speaks S3 finds it, or finds a proxy before it."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new_place(self) -> str:
        """An empty place of its own, ``bucket/prefix``; in one bucket: servers set room aside for each."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )
        if _BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=_BUCKET)
        client.close()
        return f"{_BUCKET}/{uuid.uuid4().hex[:16]}"


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process, for the length of a block."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def free_ports(num: int) -> list[int]:
    """Ports nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(num)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def moto() -> Iterator[S3Server]:
    """A moto server: quick, and it checks neither signatures nor checksums."""
    import logging

    from moto.server import ThreadedMotoServer

    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    try:
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        server.stop()


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS with its data in a folder, on this machine alone; ended by its process id.

    Skips the test, by name, where it is not installed.
    """
    if not WEED.exists():
        pytest.skip("no SeaweedFS here: sh infra/setup_s3.sh installs it (make test-s3 does)")
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server("", "rpt-test-key", uuid.uuid4().hex)
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    config = {"identities": [{"name": "rpt", "credentials": [credentials], "actions": rights}]}
    (folder / "s3.json").write_text(json.dumps(config))
    ports = free_ports(2 * len(_SHARES))
    words = _command(folder, ports)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{ports[2 * _SHARES.index('s3')]}"
    try:
        _wait(url, process, folder / "log.txt")
        yield S3Server(url, server.access_key, server.secret_key, process)
    finally:
        process.kill()  # asked to end, it serves for ten seconds more; what it holds goes with the test
        process.wait()


def _command(folder: Path, ports: list[int]) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    listening = {}
    for number, share in enumerate(_SHARES):
        listening |= {f"{share}.port": ports[2 * number], f"{share}.port.grpc": ports[2 * number + 1]}
    options = {
        **listening,
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.localSocket": folder / "s3.sock",
        "s3.config": folder / "s3.json",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",  # an unknown bucket is an error, as at Amazon
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 200,
        "volume.minFreeSpace": 1,
    }
    flags = [f"-{name}={value}" for name, value in options.items()]
    return [str(WEED), f"-logdir={folder}", "server", *flags]


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        assert process.poll() is None, f"SeaweedFS ended:\n{log.read_text(errors='replace')[-2000:]}"
        try:
            if httpx.get(url, timeout=2).status_code in (200, 403):
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(
        f"SeaweedFS did not answer in {READY_SECONDS:.0f} s:\n{log.read_text(errors='replace')[-2000:]}"
    )
