"""The page of the study of a real text: one seed, no claim, intervals over documents, and answers to read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpt_core.artifacts.build import Build
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.calculator import EVALUATES, OPERANDS
from rpt_core.evaluation.statistics.intervals import Estimate, clustered_mean
from rpt_core.pages.words import minus_signs, percent, points
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.report.blocks import (
    NOTHING,
    Inline,
    KeyFigure,
    Notes,
    Rollouts,
    Row,
    Section,
    Table,
    amount,
    count,
    gain,
    say,
    share,
)
from rpt_core.report.outcomes.claims import RPT, START
from rpt_core.report.outcomes.page import names_of_sources, what_ran
from rpt_core.report.outcomes.tables import cost_table
from rpt_core.report.outcomes.values import Arm, names_of
from rpt_core.report.study import CUT, Study, Summary

EXPECTED: Mapping[str, str] = {
    "before lessons": "plain 45 to 50 %; answers next to none",
    START: "25 to 40 %",
    RPT: "+5 to +12 points, at or under plain",
    "permuted reward": "-5 to +1 points",
    "VeriFree": "as RPT or better, at fewer operations",
}
"""Guesses written down before anything was run; a null result was held as likely as not."""
TRAPS = (
    "Digits are tokens of their own, so the prefix reward would pay 2 for 24: the whole number alone is "
    "right, of answers and of plain guesses. A plain guess must also not go on with a digit.",
    "The solutions' calculator notes are taken out of the text. Left in, they tell the answer before it is "
    "asked.",
    "Before most equals signs the text writes the expression out, so a thought can copy it; computing it is "
    "as hard inside a thought as behind the sign. Little room is left for thinking, and plain guesses are "
    "strong.",
    "Two in a hundred expressions of the authors' own notes use a number that stands nowhere before (a "
    "week's 7 days): “operands stand in the text” counts those as missing, too.",
    "The model's instruction data holds rewordings of these very problems. What is measured is new to the "
    "lessons and to the questions of training, not to the model.",
    "The weights are 4-bit ones made into float32: nothing here compares with published figures.",
    "Answers of more than 24 tokens are cut off and count as wrong: 12 in 100 of the authors' own notes "
    "would be. Lessons show no thought of more than 12 tokens.",
)


def study(recipe: OutcomesReportRecipe, build: Build) -> Study:
    """The page.

    Raises:
        IntegrityError: a file of outcomes cannot be read.
        RecipeError: two arms were asked different questions.
    """
    arms = [Arm.read(arm, build.inputs, "arms") for arm in recipe.arms]
    by_name = names_of(arms)
    _refuse_unlike(arms)
    start = by_name.get(START)
    first = _only(arms[0])
    num, documents = len(first.questions), len(set(first.questions.documents_I.tolist()))
    return Study(
        title=recipe.title,
        eyebrow=f"Report · an existence proof on one seed, {recipe.seeds[0]} · {len(arms)} models",
        lead=tuple(_lead(start, by_name.get(RPT))),
        facts=list(_facts(by_name)),
        models=(),
        decisions=[],
        sections=[
            _numbers(arms, start, f"{num} held-out numbers in {documents} solutions"),
            _lengths(arms),
            cost_table(arms),
            *_read_by_eye(by_name),
            Section("Traps", [Notes(TRAPS)]),
        ],
        short=[
            "One seed of everything: what another seed would bring is not known, and no claim is decided. "
            "The intervals are over documents of this one run.",
            "No arm is tuned: all learn at one rate, chosen before.",
            *_small(arms, start),
        ],
        footer=f"Held out are problems, by a hash of their near-duplicate cluster. {CUT}",
        summary=_summary(arms, start),
        ran=what_ran(arms),
        names=names_of_sources(arms),
    )


def right_of(outcomes: ArmOutcomes) -> NDArray[np.float64]:
    """Share of right answers to each question: shape ``(I,)``."""
    return outcomes.answers.right_IS.mean(axis=1)


def mean_of(outcomes: ArmOutcomes, values_IS: NDArray[Any] | None) -> Estimate | None:
    """A share of answers, over documents; None where it was not measured."""
    if values_IS is None:
        return None
    values_I = values_IS.reshape(len(outcomes.questions), -1).mean(axis=1)
    return clustered_mean(values_I, outcomes.questions.documents_I, proportion=True)


def difference(after: ArmOutcomes, before: ArmOutcomes) -> Estimate:
    """Right answers of one model less another's, paired by question, over documents."""
    values_I = right_of(after) - right_of(before)
    return clustered_mean(values_I, after.questions.documents_I).within(-1.0, 1.0)


def _only(arm: Arm) -> ArmOutcomes:
    return next(iter(arm.by_seed.values()))


def _refuse_unlike(arms: Sequence[Arm]) -> None:
    digests = {arm.name: _only(arm).questions.digest for arm in arms}
    if len(set(digests.values())) > 1:
        raise RecipeError(
            f"the arms were asked different questions ({digests}), so they cannot be compared. Evaluate all "
            "of them alike."
        )


