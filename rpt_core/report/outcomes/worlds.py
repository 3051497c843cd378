"""The page of a study over worlds: what RPT adds to its start in each; a grid of doses as heat maps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rpt_core.artifacts.build import Build
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import ArmOutcomes, accuracy
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.pages.ink import LIGHT, as_png, bare, new_figure, style
from rpt_core.pages.marks import Chart, Mark, mark
from rpt_core.pages.words import ends, percent_bare, points
from rpt_core.recipes.reports.outcomes_report import DOSE_RESPONSE, OutcomesReportRecipe
from rpt_core.report.blocks import Card, Columns, Inline, KeyFigure, Row, Section, Table, count, gain, share
from rpt_core.report.figures import card
from rpt_core.report.outcomes.claims import RPT, START
from rpt_core.report.outcomes.page import names_of_sources, seed_words, what_ran
from rpt_core.report.outcomes.tables import mean_over, mean_share
from rpt_core.report.outcomes.values import Arm
from rpt_core.report.study import Study, Summary

FEW_STEPS, FOUR_STEPS = (2, 3), (4,)
QUALITY, EXPOSURE = "right_share", "long_share"
"""Fields of the world that a grid is laid over."""
STRONGEST = 0.6
"""Opacity of the darkest cell: its number must stay readable on it."""
MAP_ROW, MAP_MARGIN = 44, 60
"""Pixels of a map's row, and of what stands above and below."""

Measured = Callable[[ArmOutcomes], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared in every world."""

    title: str
    of: Measured
    difference: bool = True
    """RPT less its start; else RPT's own."""


def _steps(outcomes: ArmOutcomes, steps: Sequence[int]) -> NDArray[np.bool_]:
    asked = outcomes.questions
    keep: NDArray[np.bool_] = asked.held_I & np.isin(asked.steps_I, steps)
    return keep


def _verified(outcomes: ArmOutcomes, keep: NDArray[np.bool_]) -> float:
    found = outcomes.answers.verified_IS
    return float("nan") if found is None else accuracy(found, keep)


def never_share(outcomes: ArmOutcomes) -> float:
    """Share of held-out questions of 2 to 4 steps to which no answer was right with a true chain."""
    found, keep = outcomes.answers.verified_IS, outcomes.questions.held_I
    if found is None or not keep.any():
        return float("nan")
    return float(1 - found[keep].any(axis=1).mean())


MEASURES = (
    Measure(
        "2 and 3 steps, accuracy gained",
        lambda one: accuracy(one.answers.right_IS, _steps(one, FEW_STEPS)),
    ),
    Measure("4 steps, accuracy gained", lambda one: accuracy(one.answers.right_IS, _steps(one, FOUR_STEPS))),
    Measure("4 steps, gained with a true chain", lambda one: _verified(one, _steps(one, FOUR_STEPS))),
    Measure(
        "5 and 6 steps, accuracy gained", lambda one: accuracy(one.answers.right_IS, one.questions.long_I)
    ),
    Measure("never solved after RPT, of 2 to 4 steps", never_share, difference=False),
)
"""A heat map each, where the worlds are a grid."""


@dataclass(frozen=True, slots=True)
class World:
    """The start and RPT in one world, under the seeds that both have."""

    name: str
    setting: Mapping[str, Any]
    start: Arm
    method: Arm

    def pairs(self) -> list[tuple[ArmOutcomes, ArmOutcomes]]:
        """Start and RPT by seed."""
        shared = sorted(self.start.by_seed.keys() & self.method.by_seed.keys())
        return [(self.start.by_seed[seed], self.method.by_seed[seed]) for seed in shared]

    def estimate(self, measure: Measure) -> Estimate | None:
        """The mean over seeds with Student's interval; None where nothing was measured."""
        found = [
            measure.of(after) - measure.of(start) if measure.difference else measure.of(after)
            for start, after in self.pairs()
        ]
        mean = mean_over([value for value in found if np.isfinite(value)])
        return mean.within(-1.0 if measure.difference else 0.0, 1.0) if mean else None


def study(recipe: OutcomesReportRecipe, build: Build) -> Study:
    """The page.

    Raises:
        IntegrityError: a file of outcomes cannot be read.
        RecipeError: a world has no start or no RPT, or they were asked different questions.
    """
    arms = [Arm.read(arm, build.inputs, "arms") for arm in recipe.arms]
    worlds = read_worlds(arms)
    words = seed_words(recipe.seeds)
    few, is_grid = MEASURES[0], recipe.study == DOSE_RESPONSE
    ranked = [(found.value, one) for one in worlds if (found := one.estimate(few))]
    most, least = max(ranked, key=lambda pair: pair[0])[1], min(ranked, key=lambda pair: pair[0])[1]
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(worlds)} worlds, the start and RPT in each · {words}",
        lead=(
            f"Over {words}, RPT's gain at held-out questions of 2 and 3 steps is largest in “{most.name}”, ",
            gain(most.estimate(few)),
            f" points, and smallest in “{least.name}”, ",
            gain(least.estimate(few)),
            ".",
        ),
        facts=[
            KeyFigure.of(gain(one.estimate(few)), f"points at 2 and 3 steps: {one.name}")
            for one in ((most, least) if most is not least else (most,))
        ],
        models=(),
        decisions=[],
        sections=[
            *([_maps(worlds)] if is_grid else []),
            _table(worlds),
            _starts(worlds),
        ],
        short=[
            "No claim is decided here: no threshold was fixed before, and intervals are Student's over "
            f"{words} alone."
        ],
        footer="Every world has its own text, base model, start and RPT, at equal operations; RPT's setting "
        "is the one frozen for the study of an imperfect teacher.",
        summary=_summary(worlds),
        ran=what_ran(arms),
        names=names_of_sources(arms),
        picture=_image(worlds) if is_grid else None,
        picture_label="RPT's gains by the teacher's quality and exposure, as heat maps" if is_grid else "",
    )


