"""The values of ``--placement name=value,...``: where and how a command's stages run."""

from typing import get_args

from pydantic import ValidationError

from flows.cli.parameters import literal
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RecipeError


def parse_placement(text: str) -> Placement:
    """A placement from ``name=value`` parts between commas; everything else stays ``auto``.

    Raises:
        RecipeError: a part has no ``=``, names no field or one twice, or the field does not take the value.

    Example:
        >>> parse_placement("gpus=1,engine=torch").gpus, parse_placement("") == Placement()
        (1, True)
    """
    fields: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in Placement.model_fields:
            raise RecipeError(
                f"--placement {part!r} sets no field of a placement; write name=value, with a name out of "
                f"{', '.join(Placement.model_fields)}."
            )
        if name in fields:
            raise RecipeError(
                f"--placement sets {name} twice, to {fields[name]!r} and to {value!r}; name it once."
            )
        fields[name] = literal(name, value)
    try:
        return Placement.model_validate(fields)
    except ValidationError as error:
        raise RecipeError(_refusal(error)) from None


def _refusal(error: ValidationError) -> str:
    """The first field that was refused, with what it was given and what it takes."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    words = [
        str(word) for word in get_args(Placement.model_fields[name].annotation) if isinstance(word, str | int)
    ]
    takes = f"it is one of {', '.join(words)}" if words else f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return f"--placement {name}={first['input']!r}: {takes}. Change it, or leave it out."
