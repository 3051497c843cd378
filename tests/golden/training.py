"""Twenty steps of reinforcement learning on a fixed micro world, and what came out of them before.

``python -m tests.golden.training`` adds this machine's digest to ``training.json`` (and rewrites the losses
when ``--losses`` is given): to be run, and looked at, after a change that is meant to move numerics.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from infra.machine import this_machine
from rpt_core.artifacts.recipe import canonical_json
from rpt_core.recipes.reinforce import Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.record import batch_digest
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import step
from tests.toys import tiny_policy
from tests.unit.train.rl.test_step import RECIPE, make_trainer

RECORD = Path(__file__).with_name("training.json")
STEPS = 20
GOLDEN = RECIPE.model_copy(
    update={
        "loss": "dapo", "ntp_weight": 0.1, "kl_weight": 0.01, "temperature": 0.8, "steps": STEPS,
        "selection": Selection(max_refills=1, mask_truncated=True),
        "optimiser": Optimiser(name="muon", learning_rate=2e-3, warmup_steps=3, schedule="linear"),
    }
)  # fmt: skip


def machine() -> str:
    """The kind of CPU and the version of torch: under the same, every bit repeats."""
    here = this_machine()
    return f"{here.cpu} / torch {here.torch}"


def run(layout: str = "two-pass") -> dict[str, Any]:
    """Losses and batches of every step, and one digest over them and the final weights."""
    trainer = make_trainer(GOLDEN, reference=tiny_policy(sharpness=1.5), layout=layout)
    progress, losses, batches = Progress(), [], []
    for _ in range(STEPS):
        batch = collect(trainer, progress, Clock())
        progress, learnt = step(trainer, progress, batch)
        losses.append(learnt["loss"])
        batches.append(batch_digest(batch))
    whole = hashlib.sha256(canonical_json([losses, batches]))
    for name, parameter in sorted(trainer.policy.model.named_parameters()):
        whole.update(name.encode() + parameter.detach().numpy().tobytes())
    return {"digest": whole.hexdigest(), "losses": losses, "batches": batches}


def main() -> None:
    """Record this machine."""
    torch.set_num_threads(1)
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {"digests": {}, "losses": []}
    found = run()
    known["digests"][machine()] = found["digest"]
    if "--losses" in sys.argv or not known["losses"]:
        known["losses"] = [round(loss, 7) for loss in found["losses"]]
    RECORD.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
