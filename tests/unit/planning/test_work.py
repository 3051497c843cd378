"""Operations predicted from sizes, beside those counted while a step runs; hours, beside a published step."""

from dataclasses import replace

import pytest
import torch

from flows.recipes import Overrides, any_journey
from flows.recipes.trees import walk
from rpt_core.planning.cards import CARDS, card_called, parse_machine
from rpt_core.planning.jobs import Assumed, StageJob, documents_visited, job_of
from rpt_core.planning.load import Load
from rpt_core.planning.memory import Spread
from rpt_core.planning.shape import Shape
from rpt_core.planning.speed import ANCHORS, anchor_for, decode_seconds
from rpt_core.planning.work import stage_work, update_flops
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.parts import micro_batches
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.evaluation import EvaluationRecipe, ProblemSampling
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.objectives import NtpObjective, PretrainZeroObjective, RmtObjective
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.rl.lessons import scales_of
from rpt_core.train.rl.state import Trainer
from rpt_core.train.rl.step import accumulate
from tests.toys import ToyObjective, tiny_policy
from tests.unit.planning.test_memory import lessons_of, make_tree
from tests.unit.train.rl.test_step import RECIPE

LOAD = Load(documents=3, trunk=60, cuts=2, suffix=4, group=4, answer=30, scores_document=True)


def counted(policy, do):
    before = policy.work.flops
    do()
    return policy.work.flops - before


@pytest.mark.parametrize("budget", [100, 1_000])
def test_an_update(budget):
    policy = tiny_policy(vocab=500)
    trunks, answers = make_tree(LOAD)

    def learn():
        for parts in micro_batches(trunks, answers, budget):
            picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in parts]
            branch_logprobs(policy, [t for t, _ in picked], [a for _, a in picked])

    shape = Shape.of_config(policy.config.to_dict(), "toy")
    ours = update_flops(shape, LOAD, Spread(gpu=False, micro_batch_tokens=budget))
    assert ours == pytest.approx(counted(policy, learn), rel=0.02)


def test_an_update_that_computes_activations_again():
    policy = tiny_policy(vocab=500)
    policy.checkpoint_activations()
    trunks, answers = make_tree(LOAD)
    shape = Shape.of_config(policy.config.to_dict(), "toy")
    spread = Spread(gpu=False, layout="packed", checkpointed=True)
    theirs = counted(policy, lambda: branch_logprobs(policy, trunks, answers, "packed"))
    # a dense mask on a CPU multiplies every token with every other; a plan counts what a GPU does
    row = 3 * (60 + 8 + 2 * 4 * 29)
    pairs = row**2 - 3 * (60**2 + (8 + 8 * 29) * 60 + 8 * 30 * 34)
    assert update_flops(shape, LOAD, spread) + 4 * shape.flops_per_pair * pairs == pytest.approx(
        theirs, rel=0.02
    )


def test_documents_that_are_learnt_alone_beside():
    """RMT's form: one more pass, over the document as it stands."""
    policy = tiny_policy(vocab=500)
    load = replace(LOAD, scores_document=False, raw_documents=True)
    recipe = RECIPE.model_copy(update={"ntp_weight": 0.1, "ntp_text": "raw"})
    backend = TorchBackend(policy, recipe.optimiser, 4)
    trainer = Trainer(recipe, policy, TorchEngine(policy), ToyObjective(64), backend)
    lessons = lessons_of(load)
    theirs = counted(policy, lambda: accumulate(trainer, lessons, scales_of(trainer, lessons)))
    shape = Shape.of_config(policy.config.to_dict(), "toy")
    assert update_flops(shape, load, Spread(gpu=False)) == pytest.approx(theirs, rel=0.02)


def test_the_control_that_asks_nothing_draws_nothing():
    recipe = PolicyRecipe(**{**dict(RECIPE), "objective": NtpObjective(), "ntp_weight": 1.0})
    job = job_of(recipe)
    assert job is not None
    assert (job.draws, job.load.group, job.load.scores_document) == ((), 0, True)


def test_a_learned_masker_reads_its_documents_twice_before_the_update():
    recipe = PolicyRecipe(**{
        **dict(RECIPE), "objective": PretrainZeroObjective(), "prompts_per_step": 18, "group_size": 8,
    })  # fmt: skip
    job = job_of(recipe)
    assert job is not None
    assert [(one.documents, one.cuts) for one in job.draws] == [(2, 1), (2, 8)]
    assert (job.update.documents, job.update.cuts) == (job.load.documents, job.load.cuts) == (2, 9)
    assert documents_visited([recipe]) == 2 * recipe.steps


def test_answers_that_are_drawn():
    policy = tiny_policy(vocab=500)
    trunks, _ = make_tree(LOAD)
    engine = TorchEngine(policy)
    sampling = Sampling(
        temperature=1.0, max_new_tokens=LOAD.answer, stop_ids=frozenset(), group_size=LOAD.group, seed=0
    )
    engine.generate(trunks, sampling, 1)
    shape = Shape.of_config(policy.config.to_dict(), "toy")
    found = stage_work(shape, StageJob(LOAD, 1, (LOAD,)), Spread(gpu=False))
    assert found.total == pytest.approx(engine.flops, rel=0.02)


def test_documents_that_are_scored():
    policy = tiny_policy(vocab=500)
    load = Load(documents=4, trunk=50, trains=False, scores_document=True)
    trunks, _ = make_tree(load)
    with torch.no_grad():
        theirs = counted(policy, lambda: document_scores(policy, trunks))
    found = stage_work(
        Shape.of_config(policy.config.to_dict(), "toy"), StageJob(load, 1, scored=load), Spread(gpu=False)
    )
    assert found.total == pytest.approx(theirs, rel=0.02)


