"""Named recipes: plain functions that write out a whole journey, from text to report.

A name such as ``rpt_14b`` gives the recipe of the last stage, the report; every stage before it is one
of its inputs, and each flow takes the one it makes (:func:`stage`). ``data`` and ``model`` put the
reader's own text and model in place of the recipe's.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from flows.named_seeds import seeds_by_arm
from flows.recipes import papers, rlpt, rlvr, rmt, rpt, tiny
from flows.recipes.overrides import Overrides, overridden
from flows.recipes.papers import OMNI_MATH, report
from flows.recipes.studies import (
    imperfect_teacher,
    next_segments,
    real_text,
    rlvr_after,
    shorter_thoughts,
    sizes,
    teacher_worlds,
    verifiable_rewards,
)
from flows.recipes.studies.by_seed import TUNING_SEEDS, SeedStudy
from flows.recipes.trees import rewritten
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.objectives import Budget, RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.reports.outcomes_report import REAL_TEXT, SIZES, OutcomesReportRecipe
from rpt_core.recipes.reports.report import (
    SAMPLE_WORLD,
    ArmsRecipe,
    PageRecipe,
    ReportRecipe,
    SeedsRecipe,
    short_name,
)
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, ModelShape

BY_SEED: dict[str, SeedStudy] = {
    one.name: one
    for one in (
        imperfect_teacher.STUDY,
        shorter_thoughts.STUDY,
        next_segments.STUDY,
        verifiable_rewards.STUDY,
        rlvr_after.AFTER_RMT,
        rlvr_after.AFTER_RLPT,
    )
}
"""Studies whose unit is the seed."""
MID_TRAINING = "mid-training"
"""The study of RMT's parts."""
NEXT_SEGMENT = "next-segment"
"""The study of RLPT, its controls and its parts."""
BETTER_START = "rlvr"
"""The study of what is the better start for verifiable rewards."""
OWN_PAGES: dict[str, Callable[..., RlvrReportRecipe | OutcomesReportRecipe]] = {
    BETTER_START: rlvr.compared,
    SIZES: sizes.compared,
    REAL_TEXT: real_text.compared,
}
"""Studies that lay out their page themselves, from a journey under every seed."""
R1_DISTILL_14B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"
"""RPT's base model, and RMT's first."""


def tiny_rpt(*, data: str = "", model: str = "", seed: int = 0) -> ReportRecipe:
    """RPT on the built-in sample world with a 0.64 M parameter model: minutes on one CPU core."""
    defaults = tiny.defaults(model)
    corpus = tiny.corpus(data, model, seed)
    base = BaseRecipe(
        corpus=corpus,
        model=tiny.model(model, ModelShape(vocab_size=768)),
        steps=100,
        documents_per_step=8,
        optimiser=tiny.MUON,
        seed=seed,
    )
    difficulty = DifficultyRecipe(corpus=corpus, proxy=base)
    start = ColdStartRecipe(
        corpus=corpus, base=base, steps=400, documents_per_step=6, problems_per_step=3, ntp_weight=0.3,
        optimiser=defaults.cold, seed=seed,
    )  # fmt: skip
    objective = RptObjective(prompt=defaults.prompt, entropy_floor_nats=1.5)
    policy = PolicyRecipe(
        corpus=corpus,
        difficulty=difficulty,
        start=start,
        objective=objective,
        prompts_per_step=32,
        cuts_per_document=4,
        temperature=1.0,
        reasoning_tokens=48,
        context_tokens=512,
        steps=48,
        milestones=(2, 4, 8, 16, 32, 48),
        evaluate_every=8,
        ntp_weight=0.1,
        optimiser=defaults.reinforce,
        seed=seed,
    )
    rlvr = tiny.rlvr(corpus, policy, data=data, model=model, seed=seed, evaluate_every=8)
    return report(
        "RPT on the sample world",
        difficulty,
        start,
        policy,
        rlvr,
        temperature=1.0,
        reasoning_tokens=64,
        seed=seed,
        # below 1.5 nats the sample world's text only chooses its wording, which no thought can tell
        tiers_nats=(0.5, 1.0, 1.5) if data else (1.5, 2.0, 2.5),
    )


