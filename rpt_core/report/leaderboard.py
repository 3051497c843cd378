"""All evaluated checkpoints side by side: intervals, places that tests can tell apart, clean scores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rpt_core.artifacts.build import Build
from rpt_core.evaluation.contamination import contaminated, measures
from rpt_core.evaluation.items import read_items
from rpt_core.evaluation.populations import whole_benchmark
from rpt_core.evaluation.ranking import ColumnRanking, Rank, rank
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.evaluation.touched import Touch, Touches, write_touched
from rpt_core.objectives.outcomes import VERDICTS
from rpt_core.pages.words import clip, p_value, points
from rpt_core.recipes.reports.leaderboard import Entry, LeaderboardRecipe
from rpt_core.report.blocks import (
    NOTHING,
    Block,
    Cell,
    Inline,
    KeyFigure,
    Row,
    Section,
    Table,
    count,
    gain,
    say,
    share,
)
from rpt_core.report.clean import TrainingText
from rpt_core.report.columns import Column, Standing, columns_of
from rpt_core.report.models import Evaluated, Model
from rpt_core.report.sources import source_of
from rpt_core.report.study import CUT, MAX_UNREAD_SHARE, UNREAD, Study, Summary

_SHOWN_CHARS = 160


@dataclass(frozen=True)
class Board:
    """One column with everything that is said of it."""

    column: Column
    ranking: ColumnRanking
    scores: Mapping[str, Mapping[str, Any]]
    """By model, the scores of :func:`rpt_core.evaluation.contamination.contaminated`."""
    unchecked: frozenset[str]
    """Models of which nobody knows what they were trained on."""

    @property
    def name(self) -> str:
        """Of the column."""
        return self.column.name


def study(recipe: LeaderboardRecipe, build: Build) -> Study:
    """The page, and ``touched.parquet`` beside it: every question met in a model's training text."""
    evaluations = {entry.name: read_evaluations(entry, build.inputs) for entry in recipe.entries}
    columns = columns_of(evaluations)
    touches = TrainingText(recipe, build.inputs, evaluations)
    boards = [_board(column, recipe, touches) for column in columns]
    write_touched(touches.all, build.out)
    models = [Model(name, tuple(several)) for name, several in evaluations.items()]
    separated = sum(pairing.separated for board in boards for pairing in board.ranking.pairings)
    num_pairs = sum(len(board.ranking.pairings) for board in boards)
    num_touched = len({touch.item_id for touch in touches.all.found})
    return Study(
        title=recipe.title,
        eyebrow=f"Leaderboard · {len(models)} checkpoints · {len(boards)} benchmarks",
        lead=say(
            "Checkpoints that no paired test can tell apart share a place. Of {} pairs on the same "
            "questions, {} are told apart at the 5 % level of their column.",
            Cell(str(num_pairs), value=num_pairs),
            Cell(str(separated), value=separated),
        ),
        facts=[
            KeyFigure(count(len(models)), "checkpoints"),
            KeyFigure(count(len(boards)), "benchmarks", "each asked in one way"),
            KeyFigure(Cell(f"{separated} of {num_pairs}"), "pairs told apart", "Holm's correction by column"),
            KeyFigure(Cell(str(num_touched)), "questions touched", "by text a model was trained on"),
        ],
        models=models,
        decisions=(),
        sections=[_overview(boards, list(evaluations)), *map(_details, boards), *_examples(boards)],
        short=list(_short(boards, models)),
        footer="Next tokens: positions where training asks. 95 % intervals, clustered by the outermost level "
        "that a benchmark declares (document, problem, subject or category): about questions like these. "
        f"{CUT}",
        summary=_summary(boards),
    )


def read_evaluations(entry: Entry, inputs: Mapping[str, Path]) -> list[Evaluated]:
    """A checkpoint's evaluations, of any kind that has a table of outcomes."""
    found = []
    for number in range(len(entry.evaluations)):
        folder = inputs[f"entries.{entry.name}.evaluations.{number}"]
        path = folder / "scores.json"
        scores = json.loads(path.read_text()) if path.exists() else {}
        found.append(Evaluated(entry.name, scores, read_items(folder), source_of(folder, "evaluation")))
    return found


