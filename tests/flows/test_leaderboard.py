"""A leaderboard made as any stage is: in a child process, from the store, once."""

import pytest

from rpt_core.artifacts.placement import Placement
from tasks.build import build_here
from tasks.leaderboard import leaderboard_recipe
from tests.unit.conftest import store  # noqa: F401  (a fixture)
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.evaluation.test_contamination import QUESTIONS, corpus
from tests.unit.flows.cli.test_copy_and_compare import put
from tests.unit.infra.storage.test_store import write


@pytest.mark.slow
def test_a_leaderboard_is_made_once_and_links_its_numbers(store, tmp_path):  # noqa: F811
    text = put(
        store, corpus(tmp_path / "c", {"d": "Rivers, and what lives there."}, QUESTIONS), "corpus", "c"
    )
    for name, chances, letters in (("start", BEFORE, "5a"), ("trained", AFTER, "eb")):
        model = put(
            store, write(tmp_path / name, w=name), "policy", letters[0], parents={"corpus": text.artifact}
        )  # fmt: skip
        folder = write_evaluation(tmp_path / letters, chances, planted=Planted(10, 2), manifest=False)
        parents = {"model": model.artifact, "corpus": text.artifact}
        put(store, folder, "evaluation", letters[1], recipe={"stage": "evaluate"}, parents=parents)
    recipe = leaderboard_recipe((), store)
    made = build_here(recipe, Placement(), store)
    assert build_here(recipe, Placement(), store) == made
    manifest = store.load(made)
    assert {entry.path for entry in manifest.files} >= {"report.html", "report.json", "touched.parquet"}
    assert manifest.outcome.summary["first: next token, thinking"] == f"policy/{'e' * 12}"
    page = (store.materialise(made) / "report.html").read_text()
    for letter, kind in (("a", "evaluation"), ("5", "policy"), ("c", "corpus")):
        assert f'id="artifact-{kind}-{letter * 12}"' in page
    assert [one.kind for one in store.manifests()].count("leaderboard") == 1
