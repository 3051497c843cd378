"""What every engine must do, whoever serves the weights; and how one that does not is found out.

Run over every row of the registry, and over fakes that own their weights: a slow one and one whose draws
cannot be repeated keep the contract; a stale, a late and a dying one break it.
"""

import json
import re
from contextlib import closing
from dataclasses import replace

import pytest
import torch

from rpt_core.artifacts import placement
from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.engines import registry
from rpt_core.policy.engines.registry import ENGINES, open_engine
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.load import load_policy, save_policy
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.replay import Replay
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.hand_over import canary, hand_over
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.rl.replay import TRAINED, replay
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import step
from tests.conftest import ROOT
from tests.contracts.engines import ROWS, Dying, Forgetful, Late, Owner, Slow, Stale, own
from tests.toys import random_tree, save_tiny_model, tiny_policy
from tests.unit.train.rl.test_reinforce import SHORT, _build, _weights, start, toy  # noqa: F401  (fixtures)
from tests.unit.train.rl.test_step import RECIPE, make_trainer

SAMPLING = Sampling(0.9, 6, frozenset({1}), group_size=3, seed=5)
TRUNKS, _ = random_tree(1, [[(2, 1), (6, 2)], [(4, 0)]], instruction=2)


OPENED = [pytest.param(name, marks=pytest.mark.vllm) if name == "vllm" else name for name in ENGINES]


def head_dim(engine):
    """Of a tiny model that the engine takes; vLLM's attention on CPUs has heads of 32 and more."""
    return 32 if engine == "vllm" else 8


@pytest.fixture(params=[*OPENED, *ROWS])
def opened(request):
    """An engine, and a policy with the weights it serves."""
    policy = tiny_policy(sharpness=1.5, head_dim=head_dim(request.param))
    engine = open_engine(request.param, policy) if request.param in ENGINES else ROWS[request.param](policy)
    yield engine, policy
    engine.close()
    engine.close()  # twice is once


def _moved(policy, tmp_path):
    """Other weights, and the folder they lie in; the policy's own stay."""
    other = own(policy)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_policy(other, tmp_path / "other")
    return other, tmp_path / "other"


def _gap(policy, drawn, sampling=SAMPLING, trunks=TRUNKS):
    """Largest gap between the engine's log-probabilities and a policy's, in nats."""
    answers = [[[s.token_ids for s in of_cut] for of_cut in of_trunk] for of_trunk in drawn]
    samples = [sample for of_trunk in drawn for of_cut in of_trunk for sample in of_cut]
    theirs = torch.tensor([logprob for sample in samples for logprob in sample.logprobs])
    scores = branch_logprobs(
        policy, trunks, answers, "rows", sampling.temperature, with_document=False, as_drawn=True
    )
    return float((scores.logprobs_N.detach() - theirs).abs().max())


def test_answers_come_by_trunk_cut_and_number_with_their_probabilities_and_version(opened):
    engine, policy = opened
    drawn = engine.generate(TRUNKS, SAMPLING, 1)
    assert [[len(group) for group in of_trunk] for of_trunk in drawn] == [[3, 3], [3]]
    for sample in (s for of_trunk in drawn for group in of_trunk for s in group):
        assert 1 <= len(sample.token_ids) == len(sample.logprobs) <= 6
        assert (sample.finish == "stop") == (sample.token_ids[-1] == 1)
        assert sample.finish == "stop" or len(sample.token_ids) == 6
        assert 1 not in sample.token_ids[:-1]
        assert sample.version == engine.version == 0
    assert _gap(policy, drawn) < 1e-4


def test_work_is_counted(opened):
    engine, _ = opened
    engine.generate(TRUNKS, SAMPLING, 1)
    before = engine.num_forwarded, engine.flops
    assert min(before) > 0
    engine.generate(TRUNKS, SAMPLING, 2)
    assert engine.num_forwarded > before[0]
    assert engine.flops > before[1]


def test_answers_can_be_drawn_again_where_an_engine_says_so(opened):
    engine, _ = opened
    first, again = (engine.generate(TRUNKS, SAMPLING, 1) for _ in range(2))
    assert (first == again) == engine.replayable
    if engine.replayable:
        alone = engine.generate(TRUNKS[1:], SAMPLING, 1)
        assert [s.token_ids for s in alone[0][0]] == [s.token_ids for s in first[1][0]]


def test_new_weights_are_served_at_once_and_nothing_is_kept_of_old_ones(opened, tmp_path):
    engine, policy = opened
    other, folder = _moved(policy, tmp_path)
    engine.generate(TRUNKS, SAMPLING, 1)  # whatever may be cached of these prefixes now is
    engine.load_weights(folder, 7)
    drawn = engine.generate(TRUNKS, SAMPLING, 1)
    assert {s.version for of_trunk in drawn for group in of_trunk for s in group} == {engine.version} == {7}
    assert _gap(other, drawn) < 1e-4


