"""Stage ``score-quality``: a language model's points for every document, kept as a table.

Documents are scored some at a time, always the same ones together, and what is scored is saved: a run that
was killed resumes after its last checkpoint and asks again only about what came later. With a model held
here the table is the same under the same numerics, whether or not a run was interrupted. A service may
answer otherwise another time; its scores are what it said, and a corpus is prepared from this table.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.corpus.clean.cleaning import normalise
from rpt_core.corpus.clean.scores import SCORES, SCORES_FILE
from rpt_core.corpus.tables import read_rows
from rpt_core.errors import Stopped
from rpt_core.llm.endpoint import Service
from rpt_core.policy.device import device_of
from rpt_core.policy.engines.serving import serving
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.quality.rubric import RUBRIC_VERSION
from rpt_core.quality.scorers import CachedScorer, LocalScorer, ServiceScorer
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.given import GivenModel

DOCUMENTS_AT_ONCE = 128
"""Scored together, and a row group of the table."""
STATE_FILE = "state.json"


@dataclass
class QualityProgress:
    """What has been scored so far; all of it goes into a checkpoint."""

    parts: int = 0
    documents: int = 0
    asked: int = 0
    unread: int = 0
    states: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Some more documents."""
        self.parts += 1
        self.documents += len(rows)
        self.states = dict(Counter(self.states) + Counter(row["state"] for row in rows))
        read = (f"{row['score']:g}" for row in rows if row["score"] is not None)
        self.points = dict(Counter(self.points) + Counter(read))


def score_quality(recipe: QualityRecipe, build: Build) -> Outcome:
    """Write ``scores.parquet``: points and what became of the reply, for every document in its order.

    Raises:
        RecipeError: the model cannot be read, or the endpoint refuses to be asked.
        JudgeError: the endpoint stayed away; rerun to resume.
        VerdictError: too many replies held no score.
        Stopped: somebody asked the stage to stop; what was scored is saved.
    """
    with serving(build):
        scorer = open_scorer(recipe, build)
    try:
        return score_documents(recipe, build, scorer)
    finally:
        scorer.close()


def open_scorer(recipe: QualityRecipe, build: Build) -> CachedScorer:
    """The scorer a recipe names: a model of the stage's inputs, a given one, or an endpoint."""
    if recipe.model is None:
        service = Service(
            recipe.scorer_url, recipe.scorer_model, recipe.deadline_seconds, reply_tokens=recipe.reply_tokens,
            role="scorer",
        )  # fmt: skip
        return CachedScorer(ServiceScorer(service), recipe.unread_share_max)
    given = recipe.model if isinstance(recipe.model, GivenModel) else None
    policy = load_policy(
        given.name if given else inside(build.inputs["model"]),
        cast(Precision, build.numerics.dtype),
        device_of(build),
        revision=given.hub_revision if given else "main",
    )
    scorer = LocalScorer(policy, recipe.reply_tokens, build.numerics.engine)
    return CachedScorer(scorer, recipe.unread_share_max)


def score_documents(recipe: QualityRecipe, build: Build, scorer: CachedScorer) -> Outcome:
    """The stage, once it has a scorer."""
    path = build.inputs["documents"] / "documents.parquet"
    total = pq.read_metadata(path).num_rows
    parts = build.scratch / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    tally = _resume(build, parts, scorer)
    saved = time.monotonic()
    for batch in _batches(path, tally.documents):
        texts = [normalise(row["text"])[: recipe.read_chars] for row in batch]
        try:
            scores = scorer.score(texts)
        except Exception:
            _save(build, parts, tally)  # whatever happened to these texts, those before them are scored
            raise
        rows = [
            {"doc_id": row["doc_id"], "score": score.points, "state": score.state, "reply": score.reply}
            for row, score in zip(batch, scores, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), parts / f"{tally.parts:06d}.parquet")
        tally.add(rows)
        tally.asked, tally.unread = scorer.asked, scorer.unread
        build.progress(tally.documents, total, f"{tally.states.get('read', 0)} scored")
        if build.stopping() or time.monotonic() - saved > build.placement.checkpoint_seconds:
            _save(build, parts, tally)
            saved = time.monotonic()
        if build.stopping():
            raise Stopped(f"stopped after {tally.documents} documents; rerun to resume.")
    with pq.ParquetWriter(build.out / SCORES_FILE, SCORES, compression="zstd") as writer:
        for number in range(tally.parts):
            writer.write_table(pq.read_table(parts / f"{number:06d}.parquet"))
    return _outcome(tally, scorer)


def _outcome(tally: QualityProgress, scorer: CachedScorer) -> Outcome:
    read = tally.states.get("read", 0)
    lost = {state.replace(" ", "-"): num for state, num in sorted(tally.states.items()) if state != "read"}
    mean = sum(float(points) * num for points, num in tally.points.items()) / read if read else None
    return Outcome(
        rows=RowCounts(rows_in=tally.documents, kept=read, dropped=lost),
        summary={
            "scorer": scorer.scorer.name,
            "rubric": RUBRIC_VERSION,
            "mean_points": mean,
            **{f"documents_with_{points}": num for points, num in sorted(tally.points.items())},
        },
    )


def _batches(path: Path, skip: int) -> Iterator[list[dict[str, Any]]]:
    rows = islice(read_rows(path, ["doc_id", "text"]), skip, None)
    while batch := list(islice(rows, DOCUMENTS_AT_ONCE)):
        yield batch


def _save(build: Build, parts: Path, tally: QualityProgress) -> None:
    if tally.parts:
        (parts / STATE_FILE).write_text(json.dumps(asdict(tally)))
        build.save(tally.parts, parts)


def _resume(build: Build, parts: Path, scorer: CachedScorer) -> QualityProgress:
    saved = build.resume()
    if saved is None:
        return QualityProgress()
    shutil.copytree(saved.folder, parts, dirs_exist_ok=True)
    tally = QualityProgress(**json.loads((parts / STATE_FILE).read_text()))
    scorer.asked, scorer.unread = tally.asked, tally.unread
    return tally
