"""RLPT beside its cold start, beside its controls, and beside its own ablations.

The claims are fixed here, before any number is seen. All are paired by question and clustered by
document; the documents of all seeds are pooled, so an interval speaks of these seeds and other documents.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from rpt_core.artifacts.build import Build
from rpt_core.evaluation.items import JUDGED, PROBLEMS
from rpt_core.evaluation.items import JUDGED_FORCED as FORCED
from rpt_core.evaluation.scores import Outcomes, accuracy
from rpt_core.evaluation.statistics.compare import Claim, compare, decide
from rpt_core.evaluation.statistics.intervals import Estimate, Floats, clustered_mean, clustered_ratio
from rpt_core.evaluation.statistics.passk import pass_at_k
from rpt_core.pages.ink import as_png, style
from rpt_core.pages.words import percent
from rpt_core.recipes.reports.rlpt_report import CONTROLS, RLVR_ALONE, SUPERVISED, THEN_RLVR, RlptReportRecipe
from rpt_core.report.blocks import Block, Cell, Columns, Row, Section, Table, by_seed, count, gain, say, share
from rpt_core.report.figures import card, training_figure
from rpt_core.report.models import Model, Models, habits, pair
from rpt_core.report.study import CUT, Study, claims_section, ended, shortfalls

TRIES = 8
"""k of pass@k."""
FALSE_ACCEPTS_MAX = 0.10
"""More wrong answers than this accepted by the judge are reported as a judge that was fooled."""
DECAY_MIN = 0.02
"""A rise of that share under training beyond which the judge is said to have decayed."""
FIFTHS = ("first", "second", "third", "fourth", "last")
"""Parts of a training over which its judge is compared with the truth."""
PANELS = {
    "reward_mean": "reward",
    "answer_tokens": "answer tokens",
    "eval/accuracy": "held-out accuracy, training's judge",
}
"""The paper's three panels (RLPT, figure 4)."""


def study(recipe: RlptReportRecipe, build: Build) -> Study:
    """The page about RLPT and its controls."""
    models = Models.read(recipe, build.inputs, JUDGED)
    decisions = decide(list(_claims(models)))
    before, after = models.start.outcomes(JUDGED), models.arms[0].outcomes(JUDGED)
    change = compare(pair(before, after)).difference
    with style():
        figure = training_figure(models.arms, PANELS)
        image = as_png(figure)
        panels = [
            card(training_figure(models.arms, {key: label}), label, f"{label}, over training tokens")
            for key, label in PANELS.items()
        ]
    said = "A judge takes RLPT's next segment for the truth {} points more often than its cold start's."
    fixed = (
        "Fixed before any number was seen; paired by question, clustered by document, one error rate for all "
        "(Holm)."
    )
    return Study(
        title=recipe.title,
        eyebrow=f"Report · RLPT and its controls · seeds {', '.join(map(str, recipe.seeds))}",
        lead=say(said, gain(change)),
        facts=(),
        models=models.all,
        decisions=decisions,
        sections=[
            _every_model(models.all),
            Section("Over training", ["By training tokens, mean over seeds.", Columns(panels)]),
            *_fooled(models, recipe.seeds),
            claims_section(decisions, fixed),
        ],
        short=shortfalls(models.all, decisions, *_short(models), num_seeds=len(recipe.seeds)),
        footer="Segments that hold a token above the floor under the proxy model, each asked with and "
        f"without the segment after it. {CUT}",
        summary={
            "judged_accuracy_before": accuracy(before).value,
            "judged_accuracy_after": accuracy(after).value,
            "gain": change.value,
            **ended(decisions),
        },
        picture=image,
        picture_label="reward, answer length, held-out accuracy",
    )


def _claims(models: Models) -> Iterator[Claim]:
    rlpt, *parts = models.arms
    free = rlpt.outcomes(JUDGED)
    before, forced = models.start.outcomes(JUDGED), models.start.outcomes(FORCED)
    yield Claim("RLPT is judged right more often than the cold start", pair(before, free))
    if len(forced):
        name = "RLPT, free, is right more often than the cold start made to think"
        yield Claim(name, pair(forced, free))
    for other in (models.named(SUPERVISED), *parts):
        if other:
            name = f"RLPT is judged right more often than {other.name}"
            yield Claim(name, pair(other.outcomes(JUDGED), free))
    controls = models.named(RLVR_ALONE), models.named(THEN_RLVR)
    alone, after = (model and model.outcomes(PROBLEMS) for model in controls)
    if alone and after:
        yield Claim("RLPT, then RLVR solves more problems than RLVR alone", pair(alone, after))
        if min(alone.samples.min(), after.samples.min()) >= TRIES:
            name = "RLPT, then RLVR solves more problems in eight tries than RLVR alone"
            yield Claim(name, pair(alone, after, passes))