def _image(worlds: Sequence[World]) -> bytes:
    with style():
        return as_png(picture(worlds))


def read_worlds(arms: Sequence[Arm]) -> list[World]:
    """Pairs of arms, by world in the order they come.

    Raises:
        RecipeError: an arm is of no world, stands alone, or was asked other questions than its start.
    """
    found: dict[str, dict[str, Arm]] = {}
    for arm in arms:
        world, _, role = arm.name.rpartition(": ")
        found.setdefault(world, {})[role] = arm
    for world, by_role in found.items():
        if not world or set(by_role) != {START, RPT}:
            raise RecipeError(
                f"the world {world!r} has the arms {', '.join(by_role)}, and a study over worlds compares "
                f"{START} and {RPT} in each. Lay the study out again."
            )
    worlds = [
        World(world, _setting(by_role[RPT]), by_role[START], by_role[RPT]) for world, by_role in found.items()
    ]
    for one in worlds:
        for before, after in one.pairs():
            if before.questions.digest != after.questions.digest:
                raise RecipeError(
                    f"in the world {one.name!r} start and RPT were asked different questions under seed "
                    f"{before.seed} (digests {before.questions.digest} and {after.questions.digest}). "
                    "Evaluate both alike."
                )
    return worlds


def _setting(arm: Arm) -> Mapping[str, Any]:
    return next((one.setting for one in arm.by_seed.values()), {})


def _maps(worlds: Sequence[World]) -> Section:
    answers = max(one.answers.num_samples for world in worlds for pair in world.pairs() for one in pair)
    lead = (
        "Rows are the teacher's quality q, the share of its traces that are right; columns the exposure e, "
        "the share of traces with four steps. Points gained over the start, mean over seeds; the last map is "
        f"the share of questions never solved in {answers} answers."
    )
    most = _most(worlds)
    cards = [_map(worlds, one, most, f"dose-{number}") for number, one in enumerate(MEASURES, start=1)]
    return Section(
        "The teacher's quality by exposure", [lead, Columns(cards[:2]), Columns(cards[2:4]), cards[4]]
    )


def _map(worlds: Sequence[World], measure: Measure, most: float, file: str) -> Card:
    drawn = heat_map(worlds, measure, most)
    return card(
        drawn, file, f"{measure.title}, by the teacher's quality and exposure", measure.title, width=460
    )


