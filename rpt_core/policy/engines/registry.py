"""Engines by name: the one place that opens what draws answers, in training, evaluation, judge and scorer."""

from collections.abc import Callable
from pathlib import Path

from rpt_core.errors import EngineError
from rpt_core.policy.engines.copied import CopiedEngine
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.engines.serving import present_serving
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.engines.vllm.engine import VllmEngine
from rpt_core.policy.model import Policy

Opener = Callable[[Policy, Path | None], RolloutEngine]
"""Opens an engine over a loaded model, and the Hugging Face folder it was read from where there is one.

An engine in this process takes the model, one in another process the folder; without a folder it writes the
model to one first. So every engine opens from either, and no caller chooses by engine.
"""


ENGINES: dict[str, Opener] = {
    "torch": lambda policy, folder: TorchEngine(policy),
    "torch-copy": lambda policy, folder: CopiedEngine(policy),
    "vllm": lambda policy, folder: VllmEngine(policy, folder, present_serving()),
}
"""By the name a placement gives them (:data:`rpt_core.artifacts.placement.ENGINES`)."""


def open_engine(name: str, policy: Policy, folder: Path | None = None) -> RolloutEngine:
    """The engine a placement names, serving a model as version 0.

    Args:
        name: As in ``numerics.engine``.
        policy: The model, loaded.
        folder: The Hugging Face folder with the same weights, where there is one.

    Raises:
        EngineError: there is none of that name here.
        CapacityError: it runs in an environment that is not here.
    """
    if name not in ENGINES:
        raise EngineError(
            f"the placement asks for the engine {name!r}; this version draws answers with "
            f"{', '.join(ENGINES)}. Set placement.engine to one of them, or to auto."
        )
    return ENGINES[name](policy, folder)
