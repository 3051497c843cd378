"""What every back end must do, on however many ranks; among them two ranks in this process."""

import json
import math
from dataclasses import replace

import pytest
import torch

from rpt_core.artifacts import placement
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError, EngineError, ResumeError, StarvedError, Stopped, StoreError
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.loading.replace import stored_weights
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.registry import BACKENDS, open_backend
from rpt_core.train.backends.shares import dealt, on_every_rank, own_share
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.loop import loop
from rpt_core.train.rl.record import Record
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate, step
from rpt_core.train.supervised.loop import learn_answers
from tests.contracts.backends import CollectiveBackend, RankBackend, Ranks, on_ranks
from tests.toys import gradients, random_tree, relative_error, tiny_policy
from tests.unit.train.rl.test_step import RECIPE, make_trainer

ADAMW = Optimiser(learning_rate=1e-3, grad_clip=0.5)
TRUNKS, ANSWERS = random_tree(4, [[(2, 1)], [(5, 0), (3, 2)], [(4, 1)]])
NUMERICS = LocalBuild.__dataclass_fields__["numerics"].default_factory()


def _alone(policy, recipe=ADAMW, steps=10):
    return RankBackend(Ranks(1), 0, policy, recipe, steps)


def _opened(name, policy, recipe=ADAMW, steps=10):
    numerics = NUMERICS.model_copy(update={"backend": name})
    return open_backend(numerics, policy, recipe, steps)


# DeepSpeed keeps no gradient where these look for it: tests/contracts/test_deepspeed.py
@pytest.fixture(params=[*sorted({*BACKENDS} - {"deepspeed"}), "one rank of threads"])
def opened(request):
    """What opens the back end over a policy."""
    name = request.param
    return (lambda *given: _opened(name, *given)) if name in BACKENDS else _alone


def _loss(backend):
    scores = backend.score(TRUNKS, ANSWERS, "two-pass", 0.8)
    return -scores.logprobs_N.mean() + 0.1 * scores.document.nll_M.mean()


def test_it_scores_what_the_policy_says(opened):
    policy = tiny_policy(sharpness=1.5)
    backend = opened(policy)
    for options in ({"with_document": True}, {"with_document": False, "as_drawn": True}):
        ours = backend.score(TRUNKS, ANSWERS, "rows", 0.8, **options)
        theirs = branch_logprobs(policy, TRUNKS, ANSWERS, "rows", 0.8, **options)
        assert torch.equal(ours.logprobs_N, theirs.logprobs_N)
        assert torch.equal(ours.entropies_N, theirs.entropies_N)
        assert torch.equal(ours.answer_N, theirs.answer_N)
        assert (ours.num_answers, ours.num_tokens) == (theirs.num_answers, theirs.num_tokens)
        assert (ours.document is None) == (theirs.document is None)
    ours, theirs = backend.score_documents(TRUNKS), document_scores(policy, TRUNKS)
    assert torch.equal(ours.nll_M, theirs.nll_M)
    assert ours.token_M.tolist() == theirs.token_M.tolist()


def test_a_step_adds_gradients_clips_them_and_forgets_them(opened):
    policy = tiny_policy(sharpness=1.5)
    backend = opened(policy)
    backend.backward(_loss(backend))
    once = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    backend.backward(_loss(backend))
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(parameter.grad, 2 * once[name])
    whole = math.sqrt(sum(float((2 * g).square().sum()) for g in once.values()))
    before = policy.output_weight.detach().clone()
    assert backend.step(1) == pytest.approx(whole, rel=1e-5)
    assert not torch.equal(before, policy.output_weight)
    assert all(p.grad is None for p in policy.model.parameters())


def test_a_gradient_that_is_not_finite_changes_no_weight(opened):
    policy = tiny_policy(sharpness=1.5)
    backend = opened(policy)
    before = {name: p.detach().clone() for name, p in policy.model.named_parameters()}
    backend.backward(_loss(backend) * math.nan)
    assert not math.isfinite(backend.step(1))
    assert all(torch.equal(before[name], p) for name, p in policy.model.named_parameters())


def test_weights_and_moments_travel_by_folder_and_training_goes_on_the_same(opened, tmp_path):
    def run(backend, numbers):
        for number in numbers:
            backend.backward(_loss(backend))
            backend.step(number)

    first = tiny_policy(sharpness=1.5)
    backend = opened(first)
    run(backend, (1, 2))
    backend.export(tmp_path / "model")
    backend.save(tmp_path)
    run(backend, (3, 4))
    second = tiny_policy(sharpness=1.5)
    again = opened(second)
    again.adopt(tmp_path / "model")
    again.load(tmp_path)
    run(again, (3, 4))
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_and_moments_of_another_model_are_refused(opened, tmp_path):
    backend = opened(tiny_policy())
    backend.backward(_loss(backend))
    backend.step(1)
    backend.export(tmp_path / "model")
    backend.save(tmp_path)
    other = opened(tiny_policy(vocab=70))
    with pytest.raises(ResumeError, match=r"embed_tokens\.weight is \(64, 32\) there and \(70, 32\) here"):
        other.adopt(tmp_path / "model")
    with pytest.raises(ResumeError, match="belongs to another model"):
        other.load(tmp_path)


