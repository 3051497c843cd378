"""What a store must be able to do, tried with small keys of our own: the look of ``rpt doctor`` at it.

Publishing asks each time only for the first of it (:meth:`infra.storage.keys.Keys.probe`).
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from infra.storage.objects import RENEW_AFTER_SECONDS, Objects
from rpt_core.errors import StoreError

_RACERS, _ROUNDS = 8, 3
_SKEW_SECONDS = RENEW_AFTER_SECONDS / 2
"""Garbage collection spares what is young by the store's clock, seen from this machine's."""


def examine(objects: Objects) -> str:
    """Try everything that publishing, reading and garbage collection stand on.

    Returns:
        What was found good, in a clause.

    Raises:
        StoreError: the store does not do one of them.
    """
    objects.probe()
    one_winner(objects)
    seconds = read_at_once(objects)
    return (
        f"one of {_RACERS} racing creators wins, and what is written is read and listed at once "
        f"({1e3 * seconds:.0f} ms a key)"
    )


def one_winner(objects: Objects) -> None:
    """Let several create one key at once, a few times.

    Raises:
        StoreError: more than one, or none, was told that it did; or the key holds another one's bytes.
    """
    for _ in range(_ROUNDS):
        key = objects.key("probe", uuid.uuid4().hex)
        bodies = [uuid.uuid4().bytes for _ in range(_RACERS)]
        with ThreadPoolExecutor(_RACERS) as pool:
            claimed = list(pool.map(partial(objects.claim, key), bodies))
        content = objects.read(key)
        if content is not None:
            objects.remove(key)
        won = [body for body, is_ours in zip(bodies, claimed, strict=True) if is_ours]
        if won != [content]:
            raise StoreError(
                f"the store {objects.url} told {len(won)} of {_RACERS} simultaneous writers that they alone "
                "had created a key, where it must tell one: two builders could destroy each other's work. "
                "Turn bucket versioning off or use another store."
            )


def read_at_once(objects: Objects) -> float:
    """Write a key and look for it, then remove it and look again; seconds of the former.

    Raises:
        StoreError: what was written or removed is not seen at once, or the store's clock is another.
    """
    name, body = uuid.uuid4().hex, uuid.uuid4().bytes * 64
    folder, key = objects.key("probe"), objects.key("probe", name)
    begin = time.monotonic()
    objects.claim(key, body)
    found, is_listed, read = objects.look(key), name in objects.list(folder), objects.read(key)
    seconds = time.monotonic() - begin
    objects.remove(key)
    if found is None or (found.num_bytes, is_listed, read) != (len(body), True, body):
        raise StoreError(
            f"the store {objects.url} was given {len(body)} bytes, and right after it shows "
            f"{found.num_bytes if found else 'none'}, reads {len(read or b'')} and "
            f"{'lists' if is_listed else 'does not list'} them: what is finished would not be found. Use a "
            "store whose reads and listings are consistent."
        )
    if name in objects.list(folder):
        raise StoreError(
            f"the store {objects.url} lists a key that was removed before: what is gone would be counted on. "
            "Use a store whose listings are consistent."
        )
    skew = found.modified - time.time()
    if abs(skew) > _SKEW_SECONDS:
        side = "ahead of" if skew > 0 else "behind"
        raise StoreError(
            f"the clock of the store {objects.url} is {abs(skew):.0f} s {side} this machine's, "
            f"more than {_SKEW_SECONDS:.0f} s: garbage collection takes from both how old a "
            "content is. Set the clocks."
        )
    return seconds
