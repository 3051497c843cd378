"""Plans and journeys over a store that holds some of it: each thing is itself, made once, and named."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from flows import make
from flows.cli.app import app
from flows.cli.commands import run
from flows.recipes import Overrides, any_journey
from flows.recipes.trees import walk
from infra.storage.store import Store
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.stages import STAGES
from tasks.shown import journeys
from tasks.shown.spoken import Spoken, role
from tests.unit.infra.storage.test_store import write


def artifact(kind: str, letter: str) -> Artifact:
    return Artifact(kind=kind, fingerprint=letter * 64, digest=letter * 64)


def evaluation(model: Artifact) -> EvaluationRecipe:
    return EvaluationRecipe(
        corpus=artifact("corpus", "c"), difficulty=artifact("difficulty", "d"), model=model
    )


BEFORE = evaluation(artifact("cold-start", "1"))
AFTER = evaluation(artifact("policy", "2"))
JOURNEY = ReportRecipe(
    before=BEFORE, after=AFTER, finetuned=artifact("evaluation", "3"), scaling=artifact("scaling", "4")
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def put(store: Store, recipe: Recipe, folder: Path) -> Artifact:
    fingerprint = recipe.fingerprint()
    files = store.objects.put_folder(write(folder / fingerprint[:8], x=fingerprint))
    manifest = Manifest(
        kind=recipe.kind, fingerprint=fingerprint, digest=artifact_digest(files), recipe={},
        placement=Placement(), parents={}, files=files, outcome=Outcome(), code="c", environment={},
        created=datetime.now(UTC).isoformat(), attempts=(),
    )  # fmt: skip
    return store.publish(manifest).artifact


def test_only_the_evaluation_that_was_made_is_reused(store: Store, tmp_path: Path):
    made = put(store, BEFORE, tmp_path)
    before, after, report = make.plan(JOURNEY, store)
    assert (before.action, before.artifact, before.fingerprint) == ("reuse", made, BEFORE.fingerprint())
    assert (after.action, after.artifact, after.fingerprint) == ("build", None, AFTER.fingerprint())
    assert (report.action, report.fingerprint) == ("build after its inputs", "")


def test_a_stage_is_planned_on_the_content_of_what_was_made(store: Store, tmp_path: Path):
    inputs = {"before": put(store, BEFORE, tmp_path), "after": put(store, AFTER, tmp_path)}
    *_, report = make.plan(JOURNEY, store)
    assert report.action == "build"
    assert report.fingerprint == JOURNEY.with_inputs(inputs).fingerprint()


@pytest.fixture
def built(store: Store, tmp_path: Path, monkeypatch) -> list[Recipe]:
    """What a journey asks to have made, each published at once."""
    asked: list[Recipe] = []

    class Build:
        def with_options(self, name: str, task_run_name: str):
            def one(recipe: Recipe, placement: Placement, spoken: Spoken) -> Artifact:
                assert name == recipe.stage
                assert task_run_name.removesuffix(", reused") == str(spoken)
                assert spoken.role == role(recipe)
                asked.append(recipe)
                return put(store, recipe, tmp_path)

            return one

    monkeypatch.setattr(make, "open_store", lambda: store)
    monkeypatch.setattr(make, "build", Build())
    monkeypatch.setattr(journeys, "track_all", lambda *given, **how: 0)
    return asked


@pytest.mark.parametrize(
    ("spoken", "words", "tags"),
    [
        (Spoken("tiny", "policy", 0), "tiny-policy, seed 0",
         {"rpt.recipe": "tiny", "rpt.role": "policy", "rpt.seed": "0"}),
        (Spoken("tiny", "report"), "tiny-report", {"rpt.recipe": "tiny", "rpt.role": "report"}),
    ],
)  # fmt: skip
def test_a_stage_is_called_by_recipe_role_and_seed(spoken, words, tags):
    assert (str(spoken), spoken.tags()) == (words, tags)
    assert Spoken().tags() == {}


def test_a_journey_names_what_it_made_by_its_role(store: Store, built: list[Recipe]):
    report = make.make_recipe(JOURNEY, "tiny", Placement())
    assert [recipe.stage for recipe in built] == ["evaluate", "evaluate", "report"]
    found = {name: store.find(name).artifact for name in store.objects.list(store.objects.key("refs"))}
    assert found.keys() == {"tiny-evaluation-of-cold-start", "tiny-evaluation-of-policy", "tiny-report"}
    assert found["tiny-evaluation-of-cold-start"].fingerprint == BEFORE.fingerprint()
    assert found["tiny-evaluation-of-policy"].fingerprint == AFTER.fingerprint()
    assert found["tiny-report"] == report
    assert built[2].inputs()["before"] == found["tiny-evaluation-of-cold-start"]
    assert built[2].inputs()["after"] == found["tiny-evaluation-of-policy"]


def test_what_is_reused_says_so_in_its_name(store: Store, built: list[Recipe], tmp_path: Path, monkeypatch):
    put(store, BEFORE, tmp_path)
    titles: list[str] = []
    told = make.build.with_options
    monkeypatch.setattr(
        make.build, "with_options", lambda **named: titles.append(named["task_run_name"]) or told(**named)
    )
    make.make_recipe(JOURNEY, "tiny", Placement())
    assert [title.endswith(", reused") for title in titles] == [True, False, False]


def test_a_command_fits_and_plans_once(store: Store, built: list[Recipe], monkeypatch, capsys):
    """What a command shows is what its flow carries out; a second flow looks again."""
    asked: list[Recipe] = []
    monkeypatch.setattr(make, "resolve_sources", lambda recipe: asked.append(recipe) or recipe)
    monkeypatch.setattr(make, "chosen", lambda *names: JOURNEY)
    monkeypatch.setattr(run, "chosen", lambda *names: JOURNEY)
    monkeypatch.setattr(run, "show_results", lambda artifact, seconds: None)
    monkeypatch.setattr(run, "_flow", lambda to: partial(flow, to))
    placement, overrides = Placement(threads=2), Overrides()

    def flow(to: str, name: str, *, overrides: Overrides, placement: Placement) -> Artifact:
        return make.make(name, to, overrides, placement)

    first = run.run_recipe("tiny", "report", overrides, placement=placement)
    assert [recipe.stage for recipe in asked] == ["evaluate", "evaluate", "report"]
    assert [recipe.stage for recipe in built] == [recipe.stage for recipe in asked]
    assert capsys.readouterr().out.count("build") == len(asked)
    built.clear()
    assert make.make("tiny", "report", overrides, placement) == first
    assert len(asked) == 6
    assert {line.action for line in make.prepared(JOURNEY, placement).lines} == {"reuse"}


def test_data_and_models_are_looked_at_once_however_often_they_are_named(monkeypatch):
    journey, asked = any_journey("tiny_rpt"), []
    monkeypatch.setattr(make, "resolve_sources", lambda recipe: asked.append(recipe.kind) or recipe)
    assert make.fitted(journey, Placement()) == journey
    assert sorted(asked) == sorted(node.kind for node in walk(journey))


def test_a_plan_is_handed_over_to_its_own_recipe_and_placement(
    store: Store, built: list[Recipe], monkeypatch
):
    calls: list[Recipe] = []
    monkeypatch.setattr(make, "fitted", lambda target, placement: calls.append(target) or target)
    make.handed_over(JOURNEY, Placement())
    make.make_recipe(JOURNEY, "tiny", Placement(threads=1))
    make.make_recipe(BEFORE, "tiny", Placement())
    assert calls == [JOURNEY, JOURNEY, BEFORE]
    make.make_recipe(JOURNEY, "tiny", Placement())
    assert len(calls) == 3


OF_THEIR_OWN = {"seeds", "study", "evaluate-benchmark", "evaluate-harness", "leaderboard"}
"""Flows that take other words than a recipe."""


@pytest.mark.parametrize("name", [name for name, row in STAGES.items() if row.flow not in OF_THEIR_OWN])
def test_a_stage_is_made_by_the_flow_of_its_row(name: str):
    flow = run._flow(name)
    assert flow.func.name == STAGES[name].flow
    kinds = flow.func.parameters.properties.get("kind", {}).get("enum")
    assert flow.keywords == ({"kind": STAGES[name].recipe.kind} if kinds else {})
    assert not kinds or STAGES[name].recipe.kind in kinds


@pytest.fixture
def overrides(monkeypatch):
    """What ``-p`` words mean to a plan."""
    seen = []
    monkeypatch.setattr(run, "show_plan", lambda recipe, to, overrides, *_, **__: seen.append(overrides))

    def read(*words: str):
        options = [option for word in words for option in ("-p", word)]
        app(["plan", "tiny_rpt", *options], standalone_mode=False)
        return seen.pop()

    return read


def test_a_word_is_cut_at_its_first_equals_sign(overrides):
    assert overrides("data=/x/a=b").data == "/x/a=b"
    assert overrides("model=/m=1/x=2").model == "/m=1/x=2"


@pytest.mark.parametrize("value", ["2024", "1e3", "true", "null", "[1]"])
def test_data_and_models_are_names_whatever_they_look_like(overrides, value: str):
    found = overrides(f"data={value}", f"model={value}")
    assert (found.data, found.model) == (value, value)


def test_seeds_are_numbers(overrides):
    assert overrides("seed=7").seed == 7
