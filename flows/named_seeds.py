"""Seeds, and arms with seeds of their own, as a reader names them: ``100-107`` and ``RPT@100-115``."""

from collections.abc import Sequence

from rpt_core.errors import RecipeError

AT = "@"
"""Between an arm and the seeds it alone is run under."""


def seeds_of(text: str, said: str = "--seeds") -> tuple[int, ...]:
    """What ``--seeds`` names: numbers by commas, or from one to another.

    Args:
        text: As it is written.
        said: Where, for the error.

    Raises:
        RecipeError: a part is neither, or a seed is named twice.

    Example:
        >>> seeds_of("0, 1,2"), seeds_of("100-103,9")
        ((0, 1, 2), (100, 101, 102, 103, 9))
    """
    found = [number for part in text.split(",") for number in _numbers(part.strip(), said)]
    if len(set(found)) < len(found):
        raise RecipeError(f"{said}: {text!r} names a seed twice; each is one run.")
    return tuple(found)


def _numbers(part: str, said: str) -> range:
    first, dash, last = (one.strip() for one in part.partition("-"))
    ends = (first, last) if dash else (first, first)
    if not all(end.isdecimal() for end in ends):
        raise RecipeError(f"{said}: {part!r} is no whole number; write for example 0,1,2 or 100-107.")
    if int(ends[0]) > int(ends[1]):
        raise RecipeError(f"{said}: {part!r} goes backwards; write {ends[1]}-{ends[0]}.")
    return range(int(ends[0]), int(ends[1]) + 1)


def arms_of(text: str) -> tuple[str, ...]:
    """What ``--arms`` names, each as it is written.

    Example:
        >>> arms_of("RPT@100-115; more SFT, then RPT;")
        ('RPT@100-115', 'more SFT, then RPT')
    """
    return tuple(part.strip() for part in text.split(";") if part.strip())


def seeds_by_arm(arms: Sequence[str], seeds: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The seeds that every arm is run under.

    Args:
        arms: Names; one that ends in ``@`` and seeds is run under those alone.
        seeds: Of all others.

    Raises:
        RecipeError: seeds cannot be read, or an arm is named twice.

    Example:
        >>> seeds_by_arm(("RPT@100-102", "RLP"), (100, 101))
        {'RPT': (100, 101, 102), 'RLP': (100, 101)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for arm in arms:
        name, at, own = (part.strip() for part in arm.partition(AT))
        if name in found:
            raise RecipeError(f"--arms: {name!r} stands twice; name it once, with all its seeds.")
        found[name] = seeds_of(own, f"--arms, {name}") if at else seeds
    return found