def test_weights_of_another_model_are_refused_and_the_old_ones_stay(opened, tmp_path):
    engine, policy = opened
    kept = own(policy)
    save_policy(tiny_policy("llama", tied=False, vocab=70), tmp_path / "llama")
    with pytest.raises(EngineError, match=r"do not fit .*: lm_head\.weight is"):
        engine.load_weights(tmp_path / "llama", 3)
    drawn = engine.generate(TRUNKS, SAMPLING, 1)
    assert _gap(kept, drawn) < 1e-4
    assert drawn[0][0][0].version == 0


def test_only_an_engine_that_shares_the_weights_follows_them_by_itself(opened):
    engine, policy = opened
    with torch.no_grad():
        policy.output_weight.mul_(1.3)
    assert (_gap(policy, engine.generate(TRUNKS, SAMPLING, 1)) < 1e-4) == engine.shares_weights


@pytest.mark.parametrize("name", OPENED)
def test_a_folder_and_the_model_read_from_it_open_the_same_engine(name, tmp_path):
    save_tiny_model(tmp_path, head_dim=head_dim(name))
    trunks, _ = random_tree(2, [[(3, 1)]])
    drawn = []
    for folder in (None, tmp_path):
        with closing(open_engine(name, load_policy(tmp_path), folder)) as engine:
            drawn.append(engine.generate(trunks, SAMPLING, 1))
    assert drawn[0] == drawn[1]


def test_placements_offer_the_engines_there_are():
    assert tuple(ENGINES) == placement.ENGINES


def test_the_registry_is_the_only_door():
    """Training, evaluations, pass rates, the harness, judges and scorers name no engine of their own."""
    files = [path for path in (ROOT / "rpt_core").rglob("*.py") if path.parent.name != "engines"]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}
    opening = {name for name, text in texts.items() if re.search(r"\bopen_engine\(", text)}
    assert opening == {
        "rpt_core/evaluation/benchmarks/suite/stage.py",
        "rpt_core/evaluation/evaluate.py",
        "rpt_core/evaluation/harness/worker.py",
        "rpt_core/evaluation/pass_rates.py",
        "rpt_core/llm/local.py",
        "rpt_core/train/rl/reinforce.py",
    }
    assert not [name for name, text in texts.items() if "torch_engine" in text or "CopiedEngine" in text]


def test_an_engine_that_is_not_there_is_refused_by_name():
    with pytest.raises(EngineError, match="asks for the engine 'sglang'; this version draws"):
        open_engine("sglang", tiny_policy())


def _trainer(engine, steps=60, **more):
    recipe = RECIPE.model_copy(update={"steps": steps, "optimiser": Optimiser(learning_rate=3e-3)})
    trainer = make_trainer(recipe, **more)
    return replace(trainer, engine=engine(trainer.policy))


def _train(trainer, steps, scratch):
    """The loop's steps with its hand-overs: gap in nats a token, and mean reward, by step."""
    progress, gaps, rewards = Progress(), [], []
    hand_over(trainer, 0, scratch)
    for _ in range(steps):
        progress, metrics = step(trainer, progress, collect(trainer, progress, Clock()))
        hand_over(trainer, progress.step, scratch)
        gaps.append(metrics.get("mismatch_nats", 0.0))
        rewards.append(metrics["reward_mean"])
    return gaps, rewards


@pytest.mark.slow
def test_an_engine_with_weights_of_its_own_follows_the_trainer_for_sixty_steps(tmp_path):
    """Without a hand-over the gap was 0.46 nats at step 41, and at step 42 the guard ended the run."""
    owned, shared = _trainer(Owner), _trainer(TorchEngine)
    gaps, rewards = _train(owned, 60, tmp_path)
    assert max(gaps) < 1e-3
    assert owned.engine.loads == list(range(1, 61))
    assert sum(rewards[-10:]) / 10 > 0.9
    assert _train(shared, 60, tmp_path)[1] == rewards  # not one answer differs


def test_nothing_travels_for_an_engine_that_shares_the_weights(tmp_path, monkeypatch):
    trainer = _trainer(TorchEngine)
    monkeypatch.setattr(TorchEngine, "load_weights", lambda *given: pytest.fail("weights travelled"))
    monkeypatch.setattr(TorchEngine, "generate", lambda *given: pytest.fail("a canary was drawn"))
    hand_over(trainer, 4, tmp_path)
    assert trainer.engine.version == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (Stale, r"after step 1, engine and trainer differ by 0\.\d+ nats .* \(at most 0\.001\)"),
        (Late, r"was given the weights of step 1 and draws with those of step 0"),
    ],
)
def test_an_engine_that_does_not_follow_is_refused_after_its_first_step(engine, said, tmp_path):
    with pytest.raises(EngineError, match=said):
        _train(_trainer(engine), 2, tmp_path)


