"""Answers drawn one step ahead: the engine works on the next step while the policy learns from this one.

The next step's first answers are drawn under the weights before the update that goes on beside the draw, so
they are one update old when they are learnt from (one-step off-policy learning: Noukhovitch et al. 2024,
arXiv 2410.18252). What corrects an engine's probabilities corrects theirs: each token weighs
``min(p now / p when drawn, importance_cap)``. A step's further rounds are drawn under the present weights.

    engine      draw 1 | draw 2 (v0)       | draw 3 (v1)       |
    trainer            | update 1 (v0->v1) | update 2 (v1->v2) | ...

One draw is under way at most, and none outside of an update: the engine has one caller at any time. The
answers are part of every checkpoint, for the weights they were drawn under are gone.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.errors import RecipeError
from rpt_core.objectives.objective import Drawn, StatefulObjective
from rpt_core.policy.trunk import Sample
from rpt_core.train.backends.shares import on_every_rank
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import Batch
from rpt_core.train.rl.rollouts import as_asked, drawn_by, shares_of
from rpt_core.train.rl.state import DrawnAnswers, Progress, Trainer
from rpt_core.train.rl.step import step

AHEAD_FILE = "ahead.parquet"
SCHEMA = pa.schema(
    [
        ("document", pa.int32()),
        ("cut", pa.int32()),
        ("token_ids", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float64())),
        ("finish", pa.string()),
        ("version", pa.int32()),
    ]
)
"""One answer a row, in order; its metadata hold the number of documents, and what the draw took."""


def step_and_draw(
    trainer: Trainer, progress: Progress, batch: Batch, clock: Clock
) -> tuple[Progress, dict[str, float]]:
    """Take a step; meanwhile, where the recipe says so, the next one's first answers are drawn.

    Returns:
        As :func:`rpt_core.train.rl.step.step`, the answers with the progress.

    Raises:
        EngineError: as ``step``; or the draw failed on any rank. The step is then taken in the weights and
            its next answers are lost with the engine: a training resumes from its last checkpoint, where it
            has both or neither, and ends in the same bytes.
        StarvedError: as ``step``.
    """
    with _drawing(trainer, progress, batch) as coming:
        with clock.phase("update"):
            progress, metrics = step(trainer, progress, batch)
        with clock.phase("rollout"):
            return replace(progress, ahead=coming()), metrics


@contextmanager
def _drawing(
    trainer: Trainer, progress: Progress, batch: Batch
) -> Iterator[Callable[[], DrawnAnswers | None]]:
    """Draw beside the block, which does not touch the engine; what is yielded waits for all ranks' answers.

    Whatever ends the block, no draw is left under way. Where ``max_tokens`` ends the training, its last draw
    is thrown away, and counted nowhere.
    """
    number, recipe, backend = progress.step + 2, trainer.recipe, trainer.backend
    if not recipe.off_policy_steps or number > recipe.steps:
        yield lambda: None
        return
    asked, _ = trainer.objective.draw(number, batch.cursor, recipe.prompts_per_step)
    sampling = trainer.sampling_at(number)
    shares = shares_of(asked, sampling, backend.world_size)
    mine = [asked[index] for index in shares[backend.rank]]

    with ThreadPoolExecutor(1, "draw-ahead") as thread:
        own = thread.submit(drawn_by, trainer.engine, mine, sampling, number)

        def of_all_ranks() -> DrawnAnswers:
            parts = on_every_rank(own.result, backend)
            drawn = as_asked([part.drawn for part in parts], shares)
            return DrawnAnswers(drawn, sum(p.forwarded for p in parts), sum(p.flops for p in parts))

        try:
            yield of_all_ranks
        except BaseException:
            trainer.engine.close()  # nobody waits for the draw: it need not go on to its end
            raise


def refuse_followed(trainer: Trainer) -> None:
    """Refuse to draw ahead the questions of an objective that chooses them by the step before.

    Raises:
        RecipeError: names the objective.
    """
    if trainer.recipe.off_policy_steps and isinstance(trainer.objective, StatefulObjective):
        raise RecipeError(
            f"off_policy_steps={trainer.recipe.off_policy_steps} with objective {trainer.objective.name}: "
            "its questions follow the answers of the step before, which nobody has judged when they would "
            "be drawn ahead. Set off_policy_steps=0."
        )


def save_ahead(folder: Path, ahead: DrawnAnswers | None) -> None:
    """Keep answers drawn ahead with a checkpoint; without any there is no file."""
    if ahead is None:
        return
    rows = [
        {
            "document": document,
            "cut": cut,
            "token_ids": sample.token_ids,
            "logprobs": sample.logprobs,
            "finish": sample.finish,
            "version": sample.version,
        }
        for document, of_document in enumerate(ahead.drawn)
        for cut, samples in enumerate(of_document)
        for sample in samples
    ]
    took = {"documents": str(len(ahead.drawn)), "forwarded": str(ahead.forwarded), "flops": ahead.flops.hex()}
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA.with_metadata(took)), folder / AHEAD_FILE)


def saved_ahead(folder: Path) -> DrawnAnswers | None:
    """What :func:`save_ahead` kept, to the last bit."""
    path = folder / AHEAD_FILE
    if not path.exists():
        return None
    table = pq.read_table(path)
    took = table.schema.metadata
    drawn: list[list[list[Sample]]] = [[] for _ in range(int(took[b"documents"]))]
    for row in table.to_pylist():
        of_document = drawn[row["document"]]
        if row["cut"] == len(of_document):
            of_document.append([])
        answer = tuple(row["token_ids"]), tuple(row["logprobs"])
        of_document[-1].append(Sample(*answer, row["finish"], row["version"]))
    found: Drawn = drawn
    return DrawnAnswers(found, int(took[b"forwarded"]), float.fromhex(took[b"flops"].decode()))
