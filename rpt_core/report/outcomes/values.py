"""Scores of an arm under a seed: what claims and tables are made of, each a number from its outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import (
    FAULTS,
    NEW_PAIR,
    NEW_SENTENCE,
    SEEN,
    ArmOutcomes,
    accuracy,
    pass_rates,
    process_accuracy,
    think_share,
    thought_tokens,
)
from rpt_core.evaluation.kept.file import read_artifact
from rpt_core.evaluation.statistics.intervals import Estimate, clustered_mean
from rpt_core.evaluation.statistics.passk import reportable_k
from rpt_core.recipes.reports.outcomes_report import StudyArm
from rpt_core.report.sources import SourceArtifact, source_of

ScoreName = Literal[
    "accuracy",
    "new-sentence",
    "new-pair",
    "verified",
    "process",
    "long",
    "long-verified",
    "seen",
    "thinks",
    "plain",
    "plain-held",
    "updated",
    "length",
    "fooled-5",
    "fooled-20",
]
ENDS: Mapping[str, str] = {
    "accuracy": "accuracy, held-out questions of 2 to 4 steps",
    "new-sentence": "of these, a new sentence of known pairs",
    "new-pair": "of these, a pair of steps that no text shows",
    "verified": "right with a true chain",
    "process": "true steps in the thought",
    "long": "accuracy at 5 and 6 steps",
    "long-verified": "right with a true chain, 5 and 6 steps",
    "seen": "accuracy, questions that stand in training",
    "thinks": "answers with a thought",
    "plain": "likeliest next token, plain text",
    "plain-held": "likeliest next token, held-out questions of 2 to 4 steps",
    "updated": "accuracy at equal updates",
    "length": "thought tokens, logarithm",
    "fooled-5": "of wrong answers, those a judge that errs in 5 % accepts",
    "fooled-20": "of wrong answers, those a judge that errs in 20 % accepts",
}
"""What a score is called."""


def score(outcomes: ArmOutcomes, name: ScoreName) -> float:
    """One number of an arm under a seed; NaN where it was not measured."""
    asked, given = outcomes.questions, outcomes.answers
    held, long = asked.held_I, asked.long_I
    scores: dict[ScoreName, Callable[[], float]] = {
        "accuracy": lambda: accuracy(given.right_IS, held),
        "new-sentence": lambda: accuracy(given.right_IS, held & (asked.rows_I == NEW_SENTENCE)),
        "new-pair": lambda: accuracy(given.right_IS, held & (asked.rows_I == NEW_PAIR)),
        "verified": lambda: _shared(given.verified_IS, held),
        "process": lambda: process_accuracy(outcomes, held),
        "long": lambda: accuracy(given.right_IS, long),
        "long-verified": lambda: _shared(given.verified_IS, long),
        "seen": lambda: accuracy(given.right_IS, asked.rows_I == SEEN),
        "thinks": lambda: think_share(outcomes, held),
        "plain": lambda: float("nan") if outcomes.plain_I is None else float(outcomes.plain_I.mean()),
        "plain-held": lambda: _plain_of(outcomes, held),
        "updated": lambda: _shared(outcomes.updated_IS, held),
        "length": lambda: _log_length(outcomes, held),
        "fooled-5": lambda: _fooled(outcomes, held, 0.05),
        "fooled-20": lambda: _fooled(outcomes, held, 0.2),
    }
    return scores[name]()


def _plain_of(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    if outcomes.plain_I is None or not keep_I.any():
        return float("nan")
    return float(outcomes.plain_I[keep_I].mean())


def _log_length(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    """Logarithm of the mean thought's tokens, so that a difference is a ratio; NaN where nobody thought."""
    tokens = thought_tokens(outcomes, keep_I)
    return float(np.log(tokens)) if tokens > 0 else float("nan")


def _fooled(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_], errs_share: float) -> float:
    """Of wrong answers that were read, those whose words an erring judge takes for right; NaN of none."""
    judged, wrong_IS = outcomes.judged, wrong_answers(outcomes)
    if judged is None or wrong_IS is None or not wrong_IS[keep_I].any():
        return float("nan")
    return float(judged.fooling_IS[errs_share][keep_I].sum() / wrong_IS[keep_I].sum())


def wrong_answers(outcomes: ArmOutcomes) -> NDArray[np.bool_] | None:
    """Which answers were read and are wrong, shape ``(I, S)``; None where thoughts were not judged."""
    faults_IS = outcomes.answers.faults_IS
    if faults_IS is None:
        return None
    wrong: NDArray[np.bool_] = ~outcomes.answers.right_IS & (faults_IS != FAULTS.index("unread"))
    return wrong


def tokens_to(outcomes: ArmOutcomes, target: float) -> int | None:
    """Tokens after which an arm's accuracy at held-out questions was at least the target, by what is kept.

    Looked at are the published checkpoints and the final model, in this order; nothing is drawn between them,
    so the true number is not larger. None where none of them had it: it is censored at the arm's tokens.
    """
    held, judged = outcomes.questions.held_I, outcomes.judged
    known = [(one.tokens, one.right_IS) for one in judged.checkpoints] if judged else []
    for tokens, right_IS in (*known, (outcomes.tokens, outcomes.answers.right_IS)):
        if accuracy(right_IS, held) >= target:
            return tokens
    return None


