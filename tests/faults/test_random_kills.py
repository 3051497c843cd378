"""Fifty random kills over a small journey; by hand: ``python -m tests.faults.random_kills``."""

import pytest

from tests.faults import random_kills

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(7200)]


def test_fifty_kills_leave_the_same_bytes_and_nothing_else(tmp_path, capsys):
    rounds = random_kills.run(50, 0, tmp_path)
    with capsys.disabled():
        print("\n" + random_kills.figures(rounds))
    kills = [kill for one in rounds for kill in one.kills]
    assert len(kills) == 50
    assert {one.store for one in rounds} == {"file", "s3"}
    judged = [*kills, *(kill for one in rounds for kill in one.too_late)]
    assert not [(kill.victim, kill.number, kill.faults) for kill in judged if kill.faults]
    assert not [one.differing for one in rounds if one.differing]
    assert not [one.left for one in rounds if one.left]
