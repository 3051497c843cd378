"""What a report claims, and what it admits: from two or three evaluations on the same questions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rpt_core.evaluation.compare import Claim, Decision, PairedItems, decide
from rpt_core.evaluation.items import FINAL, FORCED, PLAIN, PROBLEMS, REASONING, read_items
from rpt_core.evaluation.patterns import PatternChange, pattern_changes, pattern_shares
from rpt_core.evaluation.scores import Outcomes, accuracy, outcomes, paired
from rpt_core.evaluation.strategy import Split, split_gain
from rpt_core.report.sources import Source, read_json, source_of

UNREAD = ("unparsed", "truncated", "timed out")
MAX_UNREAD_SHARE = 0.02
FEW_PLACES, FEW_PROBLEMS = 500, 100
TOLERATED_LOSS = 0.05
"""How much plain accuracy a training may cost before a report calls it forgetting."""


@dataclass(frozen=True)
class Judged:
    """One evaluation: its scores, its rows and where it came from."""

    name: str
    scores: dict[str, Any]
    items: pa.Table
    source: Source

    @classmethod
    def read(cls, name: str, folder: Path) -> "Judged":
        """From an evaluation's folder."""
        return cls(
            name, read_json(folder / "scores.json"), read_items(folder), source_of(folder, "evaluation")
        )

    def outcomes(self, mode: str) -> Outcomes:
        """The final model's outcomes in one mode; on text, at the positions training asks about."""
        found = outcomes(self.items, mode)
        return found if mode == PROBLEMS else found.above(self.floor_nats)

    def milestone(self, step: int) -> Outcomes:
        """The outcomes of a checkpoint on the way, left free to think."""
        return outcomes(self.items, REASONING, f"{step:06d}")

    @property
    def floor_nats(self) -> float:
        """Entropy from which on positions are asked in training."""
        return float(self.scores["floor_nats"])


def claims_of(
    before: Judged, after: Judged, finetuned: Judged | None, least_gain: float, method: str = "RPT"
) -> list[Decision]:
    """The report's claims, fixed before any number is seen, and how each ended.

    All are paired, clustered by document or problem, and held to one error rate together (Holm).
    """
    return decide(list(_claims(before, after, finetuned, least_gain, method)))


def _claims(
    before: Judged, after: Judged, finetuned: Judged | None, least_gain: float, method: str
) -> Iterator[Claim]:
    free = before.outcomes(REASONING), after.outcomes(REASONING)
    if len(free[0]) and len(free[1]):
        yield Claim(f"{method} raises next-token accuracy", paired(*free))
        yield Claim(f"{method} raises it by more than {100 * least_gain:g} points", paired(*free), least_gain)
        yield Claim(f"{method} makes more answers think", _thinking(*free))
        if len(forced := before.outcomes(FORCED)):
            yield Claim(f"{method} brings more than the habit of thinking", paired(forced, free[1]))
    plain = before.outcomes(PLAIN), after.outcomes(PLAIN)
    if len(plain[0]) and len(plain[1]):
        if len(free[1]):
            yield Claim("the trained model's thinking beats its own plain guess", paired(plain[1], free[1]))
        name = f"plain prediction loses less than {100 * TOLERATED_LOSS:g} points"
        yield Claim(name, paired(*plain), -TOLERATED_LOSS)
    if finetuned is not None:
        solved = after.outcomes(PROBLEMS), finetuned.outcomes(PROBLEMS)
        if len(solved[0]) and len(solved[1]):
            yield Claim("verifiable rewards raise accuracy on problems", paired(*solved))


def _thinking(before: Outcomes, after: Outcomes) -> PairedItems:
    return PairedItems(before.thinks / before.samples, after.thinks / after.samples, before.documents)


def split_of(before: Judged, after: Judged, seed: int) -> Split | None:
    """How much of the gain is the habit of thinking; None where nothing was asked."""
    free = before.outcomes(REASONING), after.outcomes(REASONING)
    if not len(free[0]) or not len(free[1]):
        return None
    forced = before.outcomes(FORCED)
    return split_gain(*free, forced if len(forced) else None, seed=seed)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One question and what two models answered first."""

    tail: str
    truth: str
    entropy_nats: float
    answers: tuple[dict[str, Any], ...]
    """By model: name, thought, prediction, verdict."""


def rollouts_of(before: Judged, after: Judged, num: int, seed: int) -> list[Rollout]:
    """Questions drawn by chance among those training asks about, the easiest first."""
    rows = {model.name: _first_answers(model) for model in (before, after)}
    shared = sorted(rows[before.name].keys() & rows[after.name].keys())
    chosen = np.random.default_rng([seed, len(shared)]).permutation(len(shared))[:num]
    found = []
    for name in (shared[index] for index in chosen):
        first = rows[after.name][name]
        answers = tuple(
            {"name": model, **{key: of[name][key] for key in ("thought", "prediction", "verdict")}}
            for model, of in rows.items()
        )
        found.append(Rollout(first["tail"] or "", first["truth"], float(first["entropy_nats"]), answers))
    return sorted(found, key=lambda rollout: rollout.entropy_nats)


def _first_answers(model: Judged) -> dict[str, dict[str, Any]]:
    columns = ["item_id", "tail", "truth", "entropy_nats", "thought", "prediction", "verdict"]
    keep = (np.array(model.items["mode"]) == REASONING) & (np.array(model.items["checkpoint"]) == FINAL)
    keep &= np.array(model.items["sample"]) == 0
    rows = model.items.filter(pa.array(keep)).select(columns).to_pylist()
    return {row["item_id"]: row for row in rows if row["entropy_nats"] >= model.floor_nats}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One group of keywords: how often solving and how often predicting uses it."""

    group: str
    solving: dict[str, Any]
    predicting: dict[str, Any]
    change: PatternChange | None