def _board(column: Column, recipe: LeaderboardRecipe, touches: TrainingText) -> Board:
    known = {one.model: touches.of(one) for one in column.standings}
    nothing = Touches((), frozenset())
    scores = {
        one.model: contaminated(one.outcomes, known[one.model] or nothing, recipe.examples)
        for one in column.standings
    }
    unchecked = frozenset(model for model, found in known.items() if found is None)
    return Board(column, rank(column.models), scores, unchecked)


def _overview(boards: Sequence[Board], models: Sequence[str]) -> Section:
    places = {model: _mean_place(boards, model) for model in models}
    order = sorted(models, key=lambda model: (places[model], model))
    head = ("checkpoint", *(board.name for board in boards))

    def rows(part: str) -> list[Row]:
        return [(model, *(_overview_cell(board, model, part) for board in boards)) for model in order]

    caption = "Rows by their mean place, which is an order and no score. A dash: not asked."
    blocks: list[Block] = [Table(head, rows("all"), narrow=True, caption=caption)]
    if any(scores["clean"]["num_items"] for board in boards for scores in board.scores.values()):
        said = "The same on the questions alone that the model's training text does not touch."
        caption = "A dash: what the model read is not known, or no question is known to be clean."
        blocks += [said, Table(head, rows("clean"), narrow=True, caption=caption)]
    return Section("Leaderboard", blocks)


def _overview_cell(board: Board, model: str, part: str) -> Inline:
    standing = next((one for one in board.column.standings if one.model == model), None)
    if standing is None or (model in board.unchecked and part == "clean"):
        return NOTHING
    found = share(board.scores[model][part].get("accuracy"), standing.evaluation.source)
    place = f" · place {board.ranking.ranks[model]}" if part == "all" else ""
    return replace(found, detail=f"{found.detail}{place}")


def _mean_place(boards: Sequence[Board], model: str) -> float:
    """Mean over the columns a model stands in, each place as a share of those there are; else the last."""
    found = [
        (ranks[model].best + ranks[model].worst) / (2 * len(ranks))
        for ranks in (board.ranking.ranks for board in boards)
        if model in ranks
    ]
    return float(np.mean(found)) if found else 1.0


def _details(board: Board) -> Section:
    first = next(iter(board.ranking.ranks))
    standings = {one.model: one for one in board.column.standings}
    some = max((one.outcomes for one in standings.values()), key=lambda found: float(found.samples.min()))
    shown = list(dict.fromkeys(["accuracy", _most(some)]))
    population = max(one.population for one in standings.values())

    def row(model: str, place: Rank) -> Row:
        scores, source = board.scores[model], standings[model].evaluation.source
        cells: list[Inline] = [Cell(str(place), value=str(place))]
        for name in shown:
            cells += [share(scores[part].get(name), source) for part in ("all", "clean")]
        cells += [share(_whole(standings[model]), source)] if population > len(some) else []
        return (model, *cells, _counts(board, model), *_less(board, first, model))

    names = [f"{_called(name)}{part}" for name in shown for part in ("", " clean")]
    names += [f"on all {population}"] if population > len(some) else []
    names += ["clean / touched / ?", "less the first", "p, adjusted"]
    rows = [row(model, place) for model, place in board.ranking.ranks.items()]
    return Section(
        board.name, [_asked(board, population), Table(("checkpoint", "place", *names), rows, narrow=True)]
    )


def _whole(standing: Standing) -> Estimate:
    """What the whole benchmark would give, of which these items are a random sample."""
    found = standing.outcomes
    means = found.score / found.samples
    return whole_benchmark(means, found.samples, standing.population, greedy=standing.greedy)


def _asked(board: Board, population: int) -> str:
    found = [one.outcomes for one in board.column.standings]
    samples = sorted({int(one.samples.min()) for one in found})
    answers = f"{samples[0]} answer{'s' * (samples[0] > 1)} each"
    if len(samples) > 1:
        answers = f"{samples[0]} to {samples[-1]} answers each"
    drawn = f" of {population}" if population > len(found[0]) else ""
    about = (
        f" Intervals are about questions like these; those on all {population} are about this benchmark, of "
        "which these were drawn."
        if drawn
        else ""
    )
    return (
        f"{len(found[0])}{drawn} questions in {len(np.unique(found[0].documents))} clusters, {answers}. "
        f"Clean: those the model's training text does not touch; of those under ? nothing can be said.{about}"
        " Less the first: points, paired by question."
    )


def _most(found: Any) -> str:
    """The last measure: pass@k of the largest k there is."""
    return list(measures(found))[-1]


