"""Sections about answers that judges read: how often each is fooled, and tokens to a stated accuracy."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.judged import JudgedAnswers
from rpt_core.report.blocks import NOTHING, Cell, Inline, Row, Section, Table, mean_count, share
from rpt_core.report.outcomes.tables import mean_over, mean_share
from rpt_core.report.outcomes.values import Arm, score, tokens_to, wrong_answers

TARGET = 0.5
"""Accuracy at held-out questions of 2 to 4 steps that tokens are counted to; fixed with the claims."""

Measured = Callable[[ArmOutcomes], float]


def fooled_table(arms: Sequence[Arm]) -> Iterator[Section]:
    """How often the evaluation's judge, the training's, and one that errs on purpose are fooled.

    Nothing where no judge read the answers.
    """
    judged = [arm for arm in arms if any(one.judged for one in arm.by_seed.values())]
    if not judged:
        return

    def of(measure: Measured) -> Callable[[Arm], Inline]:
        return lambda arm: share(mean_share(_measured(arm, measure)))

    columns: dict[str, Callable[[Arm], Inline]] = {
        "evaluation's judge: wrong ones accepted": of(false_accepts),
        "right ones refused": of(false_rejects),
        "of wrong answers, a judge that errs in 5 % accepts": of(lambda one: score(one, "fooled-5")),
        "one that errs in 20 %": of(lambda one: score(one, "fooled-20")),
        "training's judge: wrong and paid, of all answers, at first": of(lambda one: _paid(one, 0)),
        "at the end": of(lambda one: _paid(one, -1)),
        "by part of the training, mean": _curve,
    }
    lead = (
        "No verdict of a judge decides anything here: right is what the world's truth says. Wrong ones "
        "accepted are a share of the wrong answers, right ones refused of the right ones, at held-out "
        "questions of 2 to 4 steps. A judge that errs on purpose does so by the words of a prediction alone, "
        "so about 5 and 20 % of wrong answers are chance, and more is what was learnt; guards that stand "
        "before a judge are not asked there. The training's judge stands on the training's own questions, in "
        "the first and the last of up to eight equal parts of its steps. Means over seeds with Student's "
        "interval of 95 %."
    )
    yield Section("How judges are fooled", [lead, Table.of("arm", judged, columns)])


def tokens_table(arms: Sequence[Arm], target: float = TARGET) -> Iterator[Section]:
    """Tokens to an accuracy, by arm; nothing where no checkpoint was kept.

    Args:
        arms: Of a study, the start first.
        target: The accuracy.
    """
    if not any(one.judged and one.judged.checkpoints for arm in arms for one in arm.by_seed.values()):
        return
    rows: list[Row] = []
    for arm in arms[1:]:
        found = {seed: tokens_to(one, target) for seed, one in sorted(arm.by_seed.items())}
        reached = {seed: float(tokens) for seed, tokens in found.items() if tokens is not None}
        whole = len(reached) == len(found)
        rows.append(
            (
                arm.name,
                Cell(f"{len(reached)} of {len(found)}"),
                mean_count(mean_over(reached)) if whole else NOTHING,
                _by_seed(arm, found),
                mean_count(mean_over({seed: float(one.tokens) for seed, one in sorted(arm.by_seed.items())})),
            )
        )
    lead = (
        "Forwarded tokens, drawn and updated on, after which accuracy at held-out questions of 2 to 4 steps "
        f"was at least {100 * target:g} %: the first published checkpoint that had it, or the end, the only "
        "one of more SFT. An arm that never had it under a seed is censored there, written as more than all "
        "its tokens; a mean stands where all of its seeds had it, and none is taken over some of them."
    )
    head = ("arm", "seeds that reach it", "tokens, mean over seeds", "by seed", "tokens in all")
    yield Section(f"Tokens to {100 * target:g} %", [lead, Table(head, rows, words=frozenset({0, 3}))])


def false_accepts(outcomes: ArmOutcomes) -> float:
    """Of wrong answers at held-out questions, those that the evaluation's judge accepts; NaN of none."""
    judged, wrong_IS = outcomes.judged, wrong_answers(outcomes)
    if judged is None or wrong_IS is None:
        return float("nan")
    return _share(outcomes, judged, wrong_IS, accepted=True)


def false_rejects(outcomes: ArmOutcomes) -> float:
    """Of right answers at held-out questions, those that the evaluation's judge refuses; NaN of none."""
    if outcomes.judged is None:
        return float("nan")
    return _share(outcomes, outcomes.judged, outcomes.answers.right_IS, accepted=False)


def _share(
    outcomes: ArmOutcomes, judged: JudgedAnswers, of_IS: NDArray[np.bool_], *, accepted: bool
) -> float:
    held = outcomes.questions.held_I
    those = of_IS[held]
    if not those.any():
        return float("nan")
    said = judged.accepted_IS[held] == accepted
    return float((those & said).sum() / those.sum())


def _paid(outcomes: ArmOutcomes, part: int) -> float:
    """Of all answers of a part of the training, those that were wrong and paid; NaN without a judge."""
    fooled = outcomes.judged.fooled if outcomes.judged else None
    return fooled.shares()[part] if fooled else float("nan")


def _curve(arm: Arm) -> Cell:
    found = [
        one.judged.fooled.shares()
        for one in arm.by_seed.values()
        if one.judged is not None and one.judged.fooled is not None
    ]
    if not found:
        return NOTHING
    shortest = min(map(len, found))
    means = np.mean([one[:shortest] for one in found], axis=0)
    return Cell(", ".join(f"{100 * mean:.1f}" for mean in means.tolist()))


def _measured(arm: Arm, measure: Measured) -> dict[int, float]:
    found = {seed: measure(one) for seed, one in sorted(arm.by_seed.items())}
    return {seed: value for seed, value in found.items() if np.isfinite(value)}


def _by_seed(arm: Arm, found: Mapping[int, int | None]) -> str:
    said = (
        f"{seed}: {tokens:,}" if tokens is not None else f"{seed}: more than {arm.by_seed[seed].tokens:,}"
        for seed, tokens in found.items()
    )
    return "; ".join(said).replace(",", "\u2009")
