"""Laws of accuracy over training compute: of every size, and over all sizes at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.report.outcomes.sized import At, Mean, Size, means, read_sizes
from rpt_core.report.outcomes.tables import mean_over
from rpt_core.report.outcomes.values import Arm
from rpt_core.scaling.fit import law_json
from rpt_core.scaling.joint import JOINT, SIZE_AND_COMPUTE, JointComparison, Sized, compare_joint
from rpt_core.scaling.power_law import FEWEST_POINTS, PowerLawFit, fit_power_law, judge_power_law
from rpt_core.scaling.rivals import UNDECIDED


@dataclass(frozen=True)
class SizeLaw:
    """The law of one size: fitted to means over seeds, its exponent also to every seed alone."""

    size: Size

    @cached_property
    def by_seed(self) -> dict[int, list[At]]:
        """RPT's checkpoints; the start has spent nothing and is on no curve."""
        return {seed: [one for one in self.size.thinking(seed) if one.step] for seed in self.size.seeds}

    @cached_property
    def points(self) -> list[Mean]:
        """Means over seeds."""
        return means(self.by_seed)

    @cached_property
    def fit(self) -> PowerLawFit:
        """Of the means; what they scatter by is estimated from the fit, for seeds move whole curves."""
        return judge_power_law(
            [one.own_gflops for one in self.points], [one.accuracy.value for one in self.points]
        )

    @cached_property
    def exponents(self) -> dict[int, float]:
        """The power law's exponent of each seed, with four checkpoints and more."""
        return {
            seed: fit_power_law([one.own_gflops for one in path], [one.accuracy for one in path]).alpha
            for seed, path in self.by_seed.items()
            if len(path) >= FEWEST_POINTS
        }

    @property
    def r_squared(self) -> float | None:
        """Of the power law through the means, whether or not they identify it."""
        if len(self.points) < FEWEST_POINTS:
            return None
        values = [one.accuracy.value for one in self.points]
        return fit_power_law([one.own_gflops for one in self.points], values).r_squared

    @property
    def verdict(self) -> str:
        """The law that the means speak for, or ``undecided``."""
        return self.fit.law_verdict

    @property
    def reason(self) -> str:
        """Why."""
        comparison = self.fit.comparison
        return comparison.reason if comparison else "; ".join(self.fit.reasons)

    @property
    def best(self) -> str:
        """The law ahead in AICc; empty where none was compared."""
        comparison = self.fit.comparison
        return comparison.rivals[0].curve.family.name if comparison else ""


def curves_json(laws: Sequence[SizeLaw]) -> dict[str, Any]:
    """What :func:`rpt_core.scaling.curve.plot_curve` draws, with sizes in the place of tiers."""
    return {
        "tiers": {
            law.size.name: {
                "points": [
                    {"step": one.step, "gflops": one.own_gflops, **one.accuracy.as_json()}
                    for one in law.points
                ],
                "power_law": law_json(law.fit, np.array([one.own_gflops for one in law.points])),
            }
            for law in laws
        }
    }


@dataclass(frozen=True)
class AllSizes:
    """The laws over size and compute at once."""

    laws: Sequence[SizeLaw]

    @cached_property
    def comparison(self) -> JointComparison:
        """Of the means over seeds."""
        return compare_joint(
            Sized.of(*self._columns((law, one.own_gflops, one.accuracy.value) for law in self.laws
                                    for one in law.points))
        )  # fmt: skip

    @cached_property
    def exponents(self) -> dict[str, dict[int, float]]:
        """Exponents alpha and beta of the sum of two powers by seed, of the seeds that all sizes have."""
        if not self.comparison.rivals:
            return {}
        found: dict[str, dict[int, float]] = {}
        for seed in sorted(set.intersection(*(set(law.by_seed) for law in self.laws))):
            points = ((law, one.own_gflops, one.accuracy) for law in self.laws for one in law.by_seed[seed])
            curve = JOINT[SIZE_AND_COMPUTE](Sized.of(*self._columns(points)))
            for name in ("alpha", "beta"):
                found.setdefault(name, {})[seed] = curve.parameters[name]
        return found

    def exponent(self, name: str) -> Estimate | None:
        """Its mean over seeds with Student's interval."""
        return mean_over(self.exponents.get(name, {}))

    @staticmethod
    def _columns(points: Any) -> tuple[list[float], list[float], list[float]]:
        rows = [(float(law.size.parameters), own, value) for law, own, value in points]
        sizes, compute, values = zip(*rows, strict=True) if rows else ((), (), ())
        return list(sizes), list(compute), list(values)


def law_words(arms: Mapping[str, Arm]) -> str:
    """A line for the table of claims: R squared of every size, and which laws the points speak for.

    Args:
        arms: Of the study of sizes, by name.

    Raises:
        RecipeError: they are not those of one.
    """
    laws = [SizeLaw(one) for one in read_sizes(list(arms.values()))]
    fitted = ", ".join(f"{law.r_squared:.3f}" for law in laws if law.r_squared is not None)
    ends = [law.verdict for law in laws]
    named = ", ".join(dict.fromkeys(end for end in ends if end != UNDECIDED)) or "none"
    return (
        f"R² {fitted or 'not fitted'} ({', '.join(law.size.name for law in laws)}); law named: {named}; over "
        f"sizes: {AllSizes(laws).comparison.verdict}"
    )