def test_a_stage_is_its_steps():
    job = job_of(RECIPE)
    assert job is not None
    shape = Shape.of_config(tiny_policy().config.to_dict(), "toy")
    one, many = (stage_work(shape, StageJob(job.load, n, job.draws, job.update), Spread()) for n in (1, 20))
    assert many.total == pytest.approx(20 * one.total)
    assert job.steps == RECIPE.steps
    assert (job.load.documents, job.load.cuts, job.load.group) == (4, 2, 4)
    assert documents_visited([RECIPE]) == 80


def test_lengths_are_the_longest_unless_something_says_otherwise():
    longest = job_of(RECIPE)
    told = job_of(RECIPE, assumed=Assumed(answer_tokens=3, document_tokens=100))
    rmt = job_of(PolicyRecipe(**{**dict(RECIPE), "objective": RmtObjective(), "reasoning_tokens": 2048}))
    means = [job.update and (job.update.trunk, job.update.answer) for job in (longest, told, rmt) if job]
    # RMT's budget falls from 800 to 160 tokens, and 32 more are for the answer
    assert means == [(RECIPE.context_tokens, 6), (100, 3), (RECIPE.context_tokens, 512)]
    assert [job.load.answer for job in (longest, told, rmt) if job] == [6, 6, 2048], "memory: the longest"


def test_a_judge_is_read_by_its_own_sizes():
    job = job_of(JudgeRecipe())
    assert job is not None
    assert job.steps == 800
    assert job.load.documents == 144


def test_hours_of_a_published_step_are_right_within_a_factor_of_two():
    """NeMo-RL 0.4: Llama-3.1-8B on 16 H100, 2,048 answers of 1,060 tokens, 97.7 s a step on policy."""
    llama = Shape(
        hidden=4096, layers=32, heads=32, kv_heads=8, head_width=128, feed_forward=14_336, vocab=128_256,
        tied=False,
    )  # fmt: skip
    step = Load(documents=64, trunk=128, suffix=0, group=32, answer=1060, draws=True)
    spread = Spread(ranks=16, zero_stage=1, engine="vllm", layout="packed", dtype="bfloat16")
    card = CARDS["H100-80GB"]
    drawn = decode_seconds(llama, [step], spread, card, 30e9)
    share = anchor_for(llama.parameters, "rl").share
    learnt = update_flops(llama, step, spread) / (16 * card.flops * share)
    assert 97.7 / 2 < drawn + learnt < 97.7 * 2


def test_more_bandwidth_and_more_engines_draw_faster():
    shape = Shape(
        hidden=1024, layers=28, heads=16, kv_heads=8, head_width=128, feed_forward=3072, vocab=151_936,
        tied=True, norm_of_heads="head",
    )  # fmt: skip
    load = Load(documents=4, trunk=512, group=8, answer=512, draws=True)

    def seconds(card: str, ranks: int = 1, pool: float = 50e9) -> float:
        spread = Spread(ranks=ranks, engine="vllm", dtype="bfloat16")
        return decode_seconds(shape, [load], spread, CARDS[card], pool)

    assert seconds("H200-141GB") < seconds("H100-80GB") < seconds("A100-80GB")
    assert seconds("H100-80GB", 4) < seconds("H100-80GB")
    assert seconds("H100-80GB", pool=1e9) > seconds("H100-80GB")
    assert decode_seconds(shape, [], Spread(), CARDS["H100-80GB"], 1e9) == 0


def test_every_figure_names_its_source():
    assert all(anchor.source and 0 < anchor.share < 1 for anchor in ANCHORS)
    assert all(card.source for card in CARDS.values())
    assert card_called("NVIDIA H100 80GB HBM3") is CARDS["H100-80GB"]
    assert parse_machine("2 x A100-40GB") == (2, CARDS["A100-40GB"])


@pytest.mark.parametrize(
    ("modes", "answer"),
    [
        (("problems",), 64),
        (("next-token", "problems"), 9_000),
        (("reasoning", "problems"), 9_000),
        (("reasoning",), 9_000),
        (("next-token",), 9_000),
    ],
)
def test_an_evaluation_of_problems_alone_weighs_no_answers_on_text(modes, answer):
    journey = any_journey("rlvr_small", Overrides(data="somewhere"))
    recipe = next(one for one in walk(journey) if isinstance(one, EvaluationRecipe))
    sampling = ProblemSampling(samples=8, reasoning_tokens=64)
    more = {"modes": modes, "problem_sampling": sampling, "reasoning_tokens": 9_000}
    job = job_of(recipe.model_copy(update=more))
    assert job is not None
    assert job.load.answer == answer


@pytest.mark.parametrize(
    ("asked", "draws"), [((), 4), (("reasoning",), 4), (("plain", "reasoning"), 4), (("plain",), 1)]
)
def test_checkpoints_are_drawn_from_where_they_are_asked_to_think(asked, draws):
    journey = any_journey("tiny_rpt")
    recipe = next(one for one in walk(journey) if isinstance(one, EvaluationRecipe))
    policy = next(one for one in walk(journey) if isinstance(one, PolicyRecipe))
    more = {"modes": ("plain", "reasoning"), "milestones": True, "milestone_modes": asked}
    model = policy.model_copy(update={"milestones": (1, 2, 3)})
    job = job_of(recipe.model_copy(update={**more, "model": model}))
    assert job is not None
    assert len(job.draws) == draws