def heat_map(worlds: Sequence[World], measure: Measure, most: float, width: float = 440) -> Chart:
    """One cell a world: the darker, the closer to the most of any map; losses in failures' colour."""
    figure = new_figure(width, MAP_MARGIN + MAP_ROW * len(_levels(worlds, QUALITY)))
    _draw(figure.add_axes((0.17, 0.2, 0.81, 0.78)), worlds, measure, most)
    return figure


def picture(worlds: Sequence[World], width: float = 900) -> Chart:
    """All heat maps with their titles, two in a row: the page as one image."""
    depth, most = math.ceil(len(MEASURES) / 2), _most(worlds)
    height = MAP_MARGIN + MAP_ROW * len(_levels(worlds, QUALITY))
    figure = new_figure(width, depth * height)
    for number, measure in enumerate(MEASURES):
        left, bottom = (number % 2) / 2, 1 - (number // 2 + 1) / depth
        axes = figure.add_axes((left + 0.07, bottom + 0.13 / depth, 0.41, 0.72 / depth))
        _draw(axes, worlds, measure, most)
        axes.set_title(measure.title, loc="left", color=LIGHT.ink)
    return figure


def _levels(worlds: Sequence[World], name: str) -> list[float]:
    return sorted({one.setting[name] for one in worlds})


def _most(worlds: Sequence[World]) -> float:
    """The largest share of any map: as dark in one is as much as in another."""
    found = (one.estimate(measure) for one in worlds for measure in MEASURES)
    return max((abs(value.value) for value in found if value), default=0.0) or 1.0


def _draw(axes: Axes, worlds: Sequence[World], measure: Measure, most: float) -> None:
    rows, columns = (_levels(worlds, name) for name in (QUALITY, EXPOSURE))
    bare(axes)
    found = [(one, value) for one in worlds if (value := one.estimate(measure))]
    form = points if measure.difference else percent_bare
    for one, value in found:
        x, y = columns.index(one.setting[EXPOSURE]), rows.index(one.setting[QUALITY])
        loss = measure.difference == (value.value < 0)  # questions never solved are a loss, too
        (bar,) = axes.barh(
            y, 0.96, left=x - 0.48, height=0.94, color=LIGHT.fails if loss else LIGHT.after,
            alpha=STRONGEST * abs(value.value) / most,
        )  # fmt: skip
        said = f"{one.name}: {form(value.value)} [{ends(value, form)}]"
        mark(axes, bar, [Mark(said, {"world": one.name} | dict(one.setting) | value.as_json())])
        axes.text(x, y, form(value.value), ha="center", va="center", color=LIGHT.ink)
    axes.set_yticks(range(len(rows)), [f"q {value:g}" for value in rows], color=LIGHT.ink)
    axes.set_xticks(range(len(columns)), [f"e {100 * value:g} %" for value in columns], color=LIGHT.ink)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _table(worlds: Sequence[World]) -> Section:
    def of(measure: Measure) -> Callable[[World], Inline]:
        shown = gain if measure.difference else share
        return lambda one: shown(one.estimate(measure))

    columns: dict[str, Callable[[World], Inline]] = {
        "seeds": lambda one: count(len(one.pairs())),
        **{measure.title: of(measure) for measure in MEASURES},
    }
    lead = "RPT less its start in points, mean over seeds with Student's interval of 95 %."
    return Section("Every world", [lead, Table.of("world", worlds, columns)])


def _starts(worlds: Sequence[World]) -> Section:
    rows: list[Row] = [
        (
            arm.name,
            share(mean_share(arm.scores("accuracy"))),
            share(mean_share(arm.scores("verified"))),
            share(mean_share(arm.scores("process"))),
            share(mean_share(arm.scores("long"))),
            share(mean_share(arm.scores("thinks"))),
        )
        for one in worlds
        for arm in (one.start, one.method)
    ]
    head = (
        "arm", "accuracy, 2 to 4 steps", "right with a true chain", "true steps in the thought",
        "accuracy at 5 and 6 steps", "answers with a thought",
    )  # fmt: skip
    return Section("Before and after", ["Means over seeds, held-out questions.", Table(head, rows)])


def _summary(worlds: Sequence[World]) -> Summary:
    summary: Summary = {"worlds": len(worlds)}
    for one in worlds:
        for measure in MEASURES:
            found = one.estimate(measure)
            summary[f"{measure.title}: {one.name}"] = found.value if found else None
    return summary
