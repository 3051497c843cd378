"""Python files that come with a model are never run: a folder that asks for it is refused by name."""

import json
from pathlib import Path
from typing import Any

from rpt_core.errors import RecipeError

CONFIG_FILES = (
    "config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json",
    "preprocessor_config.json", "image_processor_config.json", "video_preprocessor_config.json",
    "feature_extractor_config.json",
)  # fmt: skip
"""Files of a Hugging Face folder in which ``auto_map`` names a class in a Python file of the folder."""


def refuse_foreign_code(folder: Path) -> None:
    """Refuse a folder whose configurations name Python code of its own (``auto_map``).

    ``trust_remote_code=False`` alone is not enough: for a known ``model_type`` transformers then takes its
    own class without a word, which need not be the architecture the weights were trained with.

    Raises:
        RecipeError: a configuration names such code, or is no JSON object.
    """
    for name in CONFIG_FILES:
        if (folder / name).is_file() and (named := _auto_map(read_json_object(folder / name))):
            raise RecipeError(
                f"{folder / name} names Python code to run (auto_map: {', '.join(named)}), and code that "
                "comes with a model is never run here. Convert the model to an architecture of transformers "
                "and take auto_map out, or take another model."
            )


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object.

    Raises:
        RecipeError: it is no JSON, nested too deeply to be read, or holds something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise RecipeError(f"{path} is no readable JSON ({error}). Fetch the file again.") from None
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror}). Fix its permissions.") from None
    if not isinstance(found, dict):
        raise RecipeError(
            f"{path} holds a {type(found).__name__} where a JSON object is needed. Fetch the file again."
        )
    return found


def _auto_map(config: dict[str, Any]) -> list[str]:
    """The classes named by an ``auto_map`` here or in an inner configuration."""
    named: list[str] = []
    left: list[Any] = [config]
    while left:
        node = left.pop()
        if not isinstance(node, dict):
            continue
        found = node.get("auto_map")
        named += sorted(found) if isinstance(found, dict) else [str(found)] if found else []
        left += node.values()
    return named
