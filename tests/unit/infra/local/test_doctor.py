"""The doctor sees what is broken and names the remedy."""

import pytest

from infra.local import doctor
from infra.local.doctor import examine
from infra.machine import Gpu, Machine
from rpt_core.errors import StoreError


@pytest.fixture
def healthy(tmp_path, monkeypatch):
    """A state folder of its own, and imports that cost nothing (the real ones are the stack test's)."""
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: None)


def by_name(probe=lambda: "works"):
    return {check.name: check for check in examine(probe)}


def test_a_machine_that_runs_the_tests_has_nothing_broken(healthy):
    found = by_name()
    assert [check for check in found.values() if check.state == "fail"] == []
    assert found["store"].what == "works"
    assert {"python", "torch", "fastapi", "gpu", "disk", "memory", "store", "sqlite", "stack"} <= set(found)


def test_every_finding_names_its_remedy(healthy, monkeypatch):
    def refuse():
        raise StoreError("the bucket overwrites")

    def broken(name):
        raise TypeError("Body() got an unexpected keyword argument 'min_items'")

    (doctor.ENV_FILE).write_text("PREFECT_API_URL=http://127.0.0.1:9/api\n")
    monkeypatch.setattr(doctor, "package_version", {"fastapi": "0.165.0", "torch": "absent"}.get)
    monkeypatch.setattr(doctor, "PACKAGES", (("fastapi", "0.139", "0.151"), ("torch", "2.11", "")))
    monkeypatch.setattr(doctor, "DISK_BYTES_OK", 10**20)
    monkeypatch.setattr(doctor, "PYTHON", ((3, 90), (3, 95)))
    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    card = Gpu(name="NVIDIA H200", memory_bytes=10**11)
    bare = Machine(cores=2, memory_bytes=10**9, cpu="a chip", torch="2.13.0+cpu", gpus=(card,))
    monkeypatch.setattr(doctor, "this_machine", lambda: bare)
    found = by_name(refuse)
    states = {name: check.state for name, check in found.items() if check.state != "ok"}
    assert states == {
        "fastapi": "fail", "torch": "fail", "disk": "warn", "python": "fail", "import prefect": "fail",
        "import mlflow": "fail", "gpu": "warn", "memory": "fail", "store": "fail", "stack": "warn",
    }  # fmt: skip
    assert all(found[name].remedy for name in states)
    assert "0.165.0, but >=0.139 and <0.151" in found["fastapi"].what
    assert found["store"].what == "the bucket overwrites"


@pytest.mark.parametrize(
    ("version", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("3.0rc1", (3,)), ("0.150.0", (0, 150, 0))]
)
def test_versions_compare_by_their_numbers(version, numbers):
    assert doctor._numbers(version) == numbers


def test_the_pins_that_matter_are_those_of_pyproject():
    """Whoever moves a pin there moves it here."""
    text = (doctor.Path(doctor.__file__).parents[2] / "pyproject.toml").read_text()
    for name, least, below in doctor.PACKAGES:
        if least or below:
            bounds = ",".join([f">={least}"] * bool(least) + [f"<{below}"] * bool(below))
            assert f'"{name}{bounds}"' in text or f'"{name}>={least}"' in text, name
