"""Engines that own their weights, and the ways in which such an engine goes wrong."""

import copy
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpt_core.errors import EngineError
from rpt_core.policy.engines.copied import CopiedEngine
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.vllm.engine import VllmEngine
from rpt_core.policy.engines.vllm.process import PipeDeadlines
from rpt_core.policy.loading.replace import replace_weights, stored_weights
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling, Trunk


def own(policy: Policy) -> Policy:
    """The same model, its weights apart."""
    return replace(policy, model=copy.deepcopy(policy.model))


@dataclass
class Owner(CopiedEngine):
    """Keeps a list of the versions it was handed."""

    loads: list[int] = field(default_factory=list, init=False)

    def load_weights(self, path: Path, version: int) -> None:
        super().load_weights(path, version)
        self.loads.append(version)


class Slow(Owner):
    """Right, but every call takes a while."""

    SECONDS = 0.05

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        time.sleep(self.SECONDS)
        return super().generate(trunks, sampling, step)

    def load_weights(self, path: Path, version: int) -> None:
        time.sleep(self.SECONDS)
        super().load_weights(path, version)


class Stale(Owner):
    """Says that it has loaded what it was given, and has not (vLLM on a CPU, a tied head)."""

    def load_weights(self, path: Path, version: int) -> None:
        self.version = version


class Late(Owner):
    """Loads behind its caller's back: the first draw after a load is still under earlier weights."""

    _coming: tuple[dict, int] | None = None

    def load_weights(self, path: Path, version: int) -> None:
        self._coming = stored_weights(path), version

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        drawn = super().generate(trunks, sampling, step)
        if self._coming:
            replace_weights(self.policy, self._coming[0])
            self.version, self._coming = self._coming[1], None
        return drawn


class Dying(Owner):
    """Its process ends after some draws; every call after that says so."""

    draws_left = 6
    closed = 0

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        if self.draws_left == 0:
            raise EngineError("the engine's process ended with code -9; its last line was 'out of memory'.")
        self.draws_left -= 1
        return super().generate(trunks, sampling, step)

    def close(self) -> None:
        type(self).closed += 1


class Forgetful(Owner):
    """Right, but it keeps no seeds: the same question gets another answer each time it is asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.replayable, self._asked = False, 0

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        self._asked += 1
        return super().generate(trunks, replace(sampling, seed=sampling.seed + 1000 * self._asked), step)


FAKE_WORKER = Path(__file__).with_name("fake_vllm.py")
SHORT_PATIENCE = PipeDeadlines(start=60.0, silence=60.0)


def faked(
    policy: Policy, fault: str = "none", times: int = 0, folder: Path | None = None, **more
) -> VllmEngine:
    """Our side of vLLM, and workers that speak its protocol under the tests' own interpreter.

    Args:
        policy: A Qwen3.
        fault: What goes wrong (``fake_vllm.py`` has the list), and
        times: how often, over all workers of the engine.
        folder: Where those that are still to come are kept, and logs; a new one without.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix="rpt-fake-"))
    tokens = folder / "faults"
    tokens.mkdir()
    for number in range(times):
        (tokens / f"{number:03d}").touch()
    command = [sys.executable, str(FAKE_WORKER), str(tokens), fault]
    more = {"serving": Serving("vllm", scratch=folder), "patience": SHORT_PATIENCE, **more}
    return VllmEngine(policy, command=command, **more)


ROWS = {"a copy": Owner, "slow": Slow, "forgetful": Forgetful, "faked vllm": faked}
"""Those that keep the contract, each in its own way."""