def tiny_teacher(*, data: str = "", model: str = "", seed: int = 0) -> ReportRecipe:
    """RPT from a start whose teacher errs, asked what no training text shows: what `rpt demo` makes."""
    if data:
        raise RecipeError(
            f"tiny_teacher is about a teacher of the sample world, and data names {data!r}, which has none. "
            f"Use tiny_rpt for a text of your own: `rpt run tiny_rpt -p data={data}`."
        )
    return imperfect_teacher.in_minutes(tiny_rpt(model=model, seed=seed))


def tiny_real(*, data: str = "", model: str = "", seed: int = 0) -> ReportRecipe:
    """Every stage on real files with a tiny model: it proves the path, not that so small a model reasons."""
    if not data:
        raise RecipeError("tiny_real needs real files: say where, for example -p data=FOLDER.")
    journey = tiny_rpt(data=data, model=model, seed=seed)
    shape = ModelShape(vocab_size=4096)
    patient = Selection(max_empty_steps=1000, when_starved="pass-on")
    changes: dict[str, dict[str, Any]] = {
        "corpus": {"solutions_as_documents": True},
        "base": {"steps": 100} if model else {"steps": 100, "model": shape},
        # five million tokens of real text: windows overlap by 64 tokens, not by half
        "difficulty": {"stride_tokens": 448},
        "cold-start": {"steps": 60},
        "policy": {
            "steps": 12,
            "milestones": (2, 4, 6, 8, 10, 12),
            "evaluate_every": 0,
            "selection": patient,
        },
        "rlvr": {"steps": 6, "evaluate_every": 0, "selection": patient},
        "evaluation": {"num_positions": 200, "num_problems": 60},
        "report": {"title": "RPT on real text, tiny model"},
    }
    for kind, update in changes.items():
        journey = rewritten(journey, kind, update)
    return journey


def rpt_small(*, data: str = OMNI_MATH, model: str = "Qwen/Qwen3-0.6B-Base", seed: int = 0) -> ReportRecipe:
    """RPT at a size one 80 GB GPU trains: a 0.6 B base model, short thoughts, the paper's reward."""
    return papers.rpt(
        "RPT, small", data, model, seed, steps=400, prompts=64, tokens=1024, prompt="v6",
        milestones=(25, 50, 100, 200, 300, 400), dynamic_from=200, solved_tokens=4096,
    )  # fmt: skip


def rpt_14b(*, data: str = OMNI_MATH, model: str = R1_DISTILL_14B, seed: int = 0) -> ReportRecipe:
    """Reinforcement Pre-Training with the paper's numbers (2506.08007, table 5 and section 3.3)."""
    return papers.rpt(
        "RPT, 14B", data, model, seed, steps=1200, prompts=256, tokens=8192, prompt="v0",
        milestones=(100, 200, 400, 800, 1000, 1200), dynamic_from=500, solved_tokens=32_000,
    )  # fmt: skip


def tiny_rmt(*, data: str = "", model: str = "", seed: int = 0) -> ReportRecipe:
    """RMT on the built-in sample world, from a start model that thinks longer than it must."""
    return rmt.tiny(tiny_rpt(data=data, model=model, seed=seed), tiny.defaults(model))


def rmt_small(*, data: str = OMNI_MATH, model: str = "Qwen/Qwen3-0.6B-Base", seed: int = 0) -> ReportRecipe:
    """RMT at a size one 80 GB GPU trains: a 0.6 B base model, thoughts of 512 tokens falling to 102."""
    return rmt.paper(
        rpt_small(data=data, model=model, seed=seed),
        title="RMT, small", steps=320, prompts=64, tokens=1024, budget=Budget(first=512),
    )  # fmt: skip


