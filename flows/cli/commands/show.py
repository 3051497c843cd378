"""What a person reads about finished artifacts: tables on a terminal, JSON for machines."""

import json
import sys
import webbrowser
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from flows.recipes import NAMED
from infra.local.state import made_state_folder
from infra.storage import garbage
from infra.storage.documents import Fault
from rpt_core.addresses import without_password
from rpt_core.artifacts.lineage import ancestors
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Frozen
from rpt_core.corpus.reasons import REASONS
from rpt_core.errors import RecipeError
from rpt_core.overview.site import PAGES
from rpt_core.recipes.stages import STAGES
from tasks.home import open_store
from tasks.shown.journeys import show_again

console = Console(highlight=False)
_WIDEST = 10_000
"""Columns of a row that goes into a file or another program."""
DROPPED_FILE = "dropped.parquet"


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=False))  # noqa: T201


def list_recipes(*, as_json: bool) -> None:
    """The named recipes with their first line."""
    rows = [{"name": name, "what": (make.__doc__ or "").splitlines()[0]} for name, make in NAMED.items()]
    if as_json:
        print_json(rows)
        return
    print_table(["recipe", "what"], ([row["name"], row["what"]] for row in rows))


def list_store(kind: str, *, as_json: bool) -> None:
    """Finished artifacts, newest first."""
    store = open_store()
    spoken: dict[str, list[str]] = {}
    refs, faults = store.scan_refs()
    for name, versions in refs.items():
        for number, artifact in sorted(versions.items()):
            spoken.setdefault(artifact.fingerprint, []).append(f"{name}@{number}")
    scan = store.scan()
    tell_faults((*scan.faults, *faults))
    found = [manifest for manifest in scan.manifests if kind in {"", manifest.kind}]
    found.sort(key=lambda manifest: manifest.created, reverse=True)
    rows: list[dict[str, Any]] = [
        {
            "kind": manifest.kind,
            "fingerprint": manifest.fingerprint,
            "digest": manifest.digest,
            "refs": spoken.get(manifest.fingerprint, []),
            "created": manifest.created,
            "num_bytes": sum(entry.num_bytes for entry in manifest.files),
        }
        for manifest in found
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        console.print(f"{store.objects.url} holds nothing yet. `rpt demo` fills it.")
    else:
        print_table(
            ["kind", "fingerprint", "refs", "created", "size"],
            (
                [
                    row["kind"],
                    row["fingerprint"][:12],
                    " ".join(row["refs"]),
                    moment(row["created"]),
                    size(row["num_bytes"]),
                ]
                for row in rows
            ),
        )


def show_artifact(ref: str, *, as_json: bool) -> None:
    """Manifest, parents and row counts of one artifact."""
    manifest = open_store().find(ref)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    console.print(
        f"[bold]{manifest.artifact.short}[/]  digest {manifest.digest[:12]}  made {moment(manifest.created)}"
    )
    if manifest.outcome.summary:
        print_table(["result", "value"], ([k, number(v)] for k, v in manifest.outcome.summary.items()))
    rows = manifest.outcome.rows
    if rows.rows_in:
        lines = [
            ["in", rows.rows_in],
            ["kept", rows.kept],
            *([f"dropped: {k}", v] for k, v in rows.dropped.items()),
        ]
        print_table(["rows", "count"], lines)
    if manifest.parents:
        print_table(["input", "artifact"], ([k, v.short] for k, v in manifest.parents.items()))
    print_table(
        ["file", "size", "digest"],
        ([entry.path, size(entry.num_bytes), entry.digest[:12]] for entry in manifest.files),
    )


def show_why(ref: str) -> None:
    """The recipe's fields that differ from their defaults, and what the artifact stands on."""
    manifest = open_store().find(ref)
    stage = STAGES.get(str(manifest.recipe.get("stage")))
    fields: Any = stage.recipe.model_fields if stage else {}
    console.print(f"[bold]{manifest.artifact.short}[/] is what this recipe makes of these inputs:")
    rows = []
    for name, value in manifest.recipe.items():
        if name in manifest.parents:
            rows.append([name, manifest.parents[name].short, "input"])
            continue
        default: Any = fields[name].get_default(call_default_factory=True) if name in fields else None
        plain = default.model_dump(mode="json") if isinstance(default, Frozen) else default
        text = without_password(json.dumps(value, ensure_ascii=False))
        same = json.dumps(plain, ensure_ascii=False, default=str) == text
        rows.append([name, text[:100], "default" if same else "chosen"])
    print_table(["field", "value", "from"], rows)
    if manifest.numerics:
        print_table(["numerics", "value"], ([k, v] for k, v in manifest.numerics.model_dump().items()))


def show_lineage(ref: str, *, as_json: bool) -> None:
    """All ancestors."""
    store = open_store()
    manifest = store.find(ref)
    found = list(ancestors(manifest, store.load))
    if as_json:
        print_json(
            [{"depth": depth, "input": name, **parent.artifact.model_dump()} for depth, name, parent in found]
        )
        return
    branches = {0: Tree(f"[bold]{manifest.artifact.short}[/]")}
    for depth, name, parent in found:
        label = f"{name}: {parent.artifact.short}  {moment(parent.created)}"
        branches[depth] = branches[depth - 1].add(label)
    console.print(branches[0])


def show_cost(ref: str, *, as_json: bool) -> None:
    """Seconds, FLOPs and tokens by artifact, with the sum."""
    store = open_store()
    manifest = store.find(ref)
    rows = [_cost(each) for each in [manifest, *(m for _, _, m in ancestors(manifest, store.load))]]
    total = {key: sum(row[key] for row in rows) for key in ("attempts", "seconds", "flops", "tokens")}
    if as_json:
        print_json({"artifacts": rows, "total": total})
        return
    table = [
        [r["artifact"], r["attempts"], f"{r['seconds']:.1f}", f"{r['flops']:.3g}", r["tokens"]] for r in rows
    ]
    table.append(
        ["total", total["attempts"], f"{total['seconds']:.1f}", f"{total['flops']:.3g}", total["tokens"]]
    )
    print_table(["artifact", "attempts", "seconds", "FLOPs", "tokens"], table)


def _cost(manifest: Manifest) -> dict[str, Any]:
    return {
        "artifact": manifest.artifact.short,
        "attempts": len(manifest.attempts),
        "seconds": round(sum(attempt.seconds for attempt in manifest.attempts), 3),
        "flops": manifest.outcome.flops,
        "tokens": manifest.outcome.tokens,
    }


def show_dropped(ref: str, reason: str, limit: int, *, as_json: bool) -> None:
    """Rows a stage dropped for one reason, readable."""
    store = open_store()
    manifest = store.find(ref)
    manifest.file(DROPPED_FILE)
    chosen = dropped_rows(store.materialise(manifest.artifact) / DROPPED_FILE, reason, limit)
    reasons = manifest.outcome.rows.dropped
    if not chosen:
        had = ", ".join(f"{name} {num}" for name, num in reasons.items())
        raise RecipeError(f"{ref} dropped nothing for {reason!r}; it has {had or 'no dropped rows'}.")
    if as_json:
        print_json(chosen)
        return
    for row in chosen:
        where = "  ".join(filter(None, (f"{row['source']} {row['native_id']}".strip(), row["origin"])))
        console.print(row["title"] or row["native_id"] or row["origin"], style="bold", markup=False)
        console.print(f"  {where}", style="dim", markup=False, soft_wrap=True)
        console.print(Padding(Text(row["preview"]), (0, 0, 1, 2)))
    meaning = REASONS.get(reason, "")
    console.print(
        f"{len(chosen)} of {reasons.get(reason, len(chosen))} rows dropped for {reason}: {meaning}.",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def dropped_rows(path: Path, reason: str, limit: int) -> list[dict[str, Any]]:
    """The first rows of a table of dropped rows that have a reason; some rows are held at a time."""
    from rpt_core.corpus.tables import read_rows

    return list(islice((row for row in read_rows(path) if row["reason"] == reason), limit))


def show_rollouts(ref: str, limit: int, *, as_json: bool) -> None:
    """Kept rollouts: prompt, thought, prediction, truth, verdict; the last steps first."""
    rows = _rows(ref, "rollouts.parquet")
    rows.sort(key=lambda row: -row["step"])
    if as_json:
        print_json(rows[:limit])
        return
    for row in rows[:limit]:
        print_rollout(row)


def print_rollout(row: dict[str, Any]) -> None:
    """One answer: prompt, thought, prediction, truth."""
    head = f"step {row['step']}  {row['verdict']}  reward {row['reward']:.2f}"
    console.print(f"[bold]{head}[/]  {row['doc_id'][:12]} at {row['position']}")
    for name in ("prompt_tail", "thought", "prediction", "truth"):
        console.print(f"  {name:<12}", end="")
        console.print(repr(row[name]), markup=False)


def _rows(ref: str, file: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    store = open_store()
    manifest = store.find(ref)
    manifest.file(file)
    table: list[dict[str, Any]] = pq.read_table(store.materialise(manifest.artifact) / file).to_pylist()
    return table


def show_report(ref: str, *, opened: bool) -> None:
    """The path of an artifact's page, in the browser too where that is asked for.

    Raises:
        RecipeError: the artifact has no page, or no browser can be started.
    """
    store = open_store()
    manifest = store.find(ref)
    held = {file.path for file in manifest.files}
    page = next((name for name in PAGES if name in held), "")
    if not page:
        raise RecipeError(
            f"{manifest.artifact.short} has no page to look at, as reports and corpora have. What it holds: "
            f"rpt show {manifest.artifact.short}"
        )
    place = store.materialise(manifest.artifact) / page
    console.print(str(place), soft_wrap=True)
    if opened and not webbrowser.open(place.absolute().as_uri()):
        raise RecipeError("no browser can be started here; open the path above by hand.")


def track_again(ref: str) -> None:
    """Show one artifact in MLflow, with all it stands on, loudly when that fails."""
    store = open_store()
    manifest = store.find(ref)
    names = " and ".join(show_again(manifest, store))
    console.print(f"{manifest.artifact.short} stands in MLflow, in {names}.")


def verify_artifact(ref: str) -> None:
    """Verify and say so."""
    store = open_store()
    manifest = store.find(ref)
    store.verify(manifest)
    console.print(f"{manifest.artifact.short}: {len(manifest.files)} files hold what their manifest says.")


def collect_garbage(older_than_hours: float, *, remove: bool) -> None:
    """List or remove unnamed contents, and what dead processes left on this machine.

    Raises:
        IntegrityError: something that may name any content cannot be read, so that none is removed.
    """
    store, age = open_store(), older_than_hours * 3600
    found = garbage.survey(store, age)
    tell_faults(found.faults)
    if remove:
        gone = garbage.remove(store, found)
        num = garbage.sweep(store, made_state_folder(), age)
        console.print(f"{len(gone)} unnamed contents, {size(sum(each.num_bytes for each in gone))}, removed.")
        console.print(f"{num} leftovers of processes that are gone, removed.")
        return
    what = f"{len(found.contents)} unnamed contents, {size(found.num_bytes)}"
    if found.holds:
        console.print(f"{what}, are held back: what {len(found.holds)} unreadable files name is not known.")
    else:
        console.print(f"{what}, would go (--yes removes them).")


def tell_faults(faults: Iterable[Fault]) -> None:
    """One line for each thing in the store that could not be read, beside the output proper."""
    for fault in faults:
        line = fault.what if fault.key in fault.what else f"{fault.key} {fault.what}"
        print(f"rpt: {without_password(line)}", file=sys.stderr)  # noqa: T201


def print_table(columns: list[str], rows: Iterable[Iterable[Any]]) -> None:
    """Aligned text without frames; where nobody's terminal sets the width, a row is a line."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for i, name in enumerate(columns):
        table.add_column(name, overflow="fold", justify="left" if i == 0 else "default")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # names from data are no mark-up
    given = console if console.is_terminal else Console(file=console.file, highlight=False, width=_WIDEST)
    given.print(table)


def number(value: Any) -> str:
    """A result for people: four significant digits, or the thing itself."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def moment(iso: str) -> str:
    """A time for people, to the minute, UTC."""
    return iso[:16].replace("T", " ")


def size(num_bytes: int) -> str:
    """Bytes for people."""
    amount = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def relative(path: Path) -> str:
    """A path as seen from here, when it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
