"""Recipes: refused when wrong, stable when fingerprinted, round-tripping, named with their journeys."""

import json
import subprocess
import sys

import pytest

from flows.recipes import NAMED, Overrides, journey, over_arms
from flows.recipes.named import tiny_rpt
from flows.recipes.rmt import ARMS, arm
from flows.recipes.trees import rewritten, stage, walk
from rpt_core.artifacts.recipe import Artifact, Ref, canonical_json
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.supervised import ColdStartRecipe

DOCUMENTS = Artifact(kind="documents", fingerprint="1" * 64, digest="2" * 64)


def test_a_fingerprint_stands_on_content_not_on_where_it_came_from():
    one = PrepareRecipe(documents=DOCUMENTS)
    other_address = DOCUMENTS.model_copy(update={"fingerprint": "9" * 64})
    assert one.fingerprint() == PrepareRecipe(documents=other_address).fingerprint()
    other_content = DOCUMENTS.model_copy(update={"digest": "3" * 64})
    assert one.fingerprint() != PrepareRecipe(documents=other_content).fingerprint()
    assert one.fingerprint() != one.model_copy(update={"revision": one.revision + 1}).fingerprint()


def test_the_fingerprint_is_golden():
    """Changes only when a field is added, renamed or given another default: then raise the revision."""
    assert PrepareRecipe(documents=DOCUMENTS).fingerprint().startswith("108b439803ec28e2")


def test_a_folder_may_move_without_a_new_fingerprint():
    here, there = IngestRecipe(data="/a"), IngestRecipe(data="/b")
    assert here.fingerprint() == there.fingerprint()


def test_unresolved_inputs_have_no_fingerprint():
    with pytest.raises(RecipeError, match="inputs documents are not resolved"):
        PrepareRecipe(documents=Ref(ref="text@1")).fingerprint()


@pytest.mark.parametrize(
    "name", [name for name in NAMED if name != "tiny_real" and "rlpt" not in name and "rlvr" not in name]
)
def test_named_recipes_round_trip(name: str):
    recipe = journey(name)
    assert ReportRecipe.model_validate_json(recipe.model_dump_json()) == recipe
    stages = [found.stage for found in walk(recipe)]
    assert stages[0] == "ingest-corpus"
    assert stages[-1] == "report"
    assert stages.index("train-rpt") < stages.index("finetune-rlvr")


@pytest.mark.parametrize("name", ["tiny_rmt", "rmt_14b"])
def test_arms_differ_from_rmt_in_their_training_alone(name: str):
    rmt = journey(name, Overrides(seed=3))
    expected = stage(rmt, "train-rpt")
    assert isinstance(expected, PolicyRecipe)
    seen = {}
    for arm_name in ARMS:
        made = arm(rmt, arm_name)
        policy = stage(made, "train-rpt")
        assert isinstance(policy, PolicyRecipe)
        assert policy.start == expected.start
        assert policy.max_tokens == expected.max_tokens
        assert policy.optimiser == expected.optimiser
        evaluation = stage(made, "evaluate").model_dump()
        assert evaluation["objective"]["reward"] == "prefix"  # every arm is judged by one rule
        seen[arm_name] = (policy.objective.model_dump(), policy.ntp_weight)
    assert seen["RPT"][0]["name"] == "rpt"
    assert seen["RPT"][1] == 0
    assert seen["RMT"] == (expected.objective.model_dump(), 0.1)
    assert seen["RMT without budget"][0]["budget"] is None
    assert seen["RMT without curriculum"][0]["curriculum"] is None
    assert seen["RMT without NTP"] == (seen["RMT"][0], 0)
    assert seen["NTP alone"][0]["name"] == "ntp"
    assert seen["NTP alone"][1] == 1


def test_arms_are_changes_to_rmt():
    with pytest.raises(RecipeError, match="no arm is called 'RTM'; there are RPT, RMT"):
        arm(journey("tiny_rmt"), "RTM")
    with pytest.raises(RecipeError, match="this journey trains 'rpt'"):
        arm(journey("tiny_rpt"), "RMT")


def test_rpt_is_compared_at_its_own_rate():
    """RMT's rate, which its next-token loss makes safe, is not put on the reference."""
    study = over_arms("tiny_rmt", (3,), (), Overrides())
    trainings = {arm.name: arm.trainings[0] for arm in study.arms}
    rate = {name: one.optimiser.learning_rate for name, one in trainings.items()}
    usual = journey("tiny_rpt", Overrides(seed=3)).after.model
    assert rate["RPT"] == usual.optimiser.learning_rate
    assert trainings["RPT"].prompts_per_step == usual.prompts_per_step
    assert len({rate[name] for name in rate if name != "RPT"}) == 1
    assert len({one.max_tokens for one in trainings.values()}) == 1


