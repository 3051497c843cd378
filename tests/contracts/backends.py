"""Two ranks in one process: a back end whose collectives are a barrier and a list."""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

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


class RankBackend(TorchBackend):
    """One rank: the same weights on each, gradients added over all before a step."""

    def __init__(self, ranks: Ranks, rank: int, *given: Any) -> None:
        super().__init__(*given)
        self.ranks, self.rank, self.world_size = ranks, rank, ranks.world_size

    def all_gather(self, value: Any) -> list[Any]:
        return self.ranks.all_gather(self.rank, value)

    def step(self, number: int) -> float:
        for parameter in self.update.named.values():
            found = [grad for grad in self.all_gather(parameter.grad) if grad is not None]
            total = None if not found else sum(found[1:], found[0].clone())
            self.all_gather(None)  # all have read the others' gradient
            parameter.grad = total
        return super().step(number)


def on_ranks(trainer: Any, ranks: Ranks, engine: Callable[..., Any]) -> Sequence[Any]:
    """The same training on every rank: its own weights, engine and objective."""
    found = []
    for rank in range(ranks.world_size):
        policy = replace(trainer.policy, model=copy.deepcopy(trainer.policy.model))
        recipe = trainer.recipe
        backend = RankBackend(ranks, rank, policy, recipe.optimiser, recipe.steps)
        objective = copy.deepcopy(trainer.objective)
        found.append(
            replace(trainer, policy=policy, backend=backend, engine=engine(policy), objective=objective)
        )
    return found