def test_answers_of_other_weights_reach_no_update():
    """An engine whose answers name another version than the trainer's is refused by step itself."""
    trainer = _trainer(Owner)
    batch = collect(trainer, Progress(), Clock())
    before = trainer.policy.output_weight.clone()
    with pytest.raises(EngineError, match="answers of step 6 were drawn under the weights of step 0"):
        step(trainer, Progress(step=5), batch)
    assert torch.equal(before, trainer.policy.output_weight)


def test_a_canary_that_says_nan_is_refused(tmp_path):
    trainer = _trainer(Owner)
    with torch.no_grad():
        trainer.policy.model.base_model.norm.weight[0] = torch.nan
    with pytest.raises(EngineError, match="differ by nan nats"):
        hand_over(trainer, 0, tmp_path)


def test_the_canary_is_longer_than_a_block_of_a_prefix_cache_and_fits_the_model():
    policy = tiny_policy()
    trunk, sampling = canary(policy, 0.8)
    assert trunk.num_tokens > 128
    assert max(trunk.document_ids) < policy.config.vocab_size
    policy.config.max_position_embeddings = 40
    assert canary(policy, 0.8)[0].num_tokens + sampling.max_new_tokens == 40


def _trained_with(engine, folder, start, monkeypatch, recipe=SHORT, build=None):  # noqa: F811
    opened = []

    def opener(policy, folder):
        opened.append(engine(policy))
        return opened[-1]

    monkeypatch.setitem(registry.ENGINES, "torch", opener)
    build = build or _build(folder, start)
    try:
        train_policy(recipe, build)
    finally:
        monkeypatch.undo()
    return build, opened[0]


@pytest.mark.parametrize("engine", [Owner, Slow])
def test_a_training_ends_with_the_same_bytes_whoever_owns_the_weights(
    engine, tmp_path, start, toy, monkeypatch  # noqa: F811
):  # fmt: skip
    shared = _build(tmp_path / "shared", start)
    train_policy(SHORT, shared)
    with monkeypatch.context() as patch:
        owned, _ = _trained_with(engine, tmp_path / "owned", start, patch)
    assert _weights(owned) == _weights(shared)
    timings = [json.loads(line) for line in (owned.out / "timings.jsonl").read_text().splitlines()]
    steps = [row for row in timings if "seconds/sync" in row]
    assert len(steps) == SHORT.steps
    if engine is Slow:  # waiting is counted where it happens, none of it as idle
        assert all(row["seconds/sync"] >= 2 * Slow.SECONDS for row in steps)  # the load and the canary
        assert all(row["seconds/rollout"] >= Slow.SECONDS for row in steps)


def test_a_dying_engine_costs_no_step_that_was_taken(tmp_path, start, toy, monkeypatch):  # noqa: F811
    shared = _build(tmp_path / "shared", start)
    train_policy(SHORT, shared)
    broken = _build(tmp_path / "broken", start)
    with monkeypatch.context() as patch, pytest.raises(EngineError, match="process ended with code -9"):
        _trained_with(Dying, tmp_path / "broken", start, patch, build=broken)
    assert list(broken.saves) == [2]
    assert Dying.closed == 1
    with monkeypatch.context() as patch:
        _, engine = _trained_with(Owner, tmp_path / "broken", start, patch, build=broken)
    assert engine.loads[0] == 2  # the weights it went on from
    assert _weights(broken) == _weights(shared)


def test_a_replay_refuses_an_engine_whose_answers_cannot_be_drawn_again(
    tmp_path, start, toy, monkeypatch  # noqa: F811
):  # fmt: skip
    build = _build(tmp_path / "trained", start)
    train_policy(SHORT, build)
    again = _build(tmp_path / "again", start)
    again.inputs = {**again.inputs, TRAINED: build.out}
    monkeypatch.setitem(registry.ENGINES, "torch", lambda policy, folder: Forgetful(policy))
    with pytest.raises(RecipeError, match="drawn by the engine 'torch', whose answers do not"):
        replay(Replay(training=SHORT, step=2), again)


def test_a_replay_hands_weights_over_too(tmp_path, start, toy, monkeypatch):  # noqa: F811
    build = _build(tmp_path / "trained", start)
    train_policy(SHORT, build)
    again = _build(tmp_path / "again", start)
    again.inputs = {**again.inputs, TRAINED: build.out}
    monkeypatch.setitem(registry.ENGINES, "torch", lambda policy, folder: Owner(policy))
    assert replay(Replay(training=SHORT, step=3), again).summary["step"] == 3
