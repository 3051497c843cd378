"""Weights on their way to an engine of its own: when they travel, and the canary that proves they came."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rpt_core.errors import EngineError
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.trunk import Cut, Sample
from rpt_core.train.rl.hand_over import CANARY_NATS_MAX, canary, check_canary, hand_over
from tests.toys import VOCAB, tiny_policy
from tests.unit.train.rl.test_step import make_trainer


class Served:
    """An engine with weights of its own, written down; it answers what the trainer would."""

    shares_weights = False

    def __init__(self, engine, version=0, lag=0):
        self.engine, self.version, self.lag, self.loaded, self.asked = engine, version, lag, [], []

    def load_weights(self, folder, version):
        self.loaded.append((version, (folder / "config.json").is_file(), folder))
        self.version = version

    def generate(self, trunks, sampling, step):
        self.asked.append((trunks, sampling, step))
        version = self.version - self.lag
        return [
            [[replace(s, version=version) for s in cut] for cut in one]
            for one in self.engine.generate(trunks, sampling, step)
        ]


def served(**more):
    trainer = make_trainer()
    engine = Served(trainer.engine, **more)
    return replace(trainer, engine=engine), engine


def test_weights_travel_to_an_engine_that_lags_behind(tmp_path):
    trainer, engine = served(version=4)
    told = []
    trainer.backend.all_gather = lambda value: told.append(value) or [value]
    hand_over(trainer, 5, tmp_path)
    ((version, was_there, folder),) = engine.loaded
    assert (version, was_there) == (5, True)
    assert folder.parent == tmp_path
    assert folder.name.startswith("weights-5-")
    assert not folder.exists()
    assert told == [str(folder), None, None]  # written before it is read, read before it is removed
    ((_, _, step),) = engine.asked
    assert step == 5


def test_every_rank_reads_the_folder_of_the_first(tmp_path):
    trainer, engine = served(version=4)
    first, exported = tmp_path / "of-rank-0", []
    trainer.backend.all_gather = lambda value: [value if value is None else str(first), value]
    trainer.backend.export = exported.append
    hand_over(trainer, 5, tmp_path)  # as rank 1 of 2
    assert exported == [first]
    assert [folder for _, _, folder in engine.loaded] == [first]


def test_an_engine_that_is_there_already_is_only_looked_at(tmp_path):
    trainer, engine = served(version=5)
    hand_over(trainer, 5, tmp_path)
    assert engine.loaded == []
    assert len(engine.asked) == 1


def test_an_engine_of_shared_weights_is_told_the_version_and_no_more(tmp_path):
    engine = SimpleNamespace(shares_weights=True, version=2)
    hand_over(replace(make_trainer(), engine=engine), 7, tmp_path)
    assert engine.version == 7


def test_an_engine_that_draws_with_earlier_weights_is_refused():
    trainer, _ = served(version=5, lag=2)
    with pytest.raises(EngineError, match="given the weights of step 5 and draws with those of step 3:"):
        check_canary(trainer, 5)


def test_the_canary_is_the_same_prompt_at_the_trainings_temperature():
    trunk, sampling = canary(tiny_policy(), 0.7)
    assert trunk.key == "canary"
    assert trunk.document_ids == tuple(1 + 7 * place % 63 for place in range(160))
    assert trunk.instruction_ids == ()
    assert trunk.cuts == (Cut(160, (), frozenset()),)
    assert max(trunk.document_ids) < VOCAB
    assert (sampling.temperature, sampling.max_new_tokens, sampling.group_size) == (0.7, 8, 4)
    assert (sampling.seed, sampling.stop_ids, sampling.top_p, sampling.top_k) == (0, frozenset(), 1.0, 0)


@pytest.mark.parametrize(
    ("places", "begin", "length"), [(50, (), 42), (50, (1, 2, 3), 39), (8, (), 1), (168, (), 160)]
)
def test_the_canary_fits_into_the_model(places, begin, length):
    policy = tiny_policy(max_position_embeddings=places)
    policy = SimpleNamespace(config=policy.config, begin_ids=begin, output_weight=policy.output_weight)
    trunk, _ = canary(policy, 1.0)
    assert len(trunk.document_ids) == length
    assert trunk.instruction_ids == begin
    assert trunk.cuts[0].position == length


def test_the_refusal_tells_the_worst_token_of_both():
    trainer = make_trainer()
    trunk, sampling = canary(trainer.policy, trainer.recipe.temperature)
    answers = [(5, 6, 7), (8, 9)]
    scores = branch_logprobs(
        trainer.policy,
        [trunk],
        [[answers]],
        "two-pass",
        sampling.temperature,
        with_document=False,
        as_drawn=True,
    )
    ours = scores.logprobs_N.detach()
    theirs = ours + torch.tensor([0.01, -0.02, 0.01, 0.3, -0.01])  # mean gap 0.07
    rows = torch.split(theirs, [3, 2])
    drawn = [Sample(ids, tuple(row.tolist()), "length", 6) for ids, row in zip(answers, rows, strict=True)]
    engine = SimpleNamespace(generate=lambda *_: [[drawn]])
    with pytest.raises(EngineError) as said:
        check_canary(replace(trainer, engine=engine), 6)
    assert str(said.value).startswith(
        "after step 6, engine and trainer differ by 0.07 nats a token on a fixed prompt (at most 0.001): of "
        f"one token, the engine's log-probability is {float(theirs[3]):.4f} and the "
        f"trainer's {float(ours[3]):.4f}. "
    )


def test_products_in_bfloat16_may_differ_by_more():
    assert CANARY_NATS_MAX == {"float32": 1e-3, "bfloat16": 0.05}
    trainer = make_trainer()
    policy = replace(trainer.policy, compute_dtype=torch.bfloat16)

    def generate(trunks, sampling, step):
        drawn = trainer.engine.generate(trunks, sampling, step)
        return [
            [[replace(s, logprobs=tuple(x + 0.02 for x in s.logprobs)) for s in c] for c in o] for o in drawn
        ]

    engine = SimpleNamespace(generate=generate)
    check_canary(replace(trainer, engine=engine, policy=policy), 0)
    with pytest.raises(EngineError, match=r"at most 0\.001"):
        check_canary(replace(trainer, engine=engine), 0)
