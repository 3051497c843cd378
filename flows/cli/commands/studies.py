"""What a study would take before it runs, and the table of the papers' claims from what it left."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from flows.cli.commands.show import console, print_json, print_table
from flows.kept import read_studies
from flows.make import prepared
from flows.named_seeds import seeds_by_arm
from flows.recipes import Overrides, any_journey
from flows.recipes.named import BY_SEED
from flows.recipes.trees import walk
from flows.study import planned
from infra.prices import read_prices
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Recipe
from rpt_core.evaluation.kept.file import read_folder
from rpt_core.evaluation.statistics.power import smallest_detectable
from rpt_core.pages.words import flops_of
from rpt_core.planning.cards import parse_machine
from rpt_core.planning.estimate import StageForecast
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe, setting_words
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.recipes.reports.report import StudyRecipe
from rpt_core.report.outcomes.claims import RULES, Rules
from rpt_core.report.outcomes.power import deviation_words, error_rates
from rpt_core.report.papers.table import TABLES, Price, written
from rpt_core.report.papers.table import arms_of as kept_arms
from tasks.planning.estimate import PlanQuery, estimate

ANYWHERE = Placement()
SHARED = "shared by arms of a seed"
PAPER_MACHINE = "8xH100-80GB"
"""That the tables of the papers are priced for."""
PIECE_MINUTES = 90
"""Of a sitting: whoever runs a study ends it after so long, and goes on later."""
POINTS = (1, 3, 5)
"""Deviations of seeds' differences that are asked about."""


@dataclass
class Share:
    """What is left to do of one arm, over all seeds."""

    flops: float = 0.0
    hours: float = 0.0
    by_seed: dict[int, float] = field(default_factory=dict)
    """Hours of what is left, by seed; without what several seeds stand on, such as one judge for all."""

    def add(self, forecast: StageForecast | None, seed: int | None) -> None:
        """One more stage."""
        hours = (forecast.hours or 0.0) if forecast else 0.0
        self.flops += forecast.work.total if forecast and forecast.work else 0.0
        self.hours += hours
        if seed is not None:
            self.by_seed[seed] = self.by_seed.get(seed, 0.0) + hours


def show_study_plan(
    recipe: str,
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    overrides: Overrides,
    about: str,
    outcomes: str,
    *,
    as_json: bool,
) -> None:
    """Print operations and hours of a study by arm and seed, what is done, and what its seeds can find.

    Args:
        recipe: Name of the study's recipe.
        seeds: Of the study.
        arms: Some of its arms; empty for all.
        overrides: What the reader puts in place of the recipe's own.
        about: Which study.
        outcomes: Folder of what is done already; empty for none.
        as_json: For machines.
    """
    plan = prepared(planned(recipe, seeds, arms, overrides, about, outcomes), ANYWHERE)
    forecasts = estimate([line.recipe for line in plan.lines], PlanQuery()).by_recipe
    left = {
        line.recipe.model_dump_json(): forecast
        for line, forecast in zip(plan.lines, forecasts, strict=True)
        if line.action != "reuse"
    }
    shares = shares_of(plan.target, left)
    done = done_of(plan.target, left)
    settings = frozen_settings(plan.target, about)
    num_seeds = max((len(own) for own in seeds_by_arm(arms, seeds).values()), default=len(seeds))
    if as_json:
        print_json(_plain(shares, done, num_seeds) | {"settings": settings})
        return
    print_table(
        ["arm", "seeds done", "left", "FLOPs left", "hours left", "hours a seed"], _rows(shares, done)
    )
    rules = RULES.get(about)
    claims = len(rules.claims) if rules else 0
    lines = (
        *_frozen(settings),
        *_words(shares, num_seeds, claims),
        *(_scatter(outcomes, rules) if rules else ()),
    )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def arms_of(page: Recipe) -> dict[str, tuple[Recipe, ...]]:
    """Arms of a study's page by name, each with the recipes that its numbers come from."""
    if isinstance(page, OutcomesReportRecipe):
        listed: Mapping[str, tuple[Any, ...]] = {arm.name: arm.outcomes for arm in page.arms}
    elif isinstance(page, StudyRecipe):
        listed = {model.name: (*model.evaluations, *model.trainings) for model in page.models}
    else:
        listed = {}
    return {name: tuple(one for one in own if isinstance(one, Recipe)) for name, own in listed.items()}


def shares_of(page: Recipe, left: Mapping[str, StageForecast | None]) -> dict[str, Share]:
    """What is left to do by arm; what several arms stand on is a row of its own.

    Args:
        page: Of the study.
        left: Stages that are to be made, by recipe as JSON, with their forecasts.
    """
    needed: dict[str, set[str]] = defaultdict(set)
    seeds: dict[str, set[int | None]] = defaultdict(set)
    for name, own in arms_of(page).items():
        for root in own:
            for one in walk(root):
                key = one.model_dump_json()
                needed[key].add(name)
                seeds[key].add(getattr(root, "seed", None))
    shares = {name: Share() for name in (*arms_of(page), SHARED)}
    for key, names in needed.items():
        if key in left:
            seed = next(iter(seeds[key])) if len(seeds[key]) == 1 else None
            shares[SHARED if len(names) > 1 else next(iter(names))].add(left[key], seed)
    return {name: share for name, share in shares.items() if name != SHARED or share.hours or share.flops}


