"""A toy stage with steps, for tests of everything around a stage."""

import json
import time
from typing import ClassVar, Literal

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import StarvedError, Stopped


class ToyRecipe(Recipe):
    """Adds up numbers, slowly."""

    kind: ClassVar[str] = "toy"

    stage: Literal["toy"] = "toy"
    steps: int = 8
    step_seconds: float = 0.05
    fails: bool = False


def toy(recipe: ToyRecipe, build: Build) -> Outcome:
    """One number a step; a checkpoint after each; a milestone after the fourth."""
    saved = build.resume()
    total, first = (json.loads((saved.folder / "total.json").read_text()), saved.step) if saved else (0, 0)
    state = build.scratch / "state"
    state.mkdir(exist_ok=True)
    for step in range(first + 1, recipe.steps + 1):
        time.sleep(recipe.step_seconds)
        total += step
        build.log(step, {"total": total, "gflops_total": 10.0 * step}, {"seconds": 0.1 * time.time() % 1})
        build.progress(step, recipe.steps, "adding")
        (state / "total.json").write_text(json.dumps(total))
        if step == 4:
            build.milestone(step, state, {"gflops_total": 40.0})
        build.save(step, state)
        if build.stopping():
            raise Stopped(f"stopped after step {step}")
    if recipe.fails:
        raise StarvedError("nothing to add: give numbers")
    (build.out / "total.json").write_text(json.dumps(total))
    return Outcome(rows=RowCounts(rows_in=recipe.steps, kept=recipe.steps), summary={"total": total})
