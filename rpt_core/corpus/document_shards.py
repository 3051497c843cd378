"""What is done to one shard of the documents, in whatever process: pure functions of a recipe and some rows.

A shard is a batch of rows. What needs to know of all documents (duplicates, leaks, the balance) stays with
:mod:`rpt_core.corpus.documents`, which gives out shards and takes their results in order; so no result
depends on who did the work.
"""

import json
from dataclasses import dataclass
from typing import Any

from rpt_core.corpus.card.statistics import Measured
from rpt_core.corpus.clean.cleaning import is_broken, normalise
from rpt_core.corpus.clean.language import detect_language
from rpt_core.corpus.clean.licences import licence_name
from rpt_core.corpus.clean.noise import with_noise
from rpt_core.corpus.clean.pii import mask
from rpt_core.corpus.clean.quality import broken_rules, measure
from rpt_core.corpus.clean.scores import SCORE
from rpt_core.corpus.clean.stem import stem_score
from rpt_core.corpus.dedup.decontaminate import Contamination, Hit, canonical
from rpt_core.corpus.dedup.sketch import Sketches, sketch
from rpt_core.corpus.readers import origin_of
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.text.shield import spans, without
from rpt_core.corpus.text.words import split_words
from rpt_core.recipes.corpus import PrepareRecipe

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that ends here, as the ledger wants it."""

    row: Row
    reason: str
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """One shard after the filter."""

    num_rows: int
    kept: list[Row]
    refused: list[Refused]
    measured: Measured
    """Of the rows that could be measured, kept or refused."""
    sketches: Sketches
    """Of the rows kept, for de-duplication."""
    hits: list[Hit]
    """Held-out items met in the rows kept."""


def clean(recipe: PrepareRecipe, contamination: Contamination, batch: list[Row]) -> Cleaned:
    """Bring rows into normal form, measure them, keep what passes; note what later decisions need of it."""
    kept, refused, measured = filtered(recipe, batch)
    texts = [row["text"] for row in kept]
    words = split_words([canonical(text) for text in texts])
    ids = [row["doc_id"] for row in kept]
    priorities = [origin_of(row["source"]).priority for row in kept]
    sketches = sketch(ids, priorities, texts, words, recipe.num_permutations)
    return Cleaned(len(batch), kept, refused, measured, sketches, contamination.scan(words))


def filtered(recipe: PrepareRecipe, batch: list[Row]) -> tuple[list[Row], list[Refused], Measured]:
    """Bring rows into normal form and measure them; those that pass, those that do not, and the measures."""
    refused, rows = [], []
    for row in batch:
        text = normalise(row["text"])
        if is_broken(row["text"]):
            refused.append(Refused(row, "control-characters", "normalise", text))
        else:
            rows.append({**row, "text": text, "title": normalise(row["title"])})
    kept, measured = [], Measured()
    proses = [without(row["text"]) for row in rows]
    words = split_words(proses)
    for number, (row, prose) in enumerate(zip(rows, proses, strict=True)):
        lang, score = detect_language(prose)
        metrics = measure(row["text"], prose, words, number)
        profile = origin_of(row["source"]).profile
        broken = broken_rules(metrics, prose, profile, lang, recipe.min_words, recipe.quality)
        stem = stem_score(row["source"], lang, row["categories"] or (), prose, metrics.formula_share)
        measures = {**metrics.as_dict(), "stem": stem}
        if row.get(SCORE) is not None:
            measures[SCORE] = row[SCORE]
        measured.add(row["source"], measures, [rule.measure for rule in broken])
        reason = broken[0].reason if broken else _unwanted(recipe, row, lang, stem)
        if reason:
            refused.append(Refused(row, reason, "quality", row["text"]))
            continue
        shown = json.dumps(measures, sort_keys=True)
        kept.append({**row, "lang": lang, "lang_score": score, "metrics": shown})
    return kept, refused, measured


def _unwanted(recipe: PrepareRecipe, row: Row, lang: str, stem: float) -> str:
    """Why the recipe does not want a document that is good in itself, or nothing."""
    if recipe.languages and lang not in recipe.languages:
        return "language"
    if recipe.licenses and licence_name(row["license"] or "") not in recipe.licenses:
        return "licence"
    if stem < recipe.stem_min:
        return "not-stem"
    if recipe.scores is None:
        return ""
    score = row[SCORE]
    if score is None:
        return "llm-unread" if recipe.unread_scores == "drop" else ""
    return "llm-quality" if score < recipe.min_score else ""


@dataclass(frozen=True, slots=True)
class Finished:
    """One document as it is published, and where its sentences stand."""

    row: Row
    pii: dict[str, int]
    segments: list[tuple[int, int]]


def finish(recipe: PrepareRecipe, splitter: Splitter, batch: list[Row]) -> list[Finished]:
    """Mask personal data, add noise where it is asked for, and cut into sentences."""
    return [_finished(recipe, splitter, row) for row in batch]


def _finished(recipe: PrepareRecipe, splitter: Splitter, row: Row) -> Finished:
    text = row["text"]
    pii: dict[str, int] = {}
    if recipe.mask_pii:
        text, pii = mask(text, recipe.mask_phones, spans(text))
    if recipe.noise_share and row["split"] == "train":
        text = with_noise(text, recipe.noise_share, f"{recipe.seed} {row['doc_id']}", spans(text))
    found = splitter.split(text, row["lang"], recipe.min_segment_chars)
    return Finished({**row, "text": text, "pii": json.dumps(pii)}, pii, found)