def test_one_rank_gathers_its_own_value_and_reads_whole_parameters(opened):
    backend = opened(tiny_policy())
    assert (backend.rank, backend.world_size) == (0, 1)
    assert backend.all_gather({"a": 1}) == [{"a": 1}]
    with backend.whole():
        assert backend.policy.output_weight.shape == (64, 32)
    assert own_share([1, 2, 3], backend) == [0, 1, 2]


def test_what_no_back_end_does_is_refused_with_both_values():
    assert tuple(BACKENDS) == placement.BACKENDS
    policy = tiny_policy()
    for change, said in (
        ({"backend": "abacus"}, "asks for the back end 'abacus'; this version trains with torch, deepspeed"),
        ({"world_size": 2}, "asks for 2 training processes, and this one was started as one of 1"),
    ):
        with pytest.raises(CapacityError, match=said):
            open_backend(NUMERICS.model_copy(update=change), policy, ADAMW, 10)


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "gspo"])
def test_the_gradient_of_a_batch_dealt_over_ranks_is_the_whole_batchs(world_size, loss):
    """Before, each rank took the denominators of its own share: 107 % off at two ranks."""
    trainer = make_trainer(RECIPE.model_copy(update={"loss": loss, "ntp_weight": 0.3}))
    batch = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    scales = scales_of(trainer, lessons)
    accumulate(trainer, lessons, scales)
    whole = gradients(trainer.policy)
    for rank in range(world_size):  # gradients add up in place, as over ranks
        accumulate(trainer, lessons, scales, share=range(rank, len(lessons), world_size))
    assert relative_error(gradients(trainer.policy), whole) < 1e-6


