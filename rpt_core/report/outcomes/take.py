"""Stage ``take-outcomes``: outcomes that a file already holds, held against what the study asks for."""

import hashlib
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import IntegrityError, SourceError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, from_bytes, to_bytes
from rpt_core.recipes.outcomes import KeptOutcomesRecipe


def take_outcomes(recipe: KeptOutcomesRecipe, build: Build) -> Outcome:
    """Write ``outcomes.json.xz``, the file as it is read.

    Raises:
        SourceError: the file is gone, or another than when the study was laid out.
        IntegrityError: it holds other outcomes.
    """
    path = Path(recipe.file)
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != recipe.sha256:
        raise SourceError(
            f"{path} is gone or was changed while the study was made: its bytes are not those of sha256 "
            f"{recipe.sha256[:12]}. Run the study again."
        )
    found = from_bytes(content, str(path))
    check_is(found, str(path), recipe.study, recipe.arm, recipe.seed, recipe.design)
    return kept(found, build.out)


def kept(found: ArmOutcomes, folder: Path) -> Outcome:
    """Write the file; gathered or taken, equal outcomes are equal artifacts."""
    (folder / OUTCOMES_FILE).write_bytes(to_bytes(found))
    answers = found.answers.right_IS
    return Outcome(
        rows=RowCounts(rows_in=answers.size, kept=answers.size),
        summary={
            "questions": len(found.questions),
            "held_questions": int(found.questions.held_I.sum()),
            "accuracy": float(answers.mean()),
            "gflops": round(found.own_gflops, 3),
        },
    )


def check_is(found: ArmOutcomes, name: str, study: str, arm: str, seed: int, design: str) -> None:
    """Refuse outcomes of something else than a study asks for.

    Raises:
        IntegrityError: they are of another study, arm, seed or design.
    """
    own = (found.study, found.arm, found.seed)
    if own != (study, arm, seed):
        raise IntegrityError(
            f"{name} holds the outcomes of {own[1]} under seed {own[2]} of the study {own[0]}, and those of "
            f"{arm} under seed {seed} of {study} belong there. Move it to its own name, and the arm runs."
        )
    if found.design != design:
        raise IntegrityError(
            f"{name} holds outcomes of the design {found.design[:12]}, and {arm} under seed {seed} is now of "
            f"the design {design[:12]}: its training or its evaluation is another one. Move the file away to "
            "run the arm again, or take the version that wrote it."
        )
