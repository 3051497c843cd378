"""`rpt replay` on a real training: a child process takes the step again and finds the recorded digest."""

import json

import pyarrow.parquet as pq
import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.storage.store import Store
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.placement import Placement
from tasks import build as build_module
from tests.flows.small_training import small_policy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Four steps on the sample world: a random model is never right, but its next-token loss moves it."""
    root, patch = tmp_path_factory.mktemp("replay"), pytest.MonkeyPatch()
    patch.setenv("RPT_HOME", str(root / "home"))
    patch.delenv("RPT_STORE", raising=False)
    patch.setattr(build_module, "track", lambda *_, **__: "")
    store = Store(str(root / "home" / "store"), root / "home" / "cache")
    recipe = small_policy(root, store, steps=4, milestones=(2,))
    manifest = store.load(build_module.build_here(recipe, Placement(), store))
    store.add_ref("mine", manifest.artifact)
    yield store, manifest
    patch.undo()


def rpt(*words: str) -> int:
    return guarded(lambda: app(list(words), standalone_mode=False))


def test_a_step_is_taken_again(trained, capsys):
    store, manifest = trained
    recorded = pq.read_table(store.materialise(manifest.artifact) / "batches.parquet").to_pylist()
    for number, begun in ((2, 0), (4, 2)):
        assert rpt("replay", "mine", "--step", str(number), "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["digest"] == recorded[number - 1]["digest"]
        assert (found["step"], found["from_step"]) == (number, begun)
        assert len(found["answers"]) == 8
    assert rpt("replay", "mine", "--step", "1", "--limit", "1") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "came out as it was recorded" in out
    assert "1 of 8 answers are shown" in out
    home = store.cache.parent
    assert not list((home / "scratch" / "replay").iterdir())


def test_what_cannot_be_replayed_ends_in_a_sentence(trained, capsys):
    _, manifest = trained
    for words, code, says in (
        (("mine", "--step", "5"), 2, "the training took steps 1 to 4"),
        ((f"base/{manifest.parents['start'].fingerprint[:12]}", "--step", "1"), 2, "took no steps"),
        (("mine", "--step", "0"), 2, "Invalid value for '--step'"),
        (("nothing", "--step", "1"), 2, "no artifact or ref"),
    ):
        assert rpt("replay", *words) == code
        assert says in " ".join(capsys.readouterr().err.split())


def test_a_record_that_says_otherwise_is_noticed(trained, tmp_path, capsys):
    store, manifest = trained
    folder = tmp_path / "forged"
    folder.mkdir()
    for entry in manifest.files:
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((store.materialise(manifest.artifact) / entry.path).read_bytes())
    table = pq.read_table(folder / "batches.parquet").to_pylist()
    table[2]["digest"] = "0" * 64
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(table), folder / "batches.parquet")
    files = store.objects.put_folder(folder)
    forged = manifest.model_copy(
        update={"fingerprint": "a" * 64, "files": files, "digest": artifact_digest(files)}
    )
    store.publish(forged)
    assert rpt("replay", "aaaaaaaa", "--step", "3") == 1
    assert "step 3 was recorded with digest 000000000000 and came out as" in capsys.readouterr().err
