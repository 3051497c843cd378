"""Stage ``gather-outcomes``: all that a study keeps of one arm under one seed, from what was made for it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rpt_core.artifacts.build import GIGA, METRICS_FILE, Build
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import FINAL, PLAIN, REASONING, TEXT_NATS, read_items
from rpt_core.evaluation.kept.arm import SHARED, Answers, ArmOutcomes, Questions, Shown, plug_in_entropy
from rpt_core.evaluation.kept.course import Course
from rpt_core.evaluation.kept.file import question_digest
from rpt_core.evaluation.kept.judged import JudgedAnswers, Reached, fooled_over
from rpt_core.evaluation.kept.measures import Marked, measure_of, mode_of
from rpt_core.evaluation.scores import rows_of
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.report.outcomes.gather_course import gather_course
from rpt_core.report.outcomes.take import kept
from rpt_core.report.sources import SourceArtifact, judge_flops, lineage, proxy_of, source_of

SHARES = {"cold-start": "supervised", "rlvr": "verifiable rewards"}
"""What a training's operations are called, by kind of artifact; any other, ``training``."""
TRAINING, PROXY, JUDGE, PASS_RATES = "training", "proxy", "judge", "pass rates"


def gather_outcomes(recipe: OutcomesRecipe, build: Build) -> Outcome:
    """Write ``outcomes.json.xz`` (:mod:`rpt_core.evaluation.kept.file`).

    Raises:
        RecipeError: the evaluation asked nothing in the mode that is kept, or not every question equally
            often.
    """
    items = read_items(build.inputs["evaluation"])
    mode = mode_of(recipe.measure)
    sampled = rows_of(items, mode, FINAL)
    if not len(sampled):
        raise RecipeError(
            f"the evaluation of {recipe.arm} under seed {recipe.seed} has no answers in mode {mode!r}, "
            f"and a study keeps those. Evaluate with {mode!r} among the modes."
        )
    by_item = _by_item(sampled, recipe.arm)
    marked = measure_of(recipe.measure)(build.inputs["corpus"], sampled)
    training = source_of(build.inputs["training"], "policy") if recipe.training is not None else None
    steps = _steps(build.inputs["training"]) if training else 0
    found = ArmOutcomes(
        study=recipe.study,
        arm=recipe.arm,
        seed=recipe.seed,
        design=recipe.design,
        questions=_questions(sampled, marked, by_item),
        answers=_answers(sampled, marked, by_item),
        gflops=spent(build.inputs, training),
        steps=steps,
        tokens=training.manifest.outcome.tokens if training and training.manifest else 0,
        plain_I=_plain(items, by_item),
        text_nats=_text_nats(build.inputs["evaluation"]),
        at_updates=recipe.at_updates,
        updated_IS=_updated(items, by_item, recipe.at_updates),
        setting=recipe.setting,
        shown=tuple(_shown(sampled, by_item, recipe.shown)),
        course=_course(build.inputs, items, by_item, (steps, training)) if recipe.course else None,
        judged=None if marked.right is None else _judged(recipe, build, items, by_item, marked),
    )
    return kept(found, build.out)


@dataclass(frozen=True, slots=True)
class _ByItem:
    """Rows of a table by question and answer."""

    ids: tuple[str, ...]
    rows_IS: NDArray[np.int64]


def _by_item(table: pa.Table, arm: str) -> _ByItem:
    ids, index = np.unique(np.array(table["item_id"], dtype=str), return_inverse=True)
    order = np.lexsort((np.array(table["sample"]), index))
    counts = np.bincount(index)
    if counts.min() != counts.max():
        raise RecipeError(
            f"the evaluation of {arm} has {counts.min()} answers to one question and {counts.max()} to "
            "another, and a study compares equally many. Evaluate it again."
        )
    return _ByItem(tuple(ids.tolist()), order.reshape(len(ids), -1))


def _questions(table: pa.Table, marked: Marked, found: _ByItem) -> Questions:
    first_I = found.rows_IS[:, 0]
    documents = np.array(table["doc_id"], dtype=str)[first_I]
    names = {name: number for number, name in enumerate(dict.fromkeys(documents.tolist()))}
    return Questions(
        digest=question_digest(found.ids),
        rows_I=marked.rows[first_I],
        steps_I=marked.steps[first_I],
        kinds_I=marked.kinds[first_I],
        documents_I=np.array([names[name] for name in documents.tolist()], np.int64),
    )