def done_of(page: Recipe, left: Mapping[str, Any]) -> dict[str, list[int]]:
    """By arm, the seeds whose outcomes are there already: in a file, or in the store."""
    found: dict[str, list[int]] = {}
    for name, own in arms_of(page).items():
        kept = [
            one.seed
            for one in own
            if isinstance(one, KeptOutcomesRecipe)
            or (isinstance(one, OutcomesRecipe) and one.model_dump_json() not in left)
        ]
        found[name] = kept
    return found


def _rows(shares: Mapping[str, Share], done: Mapping[str, list[int]]) -> Iterator[list[str]]:
    for name, share in shares.items():
        num_left = len(share.by_seed)
        mean = sum(share.by_seed.values()) / num_left if num_left else 0.0
        finished = str(len(done.get(name, ()))) if name != SHARED else ""
        yield [name, finished, str(num_left), flops_of(share.flops), f"{share.hours:.2f}", f"{mean:.2f}"]


def _words(shares: Mapping[str, Share], num_seeds: int, num_claims: int) -> Iterator[str]:
    hours, operations = (sum(getattr(one, name) for one in shares.values()) for name in ("hours", "flops"))
    pieces = ceil(60 * hours / PIECE_MINUTES)
    yield ""
    yield (
        f"Left to do: {flops_of(operations)} operations, {hours:.2f} hours of this machine one stage after "
        f"another, {pieces} sittings of {PIECE_MINUTES} minutes; stages that can do so run side by side."
    )
    if num_seeds > 1:
        for words, alpha in error_rates(num_claims).items():
            found = ", ".join(f"{smallest_detectable(sd, num_seeds, alpha):.1f} at {sd}" for sd in POINTS)
            yield (
                f"Smallest difference that {num_seeds} seeds find with a chance of 80 %, {words}, in "
                f"points by the deviation of seeds' differences: {found}."
            )


def _frozen(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if settings:
        yield ""
        yield "Settings that the tuning runs chose:"
    for name, chosen in settings.items():
        yield f"  {name}: {setting_words(chosen) or 'none, as the recipe has it'}"


def frozen_settings(page: Recipe, about: str) -> dict[str, dict[str, Any]]:
    """The setting that each arm trains under, by dotted names; of arms that tuning runs choose it for."""
    study = BY_SEED.get(about)
    if study is None:
        return {}
    return {name: study.frozen_of(name) for name in arms_of(page) if name in study.arms}


def _scatter(outcomes: str, rules: Rules) -> Iterator[str]:
    """How trainings scatter within arms, once some are done: the one look that decides about more seeds."""
    found = read_folder(Path(outcomes)) if outcomes and Path(outcomes).is_dir() else []
    if found:
        yield deviation_words(list(kept_arms(found).values()), rules)


def _plain(shares: Mapping[str, Share], done: Mapping[str, list[int]], num_seeds: int) -> dict[str, Any]:
    return {
        "arms": [
            {"arm": name, "seeds_done": done.get(name, []), "flops": share.flops, "hours": share.hours,
             "hours_by_seed": share.by_seed}
            for name, share in shares.items()
        ],
        "flops": sum(share.flops for share in shares.values()),
        "hours": sum(share.hours for share in shares.values()),
        "smallest_detectable_points": {
            str(sd): smallest_detectable(sd, num_seeds) for sd in POINTS
        } if num_seeds > 1 else {},
    }  # fmt: skip


def paper_prices() -> dict[str, Price]:
    """What the recipes of the papers' tables would take on the machine they are priced for."""
    gpus, card = parse_machine(PAPER_MACHINE)
    row = read_prices().get(card.name)
    found = {}
    for name in dict.fromkeys(table.recipe for table in TABLES):
        stages = estimate(walk(any_journey(name)), PlanQuery(ANYWHERE, gpus, card)).stages
        operations = sum(one.work.total for one in stages if one.work)
        hours = sum(one.gpu_hours for one in stages if one.gpu_hours)
        price = f"{hours * row.per_gpu_hour:,.0f} {row.currency}" if row else "no price known"
        found[name] = Price(f"{operations:.1e}", f"{hours:,.0f}", price)
    return found


def write_claims(path: str, outcomes: str) -> None:
    """Write the table of the papers' claims, and say how many ended how.

    Args:
        path: Of the Markdown file.
        outcomes: Folder of a study's outcomes; empty where none are known yet.

    Raises:
        SourceError: there is no such folder.
        IntegrityError: it holds a damaged file.
    """
    found = read_studies(Path(outcomes)) if outcomes else []
    text, ends = written(found, paper_prices(), PAPER_MACHINE)
    Path(path).write_text(text)
    console.print(f"{path}: " + ", ".join(f"{num} {end}" for end, num in ends.items()), markup=False)
