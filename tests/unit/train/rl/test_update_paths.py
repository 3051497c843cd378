"""Answers drawn once and learnt from in every layout: ten steps of the sample world end in equal weights."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.sample.world import documents
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.state import Progress, Trainer
from rpt_core.train.rl.step import step
from tests.toys import ByGroup, save_tiny_model
from tests.unit.train.rl.test_step import RECIPE

STEPS = 10
WORLD = RECIPE.model_copy(
    update={"steps": STEPS, "ntp_weight": 0.2, "prompts_per_step": 6, "cuts_per_document": 3}
)


@dataclass
class NextByte(ByGroup):
    """Places of the sample world's documents; right is an answer whose first token is as odd as the truth."""

    texts: list[tuple[int, ...]]
    name: str = "next-byte"
    stop_ids: frozenset[int] = frozenset({4})
    truths: dict[tuple[str, int], int] = field(default_factory=dict)

    def draw(self, step, cursor, num_prompts):
        numbers = range(cursor // 3, -(-(cursor + num_prompts) // 3))
        return [self._ask(number) for number in numbers], cursor + num_prompts

    def held_out(self, num_prompts):
        return []

    def judge(self, asked, cut, samples):
        truth = asked.questions[cut].truth_ids[0]
        found = [float((sample.token_ids[0] - truth) % 2 == 0) for sample in samples]
        return [
            Verdict(score, "correct" if score else "wrong", 0, len(sample.token_ids))
            for score, sample in zip(found, samples, strict=True)
        ]

    def _ask(self, number):
        ids = self.texts[number % len(self.texts)]
        places = np.random.default_rng(number).choice(np.arange(1, len(ids)), 3, replace=False)
        cuts = tuple(Cut(int(place), (2, 3)) for place in sorted(places))
        trunk = Trunk(f"text-{number}", (5,), ids, cuts)
        asked = (Question(trunk.key, c.position, "", (ids[c.position],)) for c in cuts)
        return Asked(trunk, tuple(asked))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    save_tiny_model(folder)
    return folder


def make(start, layout):
    policy = load_policy(start)
    texts = [tuple(policy.codec.encode(document.text)[:120]) for document in documents(10, 12)]
    backend = TorchBackend(policy, WORLD.optimiser, STEPS)
    return Trainer(WORLD, policy, TorchEngine(policy), NextByte(texts), backend, layout)


def test_every_layout_learns_the_same_from_the_same_answers(start):
    trainers = {layout: make(start, layout) for layout in ("two-pass", "packed", "rows")}
    first = {name: p.detach().clone() for name, p in trainers["rows"].policy.model.named_parameters()}
    progress = dict.fromkeys(trainers, Progress())
    for _ in range(STEPS):
        batch = collect(trainers["two-pass"], progress["two-pass"], Clock())
        losses = {}
        for layout, trainer in trainers.items():
            progress[layout], metrics = step(trainer, progress[layout], batch)
            losses[layout] = [metrics[name] for name in ("loss", "policy_loss", "ntp_loss", "grad_norm")]
        assert losses["two-pass"] == pytest.approx(losses["rows"], rel=1e-4, abs=1e-6)
        assert losses["packed"] == pytest.approx(losses["rows"], rel=1e-4, abs=1e-6)
    oracle = {name: p.detach() for name, p in trainers["rows"].policy.model.named_parameters()}
    for layout in ("two-pass", "packed"):
        for name, ours in trainers[layout].policy.model.named_parameters():
            moved = float((oracle[name] - first[name]).norm())
            assert float((ours.detach() - oracle[name]).norm()) < 1e-2 * moved, (layout, name)
            torch.testing.assert_close(ours.detach(), oracle[name], rtol=0, atol=1e-4)
    assert progress["rows"].used > STEPS
