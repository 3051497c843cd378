"""Corpora of different documents that share rows: what one holds out, no model may have trained on."""

import json
from datetime import UTC, datetime

import pytest

from infra.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.dedup.overlap import check_held_out, shared_rows
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tasks.build import _trained_on
from tests.unit.corpus.test_prepare import tale, write


def question(number):
    return {"problem": f"What is {number} times {number + 3}, and why?", "answer": str(number * (number + 3))}


def corpus(folder, tales, questions=(), name="tales.jsonl", **options):
    """A corpus of these tales, found in a file of this name."""
    rows = [{"id": i, "title": f"Tale {i}", "text": tale(i)} for i in tales]
    write(folder / "data", name, rows)
    if questions:
        write(folder / "data", f"q-{name}", [question(number) for number in questions])
    ingest(IngestRecipe(data=str(folder / "data")), LocalBuild({}, folder / "a", folder / "b"))
    build = LocalBuild({"documents": folder / "a"}, folder / "corpus", folder / "c")
    prepare(PrepareRecipe(documents=Ref(ref="x"), eval_share=0.3, **options), build)
    return folder / "corpus"


def test_rows_shared_by_id_or_by_text_are_found_and_others_are_not(tmp_path):
    evaluated = corpus(tmp_path / "1", range(40), range(20))
    assert sum(shared_rows(evaluated, evaluated).num_shared.values()) == 0
    same_seed = corpus(tmp_path / "2", range(20, 60), range(10, 30))
    assert sum(shared_rows(evaluated, same_seed).num_shared.values()) == 0
    elsewhere = corpus(tmp_path / "3", range(100, 140), range(100, 120), seed=1)
    assert sum(shared_rows(evaluated, elsewhere).num_shared.values()) == 0
    by_id = shared_rows(evaluated, corpus(tmp_path / "4", range(20, 60), range(10, 30), seed=1))
    assert by_id.num_held_out.keys() == {"documents", "problems"}
    assert min(by_id.num_held_out.values()) > 0
    assert all(0 < by_id.num_shared[table] <= num for table, num in by_id.num_held_out.items())
    by_text = shared_rows(evaluated, corpus(tmp_path / "5", range(20, 60), name="other.jsonl", seed=1))
    assert by_text.num_shared == {"documents": by_id.num_shared["documents"], "problems": 0}


def test_an_evaluation_on_what_was_trained_on_is_refused_with_both_numbers(tmp_path):
    evaluated = corpus(tmp_path / "1", range(40))
    trained = corpus(tmp_path / "2", range(20, 60), seed=1)
    found = shared_rows(evaluated, trained)
    told = f"{found.num_shared['documents']} of {found.num_held_out['documents']} documents held out"
    inputs = {"corpus": evaluated, "trained.abc": trained}
    with pytest.raises(RecipeError, match=f"splits overlap: {told}.*corpus/abc.*{found.example}"):
        check_held_out(LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch"))
    check_held_out(LocalBuild({"corpus": evaluated}, tmp_path / "out", tmp_path / "scratch"))


def test_a_second_corpus_of_an_evaluation_is_looked_at_too(tmp_path):
    text, problems = corpus(tmp_path / "1", range(40)), corpus(tmp_path / "2", range(200, 240), range(20))
    trained = corpus(tmp_path / "3", range(300, 340), range(10, 30), seed=1)
    inputs = {"corpus": text, "problem_corpus": problems, "trained.abc": problems}
    check_held_out(LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch"))  # its own held-out rows
    inputs = {"corpus": text, "trained.abc": trained}
    check_held_out(LocalBuild(inputs, tmp_path / "out2", tmp_path / "scratch"))
    inputs = {"corpus": text, "problem_corpus": problems, "trained.abc": trained}
    with pytest.raises(RecipeError, match=r"splits overlap: .* problems held out"):
        check_held_out(LocalBuild(inputs, tmp_path / "out3", tmp_path / "scratch"))


def test_a_stage_is_given_the_corpora_of_its_model_but_for_its_own(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")

    def put(kind, letter, **parents):
        folder = tmp_path / letter
        folder.mkdir()
        (folder / "text.json").write_text(json.dumps(letter))
        files = store.objects.put_folder(folder)
        made = Manifest(
            kind=kind, fingerprint=letter * 64, digest=artifact_digest(files), recipe={}, files=files,
            placement=Placement(), numerics=None, parents=parents, outcome=Outcome(), code="c",
            environment={}, created=datetime.now(UTC).isoformat(), attempts=(),
        )  # fmt: skip
        return store.publish(made).artifact

    own, first, second = put("corpus", "a"), put("corpus", "b"), put("corpus", "c")
    base = put("base", "d", corpus=first)
    policy = put("policy", "e", start=base, corpus=second, more=own)
    found = _trained_on(store, {"corpus": own, "model": policy}, "model")
    assert {name: (folder / "text.json").read_text() for name, folder in found.items()} == {
        f"trained.{'b' * 12}": '"b"',
        f"trained.{'c' * 12}": '"c"',
    }
    assert _trained_on(store, {"corpus": first, "model": base}, "model") == {}
    # what one corpus holds out may be what the model read of the other
    both = _trained_on(store, {"corpus": own, "problem_corpus": first, "model": base}, "model")
    assert set(both) == {f"trained.{'b' * 12}"}
