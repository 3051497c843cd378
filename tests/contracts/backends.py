"""Two ranks in one process: a back end whose collectives are a barrier and a list."""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rpt_core.train.backends.ranks import Ranks as OneRank
from rpt_core.train.backends.torch_backend import TorchBackend


class Ranks:
    """What ranks in threads meet in."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self._barrier = threading.Barrier(world_size, timeout=120)
        self._values: list[Any] = [None] * world_size

    def all_gather(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait()
        found = list(self._values)
        self._barrier.wait()  # nobody writes the next value before all have read
        return found

    def of(self, rank: int) -> "ThreadRank":
        return ThreadRank(rank, self.world_size, self)

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """What ``work`` answers on each rank; the first error of any, raised here."""
        results: list[Any] = [None] * self.world_size
        errors: list[BaseException] = []

        def one(rank: int) -> None:
            try:
                results[rank] = work(rank)
            except BaseException as error:
                errors.append(error)
                self._barrier.abort()  # or the others would wait for ever

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.world_size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if real := [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]:
            raise real[0]
        return results


@dataclass(frozen=True)
class ThreadRank(OneRank):
    """One of them, in its thread."""

    met: Ranks = None

    def all_gather(self, value: Any) -> list[Any]:
        return self.met.all_gather(self.rank, value)

    def add_gradients(self, parameters: Sequence[Any]) -> None:
        for parameter in parameters:
            found = [grad for grad in self.all_gather(parameter.grad) if grad is not None]
            total = None if not found else sum(found[1:], found[0].clone())
            self.all_gather(None)  # all have read the others' gradient
            parameter.grad = total


class RankBackend(TorchBackend):
    """One rank: the same weights on each, gradients added over all before a step."""

    def __init__(self, ranks: Ranks, rank: int, *given: Any) -> None:
        super().__init__(*given, ranks.of(rank))


class CollectiveBackend(RankBackend):
    """One rank of a back end whose passes are collective: it insists that all ranks make the same ones."""

    collective_scoring = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.passes: list[tuple[Any, ...]] = []

    def _meet(self, *kind: Any) -> None:
        self.passes.append(kind)
        found = self.all_gather(kind)
        assert all(other == kind for other in found), f"ranks make different passes: {found}"

    def score(self, trunks: Any, answers: Any, *given: Any, **options: Any) -> Any:
        branches = any(ids for of in answers for at in of for ids in at)
        self._meet("score", branches, options.get("with_document", True))
        return super().score(trunks, answers, *given, **options)

    def score_documents(self, trunks: Any) -> Any:
        self._meet("documents")
        return super().score_documents(trunks)

    def backward(self, loss: Any) -> None:
        self._meet("backward")
        super().backward(loss)

    def step(self, number: int) -> float:
        self._meet("step")
        return super().step(number)


def on_ranks(
    trainer: Any, ranks: Ranks, engine: Callable[..., Any], opened: type[RankBackend] = RankBackend
) -> Sequence[Any]:
    """The same training on every rank: its own weights, engine and objective."""
    found = []
    for rank in range(ranks.world_size):
        policy = replace(trainer.policy, model=copy.deepcopy(trainer.policy.model))
        recipe = trainer.recipe
        backend = opened(ranks, rank, policy, recipe.optimiser, recipe.steps)
        objective = copy.deepcopy(trainer.objective)
        found.append(
            replace(trainer, policy=policy, backend=backend, engine=engine(policy), objective=objective)
        )
    return found
