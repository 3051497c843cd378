"""The images' files: linted, and built for real on a root of Debian's where buildah and debootstrap are."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.tools import ROOT, tool

pytestmark = [pytest.mark.infra]
FOLDER = ROOT / "infra/images"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
NEEDED = ("buildah", "debootstrap")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(path):
    done = subprocess.run([tool("hadolint"), str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bases_are_pinned_and_the_user_is_not_root(path):
    text = path.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) >= 2
    assert all(re.fullmatch(r"\w+:\d+\.\d+\.\d+-\S+", base) for base in bases)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001"]
    assert path.with_name(f"{path.name}.dockerignore").read_text().splitlines()[1] == "*"


def test_what_an_image_copies_is_there_and_let_through():
    for path in FILES:
        ignored = path.with_name(f"{path.name}.dockerignore").read_text().splitlines()
        kept = {line[1:] for line in ignored if line.startswith("!")}
        lines = re.findall(r"^COPY (?!--from)(.*)$", path.read_text(), re.MULTILINE)
        for source in (word for line in lines for word in line.split()[:-1]):
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in kept, source


def test_requirements_are_those_of_the_project_and_of_the_extras():
    import tomllib

    words = [sys.executable, str(FOLDER / "requirements.py"), "servers"]
    lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert lines == [*project["dependencies"], *project["optional-dependencies"]["servers"]]


def pip_config(what: str) -> str:
    words = [sys.executable, "-m", "pip", "config", what]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def mounts() -> list[str]:
    """What this machine's pip is configured by, lent to the build: files of packages, and where to ask."""
    files = re.findall(r"^\s*(/\S+), exists: True", pip_config("debug"), re.MULTILINE)
    places = re.findall(r"(?:file://)?(/[^\s',]+)", pip_config("list"))
    indexes = (
        re.sub(r"/simple$", "", path.rstrip("/")) for path in places
    )  # its pages link to files beside it
    found = dict.fromkeys(path for path in [*files, *indexes] if Path(path).exists())
    return [f"--volume={path}:{path}:ro" for path in found]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[str]:
    """The base image that the files name, or a stand-in of that name: Debian's own root and Python."""
    missing = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"no {', '.join(missing) or 'root'} here: an image cannot be built (sh infra/setup_debian.sh)"
        )
    (name,) = {base for path in FILES for base in re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)}
    if (
        subprocess.run(
            ["buildah", "inspect", "--type=image", name], capture_output=True, check=False
        ).returncode
        == 0
    ):
        yield name
        return
    folder = tmp_path_factory.mktemp("root")
    with_python = "--include=python3,python3-venv,python3-pip,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", with_python, "bookworm", folder], check=True)
    (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    made = subprocess.run(["buildah", "from", "scratch"], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    subprocess.run(["buildah", "add", "--quiet", container, folder, "/"], check=True)
    subprocess.run(["buildah", "commit", "--quiet", "--rm", container, name], check=True)
    shutil.rmtree(folder)
    yield name
    subprocess.run(["buildah", "rmi", name], check=False, capture_output=True)


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_the_cpu_image_is_built_and_runs_as_nobody_special(base):
    """Every line of the file, on Debian's root in place of its base; what is built is run and removed."""
    ignored = f"--ignorefile={FOLDER}/cpu.Dockerfile.dockerignore"
    words = ["buildah", "build", "--pull-never", "--isolation=chroot", *mounts(), ignored]
    tag = f"rpt:test-{os.getpid()}"
    done = subprocess.run(
        [*words, "-f", str(FOLDER / "cpu.Dockerfile"), "-t", tag, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    made = subprocess.run(
        ["buildah", "from", "--pull-never", tag], capture_output=True, text=True, check=True
    )
    container = made.stdout.strip()
    try:
        for command, wanted in (("id -u", "10001"), ("rpt ls --recipes", "tiny_rpt"), ("pwd", "/state")):
            words = ["buildah", "run", "--isolation=chroot", container, "--", *command.split()]
            said = subprocess.run(words, capture_output=True, text=True, check=False)
            assert said.returncode == 0, said.stderr
            assert wanted in said.stdout
        inside = ["buildah", "run", "--isolation=chroot", container, "--", "ls", "/opt/rpt"]
        listed = subprocess.run(inside, capture_output=True, text=True, check=True).stdout.split()
        assert "tests" not in listed
    finally:
        subprocess.run(["buildah", "rm", container], check=False, capture_output=True)
        subprocess.run(["buildah", "rmi", tag], check=False, capture_output=True)