def test_fields_that_change_nothing_leave_fingerprints_alone():
    """What was made before these fields existed is still found in a store."""
    given = {"corpus": DOCUMENTS, "difficulty": DOCUMENTS, "start": DOCUMENTS}
    old = PolicyRecipe(**given)
    assert {"ntp_text", "max_tokens"}.isdisjoint(old.canonical())
    assert PolicyRecipe(**given, ntp_text="raw").fingerprint() != old.fingerprint()
    assert PolicyRecipe(**given, max_tokens=5).canonical()["max_tokens"] == 5
    cold = ColdStartRecipe(corpus=DOCUMENTS, base=DOCUMENTS)
    assert {"long_share", "long_passes", "budget_words"}.isdisjoint(cold.canonical())
    assert ColdStartRecipe.parse(cold.model_dump(mode="json")) == cold


def test_inputs_come_before_what_needs_them():
    recipes = walk(tiny_rpt())
    for i, recipe in enumerate(recipes):
        for value in recipe.inputs().values():
            assert value in recipes[:i]


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(RecipeError, match="Did you mean 'tiny_rpt'"):
        journey("tiny-rtp")
    with pytest.raises(RecipeError, match="no stage 'trian'"):
        stage(tiny_rpt(), "trian")


def test_fields_are_changed_wherever_the_recipe_stands():
    changed = journey("tiny_rpt", Overrides(fields={"policy.steps": 7, "policy.milestones": [7]}))
    assert {found.steps for found in walk(changed) if isinstance(found, PolicyRecipe)} == {7}
    nested = journey("tiny_rpt", Overrides(fields={"policy.optimiser.learning_rate": 0.5}))
    policy = stage(nested, "train-rpt")
    assert isinstance(policy, PolicyRecipe)
    assert policy.optimiser.learning_rate == 0.5
    assert policy.optimiser.warmup_steps == 5
    short = journey("tiny_rpt", Overrides(fields={"seed": 3}))
    assert stage(short, "train-rpt").model_dump()["seed"] == 3


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"policy.stepz": 3}, "policy.stepz: there is no such field; did you mean policy.steps?"),
        ({"policy.steps": 0}, "greater than or equal to 1"),
        ({"polizy.steps": 3}, "no stage writes the kind 'polizy'"),
        ({"policy.milestones": [99999]}, "outside the run's"),
    ],
)
def test_wrong_fields_are_one_sentence(fields, says):
    with pytest.raises(RecipeError, match=says):
        journey("tiny_rpt", Overrides(fields=fields))


def test_own_text_and_model_take_the_recipes_place():
    own = journey("tiny_rpt", Overrides(data="book.txt", model="org/name", seed=5))
    ingest, base = stage(own, "ingest-corpus"), stage(own, "train-base")
    assert isinstance(ingest, IngestRecipe)
    assert (ingest.data, ingest.sample) == ("book.txt", None)
    assert base.model_dump()["model"]["name"] == "org/name"


def test_a_rewrite_leaves_other_kinds_alone():
    before = tiny_rpt()
    after = rewritten(before, "difficulty", {"top_k": 8})
    assert stage(after, "ingest-corpus") == stage(before, "ingest-corpus")
    difficulty = stage(after, "score-difficulty")
    assert isinstance(difficulty, DifficultyRecipe)
    assert difficulty.top_k == 8


def test_canonical_json_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": float("nan")})


def test_one_source_only():
    with pytest.raises(RecipeError, match="either data="):
        IngestRecipe.parse({"data": "x", "sample": SampleWorld().model_dump()})


@pytest.mark.parametrize("statement", ["import flows.recipes, flows.cli.app", "import flows, tasks, infra"])
def test_the_command_line_loads_nothing_heavy(statement: str):
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "transformers", "vllm", "deepspeed", "mlflow", "prefect", "pyarrow"}
    assert heavy.isdisjoint(json.loads(out))


@pytest.mark.parametrize("statement", ["import flows.stages, flows.pipeline, flows.study, flows.harness"])
def test_flows_load_no_model_library(statement: str):
    """Prefect loads a flow's module to deploy it and to begin each of its runs."""
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"torch", "transformers", "vllm", "deepspeed", "mlflow"}.isdisjoint(json.loads(out))


def test_fields_are_described_by_their_docstrings():
    described = [field.description for field in PolicyRecipe.model_fields.values() if field.description]
    assert any("\n" not in text and len(text) > 20 for text in described)