def rmt_14b(*, data: str = OMNI_MATH, model: str = R1_DISTILL_14B, seed: int = 0) -> ReportRecipe:
    """Reinforcement Mid-Training with the paper's numbers (2509.24375, RMT-R1)."""
    return rmt.paper(
        rpt_14b(data=data, model=model, seed=seed),
        title="RMT, 14B", steps=320, prompts=128, tokens=2048, budget=Budget(),
    )  # fmt: skip


def rmt_qwen3_14b(*, data: str = OMNI_MATH, model: str = "Qwen/Qwen3-14B", seed: int = 0) -> ReportRecipe:
    """The same from the paper's second base model, Qwen3-14B (RMT-Q3)."""
    journey = rmt_14b(data=data, model=model, seed=seed)
    return rewritten(journey, "report", {"title": "RMT, Qwen3 14B"})


def tiny_rlvr(*, data: str = "", model: str = "", seed: int = 0) -> RlvrReportRecipe:
    """RLVR on the built-in sample world, with a difficulty filter by the start model's own pass rate."""
    return rlvr.filtered(tiny_rpt(data=data, model=model, seed=seed))


def over_seeds(name: str, seeds: tuple[int, ...], overrides: Overrides) -> SeedsRecipe:
    """The same journey under several seeds: each cold start and each policy, evaluated and compared."""
    runs = [journey(name, overrides.model_copy(update={"seed": seed})) for seed in seeds]
    return SeedsRecipe(
        title=f"{runs[0].title}: seeds {', '.join(str(seed) for seed in seeds)}",
        method=runs[0].method,
        before=tuple(run.before for run in runs),
        after=tuple(run.after for run in runs),
        seeds=seeds,
    )


def over_arms(
    name: str,
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    overrides: Overrides,
    about: str = MID_TRAINING,
) -> ArmsRecipe | RlptReportRecipe | RlvrReportRecipe | OutcomesReportRecipe:
    """The arms of a study under several seeds: trained from one start model each, evaluated and compared.

    Args:
        name: Of an RMT recipe for ``mid-training``, of an RLPT recipe for ``next-segment`` and
            ``next-segments``, of an RPT recipe for the other studies.
        seeds: Data, models and training all follow the seed.
        arms: Some of the study's; empty for all. Of a study whose unit is the seed, ``NAME@100-115`` is an
            arm with seeds of its own.
        overrides: The run's changes to the recipe.
        about: Which study.

    Raises:
        RecipeError: there is no such study, or it has no such arm.
    """
    if about == NEXT_SEGMENT:
        found = [any_journey(name, overrides.model_copy(update={"seed": seed})) for seed in seeds]
        return rlpt.compared(found, seeds, arms)
    if by_seed := BY_SEED.get(about):
        wanted = seeds_by_arm(arms or tuple(by_seed.arms), seeds)
        by_seed.check_frozen(overrides.fields, tuple(wanted))
        every = tuple(dict.fromkeys(seed for own in wanted.values() for seed in own))
        return by_seed.compared(_begun(by_seed, name, every, overrides), wanted)
    runs = [journey(name, overrides.model_copy(update={"seed": seed})) for seed in seeds]
    if own_page := OWN_PAGES.get(about):
        return own_page(runs, seeds, arms)
    if world := next((one for one in teacher_worlds.WORLDS if one == about), None):
        return teacher_worlds.compared(runs, seeds, world, arms)
    if about == MID_TRAINING:
        own = rmt.OWN.get(name, {})
        return rmt.compared(runs, seeds, arms or tuple(rmt.ARMS), own)
    study = next((one for one in rpt.STUDIES if one == about), None)
    if study is None:
        own_rules = (MID_TRAINING, NEXT_SEGMENT, *OWN_PAGES, *BY_SEED, *teacher_worlds.WORLDS)
        known = ", ".join((*own_rules, *rpt.STUDIES))
        raise RecipeError(f"no study is about {about!r}; there are {known}.")
    return rpt.compared(runs, seeds, study, arms)