def _answers(table: pa.Table, marked: Marked, found: _ByItem) -> Answers:
    right = (_right(table) if marked.right is None else marked.right)[found.rows_IS]
    thinks, tokens = np.array(table["thinks"], np.int64), np.array(table["thought_tokens"], np.int64)
    return Answers(
        right_IS=right,
        thinks_I=thinks[found.rows_IS].sum(axis=1),
        thought_tokens_I=tokens[found.rows_IS].sum(axis=1),
        verified_IS=None if marked.verified is None else right & marked.verified[found.rows_IS],
        hits_I=None if marked.hits is None else marked.hits[found.rows_IS].sum(axis=1),
        faults_IS=None if marked.faults is None else marked.faults[found.rows_IS],
        thought_nats_I=_entropies(table, found),
        checks_IS={name: values[found.rows_IS] for name, values in marked.checks.items()},
    )


def _shown(table: pa.Table, found: _ByItem, num: int) -> Iterator[Shown]:
    """The first answers to some questions: those whose ids have the lowest hashes, whatever was answered."""
    chosen = sorted(range(len(found.ids)), key=lambda at: hashlib.sha256(found.ids[at].encode()).digest())
    for question in chosen[:num]:
        row = table.slice(int(found.rows_IS[question, 0]), 1).to_pylist()[0]
        yield Shown(
            question, row["tail"] or "", row["truth"], row["thought"] or "", row["prediction"], row["verdict"]
        )


def _entropies(table: pa.Table, found: _ByItem) -> NDArray[np.float64]:
    """Entropy of the thoughts to each question; none counts as an empty one."""
    thoughts = [text or "" for text in table["thought"].to_pylist()]
    return np.array([plug_in_entropy([thoughts[row] for row in row_S]) for row_S in found.rows_IS.tolist()])


def _text_nats(evaluation: Path) -> float | None:
    """Of held-out text; None where the evaluation did not measure it."""
    value = json.loads((evaluation / "scores.json").read_text("utf-8")).get(TEXT_NATS)
    return None if value is None else float(value)


def _right(table: pa.Table) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.array(table["verdict"]) == "correct"
    return found


def _plain(items: pa.Table, wanted: _ByItem) -> NDArray[np.bool_] | None:
    """Right likeliest tokens at the same places; None where they were not asked."""
    table = rows_of(items, PLAIN, FINAL)
    right = dict(zip(table["item_id"].to_pylist(), _right(table).tolist(), strict=True))
    if not set(wanted.ids) <= set(right):
        return None
    return np.array([right[name] for name in wanted.ids], bool)


def _updated(items: pa.Table, wanted: _ByItem, step: int) -> NDArray[np.bool_] | None:
    """Right answers of the checkpoint of a step; None where the training ended before it."""
    table = rows_of(items, REASONING, f"{step:06d}")
    if not step or not len(table):
        return None
    return _right(table)[_same_items(table, wanted, f"{step:06d}").rows_IS]


def _same_items(table: pa.Table, wanted: _ByItem, checkpoint: str) -> _ByItem:
    """The rows of a checkpoint by the final model's questions."""
    found = _by_item(table, f"step {int(checkpoint)}")
    if found.ids != wanted.ids:
        raise RecipeError(
            f"the checkpoint of step {int(checkpoint)} was asked {len(found.ids)} questions and the final "
            f"model {len(wanted.ids)}, not the same ones. Evaluate again."
        )
    return found


def _judged(
    recipe: OutcomesRecipe, build: Build, items: pa.Table, wanted: _ByItem, marked: Marked
) -> JudgedAnswers:
    """What the judges said beside the truth, and the checkpoints of the training where the recipe asks."""
    final = rows_of(items, mode_of(recipe.measure), FINAL)
    record = _record(build.inputs["training"]) if recipe.training is not None else []
    return JudgedAnswers(
        accepted_IS=_right(final)[wanted.rows_IS],
        fooling_IS={share: of[wanted.rows_IS] for share, of in marked.fooling.items()},
        checkpoints=tuple(_checkpoints(recipe, build.inputs["corpus"], items, wanted, record)),
        fooled=fooled_over(record),
    )


