"""RPT on the sample world from nothing: tokenizer, base model, difficulty, cold start, then a hundred steps.

The stages are the project's own, on plain folders; the corpus is the world's text as the corpus stages would
leave it, so that none of their libraries is needed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rpt_core.artifacts.build import METRICS_FILE, Build, LocalBuild
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.difficulty.score import score_difficulty
from rpt_core.errors import Stopped
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.objectives import RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, ModelShape, Optimiser
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.supervised.base import train_base
from rpt_core.train.supervised.cold_start import train_cold_start
from tests.gpu.ledger import Ledger, device_name
from tests.unit.corpus.small_corpus import write_corpus

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)


@dataclass(frozen=True)
class Plan:
    """How large."""

    documents: int
    shape: ModelShape
    base_steps: int
    cold_steps: int
    steps: int
    prompts: int
    tokens: int
    selection: Selection


PLAN = Plan(
    4000,
    ModelShape(
        hidden_size=512, num_layers=8, num_heads=8, num_kv_heads=4, head_dim=64, intermediate_size=1536,
        vocab_size=4096,
    ),
    base_steps=150, cold_steps=300, steps=100, prompts=64, tokens=48, selection=Selection(),
)  # fmt: skip
"""About 26 million parameters."""
TOY = Plan(
    40, ModelShape(hidden_size=32, num_layers=2, vocab_size=300),
    base_steps=2, cold_steps=3, steps=3, prompts=4, tokens=8, selection=Selection(drop_equal_from_step=99),
)  # fmt: skip
"""Never right, so groups without a difference are kept: the documents' own loss still moves it."""
RATE = Optimiser(learning_rate=1e-3, betas=(0.9, 0.95), warmup_steps=20, schedule="linear", final_share=0.1)


@dataclass
class TimedBuild(LocalBuild):
    """Asks its stage to stop when the part's time is over, and keeps what it tells."""

    left: Callable[[], float] = field(default=lambda: 1.0)

    def stopping(self) -> bool:
        """Once there is no time left."""
        return self.left() <= 0


def train(ledger: Ledger, folder: Path, device: str, *, toy: bool) -> None:
    """Run the stages one after another, and note what each came to.

    Raises:
        Stopped: time was over before the last stage.
    """
    plan = TOY if toy else PLAN
    inputs = {"corpus": write_corpus(folder / "corpus", plan.documents, max(20, plan.documents // 4))}

    def stage(name: str, run: Callable[[Any, Build], Any], recipe: Any, out: str) -> LocalBuild:
        build = TimedBuild(
            dict(inputs), folder / out, folder / "scratch" / out, Placement(gpus=int(device == "cuda")),
            _numerics(device), left=lambda: ledger.left,
        )  # fmt: skip
        try:
            with ledger.timed(f"{name}, seconds"):
                outcome = run(recipe, build)
            ledger.note(name, outcome.summary)
        finally:
            _note_steps(ledger, name, build)
        return build

    base = BaseRecipe(
        corpus=NOWHERE, model=plan.shape, steps=plan.base_steps, documents_per_step=32, optimiser=RATE
    )
    inputs["proxy"] = inputs["base"] = stage("base", train_base, base, "base").out
    difficulty = DifficultyRecipe(corpus=NOWHERE, proxy=NOWHERE)
    inputs["difficulty"] = stage("difficulty", score_difficulty, difficulty, "difficulty").out
    cold = ColdStartRecipe(
        corpus=NOWHERE, base=NOWHERE, steps=plan.cold_steps, documents_per_step=12, ntp_weight=0.3,
        prompt="compact", optimiser=RATE,
    )  # fmt: skip
    inputs["start"] = stage("cold start", train_cold_start, cold, "start").out
    stage("rpt", train_policy, _policy(plan), "policy")


def _policy(plan: Plan) -> PolicyRecipe:
    return PolicyRecipe(
        corpus=NOWHERE, difficulty=NOWHERE, start=NOWHERE,
        objective=RptObjective(prompt="compact", entropy_floor_nats=1.5), prompts_per_step=plan.prompts,
        temperature=1.0, reasoning_tokens=plan.tokens, context_tokens=512, steps=plan.steps,
        evaluate_every=max(1, plan.steps // 4), ntp_weight=0.1, selection=plan.selection,
        optimiser=Optimiser(learning_rate=1e-4, betas=(0.9, 0.95), weight_decay=0.0, warmup_steps=5),
    )  # fmt: skip


def _numerics(device: str) -> Numerics:
    return Numerics(
        backend="torch", engine="torch", layout="two-pass",
        dtype="bfloat16" if device == "cuda" else "float32", world_size=1,
        tokens_per_micro_batch=65_536 if device == "cuda" else 16_384, torch=torch.__version__,
        device=device_name(device), threads=1,
    )  # fmt: skip


def _note_steps(ledger: Ledger, name: str, build: LocalBuild) -> None:
    """The first and the last step's metrics, and how many there were."""
    file = build.out / METRICS_FILE
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    wanted = ("loss", "nll_nats", "reward_mean", "eval/accuracy", "think_share")
    kept = [{key: row[key] for key in ("step", *wanted) if key in row} for row in rows]
    looks = [row for row in kept if "eval/accuracy" in row]
    if kept:
        ledger.note(f"{name}, steps", {"first": kept[0], "last": kept[-1], "looks": looks})


def part(ledger: Ledger, folder: Path, device: str, *, toy: bool) -> tuple[str, str]:
    """Run it; how it ended, and why."""
    try:
        train(ledger, folder, device, toy=toy)
    except Stopped as stopped:
        return "stopped", str(stopped)
    return "done", ""
