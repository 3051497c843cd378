"""`rpt compare` and `rpt copy`: what they say, what they refuse, and that nothing is half there."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.storage import copy as copying
from infra.storage.store import Store
from rpt_core.artifacts.build import MILESTONES_FILE
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.lineage import ancestors, foundations
from rpt_core.artifacts.manifest import Manifest, Outcome, RowCounts
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import IntegrityError, RecipeError
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.infra.storage.test_store import NUMERICS, publish, s3_endpoint, write  # noqa: F401  (a fixture)


def put(store, folder, kind, letter, *, recipe=None, parents=None, numerics=None, outcome=None) -> Manifest:
    files = store.objects.put_folder(folder)
    return store.publish(
        Manifest(
            kind=kind, fingerprint=letter * 64, digest=artifact_digest(files),
            recipe=recipe or {"stage": kind}, placement=Placement(), numerics=numerics,
            parents=parents or {}, files=files,
            outcome=outcome or Outcome(), code="c", environment={}, created=datetime.now(UTC).isoformat(),
            attempts=(),
        )
    )  # fmt: skip


@pytest.fixture
def journey(store: Store, tmp_path: Path) -> Manifest:
    """A policy over a start and a corpus the start stands on too, with one published milestone."""
    corpus = put(store, write(tmp_path / "c", text="words"), "corpus", "c")
    start = put(store, write(tmp_path / "s", w="0"), "base", "5", parents={"corpus": corpus.artifact})
    milestone = put(store, write(tmp_path / "m", w="1"), "checkpoint", "d")
    folder = write(tmp_path / "p", w="2")
    (folder / MILESTONES_FILE).write_text(json.dumps({"10": milestone.artifact.model_dump()}))
    parents = {"start": start.artifact, "corpus": corpus.artifact}
    return put(store, folder, "policy", "e", parents=parents, numerics=NUMERICS)


def run(*words: str) -> int:
    return guarded(lambda: app(list(words), standalone_mode=False))


def said(capsys) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_what_a_thing_stands_on_comes_before_it(store, journey):
    order = [each.kind for each in foundations(journey, store.load)]
    assert order == ["corpus", "base", "policy"]


def test_what_a_thing_stands_on_has_its_depth(store, tmp_path):
    made = None
    for letter in "123456":
        below = {"below": made.artifact} if made else {}
        made = put(store, write(tmp_path / letter, w=letter), "corpus", letter, parents=below)
    found = [(depth, name, each.fingerprint[0]) for depth, name, each in ancestors(made, store.load)]
    assert found == [(depth, "below", letter) for depth, letter in enumerate("54321", start=1)]


def test_a_copy_holds_all_it_stands_on_and_is_idempotent(store, journey, tmp_path, capsys):
    store.add_ref("mine", journey.artifact)
    url = str(tmp_path / "other")
    assert run("copy", "mine@1", url, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ref"] == "mine@1"
    assert [each["kind"] for each in found["artifacts"]] == ["checkpoint", "corpus", "base", "policy"]
    assert all(each["is_new"] for each in found["artifacts"])
    other = Store(url, tmp_path / "elsewhere")
    assert other.find("mine") == journey
    assert sorted(m.kind for m in other.manifests()) == ["base", "checkpoint", "corpus", "policy"]
    for manifest in other.manifests():
        other.verify(manifest)
    before = sorted(path for path in Path(url).rglob("*") if path.is_file())
    assert run("copy", "mine@1", url) == 0
    assert "0 of 4 artifacts are new" in " ".join(capsys.readouterr().out.split())
    assert sorted(path for path in Path(url).rglob("*") if path.is_file()) == before


def test_a_copy_goes_to_s3_and_back(store, journey, tmp_path, request):
    request.getfixturevalue("s3_endpoint")
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="copies")
    client.close()
    bucket = Store("s3://copies/team", tmp_path / "cache")
    assert len(list(copying.copy(copying.to_copy(journey, store), store, bucket))) == 4
    back = Store(str(tmp_path / "back"), tmp_path / "cache")
    again = list(copying.copy(copying.to_copy(bucket.load(journey.artifact), bucket), bucket, back))
    assert all(each.is_new for each in again)
    assert (back.materialise(journey.artifact) / "w.txt").read_text() == "2"


def test_a_copy_broken_off_leaves_whole_artifacts_and_goes_on(store, journey, tmp_path):
    target = Store(str(tmp_path / "other"), tmp_path / "elsewhere")
    going = copying.copy(copying.to_copy(journey, store), store, target)
    done = [next(going), next(going)]
    going.close()
    assert {m.fingerprint for m in target.manifests()} == {each.manifest.fingerprint for each in done}
    again = list(copying.copy(copying.to_copy(journey, store), store, target))
    assert [each.is_new for each in again] == [False, False, True, True]


def test_damaged_bytes_are_not_copied(store, journey, tmp_path):
    entry = next(entry for entry in journey.files if entry.path == "w.txt")
    blob = Path(store.objects.blob_key(entry.blob))
    blob.chmod(0o644)
    blob.write_text("evil")
    target = Store(str(tmp_path / "other"), tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="stored content was changed"):
        list(copying.copy(copying.to_copy(journey, store), store, target))
    assert target.manifest("policy", journey.fingerprint) is None


def test_bytes_damaged_on_arrival_are_never_published(store, journey, tmp_path, monkeypatch):
    target = Store(str(tmp_path / "other"), tmp_path / "elsewhere")
    put_folder = target.objects.put_folder

    def damaged(folder, *more, **named):
        entries = put_folder(folder, *more, **named)
        for entry in entries:
            blob = Path(target.objects.blob_key(entry.blob))
            blob.chmod(0o644)
            blob.write_text("evil")
        return entries

    monkeypatch.setattr(target.objects, "put_folder", damaged)
    with pytest.raises(IntegrityError):
        list(copying.copy(copying.to_copy(journey, store), store, target))
    assert list(target.manifests()) == []


def test_other_content_under_one_address_is_refused_before_anything_is_written(store, journey, tmp_path):
    target = Store(str(tmp_path / "other"), tmp_path / "elsewhere")
    put(target, write(tmp_path / "x", w="other"), "policy", "e", numerics=NUMERICS)
    with pytest.raises(RecipeError, match="built there too, under other numerics"):
        list(copying.copy(copying.to_copy(journey, store), store, target))
    assert [m.kind for m in target.manifests()] == ["policy"]


def test_a_copy_into_its_own_store_and_of_nothing_end_in_a_sentence(store, journey, tmp_path, capsys):
    assert run("copy", "policy/eeeeee", str(tmp_path / "home" / "store")) == 2
    assert "is the store the artifact lies in already" in said(capsys)
    assert run("copy", "nothing", str(tmp_path / "other")) == 2
    assert "no artifact or ref is called 'nothing'" in said(capsys)
    assert run("copy", "policy/eeeeee", "ftp9://x/y") == 2
    assert "cannot be opened" in said(capsys)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> Path:
    """Three evaluations: before and after on the same questions, and one of others."""
    root = tmp_path_factory.mktemp("evaluations")
    planted = Planted(30, 4)
    write_evaluation(root / "before", BEFORE, planted=planted, manifest=False)
    write_evaluation(root / "after", AFTER, seed=1, planted=planted, manifest=False)
    write_evaluation(root / "others", AFTER, seed=1, planted=Planted(20, 4), manifest=False)
    return root


def test_two_evaluations_are_compared_item_by_item(store, evaluated, capsys):
    put(store, evaluated / "before", "evaluation", "a", recipe={"stage": "evaluate", "seed": 0})
    put(store, evaluated / "after", "evaluation", "b", recipe={"stage": "evaluate", "seed": 1})
    assert run("compare", "aaaaaa", "bbbbbb", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {(line["mode"], line["tier"]): line for line in found["lines"]}
    free = by_name["reasoning", "easy"]
    assert free["verdict"] == "better"
    gain = free["comparison"]["difference"]
    assert gain["low"] < gain["value"] < gain["high"]
    assert gain["value"] == pytest.approx(
        free["comparison"]["after"]["value"] - free["comparison"]["before"]["value"]
    )
    assert by_name["plain", "easy"]["verdict"] == "undecided"
    assert by_name["problems", "all"]["comparison"]["difference"]["num_clusters"] == 40
    assert found["recipe"] == [{"name": "seed", "first": 0, "second": 1}]
    assert run("compare", "bbbbbb", "aaaaaa") == 0
    out = capsys.readouterr().out
    assert "worse" in out
    assert "Holm" in out


def test_different_questions_are_refused(store, evaluated, capsys):
    put(store, evaluated / "after", "evaluation", "b")
    put(store, evaluated / "others", "evaluation", "d")
    assert run("compare", "bbbbbb", "dddddd") == 2
    assert "cannot be paired: 120 and 80 items" in said(capsys)


def test_other_kinds_are_laid_side_by_side(store, tmp_path, capsys):
    rows = Outcome(rows=RowCounts(rows_in=3, kept=2, dropped={"too-short": 1}), summary={"words": 7})
    recipe = {"stage": "prepare-corpus", "quality": {"least_words": 3, "ratio": 0.5}}
    changed = {"stage": "prepare-corpus", "quality": {"least_words": 5, "ratio": 0.5}}
    put(store, write(tmp_path / "a", t="x"), "corpus", "a", recipe=recipe, outcome=rows)
    put(store, write(tmp_path / "b", t="y"), "corpus", "b", recipe=changed)
    assert run("compare", "aaaaaa", "bbbbbb", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recipe"] == [{"name": "quality.least_words", "first": 3, "second": 5}]
    assert [row["name"] for row in found["digests"]] == ["artifact", "t.txt"]
    assert {"name": "kept", "first": 2, "second": 0} in found["rows"]
    assert {"name": "dropped: too-short", "first": 1, "second": None} in found["rows"]
    assert found["results"] == [{"name": "words", "first": 7, "second": None}]
    assert run("compare", "aaaaaa", "bbbbbb") == 0
    assert "quality.least_words" in capsys.readouterr().out


def test_what_cannot_be_compared_ends_in_a_sentence(store, journey, capsys, tmp_path):
    publish(store, write(tmp_path / "f", x="hello"))
    for words, says in (
        (("corpus/cccccc", "policy/eeeeee"), "is of kind corpus, policy/eeeeee of kind policy"),
        (("corpus/cccccc", "cccccccc"), "are the same artifact, corpus/cccccccccccc"),
        (("corpus/cccccc", "nothing"), "no artifact or ref is called 'nothing'"),
    ):
        assert run("compare", *words) == 2
        assert says in said(capsys)
