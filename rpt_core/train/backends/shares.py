"""Which rank does what: work dealt by its size, and zero-weight work where ranks must do equally much."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

from rpt_core.errors import BY_NAME, EngineError, SourceError, StoreError
from rpt_core.train.backends.backend import TrainerBackend

T = TypeVar("T")


def dealt(sizes: Sequence[int], world_size: int) -> list[list[int]]:
    """Items of each rank, ascending: the largest first, each to the rank with the least so far.

    A pure function of the sizes, so ranks that see the same batch agree on it without a word. The fullest
    rank has at most 4/3 - 1/(3 ``world_size``) of the best possible (Graham 1969).

    Example:
        >>> dealt([5, 1, 4, 2], 2), dealt([3], 2)
        ([[0, 1], [2, 3]], [[0], []])
    """
    shares: list[list[int]] = [[] for _ in range(world_size)]
    loads = [0] * world_size
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        rank = min(range(world_size), key=lambda rank: (loads[rank], len(shares[rank])))
        shares[rank].append(index)
        loads[rank] += sizes[index]
    return [sorted(share) for share in shares]


def own_share(sizes: Sequence[int], backend: TrainerBackend) -> list[int]:
    """Indices of this rank's items; every item is one rank's.

    Args:
        sizes: Tokens that each item takes, the same on every rank.
        backend: Knows this rank.
    """
    return dealt(sizes, backend.world_size)[backend.rank]


def in_step(
    batches: Sequence[T], kind: Callable[[T], int], filler: Callable[[int], T], backend: TrainerBackend
) -> Iterator[tuple[T, bool]]:
    """This rank's micro-batches, each with whether it counts.

    Where scoring is collective (ZeRO-3 gathers a layer's weights in every pass), all ranks must make the
    same passes in the same order. Micro-batches are then put in order of their kind, and a rank that has
    fewer of a kind than another gets fillers: real micro-batches, whose loss is multiplied by zero.

    Args:
        batches: This rank's.
        kind: Which passes a micro-batch makes; those of a kind make the same ones.
        filler: A real micro-batch of a kind, of any rank's.
        backend: Whether its scoring is collective.
    """
    if not backend.collective_scoring:
        yield from ((batch, True) for batch in batches)
        return
    own: dict[int, list[T]] = {}
    for batch in batches:
        own.setdefault(kind(batch), []).append(batch)
    counts = backend.all_gather(Counter({name: len(some) for name, some in own.items()}))
    for name in sorted({name for one in counts for name in one}):
        mine = own.get(name, [])
        yield from ((batch, True) for batch in mine)
        for _ in range(max(one[name] for one in counts) - len(mine)):
            yield filler(name), False


def on_every_rank(work: Callable[[], T], backend: TrainerBackend) -> list[T]:
    """What ``work``, which speaks to no other rank, gives on each of them.

    Raises:
        RptError: an error of any rank, on all, with its class and words, so that none goes on alone; an
            error that is not ours as EngineError.
    """
    if backend.world_size == 1:
        return [work()]
    failed: Exception | None = None
    mine: T | None = None
    try:
        mine = work()
    except Exception as error:  # noqa: BLE001  (raised below, on every rank)
        failed = error
    told = None
    if failed is not None:
        told = type(failed).__name__, str(failed), bool(getattr(failed, "retryable", False))
    found = backend.all_gather((mine, told))
    for rank, (_, words) in enumerate(found):
        if words is not None:
            name, message, retryable = words
            raised = BY_NAME.get(name, EngineError)
            message = message if name in BY_NAME else f"{name}: {message}"
            if issubclass(raised, SourceError | StoreError):
                raise raised(f"{message} (rank {rank})", retryable=retryable) from failed
            raise raised(f"{message} (rank {rank})") from failed
    return [cast(T, value) for value, _ in found]