def _checkpoints(
    recipe: OutcomesRecipe,
    corpus: Path,
    items: pa.Table,
    wanted: _ByItem,
    record: Sequence[Mapping[str, Any]],
) -> Iterator[Reached]:
    if not recipe.checkpoints:
        return
    tokens = {int(row["step"]): int(row["tokens_total"]) for row in record if "tokens_total" in row}
    for name in sorted(set(items["checkpoint"].to_pylist()) - {FINAL}):
        table = rows_of(items, mode_of(recipe.measure), name)
        found = _same_items(table, wanted, name)
        right = measure_of(recipe.measure)(corpus, table).right
        assert right is not None
        yield Reached(int(name), tokens[int(name)], right[found.rows_IS])


def _record(training: Path) -> list[dict[str, Any]]:
    """The metrics of a training, by step."""
    return [json.loads(line) for line in (training / METRICS_FILE).read_text().splitlines()]


def _course(
    known: Mapping[str, Path], items: pa.Table, wanted: _ByItem, last: tuple[int, SourceArtifact | None]
) -> Course:
    steps, training = last
    own = training.manifest.outcome.flops / GIGA if training and training.manifest else 0.0
    return gather_course(items, wanted.ids, _parameters(known), (steps, own))


def _parameters(known: Mapping[str, Path]) -> int:
    """Numbers of the model, as the training of its base says them.

    Raises:
        RecipeError: it was not trained here, so nobody has counted them.
    """
    made = {one.fingerprint: one for one in lineage(known) if one.manifest}
    for one in _upwards(source_of(known["start"], "cold-start"), made):
        if (counted := one.outcome.summary.get("parameters")) is not None:
            return int(counted)
    raise RecipeError(
        "the size of the start model is not known: nothing it stands on says its `parameters`. A study over "
        "sizes needs base models that were trained here."
    )


def _steps(training: Path) -> int:
    """Optimiser steps of a training, by the last line of its record."""
    rows = _record(training)
    return int(rows[-1]["step"]) if rows else 0


def spent(known: Mapping[str, Path], training: SourceArtifact | None) -> dict[str, float]:
    """1e9 operations of an arm by what they were spent on, read from the manifests of what it stands on.

    Args:
        known: Folders with the manifests of ``start``, ``training`` and their ancestors.
        training: Of the arm; None for the start model itself.
    """
    made = {one.fingerprint: one for one in lineage(known) if one.manifest}
    start = source_of(known["start"], "cold-start")
    shares = dict.fromkeys(SHARED, 0.0)
    for one in _upwards(start, made):
        shares[SHARED[one.kind != "base"]] += one.outcome.flops / GIGA
    if training is None:
        return shares
    own = list(_upwards(training, made, start.fingerprint))
    charged = {one.fingerprint: one.outcome.flops for one in _charged(own, made)}
    for one in own:
        name = SHARES.get(one.kind, TRAINING)
        shares[name] = shares.get(name, 0.0) + (one.outcome.flops - judge_flops(one)) / GIGA
    judge = sum(judge_flops(one) for one in own) / GIGA
    rates = sum(flops for flops in _pass_rates(own, made)) / GIGA
    more = {PROXY: sum(charged.values()) / GIGA, JUDGE: judge, PASS_RATES: rates}
    return shares | {name: value for name, value in more.items() if value}


def _upwards(source: SourceArtifact, made: Mapping[str, SourceArtifact], end: str = "") -> Iterator[Manifest]:
    """A model's training, what it started from, and so on; up to a model that is not given any more."""
    manifest = source.manifest
    while manifest is not None and manifest.fingerprint != end:
        yield manifest
        before = manifest.parents.get("start") or manifest.parents.get("base")
        parent = made.get(before.fingerprint) if before else None
        manifest = parent.manifest if parent else None


def _charged(own: Sequence[Manifest], made: Mapping[str, SourceArtifact]) -> Iterator[Manifest]:
    for one in own:
        proxy = proxy_of(one)
        found = made.get(proxy.fingerprint) if proxy else None
        if found is not None and found.manifest is not None:
            yield found.manifest


def _pass_rates(own: Sequence[Manifest], made: Mapping[str, SourceArtifact]) -> Iterator[float]:
    for one in own:
        rates = one.parents.get("pass_rates")
        found = made.get(rates.fingerprint) if rates else None
        if found is not None and found.manifest is not None:
            yield found.manifest.outcome.flops
