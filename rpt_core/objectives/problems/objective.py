"""RLVR as an objective: the problems of a corpus, each once an epoch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.objective import Asked, Drawn, Gather, Verdicts, by_itself, by_place, in_one_row
from rpt_core.objectives.problems.overlong import Overlong
from rpt_core.objectives.problems.pass_rates import BY_RATE, RateRange, Refusal, read_rates
from rpt_core.objectives.problems.question import Problem, Solve, read_problems
from rpt_core.objectives.rounds import Rounds
from rpt_core.policy.codec import Codec
from rpt_core.recipes.reinforce import RlvrRecipe


class Rlvr:
    """Problems with known answers."""

    name = "rlvr"
    needs = Needs()

    def __init__(self, recipe: RlvrRecipe, inputs: Mapping[str, Path], codec: Codec) -> None:
        self.solve = Solve.of(recipe.objective, codec)
        self.stop_ids = codec.end_ids
        self._corpus, self._context = inputs["corpus"], recipe.context_tokens
        self._overlong = Overlong(recipe.reasoning_tokens, recipe.overlong_tokens, recipe.overlong_penalty)
        refusal = None
        if "pass_rates" in inputs:
            rates = read_rates(inputs["pass_rates"])
            refusal = RateRange(rates, recipe.pass_rate_min, recipe.pass_rate_max)
        self._problems, self.balance = self._fitting("train", refusal)
        if not self._problems:
            raise StarvedError(_nothing_left(self.balance, self._context))
        self._rounds = Rounds(np.ones(len(self._problems), np.int32), 1, recipe.seed)

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The next problems in a fixed random order; every epoch uses each once."""
        return self._pose(self._problems, self._rounds, cursor, num_prompts), cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Held-out problems; the same ones in every training, whatever its seed."""
        problems, _ = self._fitting("eval")
        rounds = Rounds(np.ones(len(problems), np.int32), 1, seed=0)
        return self._pose(problems, rounds, 0, min(num_prompts, len(problems)))

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """Nothing: the known answer is enough."""
        return Wanted()

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        """Verdicts by document, question and answer: what has to be computed is computed together."""
        judged = self.solve.judge_all(in_one_row(asked, drawn))
        return by_place((self._overlong.punished(one) for one in judged), drawn)

    def report(self, gather: Gather = by_itself) -> tuple[dict[str, float], dict[str, float]]:
        """How answers were graded since the last report; there is nothing to time."""
        found = gather(self.solve.report())
        names = sorted({name for one in found for name in one})
        return {name: sum(one.get(name, 0.0) for one in found) for name in names}, {}

    def _fitting(self, split: str, refusal: Refusal | None = None) -> tuple[list[Problem], RowCounts]:
        kept, dropped = list[Problem](), Counter[str]()
        found = read_problems(self._corpus, split)
        for problem in found:
            reason = "" if self.solve.fits(problem, self._context) else "too-long"
            if reason := reason or (refusal(problem) if refusal else ""):
                dropped[reason] += 1
            else:
                kept.append(problem)
        return kept, RowCounts(rows_in=len(found), kept=len(kept), dropped=dict(sorted(dropped.items())))

    def _pose(self, problems: list[Problem], rounds: Rounds, cursor: int, num: int) -> list[Asked]:
        owners = dict.fromkeys(owner for owner, _ in rounds.take(cursor, num))
        return [self.solve.ask(problems[owner]) for owner in owners]


def _nothing_left(balance: RowCounts, context_tokens: int) -> str:
    long, *rates = (balance.dropped.get(name, 0) for name in ("too-long", *BY_RATE))
    found = (
        f"there is nothing to solve: {balance.rows_in} training problems with an answer, of which {long} do "
        f"not fit into {context_tokens} tokens"
    )
    if any(rates):
        told = ", ".join(f"{num} are {name}" for num, name in zip(rates, BY_RATE, strict=True))
        return f"{found}, and by their pass rates {told}. Widen pass_rate_min and pass_rate_max."
    return f"{found}. Add a problem set to the corpus, or raise context_tokens."


def open_objective(recipe: RlvrRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rlvr:
    """The objective of a fine-tuning recipe, over the folders of its inputs.

    Raises:
        StarvedError: no training problem with an answer fits.
    """
    return Rlvr(recipe, inputs, codec)
