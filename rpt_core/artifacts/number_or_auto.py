"""Fields that are a number or the word ``auto``, as validation and as the form of a run has them.

A form shows pydantic's own schema of ``Literal["auto"]``, a ``const``, as a value that cannot be changed.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema


def in_form(kind: Literal["integer", "number"], **bounds: float) -> WithJsonSchema:
    """The word, or a number with its bounds in the words of JSON Schema."""
    number: dict[str, Any] = {"type": kind, **bounds, "title": "number"}
    return WithJsonSchema({"anyOf": [{"type": "string", "enum": ["auto"], "title": "auto"}, number]})


Count = Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], in_form("integer", minimum=0)]
Positive = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], in_form("integer", minimum=1)]
NotNegative = Annotated[Annotated[float, Field(ge=0)] | Literal["auto"], in_form("number", minimum=0)]
Share = Annotated[
    Annotated[float, Field(gt=0, le=1)] | Literal["auto"], in_form("number", exclusiveMinimum=0, maximum=1)
]
