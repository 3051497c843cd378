"""Rollouts in process: every document's trunk prefilled once, all answers of many documents decoded together.

Letters: R answers being drawn, C cuts, V vocabulary, E hidden size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.errors import EngineError
from rpt_core.policy.engines.decoding import Decoding
from rpt_core.policy.engines.draws import BOUNDARY, cut_names, inverse_cdf, stream_keys, truncate, uniforms
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.graphs import Calls, CudaGraphs, Replays
from rpt_core.policy.head import chunks, product, without
from rpt_core.policy.layout import Bools, Ints
from rpt_core.policy.loading.replace import misfit, replace_weights, stored_weights
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sample, Sampling, Trunk

KEEP_SHARE, KEEP_SHARE_FIXED = 7 / 8, 1 / 2
"""Ended answers are taken out once fewer than this share of the rows goes on. Where steps are recorded,
taking rows out means recording anew."""
LOOK_EVERY = 16
"""Tokens between two looks at which answers have ended, where looking means waiting for the device."""
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
    steps: Literal["auto", "called", "recorded", "simulated"] = "auto"
    """How tokens follow one another: ``called`` one by one, ``recorded`` as CUDA graphs in fixed memory, or
    ``simulated``, which does in calls what is recorded, on any device. ``auto`` records on a GPU and calls
    elsewhere. Where recording fails, steps are called and :attr:`Replays.refused` says why."""
    version: int = 0
    shares_weights: bool = field(default=True, init=False)
    replayable: bool = field(default=True, init=False)
    num_draws: int = field(default=0, init=False)
    num_close_draws: int = field(default=0, init=False)
    num_forwarded: int = field(default=0, init=False)
    """Tokens that went through the model since the start: trunks, suffixes and answers."""
    flops: float = field(default=0.0, init=False)
    """Operations of drawing since the start, as :mod:`rpt_core.policy.work` counts them."""

    @cached_property
    def replays(self) -> Replays | None:
        """What records and replays steps; None where they are called one by one."""
        on_gpu = self.policy.device.type == "cuda"
        if self.steps == "called" or (self.steps == "auto" and not on_gpu):
            return None
        return Replays(Calls() if self.steps == "simulated" else CudaGraphs(), self.policy.work)

    @torch.no_grad()
    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        """``sampling.group_size`` answers at every cut, by trunk, cut and answer."""
        drawn: Drawn = [[] for _ in trunks]
        before = self.policy.work.flops
        with _drawing(self.policy):
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
        decoding = Decoding(self.policy, trunks, sampling.group_size, fixed=self.replays is not None)
        answers = _Answers(trunks, sampling, step)
        looks, share = (1, KEEP_SHARE) if self.replays is None else (LOOK_EVERY, KEEP_SHARE_FIXED)
        rows = _Rows(self.policy, decoding, answers, self.replays, looks)
        rows.draw_first()
        position, going_R = 0, answers.add(*rows.read(1)[0], 0)
        while going_R.any() and position + 1 < sampling.max_new_tokens:
            if going_R.sum() < share * len(going_R):
                decoding.keep(going_R)
                answers.keep(going_R)
                rows.keep(going_R)
            more = min(looks, sampling.max_new_tokens - position - 1)
            for _ in range(more):
                rows.draw_next()
            for tokens_R, logprobs_R in rows.read(more):
                position += 1
                going_R = answers.add(tokens_R, logprobs_R, position)
        if self.replays is not None:
            self.replays.forget()  # else a recorded step keeps its keys and values through the update
        self.num_forwarded += decoding.num_forwarded
        self.num_draws += rows.num_draws
        self.num_close_draws += int(rows.close)
        return answers.collect(trunks, self.version)


@contextmanager
def _drawing(policy: Policy) -> Iterator[None]:
    """Casts of the weights are kept meanwhile, and layers do not compute activations twice."""
    training = policy.model.training
    policy.model.eval()  # checkpointing reads a random state, which cannot be recorded; dropout was refused
    try:
        with policy.autocast():
            yield
    finally:
        policy.model.train(training)


class _Rows:
    """The device's side of a batch of answers: the tokens of the model's rows, one after another.

    Nothing of a token waits for the device: numbers, positions and the place to write to are tensors there,
    and what was drawn is read once for several tokens.
    """

    def __init__(
        self, policy: Policy, decoding: Decoding, answers: "_Answers", replays: Replays | None, looks: int
    ) -> None:
        self.policy, self.decoding, self.sampling, self.replays = policy, decoding, answers.sampling, replays
        hidden_CE = decoding.entry_CE
        self.head_VE = policy.output_weight.to(hidden_CE.dtype)  # cast once, not once a token
        self.hidden_RE = hidden_CE.repeat_interleave(answers.sampling.group_size, 0)
        self.keys_R = answers.keys.to(policy.device)
        self.tokens_R = torch.zeros_like(self.keys_R)
        self.position = self.keys_R.new_zeros(())
        """Of the token that was drawn last, in its answer."""
        self.place_1 = self.keys_R.new_zeros(1)
        """Of the next token among those that were not read yet."""
        self.num_drawn = self.num_draws = 0
        self.close = self.keys_R.new_zeros(())
        """Draws that lay near a boundary."""
        self._set_out(looks)

    def _set_out(self, looks: int) -> None:
        """Room for the tokens between two looks, and their log-probabilities, both exact in float64."""
        self.unread_2KR = self.head_VE.new_zeros((2, looks, len(self.tokens_R)), dtype=torch.float64)
        if self.replays is not None:
            self.replays.forget()

    def draw_first(self) -> None:
        """Draw from the states at the cuts."""
        self._draw(self.hidden_RE)
        self._count()

    def draw_next(self) -> None:
        """Append the tokens drawn last, and draw from the states after them."""
        left = min(self.decoding.room, self.sampling.max_new_tokens - self.num_drawn)
        if self.decoding.make_room() and self.replays is not None:
            self.replays.forget()
        if self.replays is None or self.num_drawn < len(self.sampling.forced_ids):
            self._step()
        else:
            self.replays.run(self._step, left)
        self.decoding.count()
        self._count()

    def read(self, count: int) -> list[tuple[Ints, NDArray[np.float32]]]:
        """The last ``count`` tokens of all rows, and their log-probabilities; waits for the device."""
        tokens_KR, logprobs_KR = self.unread_2KR[:, :count].cpu().numpy()
        self.place_1.zero_()
        return list(zip(tokens_KR.astype(np.int64), logprobs_KR.astype(np.float32), strict=True))

    def keep(self, going_R: Bools) -> None:
        """Follow the decoding's rows when some are taken out."""
        rows = torch.from_numpy(np.flatnonzero(going_R)).to(self.keys_R.device)
        self.keys_R, self.tokens_R = self.keys_R.index_select(0, rows), self.tokens_R.index_select(0, rows)
        self._set_out(self.unread_2KR.shape[1])

    def _count(self) -> None:
        """The part of a drawn token that a replay leaves out."""
        self.num_draws += len(self.tokens_R) if self.num_drawn >= len(self.sampling.forced_ids) else 0
        self.num_drawn += 1

    def _step(self) -> None:
        hidden_RE = self.decoding.advance(self.tokens_R, self.position)
        self.position.add_(1)
        self._draw(hidden_RE)

    def _draw(self, hidden_RE: Tensor) -> None:
        """Draw (or take, where forced) the rows' next tokens; chunked, so logits never take much memory."""
        self.policy.work.add_scores(len(hidden_RE))
        numbers_R, forced = uniforms(self.keys_R, self.position), self.sampling.forced_ids[self.num_drawn :]
        with torch.autocast(hidden_RE.device.type, enabled=False):
            found = [
                self._choose(hidden_RE[chunk], numbers_R[chunk], forced[:1])
                for chunk in chunks(len(hidden_RE), self.head_VE)
            ]
        tokens, logprobs = zip(*found, strict=True)
        self.tokens_R.copy_(torch.cat(tokens))
        drawn_2R = torch.stack([self.tokens_R.double(), torch.cat(logprobs).double()])
        self.unread_2KR.index_copy_(1, self.place_1, drawn_2R[:, None])
        self.place_1.add_(1)

    def _choose(self, hidden_JE: Tensor, numbers_J: Tensor, forced: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Tokens of some rows and their log-probabilities."""
        logits_JV = product(hidden_JE, self.head_VE.mT).div_(self.sampling.temperature)
        logits_JV = without(logits_JV, self.policy.unknown_ids)
        if self.sampling.top_k == 1 and not forced and (likeliest_J := _likeliest(logits_JV)) is not None:
            return likeliest_J, logits_JV.new_zeros(len(likeliest_J))
        logp_JV = truncate(logits_JV, self.sampling.top_k, self.sampling.top_p).log_softmax(1)
        if forced:
            tokens_J = torch.full_like(numbers_J, forced[0], dtype=torch.int64)
        else:
            tokens_J, distance_J = inverse_cdf(logp_JV.exp(), numbers_J)
            self.close.add_((distance_J < BOUNDARY).sum())
        return tokens_J, logp_JV.gather(1, tokens_J[:, None]).squeeze(1)


def _likeliest(logits_JV: Tensor) -> Tensor | None:
    """Each row's likeliest token on a CPU, without the passes that a draw takes; None where there are two.

    On a GPU always None: a step that is recorded cannot look at its numbers.
    """
    if logits_JV.is_cuda:
        return None
    most_J1, tokens_J1 = logits_JV.max(1, keepdim=True)
    is_alone = int((logits_JV == most_J1).sum()) == len(logits_JV)
    return tokens_J1.squeeze(1) if is_alone else None


class _Answers:
    """What has been drawn so far, and which rows go on."""

    def __init__(self, trunks: list[Trunk], sampling: Sampling, step: int) -> None:
        self.sampling = sampling
        names = [
            (trunk.key, cut, answer)
            for trunk in trunks
            for cut in cut_names(trunk)
            for answer in range(sampling.group_size)
        ]
        self.keys = stream_keys(sampling.seed, step, names)
        self.rows: Ints = np.arange(len(names))
        """Which answer each of the model's rows draws."""
        self.going: Bools = np.ones(len(names), bool)
        """Of each of the model's rows, whether its answer has not ended."""
        stops = [sampling.stops(cut) for trunk in trunks for cut in trunk.cuts]
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
        self.rows, self.going = self.rows[going_R], self.going[going_R]

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
