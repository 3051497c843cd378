"""Which mutants are tried: a sample by a seed that nobody chose, with a share for every package."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.mutation.sites import Mutant, one_of, python_files, sites_of

STRATA: dict[str, tuple[str, ...]] = {
    "objectives": ("rpt_core/objectives",),
    "train": ("rpt_core/train",),
    "policy": ("rpt_core/policy",),
    "evaluation": ("rpt_core/evaluation",),
    "artifacts": ("rpt_core/artifacts",),
    "store": (
        "infra/storage/store.py",
        "infra/storage/objects.py",
        "infra/storage/copy.py",
        "infra/runs/attempt.py",
    ),
    "ledger": ("rpt_core/corpus/ledger.py",),
}
"""What is mutated, by the name it has in the table."""
LEAST = 6
"""Mutants of the smallest stratum."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mutant to be tried."""

    stratum: str
    mutant: Mutant
    text: str
    """The whole file with the fault in it."""


def tree_digest(root: Path) -> str:
    """SHA-256 over names and contents of the packages' and tests' tracked Python files.

    What is said of survivors (``survivors.toml``) stands outside: to explain one draws no other sample.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "rpt_core", "infra", "tasks", "flows", "tests"],
        cwd=root, capture_output=True, check=True,
    )  # fmt: skip
    digest = hashlib.sha256()
    for name in sorted(listed.stdout.decode().split("\0")):
        if name.endswith(".py"):
            content = hashlib.sha256((root / name).read_bytes()).hexdigest()
            digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def shares(sizes: dict[str, int], total: int) -> dict[str, int]:
    """How many mutants each stratum gets: by its number of sites, ``LEAST`` at least.

    >>> shares({"large": 980, "small": 20}, 100)
    {'large': 94, 'small': 6}
    """
    floor = {name: min(LEAST, size) for name, size in sizes.items()}
    room, rest = total - sum(floor.values()), sum(sizes.values())
    share = {name: max(floor[name], round(total * size / rest)) for name, size in sizes.items()}
    while sum(share.values()) > max(
        total, total - room
    ):  # the largest gives what the floors and rounding took
        share[max(share, key=share.__getitem__)] -= 1
    return share


def draw(root: Path, seed: str, total: int, only: Sequence[str] = ()) -> list[Drawn]:
    """Draw sites evenly within each stratum, and one mutant of each.

    Args:
        root: The tree.
        seed: What the sample follows from, usually :func:`tree_digest`.
        total: How many.
        only: Paths to draw from instead of all strata; each is a stratum.
    """
    strata = {path: (path,) for path in only} or STRATA
    sources, sites = {}, {}
    for name, packages in strata.items():
        files = sorted({file for package in packages for file in python_files(root, package)})
        sources.update({file: (root / file).read_text() for file in files})
        sites[name] = [site for file in files for site in sites_of(file, sources[file])]
    share = shares({name: len(found) for name, found in sites.items()}, total)
    drawn = []
    for name, found in sites.items():
        random = Random(f"{seed} {name}")
        chosen = (one_of(site, sources[site[0].path], random) for site in random.sample(found, len(found)))
        valid = (one for one in chosen if one is not None)
        drawn += [Drawn(name, *one) for _, one in zip(range(share[name]), valid, strict=False)]
    return drawn
