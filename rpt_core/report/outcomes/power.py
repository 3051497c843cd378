"""What so many seeds can find, and how trainings scatter over them."""

from collections.abc import Sequence

from rpt_core.evaluation.by_seed import pooled_deviation
from rpt_core.evaluation.statistics.compare import ALPHA
from rpt_core.evaluation.statistics.power import smallest_detectable
from rpt_core.pages.words import number_word, points
from rpt_core.report.blocks import Row, Section, Table
from rpt_core.report.outcomes.claims import FIRST_SEEDS, FURTHER_SEEDS, MOST_DEVIATION, Rules
from rpt_core.report.outcomes.values import Arm

DEVIATIONS = (0.01, 0.03, 0.05)
"""Of seeds' differences: what the published studies of this project scatter between."""


def power_table(arms: Sequence[Arm], rules: Rules) -> Section:
    """What so many seeds can find, and whether more are wanted: nothing of how arms differ.

    Args:
        arms: Of a study.
        rules: What it claims, under one error rate.
    """
    num = max((len(arm.by_seed) for arm in arms), default=0)
    counts = sorted({len(FIRST_SEEDS), 2 * len(FIRST_SEEDS), num} - {0, 1})
    rows: list[Row] = [
        (f"{seeds} seeds, {words}", *(points(smallest_detectable(sd, seeds, alpha)) for sd in DEVIATIONS))
        for seeds in counts
        for words, alpha in error_rates(len(rules.claims)).items()
    ]
    head = ("", *(f"differences scatter by {100 * sd:g} points" for sd in DEVIATIONS))
    lead = "The smallest true mean difference, from its threshold on, that is found with a chance of 80 %."
    return Section("What these seeds can find", [lead, Table(head, rows), deviation_words(arms, rules)])


def error_rates(num_claims: int) -> dict[str, float]:
    """Error rates under which a difference may be looked for, by name: its own, and the smallest of Holm's.

    Example:
        >>> error_rates(8)
        {'one claim': 0.05, 'the smallest p of eight': 0.00625}
        >>> error_rates(0)
        {'one claim': 0.05}
    """
    found = {"one claim": ALPHA}
    if num_claims > 1:
        found[f"the smallest p of {number_word(num_claims)}"] = ALPHA / num_claims
    return found


def deviation_words(arms: Sequence[Arm], rules: Rules) -> str:
    """How trainings scatter; in a study whose rule it is, the one look that decides about further seeds.

    Args:
        arms: Of a study.
        rules: What it claims.
    """
    claimed = [arm for arm in arms if arm.name in rules.claimed]
    scores = [_first_scores(arm) for arm in claimed]
    if not any(len(one) > 1 for one in scores):
        return "No arm of the claims has two seeds yet, so nobody knows how trainings scatter."
    found = pooled_deviation(scores)
    said = f"Pooled within the arms of the claims, accuracy scatters by {100 * found:.1f} points over"
    if not rules.further:
        return f"{said} seeds."
    most = f"{100 * MOST_DEVIATION:g}"
    if found <= MOST_DEVIATION:
        return f"{said} the first seeds: not above {most}, so {len(FIRST_SEEDS)} do."
    run = all(set(FURTHER_SEEDS) <= arm.by_seed.keys() for arm in claimed)
    end = f"seeds {rules.further} {'were' if run else 'are to be'} run for these arms"
    return f"{said} the first seeds: above {most}, so {end}."


def _first_scores(arm: Arm) -> list[float]:
    """Under the seeds after which the one look is taken; further ones would be a second look."""
    return [value for seed, value in arm.scores("accuracy").items() if seed not in FURTHER_SEEDS]
