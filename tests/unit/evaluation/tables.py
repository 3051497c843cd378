"""Evaluations with planted truth: folders as the stage writes them, without any model.

In the rows a score, a right answer and a right first token are three things: some right answers score less
than 1, and some wrong ones begin with the right token, so that code that takes one for another is noticed.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.artifacts.recipe import Ref
from rpt_core.evaluation.benchmarks.next_token import NextTokens
from rpt_core.evaluation.benchmarks.problems import Problems
from rpt_core.evaluation.checkpoints import Checkpoint
from rpt_core.evaluation.forms import summarise
from rpt_core.evaluation.items import FINAL, ItemRow, as_table, tier_of, write_items
from rpt_core.recipes.evaluation import EvaluationRecipe

SAMPLES = 8
NOWHERE = Ref(ref="x@1")
RECIPE = EvaluationRecipe(corpus=NOWHERE, difficulty=NOWHERE, model=NOWHERE, samples=SAMPLES)


class Planted:
    """Held-out places whose chances depend on the document, the tier and what the model is given."""

    def __init__(self, num_documents: int = 60, per_document: int = 5, seed: int = 0, spread: float = 0.08):
        rng = np.random.default_rng([seed, 99])
        self.entropies = rng.uniform(0.5, 2.5, (num_documents, per_document)).astype(np.float32)
        self.lean = rng.normal(0, spread, num_documents)
        self.num_documents, self.per_document = num_documents, per_document

    def answers(
        self,
        mode: str,
        *,
        thinking: float,
        right_thinking: float,
        right_direct: float,
        seed: int,
        checkpoint: Checkpoint | None = None,
        samples: int = SAMPLES,
    ) -> list[ItemRow]:
        """Rows of one mode; harder tiers are right a little less often."""
        rng = np.random.default_rng(
            [seed, len(mode), checkpoint.step if checkpoint and checkpoint.step else 0]
        )
        rows = []
        for document in range(self.num_documents):
            for place in range(self.per_document):
                nats = float(self.entropies[document, place])
                for sample in range(samples):
                    thinks = bool(rng.random() < thinking)
                    chance = (right_thinking if thinks else right_direct) + self.lean[document]
                    right = bool(rng.random() < chance - 0.08 * (nats - 1.5))
                    verdict = "correct" if right else "truncated" if rng.random() < 0.03 else "wrong"
                    rows.append(_row(mode, document, place, nats, sample, verdict, thinks, checkpoint))
        return rows


def _row(mode, document, place, nats, sample, verdict, thinks, checkpoint) -> ItemRow:
    is_place = mode != "problems"
    shown = checkpoint is None
    truth = f" {document % 12 + 1}"
    name = f"doc{document:03d}"
    is_right = verdict == "correct"
    is_odd = (document + place + sample) % 4 == 0
    return ItemRow(
        checkpoint=FINAL if shown else checkpoint.name,
        step=None if shown else checkpoint.step,
        gflops=None if shown else checkpoint.gflops,
        mode=mode,
        item_id=f"{name}:{place * 11 + 7}" if is_place else f"{name}.{place}",
        doc_id=name if is_place else f"{name}.{place}",
        position=place * 11 + 7 if is_place else None,
        entropy_nats=nats if is_place else None,
        tier=tier_of(nats, RECIPE.tiers_nats) if is_place else "",
        sample=sample,
        verdict=verdict,
        score=is_right * (0.95 if is_odd else 1.0),
        thinks=thinks,
        thought_tokens=12 if thinks else 0,
        answer_tokens=17 if thinks else 5,
        first_token=is_right or is_odd if is_place else None,
        prediction="" if verdict == "truncated" else truth if is_right else " 12",
        truth=truth,
        tail=f"The old clock shows {document % 12}. The hand moves 3 on. It shows"
        if shown and not sample
        else None,
        thought=None if not shown else " 3, 1 back 2, probably 10" if thinks else "",
    )


BEFORE = {"thinking": 0.3, "right_thinking": 0.8, "right_direct": 0.2}
AFTER = {"thinking": 0.98, "right_thinking": 0.86, "right_direct": 0.2}


def write_evaluation(
    folder: Path, model: Mapping[str, float], *, seed: int = 0, milestones: Mapping[int, float] | None = None,
    planted: Planted | None = None, problems: float = 0.3, manifest: bool = True,
) -> Path:  # fmt: skip
    """An evaluation's folder.

    Args:
        folder: Made here.
        model: Shares and chances, as of :data:`BEFORE`.
        seed: Of the answers.
        milestones: Step -> share that thinks; compute is a tenth of a GFLOP a step.
        planted: The questions.
        problems: Chance of a right answer to a problem.
        manifest: Whether the folder says which artifact it is.
    """
    folder.mkdir(parents=True)
    questions = planted or Planted()
    forced = {**model, "thinking": 1.0}
    plain = {"thinking": 0.0, "right_thinking": 0.0, "right_direct": model["right_direct"]}
    solved = {"thinking": model["thinking"], "right_thinking": problems, "right_direct": problems}
    rows = [
        questions.answers("plain", **plain, seed=seed, samples=1),
        questions.answers("plain-instructed", **plain, seed=seed + 1, samples=1),
        questions.answers("reasoning", **model, seed=seed),
        questions.answers("forced", **forced, seed=seed),
        Planted(20, 2).answers("problems", **solved, seed=seed),
    ]
    checkpoints = [Checkpoint(f"{step:06d}", folder, step, step / 10) for step in milestones or {}]
    for checkpoint in checkpoints:
        chances = {**model, "thinking": milestones[checkpoint.step]}
        rows.append(questions.answers("reasoning", **chances, seed=seed, checkpoint=checkpoint))
    table = write_items([as_table(some) for some in rows], folder)
    asked = questions.num_documents * questions.per_document
    balance = RowCounts(rows_in=asked + 100, kept=asked, dropped={"below-the-floor": 100})
    text = NextTokens([], balance, None, None, RECIPE.tiers_nats, {}, {})  # nobody draws or grades
    solved = Problems([], RowCounts(rows_in=40, kept=40), None, None)
    benchmarks = dict.fromkeys(("plain", "plain-instructed", "reasoning", "forced"), text)
    scores = summarise(RECIPE, table, checkpoints, {**benchmarks, "problems": solved}, {})
    (folder / "scores.json").write_text(json.dumps(scores))
    if manifest:
        (folder / "manifest.json").write_text(json.dumps(manifest_of("evaluation", folder.name)))
    return folder


def manifest_of(kind: str, name: str, **outcome) -> dict:
    """A manifest in JSON form, with made-up addresses."""
    from hashlib import sha256

    from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome
    from rpt_core.artifacts.placement import Placement

    digest = sha256(name.encode()).hexdigest()
    return Manifest(
        kind=kind,
        fingerprint=digest,
        digest=digest[::-1],
        recipe={"stage": kind},
        placement=Placement(),
        parents={},
        files=(),
        outcome=Outcome(**outcome),
        code="0" * 64,
        environment={"python": "3.11"},
        created="2026-11-21T00:00:00+00:00",
        attempts=(Attempt(started="2026-11-21T00:00:00+00:00", seconds=12.5, outcome="done"),),
    ).model_dump(mode="json")
