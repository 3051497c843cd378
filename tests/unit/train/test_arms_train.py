"""Arms beside RPT on the sample world, each for two steps: what a recipe can name is trained."""

import json

import pytest
from safetensors.torch import load_file

from flows.recipes.controls import CONTROLS, LIKELIHOOD, SUPERVISED
from flows.recipes.named import tiny_rpt
from flows.recipes.rmt import policy_of
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.policy.codec import Codec
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, Selection
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import ColdStartRecipe, ModelShape
from rpt_core.train.rl.reinforce import train_policy, train_rlpt
from rpt_core.train.supervised.base import initialise
from rpt_core.train.supervised.cold_start import train_cold_start
from rpt_core.train.supervised.windows import texts_of
from tests.unit.difficulty.small_difficulty import write_difficulty
from tests.unit.train.test_rlpt_stages import MUON, SHAPE, corpus  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow
NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
SMALL = {
    "corpus": NOWHERE, "difficulty": NOWHERE, "start": NOWHERE, "steps": 2, "prompts_per_step": 6,
    "group_size": 4, "cuts_per_document": 3, "reasoning_tokens": 40, "context_tokens": 256,
    "milestones": (), "evaluate_every": 2, "optimiser": MUON,
}  # fmt: skip
NEEDS_RIGHT = ("rejection SFT", "oracle")
"""Controls that so short a start hardly ever gives an answer to."""


@pytest.fixture(scope="module")
def inputs(corpus, tmp_path_factory):  # noqa: F811
    """The sample world, every token as hard as the other, and a start model of a few lessons."""
    base = tmp_path_factory.mktemp("base")
    codec = Codec.train(texts_of(corpus, "train"), 512, base / "model", 256, marks=True)
    shape: ModelShape = SHAPE
    initialise(shape, len(codec), codec, 0, base / "model")
    write_difficulty(corpus, codec)
    return {"corpus": corpus, "difficulty": corpus, "base": base, "start": base}


def build(folder, inputs, **more):
    return LocalBuild({**inputs, **more}, folder / "out", folder / "scratch")


@pytest.fixture(scope="module")
def start(inputs, tmp_path_factory):
    lessons = build(tmp_path_factory.mktemp("start"), inputs)
    recipe = ColdStartRecipe(
        corpus=NOWHERE, base=NOWHERE, steps=25, documents_per_step=6, problems_per_step=2, optimiser=MUON,
        context_tokens=256, thought_tokens_max=64,
    )  # fmt: skip
    train_cold_start(recipe, lessons)
    return lessons.out


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def moved(first, second):
    before, after = weights(first), weights(second)
    return any(not before[name].equal(after[name]) for name in before)


@pytest.mark.parametrize("name", [*LIKELIHOOD, *CONTROLS])
def test_an_arm_is_trained_as_it_is_named(tmp_path, inputs, start, name):
    named = policy_of((LIKELIHOOD | CONTROLS)[name](tiny_rpt()))
    selection = named.selection.model_copy(
        update={"drop_equal_from_step": 99, "when_starved": "pass-on" if name in NEEDS_RIGHT else "stop"}
    )
    recipe = PolicyRecipe.parse({
        **dict(named), **SMALL, "selection": selection,
        "updates_per_batch": min(named.updates_per_batch, 2),
        "objective": named.objective.model_copy(update={"entropy_floor_nats": 0.0}),
    })  # fmt: skip
    one = build(tmp_path, inputs, start=start)
    outcome = train_policy(recipe, one)
    if "passed_on_unchanged" in outcome.summary:
        assert name in NEEDS_RIGHT
        return
    rows = [json.loads(line) for line in (one.out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 2
    assert moved(start, one.out)


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_supervised_arm_goes_on_with_the_same_lessons(tmp_path, inputs, start, name):
    named = SUPERVISED[name](tiny_rpt())
    assert named.base == policy_of(tiny_rpt()).start
    small = {"corpus": NOWHERE, "base": NOWHERE, "steps": 3, "context_tokens": 256, "optimiser": MUON}
    one = build(tmp_path, inputs, base=start)
    outcome = train_cold_start(ColdStartRecipe.parse({**dict(named), **small}), one)
    plain = outcome.rows.by_source.get("plain text")
    assert (plain is not None) is name.startswith("Mixed")
    assert named.plain_per_step == {"more SFT": 0, "Mixed SFT 1:1": 6, "Mixed SFT 3:1": 18}[name]
    assert moved(start, one.out)
    first, *_ = (one.out / "metrics.jsonl").read_text().splitlines()
    limit = json.loads(first)["gflops_total"] * 1.5
    limited = build(tmp_path / "limited", inputs, base=start)
    train_cold_start(ColdStartRecipe.parse({**dict(named), **small, "max_gflops": limit}), limited)
    rows = (limited.out / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2, "it ends after the step that reaches the limit"


@pytest.mark.parametrize(("form", "truth_weight"), [("surprise", 1.0), ("log", 0.0)])
def test_segments_are_trained_without_a_judge(tmp_path, inputs, start, form, truth_weight):
    objective = RlptObjective(
        prompt="compact", min_before=1, min_chars=8, reference_segments=2, segment_tokens_max=64,
        reward="gain", gain_form=form, truth_weight=truth_weight,
    )  # fmt: skip
    recipe = RlptRecipe(
        **SMALL, objective=objective, loss="grpo", selection=Selection(drop_equal_from_step=99)
    )
    one = build(tmp_path, inputs, start=start)
    train_rlpt(recipe, one)
    rows = [json.loads(line) for line in (one.out / "metrics.jsonl").read_text().splitlines()]
    assert {"gain/nats", "gain/share_above_0", "gain/segments_expected"} <= rows[-1].keys()
    assert moved(start, one.out)
