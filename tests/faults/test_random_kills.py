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


@pytest.mark.s3
def test_a_journey_over_a_real_server_gives_the_bytes_of_one_in_a_folder(tmp_path, capsys):
    """All 14 artifacts, with kills on the way."""
    rounds = random_kills.run(6, 1, tmp_path, real=True)
    with capsys.disabled():
        print("\n" + random_kills.figures(rounds))
    assert {one.store for one in rounds} == {"s3"}
    assert sum(len(one.kills) for one in rounds) == 6
    assert all(one.num_compared >= 14 for one in rounds)
    judged = [kill for one in rounds for kill in (*one.kills, *one.too_late)]
    assert not [(kill.victim, kill.number, kill.faults) for kill in judged if kill.faults]
    assert not [one.differing for one in rounds if one.differing]
    assert not [one.left for one in rounds if one.left]
