"""`rpt compare`: evaluations item by item; artifacts of any other kind by recipe, digests and results."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows.cli.commands.show import console, number, print_json, print_table
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.errors import RecipeError
from tasks.commands.leaderboard import is_evaluation
from tasks.home import open_store

Difference = dict[str, Any]
"""``name``, and what the ``first`` and the ``second`` have under it; None where one has nothing."""
MOST_CHARACTERS = 60


def compare_artifacts(first: str, others: Sequence[str], *, as_json: bool) -> None:
    """Show where artifacts of one kind differ, each of the others beside the first.

    Args:
        first: A name; or several by commas, the evaluations of one method by seed.
        others: The same of what is held against it.
        as_json: One document.

    Raises:
        RecipeError: two are one artifact, are of two kinds, or are evaluations of different questions.
    """
    store = open_store()
    if any("," in ref for ref in (first, *others)):
        _compare_runs(store, first, others, as_json=as_json)
        return
    one, rest = store.find(first), [store.find(other) for other in others]
    for ref, other in zip(others, rest, strict=True):
        _refuse_unlike(first, one, ref, other)
    pages = [_sides(one, other) for other in rest]
    if is_evaluation(one):
        pages = [lines | sides for lines, sides in zip(_evaluations(store, one, rest), pages, strict=True)]
    if as_json:
        head = {"kind": one.kind, "first": _address(one)}
        told = [{"second": _address(other), **page} for other, page in zip(rest, pages, strict=True)]
        print_json(head | (told[0] if len(told) == 1 else {"others": told}))
        return
    for other, page in zip(rest, pages, strict=True):
        console.print(f"first [bold]{one.artifact.short}[/]  second [bold]{other.artifact.short}[/]")
        _print(page, many=len(rest))


def _compare_runs(store: Store, first: str, others: Sequence[str], *, as_json: bool) -> None:
    """Methods under the same seeds, each a list of evaluations in one order: seeds are the unit.

    Raises:
        RecipeError: the lists differ in length, or one of what they name is no evaluation.
    """
    from rpt_core.evaluation.items import read_items
    from rpt_core.evaluation.versus import run_lines

    lists = [[store.find(ref.strip()) for ref in some.split(",")] for some in (first, *others)]
    for manifest in (one for some in lists for one in some):
        if not is_evaluation(manifest):
            raise RecipeError(
                f"{manifest.artifact.short} is no evaluation, so it has no mean to compare over seeds. Name "
                "evaluations; `rpt ls` lists them."
            )
    tiers = list(_tiers(store, lists[0][0]).values())
    before, *rest = ([read_items(store.materialise(one.artifact)) for one in some] for some in lists)
    found = [[asdict(line) for line in run_lines(before, after, tiers)] for after in rest]
    told = list(zip(others, found, strict=True))
    if as_json:
        print_json({"first": first, "others": [{"second": ref, "lines": lines} for ref, lines in told]})
        return
    for ref, lines in told:
        console.print(f"first [bold]{first}[/]  second [bold]{ref}[/]", soft_wrap=True)
        head = ["mode", "tier", "seeds", "first", "second", "difference", "95% interval", "p"]
        print_table(head, map(_run_line, lines))
    console.print("Paired by seed, in the order named; Student's interval and test over the runs' means.")


def _run_line(line: dict[str, Any]) -> list[str]:
    found = line["comparison"]
    gain, p_value = found["difference"], found["p_value"]
    return [
        line["mode"], line["tier"], str(gain["num_items"]), f"{100 * line['before']:.1f}",
        f"{100 * line['after']:.1f}", f"{100 * gain['value']:+.1f}", interval(gain, "+.1f"),
        "-" if p_value is None else f"{p_value:.2g}",
    ]  # fmt: skip


def _refuse_unlike(first: str, one: Manifest, second: str, other: Manifest) -> None:
    if one.artifact == other.artifact:
        raise RecipeError(
            f"{first} and {second} are the same artifact, {one.artifact.short}: there is nothing to compare. "
            "Name two; `rpt ls` lists what is there."
        )
    if one.kind != other.kind:
        raise RecipeError(
            f"{first} is of kind {one.kind}, {second} of kind {other.kind}: they hold different things. "
            "Name two artifacts of one kind."
        )


def _evaluations(store: Store, one: Manifest, others: Sequence[Manifest]) -> list[dict[str, Any]]:
    """Paired lines of each other evaluation, decided together; loads the science only here."""
    from rpt_core.evaluation.items import read_items
    from rpt_core.evaluation.versus import lines_against, modes_of

    tiers = _tiers(store, one)
    for other in others:
        if tiers != (theirs := _tiers(store, other)):
            raise RecipeError(
                f"the tiers of {one.artifact.short} begin at {list(tiers.values())} nats, those of "
                f"{other.artifact.short} at {list(theirs.values())}: the lines would be about different "
                "questions. Evaluate both with the same tiers_nats."
            )
    before = read_items(store.materialise(one.artifact))
    after = {str(i): read_items(store.materialise(other.artifact)) for i, other in enumerate(others)}
    found = lines_against(before, after, list(tiers.values()))
    return [
        {
            "lines": [asdict(line) for line in found[number]],
            "modes_of_one_only": sorted(set(modes_of(before)) ^ set(modes_of(items))),
        }
        for number, items in after.items()
    ]


def _tiers(store: Store, manifest: Manifest) -> dict[str, float]:
    """Where the entropy tiers of an evaluation begin; of one without next tokens, nothing."""
    path = store.materialise(manifest.artifact) / "scores.json"
    scores = json.loads(path.read_text()) if path.exists() else {}
    return dict(scores.get("thresholds_nats", {}))


def _sides(one: Manifest, other: Manifest) -> dict[str, Any]:
    """What two manifests say, as far as it differs; results and rows whole."""
    files = [{entry.path: entry.digest for entry in each.files} for each in (one, other)]
    return {
        "digests": _differing({"artifact": one.digest, **files[0]}, {"artifact": other.digest, **files[1]}),
        "recipe": _differing(_flat(_recipe(one)), _flat(_recipe(other))),
        "numerics": _differing(_numerics(one), _numerics(other)),
        "rows": _beside(_rows(one), _rows(other)),
        "results": _beside(one.outcome.summary, other.outcome.summary),
    }


def _recipe(manifest: Manifest) -> dict[str, Any]:
    """The recipe, its inputs by kind and digest: what they hold, wherever they were made."""
    inputs = {name: f"{a.kind} with digest {a.digest[:12]}" for name, a in manifest.parents.items()}
    tuples = {name.partition(".")[0] for name in inputs}
    return {name: value for name, value in manifest.recipe.items() if name not in tuples} | inputs


def _numerics(manifest: Manifest) -> dict[str, Any]:
    return manifest.numerics.model_dump() if manifest.numerics else {}


def _rows(manifest: Manifest) -> dict[str, Any]:
    rows = manifest.outcome.rows
    return {"in": rows.rows_in, "kept": rows.kept, **{f"dropped: {k}": v for k, v in rows.dropped.items()}}


def _flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested fields under dotted names.

    Example:
        >>> _flat({"a": {"b": 1, "c": [2]}, "d": None})
        {'a.b': 1, 'a.c': [2], 'd': None}
    """
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{before}{name}.") if isinstance(inner, dict) else {f"{before}{name}": inner}
    return found


