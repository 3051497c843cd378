"""The least a stage's model takes of a device, whatever else is chosen: what a refusal stands on.

A plan's table (:mod:`rpt_core.planning.memory`) is for all answers at their longest at once, which is more
than most runs ever hold; no stage is refused for that. What nothing makes smaller is the same table for one
document with one answer, in the layout that takes the least: states, framework, and one such pass. Of a model
whose layers are not known, and of a stage whose load is not, the states alone are counted and nothing is
guessed beside them.
"""

from dataclasses import dataclass, replace

from rpt_core.planning.jobs import StageJob
from rpt_core.planning.memory import FRAMEWORK_BYTES, MemoryPlan, Row, Spread, memory
from rpt_core.planning.shape import Shape
from rpt_core.planning.suggest import layouts


@dataclass(frozen=True, slots=True)
class Held:
    """A stage's model."""

    parameters: float
    trains: bool
    shape: Shape | None = None
    """Its sizes, where they are known."""
    job: StageJob | None = None
    """The stage's work, where it is known."""

    def least(self, spread: Spread) -> MemoryPlan:
        """What one device holds at least."""
        if self.shape is None or self.job is None:
            return states(self.parameters, spread, trains=self.trains)
        load = self.job.load
        one = replace(load, documents=spread.ranks, cuts=1, group=min(load.group, 1))
        alone = replace(spread, micro_batch_tokens=1)
        again = replace(alone, layout="packed", checkpointed=self.trains)
        plans = (memory(self.shape, one, layout) for layout in (alone, again))
        return min(plans, key=lambda plan: plan.peak)

    def on_one_gpu(self) -> float:
        """Bytes of a GPU that holds the stage alone, in the layout that takes the least."""
        if self.shape is None or self.job is None:
            return self.least(Spread(dtype="bfloat16")).peak
        return min(self.least(spread).peak for spread in layouts(self.shape, self.job, 1))


def states(parameters: float, spread: Spread, *, trains: bool) -> MemoryPlan:
    """What one device holds of a model of which the number of parameters is all that is known.

    Weights, and where it is trained gradients and AdamW's states: no activations, keys or logits.

    Example:
        >>> found = states(1e9, Spread(gpu=False), trains=True)
        >>> found.peak == 16e9 + FRAMEWORK_BYTES[False]
        True
    """
    host = 0.0
    if not trains:
        rows = [Row("weights", parameters * spread.product_bytes / spread.tensor_parallel)]
    elif spread.whole_precision:
        rows = [Row("weights", 4 * parameters), Row("gradients", 4 * parameters)]
        rows.append(Row("moments", 8 * parameters))
    else:
        masters = 16 * parameters / spread.over(1)
        host = masters if spread.offload else 0.0
        rows = [Row("weights", 2 * parameters / spread.over(3)), Row("master, moments", masters - host)]
        rows.append(Row("gradients", 2 * parameters / spread.over(2)))
    return MemoryPlan((*rows, Row("framework", FRAMEWORK_BYTES[spread.gpu])), host)
