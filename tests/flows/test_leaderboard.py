"""A leaderboard made as any stage is, from the store and into it, once; here without a process of its own."""

from infra.runs.attempt import Job
from infra.runs.launch import ProcessOutcome
from rpt_core.artifacts.placement import Placement
from tasks import build as building
from tasks.leaderboard import leaderboard_recipe
from tasks.train_main import run
from tests.unit.conftest import store  # noqa: F401  (a fixture)
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.evaluation.test_contamination import QUESTIONS, corpus
from tests.unit.flows.cli.test_copy_and_compare import put
from tests.unit.infra.storage.test_store import write


def in_this_process(command, *, workdir, **more) -> ProcessOutcome:
    run(Job.model_validate_json((workdir / "job.json").read_text()), lambda: False)
    return ProcessOutcome("done")


def test_a_leaderboard_is_made_once_and_links_its_numbers(store, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(building, "launch", in_this_process)
    monkeypatch.setattr(building, "track", lambda *words: None)
    folder = corpus(tmp_path / "c", {"d": "Rivers, and what lives there."}, QUESTIONS)
    text = put(store, folder, "corpus", "c")
    for name, chances, letters in (("start", BEFORE, "5a"), ("trained", AFTER, "eb")):
        model = put(
            store, write(tmp_path / name, w=name), "policy", letters[0], parents={"corpus": text.artifact}
        )  # fmt: skip
        folder = write_evaluation(tmp_path / letters, chances, planted=Planted(10, 2), manifest=False)
        parents = {"model": model.artifact, "corpus": text.artifact}
        put(store, folder, "evaluation", letters[1], recipe={"stage": "evaluate"}, parents=parents)
    recipe = leaderboard_recipe((), store)
    made = building.build_here(recipe, Placement(), store)
    assert building.build_here(recipe, Placement(), store) == made
    manifest = store.load(made)
    assert {entry.path for entry in manifest.files} >= {"report.html", "report.json", "touched.parquet"}
    assert manifest.outcome.summary["first: next token, thinking"] == f"policy/{'e' * 12}"
    page = (store.materialise(made) / "report.html").read_text()
    for letter, kind in (("a", "evaluation"), ("5", "policy"), ("c", "corpus")):
        assert f'id="artifact-{kind}-{letter * 12}"' in page
    assert [one.kind for one in store.manifests()].count("leaderboard") == 1
