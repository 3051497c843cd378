"""Rollouts in process: every document's trunk prefilled once, all answers of many documents decoded together.

Letters: R answers being drawn, C cuts, V vocabulary, E hidden size.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.errors import EngineError
from rpt_core.policy.engines.decoding import Decoding
from rpt_core.policy.engines.draws import BOUNDARY, inverse_cdf, stream_keys, truncate, uniforms
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.head import chunks, product, without
from rpt_core.policy.layout import Bools, Ints
from rpt_core.policy.loading.replace import misfit, replace_weights, stored_weights
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sample, Sampling, Trunk

KEEP_SHARE = 7 / 8
"""Ended answers are taken out once fewer than this share of the rows goes on."""
PADDED_MAX = 2.0
"""Most a batch's attention over trunks may cost beside its real part: rows x keys, padding included."""
PADDED_FREE = 1 << 20
"""Rows x keys up to which padding costs less than another batch."""


@dataclass
class TorchEngine:
    """Draws answers with the module it is given; where that is the trainer's own, weights never travel.

    Tokens do not depend on the batch except where a draw lies within 1e-5 of a boundary of the
    cumulative distribution; ``num_close_draws`` counts those.
    """

    policy: Policy
    answers_per_batch: int = 4096
    """Most answers decoded at once."""
    version: int = 0
    shares_weights: bool = field(default=True, init=False)
    replayable: bool = field(default=True, init=False)
    num_draws: int = field(default=0, init=False)
    num_close_draws: int = field(default=0, init=False)
    num_forwarded: int = field(default=0, init=False)
    """Tokens that went through the model since the start: trunks, suffixes and answers."""
    flops: float = field(default=0.0, init=False)
    """Operations of drawing since the start, as :mod:`rpt_core.policy.work` counts them."""

    @torch.no_grad()
    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        """``sampling.group_size`` answers at every cut, by trunk, cut and answer."""
        drawn: Drawn = [[] for _ in trunks]
        before = self.policy.work.flops
        for indices in self._batches(trunks, sampling.group_size):
            answers = self._draw([trunks[index] for index in indices], sampling, step)
            for index, of_trunk in zip(indices, answers, strict=True):
                drawn[index] = of_trunk
        self.flops += self.policy.work.flops - before
        return drawn

    def load_weights(self, path: Path, version: int) -> None:
        """Read the parameters of a Hugging Face folder into the module; nothing is cached between draws.

        Raises:
            EngineError: the folder's parameters are not this model's.
        """
        stored = stored_weights(path)
        if wrong := misfit(self.policy, stored):
            raise EngineError(
                f"the weights in {path} do not fit the model being served: {wrong}. Load weights of the same "
                "architecture."
            )
        replace_weights(self.policy, stored)
        self.version = version

    def close(self) -> None:
        """Nothing is held beyond the policy."""

    def _batches(self, trunks: list[Trunk], group_size: int) -> Iterator[list[int]]:
        """Indices of trunks of similar size: attention pads each trunk of a batch to its largest."""
        rows = [len(trunk.cuts) * group_size for trunk in trunks]
        keys = [len(trunk.token_ids) for trunk in trunks]
        some: list[int] = []
        answers = real = longest = 0
        for index in sorted(filter(rows.__getitem__, range(len(trunks))), key=lambda i: (rows[i], keys[i])):
            more = rows[index] * keys[index]
            padded = (len(some) + 1) * rows[index] * max(longest, keys[index])
            wasteful = padded > max(PADDED_MAX * (real + more), PADDED_FREE)
            if some and (answers + rows[index] > self.answers_per_batch or wasteful):
                yield some
                some, answers, real, longest = [], 0, 0, 0
            some.append(index)
            answers, real, longest = answers + rows[index], real + more, max(longest, keys[index])
        if some:
            yield some

    def _draw(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        decoding = Decoding(self.policy, trunks, sampling.group_size)
        answers = _Answers(trunks, sampling, step)
        hidden_RE = decoding.entry_CE.repeat_interleave(sampling.group_size, 0)
        for position in range(sampling.max_new_tokens):
            tokens_R, logprobs_R = self._next(hidden_RE, answers, position)
            going_R = answers.add(tokens_R.cpu().numpy(), logprobs_R.cpu().numpy(), position)
            if not going_R.any() or position + 1 == sampling.max_new_tokens:
                break
            if going_R.sum() < KEEP_SHARE * len(going_R):
                decoding.keep(going_R)
                answers.keep(going_R)
                tokens_R = tokens_R[torch.from_numpy(going_R).to(tokens_R.device)]
            hidden_RE = decoding.advance(tokens_R, position)
        self.num_forwarded += decoding.num_forwarded
        return answers.collect(trunks, self.version)

    def _next(self, hidden_RE: Tensor, answers: "_Answers", position: int) -> tuple[Tensor, Tensor]:
        """Draw (or take, where forced) the rows' next tokens; chunked, so logits never take much memory."""
        weight_VE, sampling = self.policy.output_weight, answers.sampling
        self.policy.work.add_scores(len(hidden_RE))
        numbers_R = torch.from_numpy(uniforms(answers.keys, position)).to(hidden_RE.device)
        found: list[tuple[Tensor, Tensor]] = []
        for chunk in chunks(len(hidden_RE), weight_VE):
            logits_RV = product(hidden_RE[chunk], weight_VE.mT).div_(sampling.temperature)
            logits_RV = without(logits_RV, self.policy.unknown_ids)
            logp_RV = truncate(logits_RV, sampling.top_k, sampling.top_p).log_softmax(1)  # R: of the chunk
            if position < len(sampling.forced_ids):
                tokens_R = torch.full_like(numbers_R[chunk], sampling.forced_ids[position], dtype=torch.int64)
            else:
                tokens_R, distance_R = inverse_cdf(logp_RV.exp(), numbers_R[chunk])
                self.num_draws += len(tokens_R)
                self.num_close_draws += int((distance_R < BOUNDARY).sum())
            found.append((tokens_R, logp_RV.gather(1, tokens_R[:, None]).squeeze(1)))
        tokens, logprobs = zip(*found, strict=True)
        return torch.cat(tokens), torch.cat(logprobs)


class _Answers:
    """What has been drawn so far, and which rows go on."""

    def __init__(self, trunks: list[Trunk], sampling: Sampling, step: int) -> None:
        self.sampling = sampling
        names = [
            (trunk.key, cut, answer)
            for trunk in trunks
            for cut in _cut_names(trunk)
            for answer in range(sampling.group_size)
        ]
        self.keys = stream_keys(sampling.seed, step, names)
        self.rows: Ints = np.arange(len(names))
        """Which answer each of the model's rows draws."""
        self.going: Bools = np.ones(len(names), bool)
        """Of each of the model's rows, whether its answer has not ended."""
        stops = [
            sampling.stop_ids if cut.stop_ids is None else cut.stop_ids
            for trunk in trunks
            for cut in trunk.cuts
        ]
        distinct = list(dict.fromkeys(stops))
        self.stop_sets = [np.array(sorted(ids), np.int64) for ids in distinct]
        numbers = np.array([distinct.index(ids) for ids in stops], np.int64)
        self.stop_set: Ints = np.repeat(numbers, sampling.group_size)
        """By answer: which of the stop sets ends it."""
        self.stopped: Bools = np.zeros(len(names), bool)
        self.steps: list[tuple[Ints, Ints, NDArray[np.float32]]] = []

    def add(self, tokens_R: Ints, logprobs_R: NDArray[np.float32], position: int) -> Bools:
        """Record the rows' tokens; which rows go on."""
        rows = self.rows[self.going]
        self.steps.append((rows, tokens_R[self.going], logprobs_R[self.going]))
        ends_R = self._stops(tokens_R) & (position >= len(self.sampling.forced_ids))
        self.stopped[self.rows[self.going & ends_R]] = True
        self.going = self.going & ~ends_R
        return self.going

    def _stops(self, tokens_R: Ints) -> Bools:
        """Whether each of the model's rows drew a token that ends its answer."""
        ends_R: Bools = np.zeros(len(tokens_R), bool)
        for number, stops in enumerate(self.stop_sets):
            ends_R |= (self.stop_set[self.rows] == number) & np.isin(tokens_R, stops)
        return ends_R

    def keep(self, going_R: Bools) -> None:
        """Follow the model's rows when some are taken out."""
        self.keys, self.rows, self.going = self.keys[going_R], self.rows[going_R], self.going[going_R]

    def collect(self, trunks: list[Trunk], version: int) -> Drawn:
        """Samples by trunk, cut and answer, of weights of that version."""
        rows, tokens, logprobs = (np.concatenate(column) for column in zip(*self.steps, strict=True))  # (N,)
        order = np.argsort(rows, kind="stable")  # by answer; positions stay in order
        ends = np.cumsum(np.bincount(rows, minlength=len(self.stopped)))[:-1]
        pieces = zip(
            np.split(tokens[order], ends), np.split(logprobs[order], ends), self.stopped, strict=True
        )
        samples = (
            Sample(tuple(ids.tolist()), tuple(logp.tolist()), "stop" if stopped else "length", version)
            for ids, logp, stopped in pieces
        )
        return [[[next(samples) for _ in range(self.sampling.group_size)] for _ in t.cuts] for t in trunks]


def _cut_names(trunk: Trunk) -> list[str]:
    """Cuts by position, so that a stream does not depend on which other cuts are asked beside it."""
    seen: Counter[int] = Counter()
    names = []
    for cut in trunk.cuts:
        names.append(f"{cut.position}.{seen[cut.position]}")
        seen[cut.position] += 1
    return names
