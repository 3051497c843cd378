"""What a journey's page shows besides its accuracies: drawn answers, the law, and words of thinking."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from rpt_core.evaluation.items import FINAL, PROBLEMS, REASONING
from rpt_core.evaluation.patterns import PatternChange, pattern_changes, pattern_shares
from rpt_core.pages.words import ends
from rpt_core.report.blocks import NOTHING, Cell, Inline, Rollouts, Section, Table, share
from rpt_core.report.models import Evaluated
from rpt_core.report.sources import SourceArtifact


def rollouts_section(before: Evaluated, after: Evaluated, num: int, seed: int) -> Iterator[Section]:
    """Questions drawn by chance among those training asks about, the easiest first, where any is shared."""
    first = {model.name: _first_answers(model) for model in (before, after)}
    shared = sorted(first[before.name].keys() & first[after.name].keys())
    chosen = np.random.default_rng([seed, len(shared)]).permutation(len(shared))[:num]
    found = []
    for item in (shared[index] for index in chosen):
        asked = first[after.name][item]
        answers = [
            {"name": name, **{key: rows[item][key] for key in ("thought", "prediction", "verdict")}}
            for name, rows in first.items()
        ]
        question = {
            "tail": asked["tail"] or "",
            "truth": asked["truth"],
            "entropy_nats": asked["entropy_nats"],
        }
        found.append(question | {"answers": answers})
    lead = (
        "Drawn by chance among those training asks about, not chosen. The underlined words are how the text "
        "goes on; what matters is whether the prediction says the same, byte for byte."
    )
    if found:
        rollouts = Rollouts(sorted(found, key=lambda rollout: float(rollout["entropy_nats"])))
        yield Section(f"{len(found)} questions and their first answers", [lead, rollouts])


def _first_answers(model: Evaluated) -> dict[str, dict[str, Any]]:
    columns = ["item_id", "tail", "truth", "entropy_nats", "thought", "prediction", "verdict"]
    first = np.array(model.items["sample"]) == 0
    rows = model.items.filter(pa.array(_final(model, REASONING) & first)).select(columns).to_pylist()
    return {row["item_id"]: row for row in rows if row["entropy_nats"] >= model.floor_nats}


def _final(model: Evaluated, mode: str) -> Any:
    return (np.array(model.items["mode"]) == mode) & (np.array(model.items["checkpoint"]) == FINAL)


def law_section(fit: Mapping[str, Any], source: SourceArtifact) -> Section:
    """The fitted law of every tier, with what could not be told."""
    laws = {tier: found["power_law"] for tier, found in fit["tiers"].items()}

    def r_squared(tier: str) -> Cell:
        value = laws[tier]["r_squared"]
        return NOTHING if value is None else Cell(f"{value:.3f}", source=source, value=value)

    def alpha(tier: str) -> Cell:
        value = laws[tier]["parameters"].get("alpha")
        if not value:
            return NOTHING
        return Cell(f"{value['value']:.2f}", f"[{ends(value, '{:.2f}'.format)}]", source, value=value)

    def remarks(tier: str) -> str:
        kind = laws[tier]["interval"]
        intervals = "" if kind == "none" else f"{kind} intervals"
        return "; ".join(filter(None, [law_remarks(fit["tiers"][tier]), intervals]))

    def law(tier: str) -> Cell:
        named = named_law(fit["tiers"][tier])
        return Cell(named, look="chip" if named == "undecided" else "chip fits")

    lead = (
        "accuracy = A / C^α + P*, with C the training compute in GFLOPs. A parameter the points cannot "
        "tell is left out. Its rivals (exponential, saturating, logistic and logarithmic in log C) are "
        "fitted to the same points; where none is clearly ahead by AICc and by leaving points out, the "
        "law is undecided, and the parameters are those of the power law if it is one."
    )
    columns: dict[str, Callable[[str], Inline]] = {
        "law": law,
        "R²": r_squared,
        "α": alpha,
        "ceiling P*": lambda tier: share(laws[tier]["parameters"].get("ceiling"), source),
        "checkpoints": lambda tier: str(len(fit["tiers"][tier]["points"])),
        "remarks": remarks,
    }
    table = Table.of("tier", laws, columns, words=frozenset({1, 6}))
    return Section("The scaling law", [lead, table])


def named_law(found: Mapping[str, Any]) -> str:
    """The law a tier follows, or ``undecided``."""
    return str(found.get("law_verdict", found["power_law"]["verdict"]))


def law_remarks(found: Mapping[str, Any]) -> str:
    """Why a tier's law is named or not, and what of its parameters is withheld."""
    remarks = [found.get("law_reason", ""), *found["power_law"]["reasons"]]
    return "; ".join(dict.fromkeys(filter(None, remarks)))


def undecided_laws(fit: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each tier whose law the points do not tell."""
    for tier, found in fit["tiers"].items():
        if named_law(found) == "undecided":
            yield f"The scaling law of the {tier} tier is undecided: {law_remarks(found)}."


def patterns_section(solver: Evaluated, predictor: Evaluated, seed: int) -> Section:
    """The start model solving problems beside the trained one predicting tokens (RPT, 4.4)."""
    solving, predicting = _thoughts(solver, PROBLEMS), _thoughts(predictor, REASONING)
    none = (
        "None of the paper's six groups of keywords (“wait”, “probably”, “finally” …) occurs in the thoughts"
    )
    if not solving[0] or not predicting[0]:
        return Section("How it reasons", [f"{none}: there were no thoughts to look at."])
    shares = pattern_shares(*solving), pattern_shares(*predicting)
    if not any(found.value for side in shares for found in side.values()):
        return Section(
            "How it reasons", [f"{none}: a model trained on a small world has only that world's words."]
        )
    changes = pattern_changes(*solving, *predicting, seed=seed)
    columns = {
        "solving": lambda group: share(shares[0][group], solver.source),
        "predicting": lambda group: share(shares[1][group], predictor.source),
        "relative change": lambda group: _relative(changes[group]),
    }
    lead = (
        "Share of answers with at least one keyword of a group: the start model solving problems, and the "
        "trained model predicting tokens."
    )
    return Section("How it reasons", [lead, Table.of("pattern", changes, columns)])


def _relative(change: PatternChange | None) -> Cell:
    if change is None:
        return Cell("never used in solving", look="muted")
    interval = ends(change, lambda value: f"{100 * value:+.0f}")
    return Cell(f"{100 * change.relative:+.0f} %", f"[{interval}]", value=change)


def _thoughts(model: Evaluated, mode: str) -> tuple[list[str], list[str]]:
    rows = model.items.filter(pa.array(_final(model, mode)))
    return [text or "" for text in rows["thought"].to_pylist()], rows["doc_id"].to_pylist()
