"""Stage ``score-pass-rate``: how often a model solves each training problem, for a difficulty filter.

Writes ``pass_rates.parquet``, one row a problem. A run that was killed goes on from its last part of the
table and ends in the same bytes: an answer is a function of seed, problem and number alone.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import StarvedError, Stopped
from rpt_core.evaluation.benchmarks.suite.table import EvaluationProgress
from rpt_core.objectives.objective import Asked, Verdict, in_one_row
from rpt_core.objectives.problems.pass_rates import RATES_FILE, SCHEMA
from rpt_core.objectives.problems.question import Problem, Solve, read_problems
from rpt_core.policy.device import device_of
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import serving
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.reinforce import PassRateRecipe

ANSWERS_AT_ONCE, ANSWERS_ON_GPU = 256, 2048
"""Answers in one part of the table: of few, little is lost by a kill; many are drawn faster."""


@dataclass
class Solving:
    """A model, and how it solves problems."""

    policy: Policy
    engine: RolloutEngine
    solve: Solve
    sampling: Sampling

    @property
    def flops(self) -> float:
        """Operations since the model was loaded."""
        drawn = 0.0 if self.engine.shares_weights else self.engine.flops
        return self.policy.work.flops + drawn

    def rates(self, problems: Sequence[Problem]) -> pa.Table:
        """One row a problem, in order."""
        asked = [self.solve.ask(problem) for problem in problems]
        drawn = self.engine.generate([one.trunk for one in asked], self.sampling, 0)
        verdicts = self.solve.judge_all(in_one_row(asked, drawn))
        size = self.sampling.group_size
        rows = [_row(one, verdicts[place * size : (place + 1) * size]) for place, one in enumerate(asked)]
        return pa.Table.from_pylist(rows, schema=SCHEMA)


def score_pass_rate(recipe: PassRateRecipe, build: Build) -> Outcome:
    """Let a model answer every training problem several times, and count what is right.

    Reads ``corpus`` and ``model``.

    Raises:
        StarvedError: no training problem with an answer fits.
        Stopped: somebody asked it to; what was answered is kept.
    """
    solving = _opened(recipe, build)
    asked, balance = _asked(recipe, build, solving.solve)
    per_part = _per_part(recipe.samples, on_gpu=solving.policy.device.type != "cpu")
    parts = [asked[start : start + per_part] for start in range(0, len(asked), per_part)]
    saved = build.resume()
    progress, told = (
        EvaluationProgress.open(build.scratch / "parts", saved.folder if saved else None),
        time.monotonic(),
    )
    before = solving.flops - progress.flops
    forwarded = progress.tokens
    for number in range(progress.parts, len(parts)):
        progress.add(solving.rates(parts[number]))
        progress.flops, progress.tokens = solving.flops - before, forwarded + solving.engine.num_forwarded
        build.progress(number + 1, len(parts), f"{(number + 1) * per_part} of {len(asked)} problems")
        if build.stopping() or time.monotonic() - told > build.placement.checkpoint_seconds:
            progress.note()
            build.save(progress.parts, progress.folder)
            told = time.monotonic()
        if build.stopping() and number + 1 < len(parts):
            raise Stopped(f"stopped after {number + 1} of {len(parts)} parts; rerun to go on from there.")
    solving.engine.close()
    table = pa.concat_tables(progress.tables())
    pq.write_table(table, build.out / RATES_FILE, compression="zstd")
    summary = summary_of(table)
    build.log(0, summary)
    return Outcome(rows=balance, flops=progress.flops, tokens=progress.tokens, summary=dict(summary))


def summary_of(table: pa.Table) -> dict[str, float]:
    """Of all problems: how many there are, how often they are solved, how many always and never."""
    num, correct = table["samples"], table["correct"]
    return {
        "problems": float(len(table)),
        "pass_rate": pc.sum(correct).as_py() / pc.sum(num).as_py(),
        "never_solved": float(pc.sum(pc.equal(correct, 0)).as_py()),
        "always_solved": float(pc.sum(pc.equal(correct, num)).as_py()),
        "answer_tokens": pc.mean(table["mean_tokens"]).as_py(),
    }


def _opened(recipe: PassRateRecipe, build: Build) -> Solving:
    folder = inside(build.inputs["model"])
    policy = load_policy(folder, cast(Precision, build.numerics.dtype), device_of(build))
    with serving(build):
        engine = open_engine(build.numerics.engine, policy, folder)
    sampling = Sampling(
        temperature=recipe.temperature, max_new_tokens=recipe.reasoning_tokens,
        stop_ids=policy.codec.end_ids, group_size=recipe.samples, seed=recipe.seed,
    )  # fmt: skip
    return Solving(policy, engine, Solve.of(recipe.objective, policy.codec), sampling)


def _asked(recipe: PassRateRecipe, build: Build, solve: Solve) -> tuple[list[Problem], RowCounts]:
    """The problems asked, in an order drawn by seed, so that those of fewer are the first of more."""
    found = read_problems(build.inputs["corpus"], "train")
    kept = [problem for problem in found if solve.fits(problem, recipe.context_tokens)]
    if not kept:
        raise StarvedError(
            f"there is nothing to solve: {len(found)} training problems with an answer, none of which fits "
            f"into {recipe.context_tokens} tokens. Add a problem set to the corpus, or raise context_tokens."
        )
    asked = sorted(kept, key=partial(_place, recipe.seed))[: recipe.num_problems or len(kept)]
    dropped = Counter({"too-long": len(found) - len(kept), "not-drawn": len(kept) - len(asked)})
    return asked, RowCounts(rows_in=len(found), kept=len(asked), dropped=dict(+dropped))


def _per_part(samples: int, *, on_gpu: bool) -> int:
    return max(1, (ANSWERS_ON_GPU if on_gpu else ANSWERS_AT_ONCE) // samples)


def _place(seed: int, problem: Problem) -> str:
    return hashlib.sha256(f"{seed}/{problem.problem_id}".encode()).hexdigest()


def _row(asked: Asked, verdicts: Sequence[Verdict]) -> dict[str, str | int | float]:
    named = Counter(verdict.verdict for verdict in verdicts)
    return {
        "problem_id": asked.questions[0].document,
        "samples": len(verdicts),
        "correct": named["correct"],
        "truncated": named["truncated"],
        "unread": named["unparsed"] + named["timed out"],
        "mean_tokens": sum(verdict.answer_tokens for verdict in verdicts) / len(verdicts),
    }
