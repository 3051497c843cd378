"""Draw a sample, try it on two cores, tell who survived, and fail below the promised rate."""

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.mutation.draw import draw, tree_digest
from tests.mutation.known import measure
from tests.mutation.pool import try_all
from tests.mutation.sites import changed_line
from tests.mutation.trial import Tried

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
LEAST_RATE = 0.85


def main() -> int:
    """Run from the command line; 0 where the promised share was killed."""
    words = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    words.add_argument("--mutants", type=int, default=200, help="how many are drawn")
    words.add_argument("--seed", default="", help="another seed than the tree's digest")
    words.add_argument(
        "--only", action="append", default=[], metavar="PATH", help="draw from this file or folder"
    )
    words.add_argument("--processes", type=int, default=2)
    words.add_argument("--most-seconds", type=float, default=40.0, help="of known tests for one mutant")
    chosen = words.parse_args()
    started = time.monotonic()
    seed = chosen.seed or tree_digest(ROOT)
    out = ROOT / "build" / "mutation"
    print(f"seed {seed}", flush=True)
    known = measure(ROOT, out / f"known-{tree_digest(ROOT)[:16]}", chosen.processes)
    print(f"the clean tree's tests took {time.monotonic() - started:.0f} s", flush=True)
    drawn = draw(ROOT, seed, chosen.mutants, chosen.only)
    tried = try_all(ROOT, drawn, known, chosen.processes, chosen.most_seconds)
    told = _told(tried, ROOT, seed)
    (out / "result.json").write_text(json.dumps(told, indent=1))
    print(f"{time.monotonic() - started:.0f} s in all; {out / 'result.json'}")
    return 0 if told["rate"] >= LEAST_RATE else 1


def _told(tried: Sequence[Tried], root: Path, seed: str) -> dict[str, Any]:
    """Print the table and the survivors, and give both for a file."""
    reasons = {
        (r["path"], r["before"], r["after"]): r
        for r in tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    }
    lines = [_row(one, root, reasons) for one in tried]
    print(f"\n{'package':12} {'mutants':>7} {'killed':>7} {'same':>5} {'alive':>6} {'rate':>6}")
    for name in [*dict.fromkeys(row["stratum"] for row in lines), "all"]:
        rows = [row for row in lines if name in {row["stratum"], "all"}]
        print(f"{name:12} {len(rows):7} {_count(rows, 'killed'):7} {_count(rows, 'same'):5} "
              f"{_count(rows, 'alive'):6} {_rate(rows):6.1%}")  # fmt: skip
    for row in lines:
        if row["end"] != "killed":
            print(f"\n{row['path']}:{row['line']} {row['end']} ({row['num_tests']} tests)")
            print(f"  - {row['before']}\n  + {row['after']}")
            print(f"  {row['reason'] or 'no reason is given in survivors.toml'}")
    return {"seed": seed, "rate": _rate(lines), "mutants": lines}


def _row(one: Tried, root: Path, reasons: dict[tuple[str, str, str], dict[str, Any]]) -> dict[str, Any]:
    mutant = one.drawn.mutant
    before, after = changed_line((root / mutant.path).read_text(), one.drawn.text)
    known = reasons.get((mutant.path, before, after), {})
    end = "killed" if one.is_killed else "same" if known.get("same") else "alive"
    return {
        "stratum": one.drawn.stratum, "path": mutant.path, "line": mutant.start[0],
        "operator": mutant.operator, "before": before, "after": after, "end": end, "result": one.result,
        "num_tests": one.num_tests, "seconds": round(one.seconds, 2), "reason": known.get("reason", ""),
    }  # fmt: skip


def _count(rows: Sequence[dict[str, Any]], end: str) -> int:
    return sum(row["end"] == end for row in rows)


def _rate(rows: Sequence[dict[str, Any]]) -> float:
    """Killed among those that are another program."""
    return _count(rows, "killed") / max(1, len(rows) - _count(rows, "same"))


if __name__ == "__main__":
    sys.exit(main())