def _shared(values_IS: NDArray[np.bool_] | None, keep_I: NDArray[np.bool_]) -> float:
    return float("nan") if values_IS is None else accuracy(values_IS, keep_I)


@dataclass(frozen=True)
class Arm:
    """An arm under its seeds."""

    name: str
    by_seed: Mapping[int, ArmOutcomes]
    sources: Mapping[int, SourceArtifact]

    @classmethod
    def read(cls, arm: StudyArm, inputs: Mapping[str, Path], place: str) -> "Arm":
        """From the folders of its outcomes.

        Raises:
            IntegrityError: a file cannot be read.
        """
        folders = [inputs[f"{place}.{arm.name}.outcomes.{number}"] for number in range(len(arm.outcomes))]
        found = [read_artifact(folder, arm.name) for folder in folders]
        sources = {
            one.seed: source_of(folder, "outcomes") for one, folder in zip(found, folders, strict=True)
        }
        return cls(arm.name, {one.seed: one for one in found}, sources)

    def scores(self, name: ScoreName) -> dict[int, float]:
        """One number a seed, of those it was measured under."""
        found = {seed: score(one, name) for seed, one in sorted(self.by_seed.items())}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}


def differences(
    method: Arm, reference: Arm, name: ScoreName, reference_name: ScoreName | None = None
) -> dict[int, float]:
    """Method less reference under the seeds that both were measured under.

    Args:
        method: The one.
        reference: The other.
        name: Of the score.
        reference_name: Of the reference's, where it is another one.

    Raises:
        RecipeError: they were asked different questions under a seed.
    """
    one, other = method.scores(name), reference.scores(reference_name or name)
    shared = sorted(one.keys() & other.keys())
    for seed in shared:
        asked = method.by_seed[seed].questions.digest, reference.by_seed[seed].questions.digest
        if asked[0] != asked[1]:
            raise RecipeError(
                f"{method.name} and {reference.name} cannot be paired under seed {seed}: they were asked "
                f"different questions (digests {asked[0]} and {asked[1]}). Evaluate both alike."
            )
    return {seed: one[seed] - other[seed] for seed in shared}


def over_documents(method: Arm, reference: Arm) -> Estimate | None:
    """The paired difference in accuracy with its error over documents of all seeds: never a verdict."""
    values, clusters = list[float](), list[str]()
    for seed in sorted(differences(method, reference, "accuracy")):
        pair = method.by_seed[seed], reference.by_seed[seed]
        keep = pair[0].questions.held_I
        means = [one.answers.right_IS[keep, :8].mean(axis=1) for one in pair]
        values += (means[0] - means[1]).tolist()
        clusters += [f"{seed} {number}" for number in pair[0].questions.documents_I[keep].tolist()]
    return clustered_mean(values, clusters).within(-1.0, 1.0) if values else None


def curve(arm: Arm, *, verified: bool) -> dict[int, dict[int, float]]:
    """pass@k at held-out questions of 2 to 4 steps, by k and seed; empty where thoughts were not judged."""
    found: dict[int, dict[int, float]] = {}
    for seed, outcomes in sorted(arm.by_seed.items()):
        right = outcomes.answers.verified_IS if verified else outcomes.answers.right_IS
        keep = outcomes.questions.held_I
        if right is None or not keep.any():
            continue
        for k in reportable_k(outcomes.answers.num_samples):
            found.setdefault(k, {})[seed] = float(pass_rates(right[keep], k).mean())
    return found


@dataclass(frozen=True, slots=True)
class NeverSolved:
    """Questions by whether any answer of two models was right with a true chain, summed over seeds."""

    both: int
    gained: int
    """Never before, at least once after."""
    lost: int
    neither: int

    @property
    def total(self) -> int:
        """Questions."""
        return self.both + self.gained + self.lost + self.neither


def never_solved(before: Arm, after: Arm) -> NeverSolved | None:
    """The table of two models; None where thoughts were not judged, or one answered more often."""
    counts = np.zeros((2, 2), np.int64)
    for seed in sorted(before.by_seed.keys() & after.by_seed.keys()):
        pair = before.by_seed[seed], after.by_seed[seed]
        if pair[0].answers.num_samples != pair[1].answers.num_samples:
            return None
        keep, found = pair[0].questions.held_I, [one.answers.verified_IS for one in pair]
        if found[0] is None or found[1] is None:
            return None
        solved = [one[keep].any(axis=1).astype(int) for one in found if one is not None]
        np.add.at(counts, (solved[0], solved[1]), 1)
    return NeverSolved(int(counts[1, 1]), int(counts[0, 1]), int(counts[1, 0]), int(counts[0, 0]))


def names_of(arms: Sequence[Arm]) -> dict[str, Arm]:
    """Arms by name."""
    return {arm.name: arm for arm in arms}
