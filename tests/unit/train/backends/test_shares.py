"""Who does what: work dealt by size, company kept where passes are collective, one rank's error on all."""

from types import SimpleNamespace

import pytest

from rpt_core.errors import EngineError, JudgeError, RecipeError, SourceError, StoreError
from rpt_core.train.backends.shares import dealt, in_step, on_every_rank, own_share
from tests.contracts.backends import Ranks


def test_the_largest_goes_first_and_each_to_the_emptiest_rank():
    assert dealt([5, 1, 4, 2, 9, 3], 3) == [[4], [0, 1, 3], [2, 5]]
    assert dealt([7, 3, 3, 3, 3], 2) == [[0, 4], [1, 2, 3]]
    assert dealt([2, 2, 2], 2) == [[0, 2], [1]]  # of equal sizes the first goes first, to the first rank
    assert dealt([0, 0, 0, 0, 0], 3) == [[0, 3], [1, 4], [2]]  # work of no size is spread as well
    assert dealt([], 2) == [[], []]
    assert dealt([4, 8, 6], 1) == [[0, 1, 2]]


def test_every_rank_takes_its_own_share():
    sizes = [5, 1, 4, 2, 9, 3]
    shares = [own_share(sizes, SimpleNamespace(world_size=3, rank=rank)) for rank in range(3)]
    assert shares == [[4], [0, 1, 3], [2, 5]]


def kind_of(name: str) -> int:
    return int(name[0])


def test_where_passes_are_not_collective_nobody_keeps_company():
    backend = SimpleNamespace(collective_scoring=False)
    assert list(in_step(["2a", "1a"], kind_of, str, backend)) == [("2a", True), ("1a", True)]


def test_collective_passes_are_made_in_one_order_by_all():
    own = [["2a", "1a", "2b"], ["3c", "1c"], []]
    ranks = Ranks(3)

    def of(rank: int):
        backend = SimpleNamespace(
            collective_scoring=True, all_gather=lambda value: ranks.all_gather(rank, value)
        )
        return list(in_step(own[rank], kind_of, lambda kind: f"{kind}-company", backend))

    found = ranks.run(of)
    assert found[0] == [("1a", True), ("2a", True), ("2b", True), ("3-company", False)]
    assert found[1] == [("1c", True), ("2-company", False), ("2-company", False), ("3c", True)]
    assert found[2] == [(f"{kind}-company", False) for kind in (1, 2, 2, 3)]


def every_rank(work, world_size=3):
    """What each rank is told of ``work(rank)``: the values of all, or the error."""
    ranks = Ranks(world_size)

    def of(rank: int):
        backend = SimpleNamespace(
            world_size=world_size, all_gather=lambda value: ranks.all_gather(rank, value)
        )
        try:
            return on_every_rank(lambda: work(rank), backend)
        except Exception as error:
            return error

    return ranks.run(of)


def test_the_work_of_all_is_told_to_all():
    assert every_rank(lambda rank: 10 * rank + 7) == [[7, 17, 27]] * 3
    alone = SimpleNamespace(world_size=1)  # speaks to nobody
    assert on_every_rank(lambda: "alone", alone) == ["alone"]
    with pytest.raises(ZeroDivisionError):
        on_every_rank(lambda: 1 // 0, alone)


@pytest.mark.parametrize("retryable", [True, False])
@pytest.mark.parametrize("raised", [SourceError, StoreError])
def test_an_error_of_one_rank_is_raised_on_all_and_may_be_tried_again_where_it_might(raised, retryable):
    def work(rank: int) -> int:
        if rank == 1:
            raise raised("out of reach", retryable=retryable)
        return rank

    for rank, error in enumerate(every_rank(work)):
        assert type(error) is raised
        assert str(error) == "out of reach (rank 1)"
        assert error.retryable is retryable
        assert (error.__cause__ is not None) is (rank == 1)


def test_errors_keep_their_class_where_it_is_ours_and_their_name_where_not():
    def work(rank: int):
        raise {0: JudgeError, 1: RecipeError}.get(rank, KeyError)("gone")

    assert [(type(error), str(error)) for error in every_rank(work)] == [(JudgeError, "gone (rank 0)")] * 3
    found = every_rank(lambda rank: {}["k"] if rank == 2 else 5)
    assert [(type(error), str(error)) for error in found] == [(EngineError, "KeyError: 'k' (rank 2)")] * 3
