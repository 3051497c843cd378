"""A policy's training of seconds on real inputs, published in a store as its stage finds them."""

from datetime import UTC, datetime
from pathlib import Path

from infra.storage.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.difficulty.score import score_difficulty
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.objectives import RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from tests.toys import save_tiny_model
from tests.unit.corpus.small_corpus import write_corpus

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)


def publish(store: Store, folder: Path, kind: str) -> Artifact:
    """A folder as a finished artifact."""
    files = store.objects.put_folder(folder)
    digest = artifact_digest(files)
    manifest = Manifest(
        kind=kind, fingerprint=digest, digest=digest, recipe={"stage": kind}, placement=Placement(),
        parents={}, files=files, outcome=Outcome(), code="c", environment={},
        created=datetime.now(UTC).isoformat(), attempts=(),
    )  # fmt: skip
    return store.publish(manifest).artifact


def small_policy(root: Path, store: Store, steps: int, milestones: tuple[int, ...]) -> PolicyRecipe:
    """RPT on the sample world from random weights: never right, but its next-token loss moves it."""
    save_tiny_model(root / "start" / "model")
    write_corpus(root / "corpus", num_documents=12)
    inputs = {"corpus": root / "corpus", "proxy": root / "start"}
    scored = LocalBuild(inputs, root / "difficulty", root / "scratch")
    asked = DifficultyRecipe(corpus=NOWHERE, proxy=NOWHERE, context_tokens=256, stride_tokens=128)
    score_difficulty(asked, scored)
    return PolicyRecipe(
        corpus=publish(store, root / "corpus", "corpus"),
        difficulty=publish(store, root / "difficulty", "difficulty"),
        start=publish(store, root / "start", "base"),
        objective=RptObjective(entropy_floor_nats=0.1), ntp_weight=1.0, prompts_per_step=4, group_size=2,
        cuts_per_document=2, reasoning_tokens=6, context_tokens=400, steps=steps, milestones=milestones,
        selection=Selection(drop_equal_from_step=99),
    )  # fmt: skip
