"""Arms beside RPT as recipes: what each changes, and all that it leaves alone."""

import pytest

from flows.recipes import Overrides, journey
from flows.recipes.controls import CONTROLS, LIKELIHOOD, ROUNDS, SUPERVISED, mixed_sft, more_sft
from flows.recipes.named import rpt_small, tiny_rmt, tiny_rpt
from flows.recipes.rmt import policy_of
from rpt_core.errors import RecipeError
from rpt_core.objectives.registry import OBJECTIVES
from rpt_core.recipes.reinforce import PolicyRecipe

ARMS = LIKELIHOOD | CONTROLS
PLAIN = tiny_rpt(seed=3)
NAMES = {
    "RLP": ("rlp", "rlp"), "VeriFree": ("verifree", "rloo"), "expected prefix": ("expected-prefix", "rloo"),
    "JEPO": ("jepo", "rloo"), "RLPR": ("rlpr", "rlpr"), "NRT": ("nrt", "grpo"), "NOVER": ("nover", "nover"),
    "oracle": ("oracle", "grpo"), "rejection SFT": ("rpt", "rejection"), "NTP, AdamW": ("ntp", "grpo"),
    "NTP, Muon": ("ntp", "grpo"), "learned masker": ("pretrainzero", "grpo"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_is_a_recipe_of_its_own_on_the_same_text_and_start(name):
    arm, plain = policy_of(ARMS[name](PLAIN)), policy_of(PLAIN)
    assert PolicyRecipe.model_validate_json(arm.model_dump_json()) == arm != plain
    assert (arm.corpus, arm.difficulty, arm.seed) == (plain.corpus, plain.difficulty, 3)
    assert arm.objective.name in OBJECTIVES
    assert (arm.objective.name, arm.loss) == NAMES.get(name, ("rpt", "grpo"))
    assert arm.objective.prompt == plain.objective.prompt
    assert arm.objective.entropy_floor_nats == plain.objective.entropy_floor_nats
    start = more_sft(PLAIN) if name == "more SFT, then RPT" else plain.start
    assert arm.start == start


def test_no_two_arms_are_one():
    trained = [policy_of(arm(PLAIN)) for arm in ARMS.values()]
    assert len({one.model_dump_json() for one in trained}) == len(ARMS)
    assert len({make(PLAIN).model_dump_json() for make in SUPERVISED.values()}) == len(SUPERVISED) == 3


def test_controls_change_what_they_say():
    found = {name: policy_of(CONTROLS[name](PLAIN)) for name in CONTROLS}
    for name in ("permuted", "random", "format"):
        assert found[f"{name} reward"].reward_control == name
    assert found["random positions"].objective.choose == "random"
    assert (found["NTP, AdamW"].optimiser.name, found["NTP, Muon"].optimiser.name) == ("adamw", "muon")
    rounds, plain = found["rejection SFT"], policy_of(PLAIN)
    assert rounds.steps == ROUNDS
    assert rounds.steps * rounds.prompts_per_step == plain.steps * plain.prompts_per_step
    assert policy_of(LIKELIHOOD["RLPR"](PLAIN)).selection.deviation_share == 0.5


def test_more_lessons_begin_at_the_start_model():
    start = policy_of(PLAIN).start
    for plain_for_each, made in (
        (0, more_sft(PLAIN, 50)),
        (1, mixed_sft(PLAIN, 1, 50)),
        (3, mixed_sft(PLAIN, 3, 50)),
    ):
        assert (made.base, made.steps) == (start, 50)
        assert made.plain_per_step == plain_for_each * start.documents_per_step
        assert made.optimiser.warmup_steps <= 5


def test_what_is_no_rpt_or_has_no_lessons_is_refused():
    with pytest.raises(RecipeError, match="this journey trains 'rmt'"):
        LIKELIHOOD["JEPO"](tiny_rmt())
    with pytest.raises(RecipeError, match="has no cold start"):
        more_sft(rpt_small())


def test_a_run_names_them_in_words():
    fields = {"policy.objective.name": "jepo", "policy.objective.prompt": "auto", "policy.loss": "rloo"}
    found = policy_of(journey("tiny_rpt", Overrides(fields=fields)))
    assert (found.objective.name, found.objective.bound) == ("jepo", "many")
    shuffled = policy_of(journey("tiny_rpt", Overrides(fields={"policy.reward_control": "permuted"})))
    assert shuffled.reward_control == "permuted"
