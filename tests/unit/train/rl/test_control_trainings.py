"""The oracle and the learned masker through the trainer, with answers that are known before."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.tables import read_rows
from rpt_core.objectives.next_token.masker import MaskQuestion, SpanQuestion, mask_reward
from rpt_core.objectives.prompts import boxed
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.registry import ENGINES
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.load import load_policy
from rpt_core.recipes.objectives import OracleObjective, PretrainZeroObjective
from rpt_core.recipes.reinforce import Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.measures import questions_of
from rpt_core.sample.second.questions import spoken, walk
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.reinforce import open_trainer, train_policy
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate
from rpt_core.train.supervised.base import initialise
from tests.toys import gradients, relative_error
from tests.unit.corpus.second_corpus import write_second_corpus
from tests.unit.difficulty.small_difficulty import write_difficulty
from tests.unit.train.rl.scripted import ScriptedEngine
from tests.unit.train.rl.test_reinforce import StoppingBuild, _metrics, _weights, stopped_and_resumed
from tests.unit.train.rl.test_step import RECIPE
from tests.unit.train.test_rlpt_stages import SHAPE

ORACLE = OracleObjective(prompt="compact", chains="world", entropy_floor_nats=0.0)
MASKER = PretrainZeroObjective(prompt="compact", entropy_floor_nats=0.0, span_tokens=3)
GROUP = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The second edition, every token as hard as the other, and a model that knows nothing."""
    folder = write_second_corpus(tmp_path_factory.mktemp("world"), 40)
    texts = [row["text"] for row in read_rows(folder / "documents.parquet", ["text"])]
    codec = Codec.train(texts, 420, folder / "model", 256)
    initialise(SHAPE, len(codec), codec, 0, folder / "model")
    write_difficulty(folder, codec)
    return {"corpus": folder, "difficulty": folder, "start": folder}, codec


def small(objective, **changes):
    return type(RECIPE).parse({
        **dict(RECIPE), "objective": objective, "temperature": 1.0, "steps": 2, "prompts_per_step": 10,
        "cuts_per_document": 40, "group_size": GROUP, "reasoning_tokens": 64, "context_tokens": 256,
        "ntp_weight": 0.1, "optimiser": Optimiser(learning_rate=3e-3), **changes,
    })  # fmt: skip


def says(codec, thought, prediction):
    return (*codec.encode(thought), *boxed(codec, tuple(codec.encode(prediction))))


def opened(folder, inputs, recipe, cls=LocalBuild):
    return open_trainer(recipe, cls(inputs, folder / "out", folder / "scratch"))


def scripted(monkeypatch, script):
    monkeypatch.setitem(ENGINES, "torch", lambda policy, folder: ScriptedEngine(policy, script=script))


def likelihood(policy, trunk, cut, ids):
    """Log-probability of an answer, nats."""
    one = replace(trunk, cuts=(cut,))
    with torch.no_grad():
        return float(branch_logprobs(policy, [one], [[[ids]]], with_document=False).logprobs_N.sum())


@pytest.fixture
def chains(monkeypatch, world):
    """Every second answer thinks the true chain, the others think of the last step alone; all are right."""
    inputs, codec = world
    questions = questions_of(read_rows(inputs["corpus"] / "documents.parquet", ["doc_id", "text"]))

    def script(trunk, cut, number, step):
        truth = codec.decode(trunk.document_ids[cut.position : cut.position + 1])
        place = (trunk.key.split("@")[0], len(codec.decode(trunk.document_ids[: cut.position])))
        asked = questions.get(place)
        if asked is None:
            return says(codec, " so" * (1 + number), truth)
        kind = KINDS[asked.kind]
        hasty = spoken(kind, asked.start, walk(kind, asked.start, asked.phrases[-1:]))
        return says(codec, " " + (asked.thought if number % 2 else hasty), truth)

    scripted(monkeypatch, script)
    return script


def test_the_oracle_teaches_true_thoughts_and_nothing_where_none_is_known(tmp_path, world, chains):
    inputs, _ = world
    recipe = small(ORACLE, prompts_per_step=200, ntp_weight=0.0)
    trainer = opened(tmp_path, inputs, recipe)
    batch = collect(trainer, Progress(), Clock())
    verdicts = {v.verdict for group in batch.groups for v in group.verdicts}
    assert verdicts == {"correct"}
    kept = [group for group in batch.groups if group.keep]
    assert len(kept) > 5
    assert all(group.scores == [0.0, 1.0, 0.0, 1.0] for group in kept)
    rest = [group for group in batch.groups if not group.keep]
    assert {score for group in rest for score in group.scores} == {0.0, 1.0}, "of one step both are the chain"
    before = {
        (document.asked.trunk.key, cut.position): [
            likelihood(trainer.policy, document.asked.trunk, cut, group.samples[n].token_ids) for n in (0, 1)
        ]
        for document in batch.documents
        for cut, group in zip(document.asked.trunk.cuts, document.groups, strict=True)
        if group.keep
    }
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    train_policy(recipe, build)
    assert [row["step"] for row in _metrics(build)] == [1, 2]
    trained = load_policy(build.out / "model")
    gains = []
    for document in batch.documents:
        for cut, group in zip(document.asked.trunk.cuts, document.groups, strict=True):
            if group.keep:
                trunk = document.asked.trunk
                wrong, true = (likelihood(trained, trunk, cut, group.samples[n].token_ids) for n in (0, 1))
                was_wrong, was_true = before[trunk.key, cut.position]
                gains.append((true - was_true) / len(group.samples[1].token_ids))
                gains.append((was_wrong - wrong) / len(group.samples[0].token_ids))
    assert np.mean(gains) > 0