def patterns_of(solver: Judged, predictor: Judged, seed: int) -> list[Pattern]:
    """The start model solving problems, the trained one predicting tokens (RPT, 4.4); empty without both."""
    solving, predicting = _thoughts(solver, PROBLEMS), _thoughts(predictor, REASONING)
    if not solving[0] or not predicting[0]:
        return []
    shares = pattern_shares(*solving), pattern_shares(*predicting)
    changes = pattern_changes(*solving, *predicting, seed=seed)
    return [
        Pattern(group, shares[0][group].as_json(), shares[1][group].as_json(), changes[group])
        for group in changes
    ]


def _thoughts(model: Judged, mode: str) -> tuple[list[str], list[str]]:
    keep = (np.array(model.items["mode"]) == mode) & (np.array(model.items["checkpoint"]) == FINAL)
    rows = model.items.filter(pa.array(keep))
    return [text or "" for text in rows["thought"].to_pylist()], rows["doc_id"].to_pylist()


def law_remarks(tier_fit: Mapping[str, Any]) -> str:
    """Why a tier's law is named or not, and what of its parameters is withheld."""
    remarks = [tier_fit.get("law_reason", ""), *tier_fit["power_law"]["reasons"]]
    return "; ".join(dict.fromkeys(filter(None, remarks)))


def shortfalls(
    judged: Mapping[str, Judged], decisions: list[Decision], fit: dict[str, Any], seeds: int = 1
) -> list[str]:
    """What a reader must know before believing the page, in whole sentences."""
    found = [_claim_sentence(decision) for decision in decisions if decision.verdict != "holds"]
    found += [
        f"The scaling law of the {tier} tier is undecided: {law_remarks(tier_fit)}."
        for tier, tier_fit in fit.get("tiers", {}).items()
        if tier_fit.get("law_verdict", tier_fit["power_law"]["verdict"]) == "undecided"
    ]
    for model in judged.values():
        found += _unread(model)
    found += _small(next(iter(judged.values())))
    if seeds == 1:
        found.append("This is one seed. Another seed draws other weights and other answers.")
    missing = [name for name, model in judged.items() if not model.source.known]
    if missing:
        found.append(
            f"The numbers of {', '.join(missing)} cannot be linked: their folders hold no manifest.json, so "
            "they were not taken from a store."
        )
    return found


def _claim_sentence(decision: Decision) -> str:
    end = "fails" if decision.verdict == "fails" else "is undecided"
    interval = _points(decision.difference.value)
    if decision.difference.low is not None and decision.difference.high is not None:
        interval += f" [{_points(decision.difference.low)}, {_points(decision.difference.high)}]"
    return (
        f"“{decision.name[0].upper()}{decision.name[1:]}” {end}: the difference is {interval} points "
        f"(adjusted p = {decision.adjusted_p_value:.2g})."
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _unread(model: Judged) -> Iterator[str]:
    for mode in (REASONING, FORCED, PROBLEMS):
        verdicts = model.scores["modes"].get(mode, {}).get("verdicts", {})
        total = sum(verdicts.values())
        unread = {name: verdicts[name] for name in UNREAD if verdicts.get(name)}
        if total and sum(unread.values()) > MAX_UNREAD_SHARE * total:
            parts = ", ".join(f"{count} {name}" for name, count in unread.items())
            yield (
                f"{sum(unread.values()) / total:.1%} of the answers of {model.name} in mode {mode} went "
                f"unread ({parts} of {total}); they score nothing, and are not wrong."
            )


def _small(model: Judged) -> Iterator[str]:
    for mode, least, noun in (
        (REASONING, FEW_PLACES, "held-out positions"),
        (PROBLEMS, FEW_PROBLEMS, "problems"),
    ):
        if mode in model.scores["modes"]:
            asked = len(model.outcomes(mode))
            if asked < least:
                above = f" of at least {model.floor_nats:g} nats" if mode == REASONING else ""
                yield f"Only {asked} {noun}{above} were asked; {least} would narrow the intervals."


def headline(before: Judged, after: Judged) -> dict[str, Any]:
    """The two accuracies a reader wants first, as estimates."""
    return {
        name: accuracy(found)
        for name, found in (("before", before.outcomes(REASONING)), ("after", after.outcomes(REASONING)))
        if len(found)
    }
