"""RLPT as an objective: which segments of a corpus are asked about, and by whom answers are judged.

What both tasks are, ASR and MSR, is in ``question.py``, the rule of the reward in ``judge_prompt.py``. Here
they are mixed: of all questions ``msr_share = lambda / (1 + lambda)`` are MSR.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import StarvedError
from rpt_core.llm.endpoint import Service
from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_segment.judge import CachedJudge
from rpt_core.objectives.next_segment.judge_local import LocalJudge
from rpt_core.objectives.next_segment.judge_prompt import REPLY_TOKENS
from rpt_core.objectives.next_segment.judge_service import ServiceJudge
from rpt_core.objectives.next_segment.prompts import Task
from rpt_core.objectives.next_segment.question import AskedSegment, NextSegment, report
from rpt_core.objectives.next_segment.targets import Targets, TargetWindow
from rpt_core.objectives.objective import Asked, Drawn, Gather, Verdicts, by_itself, by_place
from rpt_core.objectives.rounds import Rounds
from rpt_core.policy.codec import Codec
from rpt_core.recipes.judge import JudgeFields
from rpt_core.recipes.reinforce import RlptRecipe


class SegmentObjective:
    """Questions about the segments of a corpus; what answers earn is a subclass's matter."""

    name = "rlpt"

    def __init__(
        self, recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec, asking: AskedSegment
    ) -> None:
        self._asking = asking
        window = asking.window_tokens(recipe.context_tokens)
        self._where = (inputs["corpus"], inputs.get("difficulty"), codec, recipe.objective, window)
        self.targets = Targets(*self._where, "train")
        self.balance = self.targets.balance
        """Training segments looked at, targets, and refused by reason."""
        if not self.targets.num:
            raise StarvedError(
                f"there is nothing to ask: {self.targets.why_none()}. Give longer texts, or lower "
                "min_before, min_chars or entropy_floor_nats."
            )
        self._per_document, self._share = recipe.cuts_per_document, recipe.objective.msr_share
        self._rounds = Rounds(
            self.targets.counts, recipe.cuts_per_document, recipe.seed, ranks=self.targets.ranks
        )
        self._held_out: Targets | None = None

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The next targets in a fixed random order without replacement; see :class:`Rounds`."""
        return self._pose(self.targets, self._rounds, cursor, num_prompts), cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Questions on held-out documents; the order is the same in every training, whatever its seed."""
        if self._held_out is None:
            self._held_out = Targets(*self._where, "eval")
        rounds = Rounds(self._held_out.counts, self._per_document, seed=0)
        return self._pose(self._held_out, rounds, 0, min(num_prompts, rounds.num))

    def _pose(self, targets: Targets, rounds: Rounds, cursor: int, num: int) -> list[Asked]:
        if num <= 0:
            return []
        tasks = iter(interleaved(cursor, num, self._share))
        chosen: dict[int, list[tuple[int, Task]]] = {}
        for owner, items in rounds.take(cursor, num):
            chosen.setdefault(owner, []).extend((int(item), next(tasks)) for item in items)
        return [self._asked(targets.read(owner), picked) for owner, picked in chosen.items()]

    def _asked(self, page: TargetWindow, picked: Sequence[tuple[int, Task]]) -> Asked:
        in_order = sorted(dict.fromkeys(picked))
        return self._asking.ask(page, [(page.targets[item], task) for item, task in in_order])


class Rlpt(SegmentObjective):
    """Next-segment reasoning whose predictions a judge compares with the text."""

    needs = Needs(judge=True)

    def __init__(
        self, recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec, judge: CachedJudge
    ) -> None:
        self.next_segment = NextSegment.of(recipe.objective, codec, judge)
        self.stop_ids = codec.end_ids
        super().__init__(recipe, inputs, codec, self.next_segment)

    @property
    def judge(self) -> CachedJudge:
        """The judge the recipe names."""
        return self.next_segment.judge

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """What the judge is to compare; an answer that needs no judge has no pair."""
        return Wanted(pairs=by_place(self.next_segment.pairs(asked, drawn), drawn))

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        """Verdicts by document, question and answer; without evidence the judge is asked here."""
        judged = evidence.judged if evidence else None
        return by_place(self.next_segment.verdicts(asked, drawn, judged), drawn)

    def report(self, gather: Gather = by_itself) -> tuple[dict[str, float], dict[str, float]]:
        """Counts of verdicts and guards, and timings of the judge, since the last report."""
        return report(self.next_segment, gather)


def interleaved(cursor: int, num: int, msr_share: float) -> list[Task]:
    """The task of each of ``num`` questions after ``cursor``: evenly mixed, a function of the number alone.

    Example:
        >>> interleaved(0, 6, 1 / 3)
        ['asr', 'asr', 'msr', 'asr', 'asr', 'msr']
        >>> interleaved(2, 2, 1 / 3), interleaved(0, 2, 0.0), interleaved(0, 2, 1.0)
        (['msr', 'asr'], ['asr', 'asr'], ['msr', 'msr'])
    """
    numbers: NDArray[np.float64] = np.floor(np.arange(cursor, cursor + num + 1) * msr_share + 1e-9)
    return ["msr" if step else "asr" for step in np.diff(numbers)]


def open_judge(recipe: JudgeFields, inputs: Mapping[str, Path]) -> CachedJudge:
    """The judge a recipe names: a model of the stage's inputs, or an endpoint."""
    if "judge" in inputs:
        local = LocalJudge.load(inputs["judge"], recipe.judge_reply_tokens)
        forgets = isinstance(recipe, RlptRecipe) and recipe.count_judge
        return CachedJudge(local, recipe.unread_share_max, forgets=forgets)
    tokens = recipe.judge_reply_tokens or REPLY_TOKENS
    service = Service(
        recipe.judge_url, recipe.judge_model, recipe.judge_deadline_seconds, reply_tokens=tokens
    )
    return CachedJudge(ServiceJudge(service), recipe.unread_share_max)