def passes(solved: Outcomes) -> Floats:
    """Chance that one of eight answers is right, by problem."""
    return pass_at_k(solved.samples, solved.correct, TRIES)


def _every_model(models: Sequence[Model]) -> Section:
    """Every model; of its training's steps and compute, and of the judge, one number per seed."""
    names = ("judged right", "thinks", "right when thinking", "right when not")
    columns = {
        **dict(zip(names, habits(JUDGED).values(), strict=True)),
        "made to think": lambda model: model.accuracy(FORCED),
        "problems": lambda model: model.accuracy(PROBLEMS),
        "pass@8": lambda model: _pass_at_8(model.outcomes(PROBLEMS)),
        "steps": lambda model: ", ".join(str(len(one.steps)) for one in model.trainings),
        "training tokens": lambda model: by_seed([one.used()[0] for one in model.trainings]),
        "GFLOPs": lambda model: by_seed([one.used()[1] for one in model.trainings]),
        "judge and proxy": lambda model: by_seed([one.charged_gflops for one in model.trainings]),
        "truly right": lambda model: by_seed(_audit(model, "true_accuracy"), percent),
        "wrong accepted": lambda model: by_seed(_audit(model, "false_accepts"), percent),
        "right refused": lambda model: by_seed(_audit(model, "false_rejects"), percent),
    }
    lead = (
        "Judged by one rule and one judge, another than trained any of them. The last three columns compare "
        "that judge with the sample world's own truth, by seed."
    )
    return Section("Every model", [lead, Table.of("model", models, columns)])


def _pass_at_8(solved: Outcomes) -> Cell:
    known = len(solved) and solved.samples.min() >= TRIES
    return share(clustered_mean(passes(solved), solved.documents, proportion=True) if known else None)


def _audit(model: Model, name: str) -> list[float]:
    """A number of the judge's audit, by seed; empty off the sample world."""
    found = [one.scores["audit"].get(JUDGED, {}).get(name) for one in model.evaluations]
    return [one["value"] for one in found if one]


def _fooled(models: Models, seeds: Sequence[int]) -> Iterator[Section]:
    """The judges beside the sample world's own truth, where it is known."""
    tables: list[Block] = []
    if rows := audits(models.all, seeds):
        head = ("model", "seed", "answers compared", "truly right", "wrong accepted", "right refused")
        tables += ["The evaluation's judge beside the sample world's own truth.", Table(head, rows)]
    if rows := decay(models.arms, seeds):
        lead = "Wrong answers that training's own judge accepted, by fifths of the training."
        tables += [lead, Table(("arm", "seed", *FIFTHS), rows)]
    if tables:
        yield Section("Is the judge fooled?", tables)


def audits(models: Sequence[Model], seeds: Sequence[int]) -> list[Row]:
    """The evaluation's judge beside the sample world's own truth, model by model and seed by seed."""
    shown = "true_accuracy", "false_accepts", "false_rejects"
    return [
        (model.name, str(seed), count(found["num_answers"]), *(share(found[name]) for name in shown))
        for model in models
        for seed, one in zip(seeds, model.evaluations, strict=True)
        if (found := one.scores["audit"].get(JUDGED))
    ]


def decay(arms: Sequence[Model], seeds: Sequence[int]) -> list[Row]:
    """Wrong answers that training's own judge accepted, fifth by fifth of the training; steps are clusters.

    A judge that is exploited accepts more and more of them.
    """
    found: list[Row] = []
    for arm in arms:
        for seed, trained in zip(seeds, arm.trainings, strict=True):
            rows = [row for row in trained.rows if row.get("audit/wrong")]
            if rows:
                parts = np.array_split(np.arange(len(rows)), min(len(FIFTHS), len(rows)))
                shares = [share(_accepted([rows[at] for at in part])) for part in parts]
                found.append((arm.name, str(seed), *shares, *[""] * (len(FIFTHS) - len(parts))))
    return found


def _accepted(rows: Sequence[dict[str, float]]) -> Estimate:
    wrong = [row["audit/wrong"] for row in rows]
    hits = [row.get("audit/false_accepts", 0.0) for row in rows]
    return clustered_ratio(hits, wrong, np.arange(len(rows)), proportion=True)


def _short(models: Models) -> Iterator[str]:
    """What a reader must know of the judge, and of what was not run."""
    for model in (models.start, *models.arms):
        worst = max(_audit(model, "false_accepts"), default=0.0)
        if worst > FALSE_ACCEPTS_MAX:
            yield f"The judge accepted {worst:.0%} of the wrong answers of {model.name} in one seed."
    ends = models.start, models.arms[0]
    before, after = (np.mean(_audit(model, "false_accepts") or [0.0]) for model in ends)
    if after > before + DECAY_MIN:
        yield f"The judge decayed under training: wrong answers accepted {before:.1%} -> {after:.1%}."
    for name in CONTROLS:
        if not models.named(name):
            yield f"The control “{name}” was not run."