@pytest.mark.parametrize("sizes", [[5, 1, 4, 2], [7], [], [3] * 9, [100, 1, 1, 1, 1]])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_work_is_dealt_whole_and_by_size(sizes, world_size):
    shares = dealt(sizes, world_size)
    assert sorted(index for share in shares for index in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(sizes[index] for index in share) for share in shares]
    best = max([-(-sum(sizes) // world_size), *sizes])
    assert max(loads) <= 4 / 3 * best
    assert world_size > 1 or shares == [list(range(len(sizes)))]


@pytest.mark.parametrize(
    ("raised", "seen", "said"),
    [
        (StarvedError("nothing is left"), StarvedError, "nothing is left (rank 1)"),
        (StoreError("the store is away", retryable=True), StoreError, "the store is away (rank 1)"),
        (ZeroDivisionError("by nothing"), EngineError, "ZeroDivisionError: by nothing (rank 1)"),
    ],
)
def test_an_error_on_one_rank_is_raised_on_all_with_its_words(raised, seen, said):
    ranks = Ranks(3)

    def fail():
        raise raised

    def run(rank):
        backend = RankBackend(ranks, rank, tiny_policy(), ADAMW, 10)
        assert on_every_rank(lambda: rank * 10, backend) == [0, 10, 20]
        with pytest.raises(seen) as found:
            on_every_rank(fail if rank == 1 else lambda: None, backend)
        return str(found.value), getattr(found.value, "retryable", None)

    assert ranks.run(run) == [(said, getattr(raised, "retryable", None))] * 3
    with pytest.raises(type(raised)) as alone:
        on_every_rank(fail, _alone(tiny_policy()))
    assert alone.value is raised


COLLECTIVE = [
    {"ntp_weight": 0.0},
    {"ntp_weight": 0.3},
    {"ntp_weight": 0.3, "ntp_text": "raw", "updates_per_batch": 2},
]


@pytest.mark.parametrize("change", COLLECTIVE)
@pytest.mark.parametrize("budget", [25, 16_384])
def test_ranks_of_a_collective_back_end_make_the_same_passes_and_learn_the_same(change, budget):
    recipe = RECIPE.model_copy(update={**change, "prompts_per_step": 5})
    one, ranks = make_trainer(recipe, tokens_per_micro_batch=budget), Ranks(3)
    several = on_ranks(one, ranks, TorchEngine, CollectiveBackend)

    def run(trainer):
        progress, rows = Progress(), []
        for _ in range(2):
            progress, metrics = step(trainer, progress, collect(trainer, progress, Clock()))
            rows.append(metrics)
        return rows

    rows, found = run(one), ranks.run(lambda rank: run(several[rank]))
    assert found[0] == found[1] == found[2]
    for ours, theirs in zip(found[0], rows, strict=True):
        for name in ("loss", "ntp_loss", "entropy", "mismatch_nats", "grad_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-6), name
    for alone, left, right in zip(
        *(t.policy.model.parameters() for t in (one, several[0], several[2])), strict=True
    ):
        assert torch.equal(left, right)
        torch.testing.assert_close(left, alone, rtol=0, atol=1e-5)
    assert any(pass_[0] == "score" for pass_ in several[2].backend.passes)


def test_a_rank_without_a_share_of_a_collective_step_keeps_the_others_company(tmp_path):
    weights = [[[[1.0] * len(ids) for ids in at] for at in of] for of in ANSWERS]
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    alone = tiny_policy(sharpness=1.5)
    whole = learn_answers(_alone(alone), TRUNKS, ANSWERS, weights, build)
    ranks, policies = Ranks(5), [tiny_policy(sharpness=1.5) for _ in range(5)]  # three trunks

    def run(rank):
        backend = CollectiveBackend(ranks, rank, policies[rank], ADAMW, 10)
        found = learn_answers(backend, TRUNKS, ANSWERS, weights, build)
        return found, len(backend.passes), backend.step(1)

    found = ranks.run(run)
    assert sum(one.loss for one, _, _ in found) == pytest.approx(whole.loss, rel=1e-6)
    assert {num for _, num, _ in found} == {2}  # a pass and its backward, on the two without a trunk as well
    for _, _, norm in found:
        assert norm == pytest.approx(_alone_step(alone), rel=1e-5)


def _alone_step(policy):
    return math.sqrt(sum(float(p.grad.square().sum()) for p in policy.model.parameters()))


def test_two_ranks_train_as_one_does():
    recipe = RECIPE.model_copy(update={"ntp_weight": 0.1, "updates_per_batch": 2, "steps": 4})
    one, ranks = make_trainer(recipe), Ranks(2)
    two = on_ranks(one, ranks, TorchEngine)

    def run(trainer):
        progress, rows = Progress(), []
        for _ in range(4):
            progress, metrics = step(trainer, progress, collect(trainer, progress, Clock()))
            rows.append(metrics)
        return progress, rows

    (progress, rows), found = run(one), ranks.run(lambda rank: run(two[rank]))
    assert found[0] == found[1]  # ranks decide nothing apart
    assert replace(found[0][0], gflops=0, tokens=0) == replace(progress, gflops=0, tokens=0)
    for ours, theirs in zip(found[0][1], rows, strict=True):
        for name in ("reward_mean", "loss", "ntp_loss", "entropy", "grad_norm", "old_kl", "ratio_max"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-6), name
    for left, right, alone in zip(*(t.policy.model.parameters() for t in (*two, one)), strict=True):
        assert torch.equal(left, right)
        torch.testing.assert_close(left, alone, rtol=0, atol=1e-5)


class _Follower(LocalBuild):
    """Rank 1's: asks to stop once step 2 is logged, which the other rank hears of; publishes nothing."""

    def milestone(self, *given):
        assert not list(self.scratch.rglob("model*"))

    def log(self, number, values, timings=None):
        super().log(number, values, timings)
        self.stop = number >= 2


def test_ranks_stop_together_and_rank_0_alone_writes_weights(tmp_path):
    ranks = Ranks(2)
    trainers = on_ranks(make_trainer(), ranks, TorchEngine)
    builds = [
        cls({}, tmp_path / str(rank) / "out", tmp_path / str(rank) / "scratch", Placement())
        for rank, cls in enumerate((LocalBuild, _Follower))
    ]

    def run(rank):
        with pytest.raises(Stopped, match="after step 2"):
            loop(trainers[rank], builds[rank], Progress(), Record(), frozenset({1}))

    ranks.run(run)
    saved = [sorted(path.name for path in build.saves[2].iterdir()) for build in builds]
    assert saved[0] == [
        "batches.parquet",
        "model",
        "optimiser.safetensors",
        "progress.json",
        "rollouts.parquet",
    ]
    assert saved[1] == ["batches.parquet", "progress.json", "rollouts.parquet"]
    progress = [json.loads((build.saves[2] / "progress.json").read_text()) for build in builds]
    assert progress[0] == progress[1]
    assert stored_weights(builds[0].milestones[1] / "model")


def test_supervised_answers_are_dealt_over_ranks_too(tmp_path):
    weights = [[[[1.0] * len(ids) for ids in of_cut] for of_cut in of_trunk] for of_trunk in ANSWERS]
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    alone = tiny_policy(sharpness=1.5)
    whole = learn_answers(_alone(alone), TRUNKS, ANSWERS, weights, build)
    ranks = Ranks(2)
    policies = [tiny_policy(sharpness=1.5) for _ in range(2)]

    def run(rank):
        backend = RankBackend(ranks, rank, policies[rank], ADAMW, 10)
        return learn_answers(backend, TRUNKS, ANSWERS, weights, build)

    shares = ranks.run(run)
    assert sum(share.loss for share in shares) == pytest.approx(whole.loss, rel=1e-6)
    left, right, expected = (gradients(policy) for policy in (*policies, alone))
    assert relative_error({name: left[name] + right[name] for name in left}, expected) < 1e-6