def _beside(one: dict[str, Any], other: dict[str, Any]) -> list[Difference]:
    names = dict.fromkeys([*one, *other])
    return [{"name": name, "first": one.get(name), "second": other.get(name)} for name in names]


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[Difference]:
    return [row for row in _beside(one, other) if row["first"] != row["second"]]


def _address(manifest: Manifest) -> dict[str, Any]:
    return manifest.artifact.model_dump()


def _print(pages: dict[str, Any], *, many: int) -> None:
    if "lines" in pages:
        head = ["mode", "tier", "items", "first", "second", "difference", "95% interval", "p", "second is"]
        checked = any(line["comparison"]["mcnemar_p_value"] is not None for line in pages["lines"])
        head += ["McNemar"] if checked else []
        print_table(head, (_line(line)[: len(head)] for line in pages["lines"]))
        over = "these lines" if many == 1 else f"the lines of all {many} tables"
        console.print(
            "Paired by item, clustered by document or problem, or by what these are nested in; p by sign "
            f"flips, after Holm's correction over {over}."
        )
        if checked:
            console.print("McNemar: a check for one answer an item; items as independent, uncorrected.")
        if alone := pages["modes_of_one_only"]:
            console.print(f"Asked of one only: {', '.join(alone)}.")
    for name in ("recipe", "digests", "numerics", "rows", "results"):
        if pages[name]:
            print_table([name, "first", "second"], (map(_short, row.values()) for row in pages[name]))
        elif name == "recipe":
            console.print("The recipes are equal, inputs included.")


def _line(line: dict[str, Any]) -> list[str]:
    found = line["comparison"]
    gain = found["difference"]
    accuracies = [f"{100 * found[side]['value']:.1f}" for side in ("before", "after")]
    return [
        line["mode"], line["tier"], str(gain["num_items"]), *accuracies, f"{100 * gain['value']:+.1f}",
        interval(gain, "+.1f"), f"{line['adjusted_p_value']:.2g}", line["verdict"],
        "-" if found["mcnemar_p_value"] is None else f"{found['mcnemar_p_value']:.2g}",
    ]  # fmt: skip


def interval(estimate: Any, form: str) -> str:
    """Both ends of a 95 % interval in points; a dash where there is none."""
    if not isinstance(estimate, dict) or estimate["low"] is None:
        return "-"
    return " to ".join(format(100 * estimate[end], form) for end in ("low", "high"))


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = number(value) if isinstance(value, float | str | int) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
