"""An engine whose answers are written by a test, at the policy's own probabilities."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.trunk import Cut, Sample, Trunk

Script = Callable[[Trunk, Cut, int, int], tuple[int, ...]]
"""Trunk, cut, number of the answer and step: the answer's tokens, all of which end by themselves."""


@dataclass
class ScriptedEngine(TorchEngine):
    """Says what the script says; forwards, and counts, what scoring it takes."""

    script: Script | None = None

    @torch.no_grad()
    def generate(self, trunks, sampling, step):
        before = self.policy.work.flops
        answers = [
            [[self.script(trunk, cut, n, step) for n in range(sampling.group_size)] for cut in trunk.cuts]
            for trunk in trunks
        ]
        scores = branch_logprobs(
            self.policy, trunks, answers, "two-pass", sampling.temperature, with_document=False, as_drawn=True
        )
        left = iter(scores.logprobs_N.double().tolist())
        self.num_forwarded += scores.num_tokens
        self.flops += self.policy.work.flops - before
        return [
            [[Sample(ids, tuple(next(left) for _ in ids), "stop", self.version) for ids in of] for of in cuts]
            for cuts in answers
        ]