def _numbers(arms: Sequence[Arm], start: Arm | None, asked: str) -> Section:
    def over_start(arm: Arm) -> Inline:
        is_arm = start is not None and _only(arm).own_gflops > 0
        return gain(difference(_only(arm), _only(start))) if is_arm and start is not None else NOTHING

    def checked(name: str) -> Callable[[Arm], Inline]:
        return lambda arm: share(mean_of(_only(arm), _only(arm).answers.checks_IS.get(name)))

    columns: dict[str, Callable[[Arm], Inline]] = {
        "plain, whole number": lambda arm: share(mean_of(_only(arm), _only(arm).plain_I)),
        "right after thinking": lambda arm: share(mean_of(_only(arm), _only(arm).answers.right_IS)),
        "over the start, points": over_start,
        "expected": lambda arm: minus_signs(EXPECTED.get(arm.name, "")),
        "right and verified": lambda arm: share(mean_of(_only(arm), _only(arm).answers.verified_IS)),
        "comes to what is boxed": checked(EVALUATES),
        "operands stand in the text": checked(OPERANDS),
        "thinks": lambda arm: share(_thinks(_only(arm))),
        "thought tokens": lambda arm: amount(_length(_only(arm))),
    }
    samples = _only(arms[0]).answers.num_samples
    lead = (
        f"{asked}; {samples} answers to each at temperature 1. Plain is greedy decoding of the whole number "
        "in the plain text, without a thought, by the arm's own model. Verified: the thought is an equation "
        "whose left side has exactly the value that is boxed, and its numbers stand in the text before. "
        "Intervals of 95 % over documents."
    )
    return Section("The whole number", [lead, Table.of("model", arms, columns, words=frozenset({0, 4}))])


def _thinks(one: ArmOutcomes) -> Estimate:
    values_I = one.answers.thinks_I / one.answers.num_samples
    return clustered_mean(values_I, one.questions.documents_I, proportion=True)


def _length(one: ArmOutcomes) -> Estimate:
    return clustered_mean(one.answers.thought_tokens_I / one.answers.num_samples, one.questions.documents_I)


def _lengths(arms: Sequence[Arm]) -> Section:
    kinds_I = _only(arms[0]).questions.kinds_I
    rows: list[Row] = []
    for kind in sorted(set(kinds_I.tolist())):
        keep = kinds_I == kind
        shares = [_of_kind(_only(arm), keep) for arm in arms]
        rows.append((kind, count(int(keep.sum())), *(cell for pair in shares for cell in pair)))
    head = ("number", "questions", *(f"{arm.name}: {how}" for arm in arms for how in ("plain", "thinking")))
    lead = "Shares right by how many digits the number has; plain, then after a thought."
    return Section("By length of the number", [lead, Table(head, rows)])


def _of_kind(one: ArmOutcomes, keep: NDArray[np.bool_]) -> tuple[Inline, Inline]:
    plain = NOTHING if one.plain_I is None else percent(float(one.plain_I[keep].mean()))
    return plain, percent(float(right_of(one)[keep].mean()))


def _read_by_eye(arms: Mapping[str, Arm]) -> Iterator[Section]:
    """The same questions by the start and by RPT, or by what there is of the two."""
    shown = [arms[name] for name in (START, RPT) if name in arms and _only(arms[name]).shown]
    if not shown:
        return
    first = _only(shown[0]).shown
    answers = {arm.name: {one.question: one for one in _only(arm).shown} for arm in shown}
    cards = [
        {
            "tail": one.tail,
            "truth": one.truth,
            "entropy_nats": None,
            "answers": [
                {
                    "name": name,
                    "thought": found[one.question].thought,
                    "prediction": found[one.question].prediction,
                    "verdict": found[one.question].verdict,
                }
                for name, found in answers.items()
                if one.question in found
            ],
        }
        for one in first
    ]
    lead = (
        f"{len(cards)} questions with the lowest hashes of their ids, and each model's first answer: none "
        "was picked for what was said."
    )
    yield Section("Answers to read", [lead, Rollouts(cards)])


def _lead(start: Arm | None, method: Arm | None) -> Iterator[Inline]:
    if start is None or method is None:
        yield "The start model or RPT is missing, so nothing is said of them yet."
        return
    before, after = _only(start), _only(method)
    yield from say(
        "On one seed, RPT changes the share of whole numbers that are right after a thought by {} points "
        "over its start, from {} to {}. It is an existence proof: no claim, no verdict.",
        gain(difference(after, before)),
        share(mean_of(before, before.answers.right_IS)),
        share(mean_of(after, after.answers.right_IS)),
    )


def _facts(arms: Mapping[str, Arm]) -> Iterator[KeyFigure]:
    start = arms.get(START)
    for name, arm in arms.items():
        one = _only(arm)
        if start is not None and one.own_gflops > 0:
            yield KeyFigure.of(gain(difference(one, _only(start))), f"{name} over the start, points")
    if start is not None and _only(start).plain_I is not None:
        yield KeyFigure.of(share(mean_of(_only(start), _only(start).plain_I)), "plain guess of the start")


def _small(arms: Sequence[Arm], start: Arm | None) -> Iterator[str]:
    for arm in arms:
        found = difference(_only(arm), _only(start)) if start and _only(arm).own_gflops > 0 else None
        if found and found.low is not None and found.high is not None and found.low <= 0 <= found.high:
            yield (
                f"{arm.name} less the start is {points(found.value)} points with nothing inside its interval "
                "over documents."
            )


def _summary(arms: Sequence[Arm], start: Arm | None) -> Summary:
    summary: Summary = {"models": len(arms)}
    for arm in arms:
        one = _only(arm)
        summary[f"right: {arm.name}"] = float(right_of(one).mean())
        if one.plain_I is not None:
            summary[f"plain: {arm.name}"] = float(one.plain_I.mean())
        if start is not None and one.own_gflops > 0:
            summary[f"over the start: {arm.name}"] = difference(one, _only(start)).value
    return summary