def over_tuning(
    name: str, best: Mapping[str, int], arms: tuple[str, ...], overrides: Overrides, about: str
) -> OutcomesReportRecipe:
    """The tuning runs of a study whose unit is the seed (:meth:`.by_seed.SeedStudy.tuning`).

    Args:
        name: Of a recipe that the study is made for.
        best: By arm, the number of the best of its first runs, once they are there.
        arms: Some of the study's; empty for all that are tuned.
        overrides: The run's changes to the recipe.
        about: Which study.

    Raises:
        RecipeError: its arms are not tuned, or it has no such arm.
    """
    if about not in BY_SEED or not BY_SEED[about].is_tuned:
        tuned = ", ".join(name for name, one in BY_SEED.items() if one.is_tuned)
        raise RecipeError(f"the study {about!r} has no tuning runs; those of {tuned} have.")
    return BY_SEED[about].tuning(_begun(BY_SEED[about], name, TUNING_SEEDS, overrides), best, arms)


def _begun(study: SeedStudy, name: str, seeds: tuple[int, ...], overrides: Overrides) -> dict[int, Recipe]:
    """The journeys that a study begins from, by seed."""
    runs = {seed: any_journey(name, overrides.model_copy(update={"seed": seed})) for seed in seeds}
    for run in runs.values():
        study.check_begins(name, run)
    return runs


NAMED: dict[str, Callable[..., Recipe]] = {
    "tiny_rpt": tiny_rpt,
    "tiny_teacher": tiny_teacher,
    "tiny_real": tiny_real,
    "rpt_small": rpt_small,
    "rpt_14b": rpt_14b,
    "tiny_rmt": tiny_rmt,
    "rmt_small": rmt_small,
    "rmt_14b": rmt_14b,
    "rmt_qwen3_14b": rmt_qwen3_14b,
    **rlpt.NAMED,
    **real_text.NAMED,
    "tiny_rlvr": tiny_rlvr,
    **rlvr.NAMED,
}


def journey(name: str, overrides: Overrides | None = None) -> ReportRecipe:
    """The named recipe with a run's changes, where it ends in the report of one training.

    Raises:
        RecipeError: as :func:`any_journey`; or it ends in another report.
    """
    found = any_journey(name, overrides)
    if not isinstance(found, ReportRecipe):
        raise RecipeError(f"the recipe {name!r} ends in {found.stage}, not in the report of one training.")
    return found


def any_journey(name: str, overrides: Overrides | None = None) -> Recipe:
    """The named recipe with a run's changes: the recipe of its last stage.

    Raises:
        RecipeError: no recipe has that name, or a changed field does not exist or is out of range.
    """
    chosen = overrides or Overrides()
    if name not in NAMED:
        near = difflib.get_close_matches(name, NAMED, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"no recipe is called {name!r}.{hint} There are {', '.join(NAMED)}.")
    given = {key: value for key, value in (("data", chosen.data), ("model", chosen.model)) if value}
    if chosen.seed is not None:
        given["seed"] = chosen.seed  # type: ignore[assignment]
    return overridden(_titled(NAMED[name](**given), chosen), chosen.fields)


def _titled(recipe: Recipe, chosen: Overrides) -> Recipe:
    """A page about somebody's own text or model is not headed by those of the recipe."""
    assert isinstance(recipe, PageRecipe)
    title = recipe.title
    if chosen.data:
        own = short_name(chosen.data)
        title = title.replace(SAMPLE_WORLD, own) if SAMPLE_WORLD in title else f"{title}: {own}"
    if chosen.model:
        title = f"{title}, with {short_name(chosen.model)}"
    return recipe.model_copy(update={"title": title})
