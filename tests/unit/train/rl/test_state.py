"""What a training holds: when it is done, how it draws, what it watches."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.recipes.reinforce import RlptRecipe, RlvrRecipe
from rpt_core.train.rl.loop import _with_judge
from rpt_core.train.rl.losses.policy import PRESETS
from rpt_core.train.rl.reinforce import _of_proxy
from rpt_core.train.rl.state import Progress, Trainer
from tests.unit.train.rl.test_step import INPUT, RECIPE

STOPS = SimpleNamespace(stop_ids=frozenset({1, 9}))
RLVR = RlvrRecipe(corpus=INPUT, start=INPUT, steps=7, loss="dapo")


def trainer(recipe=RECIPE, objective=STOPS, **changes) -> Trainer:
    return Trainer(recipe.model_copy(update=changes), None, None, objective, None)


@dataclass
class Follows:
    """An objective that follows the policy, by its entropies where it wants them."""

    wants_entropies: bool
    stop_ids = frozenset({1})

    def observe(self, seen): ...
    def state(self): ...
    def restore(self, state): ...


def test_a_training_begins_at_nothing():
    assert Progress() == Progress(0, 0, 0, 0, 0, 0, 0.0, 0, 0.0)
    assert (trainer().layout, trainer().tokens_per_micro_batch) == ("two-pass", 16_384)
    assert (trainer().reference, trainer().average) == (None, None)


@pytest.mark.parametrize(
    ("step", "tokens", "most", "is_done"),
    [(6, 0, 0, False), (7, 0, 0, True), (8, 0, 0, True), (2, 99, 100, False), (2, 100, 100, True),
     (2, 10**9, 0, False)],
)  # fmt: skip
def test_it_is_done_after_its_steps_or_its_tokens(step, tokens, most, is_done):
    found = trainer(steps=7, max_tokens=most).is_done(Progress(step=step, tokens=tokens))
    assert found is is_done


@pytest.mark.parametrize(("gflops", "is_done"), [(99.9, False), (100.0, True), (250.0, True)])
def test_it_is_done_at_its_operations_on_text_and_on_problems(gflops, is_done):
    for recipe in (RECIPE, RLVR):
        limited = trainer(recipe, steps=7, max_gflops=100.0)
        assert limited.is_done(Progress(step=2, gflops=gflops)) is is_done
        assert trainer(recipe, steps=7).is_done(Progress(step=2, gflops=gflops)) is False


@pytest.mark.parametrize(("gflops", "is_done"), [(59.9, False), (60.0, True)])
def test_what_was_spent_before_the_first_step_counts_towards_its_operations(gflops, is_done):
    charged = replace(trainer(steps=7, max_gflops=100.0), charged_gflops=40.0)
    assert charged.is_done(Progress(step=2, gflops=gflops)) is is_done


@pytest.mark.parametrize(("judge_gflops", "is_done"), [(9.9, False), (10.0, True)])
def test_what_the_judge_computes_counts_towards_the_operations_where_the_recipe_says_so(
    judge_gflops, is_done
):
    recipe = RlptRecipe(corpus=INPUT, start=INPUT, judge=INPUT, steps=7, max_gflops=100.0, count_judge=True)
    charged = replace(trainer(recipe), charged_gflops=40.0)
    begun = Progress(step=2, gflops=50.0)
    found = _with_judge(charged, begun, {JUDGE_GFLOPS: judge_gflops})
    assert charged.is_done(found) is is_done
    free = trainer(recipe.model_copy(update={"count_judge": False}))
    assert _with_judge(free, begun, {JUDGE_GFLOPS: judge_gflops}) == begun


@pytest.mark.parametrize("fields", [{"judge_model": "m", "judge_url": "http://127.0.0.1:1/v1"},
                                    {"objective": {"reward": "gain"}}])  # fmt: skip
def test_a_judge_whose_work_nobody_knows_cannot_be_counted(fields):
    with pytest.raises(RecipeError, match="count_judge counts a judge of this process"):
        RlptRecipe.parse({"corpus": INPUT, "start": INPUT, "count_judge": True, **fields})


def test_the_proxys_pass_is_read_from_its_manifest_or_refused(tmp_path):
    (tmp_path / "difficulty").mkdir()
    build = LocalBuild({"difficulty": tmp_path / "difficulty"}, tmp_path / "out", tmp_path / "scratch")
    with pytest.raises(RecipeError, match="what the proxy took is not known"):
        _of_proxy(build)
    (tmp_path / "difficulty" / "manifest.json").write_text(json.dumps({"outcome": {"flops": 4.2e11}}))
    assert _of_proxy(build) == 420.0


def test_problems_have_no_documents_loss_and_no_end_by_tokens():
    one = trainer(RLVR)
    assert (one.ntp_weight, one.ntp_text, one.watches_documents) == (0.0, "instructed", False)
    assert one.is_done(Progress(step=6, tokens=10**12)) is False
    assert one.is_done(Progress(step=7)) is True
    assert one.preset is PRESETS["dapo"]


@pytest.mark.parametrize("wants", [True, False])
def test_documents_are_watched_for_their_loss_or_for_the_objective(wants):
    assert trainer(objective=Follows(wants)).watches_documents is wants
    assert trainer(objective=Follows(wants), ntp_weight=0.1).watches_documents is True
    assert trainer(ntp_weight=0.1, ntp_text="raw").ntp_text == "raw"
    assert trainer(ntp_weight=0.1).ntp_weight == 0.1


def test_answers_are_drawn_as_the_recipe_says_and_never_truncated():
    one = trainer(temperature=0.7, reasoning_tokens=11, group_size=5, seed=13)
    found = one.sampling
    assert (found.temperature, found.max_new_tokens, found.group_size, found.seed) == (0.7, 11, 5, 13)
    assert (found.stop_ids, found.top_p, found.top_k, found.forced_ids) == ({1, 9}, 1.0, 0, ())
    assert one.sampling_at(3) == found


def test_an_objective_may_end_answers_sooner():
    shorter = SimpleNamespace(stop_ids=frozenset({1}), longest_answer=lambda step: 20 - step)
    one = trainer(objective=shorter, reasoning_tokens=11)
    assert one.sampling_at(17).max_new_tokens == 3
    assert one.sampling.max_new_tokens == 11