def _called(measure: str) -> str:
    return measure.replace("pass_at_", "pass@")


def _counts(board: Board, model: str) -> Cell:
    if model in board.unchecked:
        return replace(NOTHING, value="not checked")
    scores = board.scores[model]
    numbers = scores["clean"]["num_items"], scores["touched"]["num_items"], scores["unknown"]
    return Cell(" / ".join(map(str, numbers)), value=list(numbers))


def _less(board: Board, first: str, model: str) -> tuple[Inline, Inline]:
    """A model beside the first of its column: the paired difference, and its adjusted p-value."""
    found = board.ranking.pairing(first, model)
    if found is None:
        return NOTHING, NOTHING
    estimate = found.comparison.difference
    if found.second != model and estimate.low is not None and estimate.high is not None:
        estimate = replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)
    elif found.second != model:
        estimate = replace(estimate, value=-estimate.value)
    return gain(estimate), Cell(p_value(found.adjusted_p_value), value=found.adjusted_p_value)


def _examples(boards: Sequence[Board]) -> Iterator[Section]:
    rows: dict[tuple[str, str], Row] = {}
    for board in boards:
        for scores in board.scores.values():
            for one in scores["examples"]:
                touch = Touch(**{name: one[name] for name in Touch.__dataclass_fields__})
                met = f"{touch.row_id[:24]} {touch.source}".strip()
                more = f"{one['rows']} row{'' if one['rows'] == 1 else 's'}"
                covered = Cell(f"{touch.coverage:.0%}", value=touch.coverage)
                told = touch.item_id, touch.benchmark, met, more, covered, clip(touch.shared, _SHOWN_CHARS)
                rows[touch.item_id, touch.row_id] = told
    if rows:
        lead = (
            "The closest training row of each question shown, and the first run of words the two share. All "
            "pairs are in touched.parquet."
        )
        head = ("question", "of", "training row", "in all", "covered", "shared words")
        table = Table(head, list(rows.values()), words=frozenset({0, 1, 2, 5}))
        yield Section("Questions that training text touches", [lead, table])


def _short(boards: Sequence[Board], models: Sequence[Model]) -> Iterator[str]:
    names = [board.column.name.partition(",")[0] for board in boards]
    if several := sorted({name for name in names if names.count(name) > 1}):
        yield (
            f"{', '.join(several)} stand in several columns: asked with other settings or other questions, "
            "numbers are not comparable."
        )
    for board in boards:
        if len(board.ranking.ranks) == 1:
            yield f"Only {next(iter(board.ranking.ranks))} was asked {board.name} so: it has nothing to beat."
        if any(one.evaluation.scores.get("is_training_file") for one in board.column.standings):
            yield f"{board.name} was asked from its training file, which a model may well have read."
        if some := sorted(board.unchecked):
            yield f"What {', '.join(some)} read is not known: {board.name} may be in it."
        for model, scores in board.scores.items():
            if model not in board.unchecked and scores["unknown"] > scores["all"]["num_items"] / 2:
                yield (
                    f"Whether {model} has read {scores['unknown']} of {scores['all']['num_items']} questions "
                    f"of {board.name} cannot be said: too short, too common, or their text is not at hand."
                )
            if scores["touched"]["num_items"] and scores["clean"]["num_items"]:
                change = scores["clean"]["accuracy"]["value"] - scores["all"]["accuracy"]["value"]
                yield (
                    f"{model} has read {scores['touched']['num_items']} questions of {board.name}; without "
                    f"them it scores {points(change)} points."
                )
    yield from _unread(models)


def _unread(models: Sequence[Model]) -> Iterator[str]:
    for model in models:
        for one in model.evaluations:
            verdicts = np.array(one.items["verdict"])
            unread, total = int(np.isin(verdicts, UNREAD).sum()), int(np.isin(verdicts, VERDICTS).sum())
            if total and unread > MAX_UNREAD_SHARE * total:
                yield (
                    f"{unread / total:.1%} of the answers of {model.name} in {one.source.short} went unread; "
                    "they score nothing, and are not wrong."
                )


def _summary(boards: Sequence[Board]) -> Summary:
    summary: Summary = {}
    for board in boards:
        leaders = [model for model, place in board.ranking.ranks.items() if place.best == 1]
        summary[f"first: {board.name}"] = " = ".join(leaders)
    return summary