@pytest.fixture
def masks(monkeypatch, world):
    """The masker names a word of the text by chance, or nothing; predictions are right by chance."""
    _, codec = world

    def script(trunk, cut, number, step):
        rng = np.random.default_rng([step, number, cut.position, int(trunk.key.split("@")[0], 16) % 2**32])
        if cut.position == len(trunk.document_ids):
            at = int(rng.integers(1, len(trunk.document_ids)))
            span = codec.decode(trunk.document_ids[at : at + int(rng.integers(1, 4))])
            return says(codec, " so", " ?!?" if rng.random() < 0.2 else span)
        num = int(rng.integers(1, 4)) if rng.random() < 0.8 else 0
        guess = codec.decode(trunk.document_ids[cut.position : cut.position + num]) if num else "?!"
        return says(codec, " so", guess)

    scripted(monkeypatch, script)


def test_both_parts_are_drawn_learnt_and_charged(tmp_path, world, masks):
    inputs, _ = world
    trainer = opened(tmp_path, inputs, small(MASKER, prompts_per_step=30))
    before = trainer.engine.flops, trainer.engine.num_forwarded
    batch = collect(trainer, Progress(), Clock())
    assert batch.cursor == 6
    assert batch.flops == trainer.engine.flops - before[0] > 0, "both draws are charged, and nothing else"
    assert batch.num_forwarded == trainer.engine.num_forwarded - before[1]
    paid = 0
    for document in batch.documents:
        [mask, *spans] = document.groups
        assert isinstance(mask.question, MaskQuestion)
        assert document.asked.trunk.cuts[0].position == len(document.asked.trunk.document_ids)
        expected = [0.0] * GROUP
        for group in spans:
            assert isinstance(group.question, SpanQuestion)
            right = sum(v.prediction == group.question.truth for v in group.verdicts)
            assert group.scores == [float(v.prediction == group.question.truth) for v in group.verdicts]
            for number in group.question.named_by:
                expected[number] = mask_reward(right / GROUP)
                assert mask.verdicts[number].prediction == group.question.truth
        assert mask.scores == expected
        assert mask.keep is (len(set(expected)) > 1)
        paid += mask.keep
        lesson = lesson_of(trainer, document)
        assert lesson.num_drawn == len(lesson.answers) == sum(group.keep for group in document.groups)
    assert paid > 1
    alone = opened(tmp_path / "alone", inputs, small(MASKER, prompts_per_step=30))
    asked, _ = alone.objective.draw(1, 0, 30)
    alone.engine.generate([one.trunk for one in asked], alone.sampling, 1)
    assert 0 < alone.engine.flops < batch.flops


@pytest.mark.parametrize("layout", ["packed", "rows"])
def test_a_cut_after_the_text_is_learnt_alike_in_every_layout(tmp_path, world, masks, layout):
    inputs, _ = world
    trainer = opened(tmp_path, inputs, small(MASKER, prompts_per_step=15))
    batch = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    found = []
    for one in (trainer, replace(trainer, layout=layout), replace(trainer, tokens_per_micro_batch=150)):
        trainer.policy.model.zero_grad()
        accumulate(one, lessons, scales_of(one, lessons))
        found.append(gradients(trainer.policy))
    assert relative_error(found[1], found[0]) < 1e-3
    assert relative_error(found[2], found[0]) < 1e-3


def test_a_masker_is_trained_and_a_stopped_one_goes_on(tmp_path, world, masks):
    inputs, _ = world
    recipe = small(MASKER, steps=3, evaluate_every=3)
    whole = LocalBuild(inputs, tmp_path / "whole", tmp_path / "one")
    outcome = train_policy(recipe, whole)
    rows = [row for row in _metrics(whole) if row["step"]]
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert 0 < row["masker/named"] <= 1
        assert 0 <= row["masker/reward"] <= 1
        assert 0 < row["masker/right"] < 1
        assert row["loss"] == row["loss"] != 0
    assert "eval/masker/named" not in rows[-1]
    assert rows[-1]["eval/accuracy"] > 0
    assert _weights(whole) != _weights_of(inputs["start"])
    broken = StoppingBuild(inputs, tmp_path / "broken", tmp_path / "two")
    assert stopped_and_resumed(recipe, broken) == outcome
    assert _weights(broken) == _weights(whole)


def _weights_of(folder):
    class Given:
        out = folder

    return _weights(Given)


def test_a_step_in_which_nobody_names_anything_asks_nothing_more(tmp_path, world, monkeypatch):
    inputs, codec = world
    scripted(monkeypatch, lambda trunk, cut, number, step: says(codec, " so", " ?!?"))
    selection = Selection(max_empty_steps=2)
    trainer = opened(tmp_path, inputs, small(MASKER, selection=selection))
    batch = collect(trainer, Progress(), Clock())
    assert [len(document.groups) for document in batch.documents] == [1, 1]
    assert batch.num_kept == 0
    assert {v.verdict for group in batch.groups for v in group.verdicts} == {"unparsed"}
    with pytest.raises(Exception, match="2 steps in a row, up to step 2, had no group"):
        train_policy(
            small(MASKER, selection=selection, steps=5, ntp_weight=0.0),
            LocalBuild(inputs, tmp_path / "o", tmp_path / "s"),
        )
