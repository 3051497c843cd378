"""What recipes promise: defaults and bounds of every field, and what every named recipe's stages are.

``python -m tests.golden.recipes`` writes ``recipes.json`` anew: to be run, and its difference read, after a
change that is meant to move them. Fields without a fingerprint (where data lie) are among the defaults, too.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from flows.recipes import NAMED
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.recipes.stages import STAGES

RECORD = Path(__file__).with_name("recipes.json")
SAID = frozenset({"title", "description", "discriminator"})
"""What a schema says to people."""


@cache
def fields() -> dict[str, Any]:
    """Every class of recipes, by name: its fields with default, type and bounds, as JSON schema."""
    found: dict[str, Any] = {}
    for model in (Placement, *(stage.recipe for stage in STAGES.values())):
        schema = model.model_json_schema()
        found |= {name: _bare(one) for name, one in schema.pop("$defs", {}).items()}
        found[model.__name__] = _bare(schema)
    return {name: one["properties"] for name, one in sorted(found.items()) if "properties" in one}


WITHOUT_TEXT = "tiny_teacher"
"""Takes no text of a reader's own."""


@cache
def stages() -> dict[str, dict[str, str]]:
    """The stages of every named recipe with their fingerprints, as if an input's content were its own."""
    own = {name: {} if name == WITHOUT_TEXT else {"data": "somewhere"} for name in NAMED}
    return {name: dict(_stages(make(**own[name]))) for name, make in NAMED.items()}


def _stages(recipe: Recipe) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def visit(node: Recipe) -> Artifact:
        below = {name: visit(value) for name, value in node.inputs().items() if isinstance(value, Recipe)}
        fingerprint = node.with_inputs(below).fingerprint()
        label = f"{node.stage} {fingerprint[:8]}"
        if (label, fingerprint) not in found:
            found.append((label, fingerprint))
        return Artifact(kind=node.kind, fingerprint=fingerprint, digest=fingerprint)

    visit(recipe)
    return found


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        named = schema.get("properties")
        bare = {key: _bare(value) for key, value in schema.items() if key not in SAID and key != "properties"}
        return bare | ({"properties": {k: _bare(v) for k, v in named.items()}} if named else {})
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema


def main() -> None:
    """Write the record."""
    RECORD.write_text(json.dumps({"fields": fields(), "stages": stages()}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
