"""What is made: recipes, and the ways one recipe names another as its input.

A recipe holds the science of one stage: its inputs, numbers and seeds. If it affects the
bytes it is in the recipe; if it does not, it cannot be. Where and how fast it runs is a
:class:`~rpt_core.artifacts.placement.Placement`.

An input is given in one of three forms. ``Recipe``: make it (or reuse it) first.
``Ref``: a spoken version in the store, such as ``math@17`` or ``math@latest``.
``Artifact``: a resolved input; only this form is fingerprinted, and only by its content digest.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rpt_core.addresses import refuse_password, without_password
from rpt_core.errors import RecipeError


class Frozen(BaseModel):
    """A frozen value whose unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True,
        hide_input_in_errors=True,  # an input may be an address with a password; explain() shows it without
    )  # fmt: skip


Value = TypeVar("Value")
Address = Annotated[str, AfterValidator(refuse_password)]
"""Where an endpoint is. Every field of a recipe is recorded, so a login or a key in it is refused."""


def later(default: Value, **limits: Any) -> Value:
    """A field that came later: it leaves the fingerprint alone until somebody changes it.

    At its default it is left out of the canonical form, so what was made before it stays valid.

    Args:
        default: What everything made before the field had, and has still.
        limits: As of :func:`pydantic.Field`.
    """
    field: Value = Field(default, exclude_if=lambda value: bool(value == default), **limits)
    return field


class Ref(Frozen):
    """A spoken version: ``name@7``, ``name@latest``, or a fingerprint's first 8 or more hex digits."""

    ref: str = Field(min_length=1)


class Artifact(Frozen):
    """The address of a finished artifact: what Prefect tasks return and fingerprints stand on."""

    kind: str
    fingerprint: str
    """SHA-256 over the recipe, its inputs' digests and the stage's revision; hex."""
    digest: str
    """Logical digest of the content; hex."""

    @property
    def short(self) -> str:
        """``kind/12 hex digits``, for people."""
        return f"{self.kind}/{self.fingerprint[:12]}"


class Recipe(Frozen):
    """The science of one stage. Subclasses fix ``stage`` by a ``Literal`` and ``kind`` by a ``ClassVar``."""

    kind: ClassVar[str]
    """Kind of artifact this stage writes."""
    location_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where content lies, not what it is; outside the fingerprint."""
    reads_lineage: ClassVar[bool] = False
    """Whether the stage also reads the manifests of all its ancestors (input folder ``lineage``)."""

    reads_corpora_of: ClassVar[str] = ""
    """Input whose training corpora the stage also reads (input folders ``trained.*``), if any."""

    stage: str
    revision: int = 1
    """Raised by one when the stage's code changes what it writes."""

    def inputs(self) -> dict[str, "Recipe | Ref | Artifact"]:
        """The fields that name other artifacts, tuples spread as ``name.0``, ``name.1`` ..."""
        return dict(_inputs(self))

    def with_inputs(self, resolved: Mapping[str, Artifact]) -> Self:
        """The same recipe with the inputs of the given names replaced by finished artifacts."""
        update: dict[str, Any] = {}
        for name, value in self:
            if isinstance(value, tuple) and any(isinstance(item, Recipe | Ref | Artifact) for item in value):
                update[name] = tuple(resolved.get(f"{name}.{i}", item) for i, item in enumerate(value))
            elif name in resolved:
                update[name] = resolved[name]
        return self.model_copy(update=update)

    def canonical(self) -> dict[str, Any]:
        """What is fingerprinted: every field in JSON form, inputs by content digest alone.

        Raises:
            RecipeError: an input is not resolved yet.
        """
        unresolved = [name for name, value in self.inputs().items() if not isinstance(value, Artifact)]
        if unresolved:
            raise RecipeError(
                f"the {self.stage} recipe's inputs {', '.join(unresolved)} are not resolved to artifacts; "
                "a fingerprint stands on content, so resolve() comes first."
            )
        plain = self.model_dump(mode="json", exclude=set(self.location_fields))
        for name, value in self:
            if isinstance(value, Artifact):
                plain[name] = value.digest
            elif isinstance(value, tuple) and value and isinstance(value[0], Artifact):
                plain[name] = [item.digest for item in value]
        return plain

    def fingerprint(self) -> str:
        """SHA-256 of :meth:`canonical` as canonical JSON, hex (design: identity of what is made)."""
        return hashlib.sha256(canonical_json(self.canonical())).hexdigest()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Validate, with pydantic's report turned into one sentence.

        Raises:
            RecipeError: a field is unknown, missing or out of range.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise RecipeError(f"the {cls.__name__} cannot be read: {explain(error)}") from None


def _inputs(recipe: Recipe) -> Iterator[tuple[str, Recipe | Ref | Artifact]]:
    for name, value in recipe:
        if isinstance(value, Recipe | Ref | Artifact):
            yield name, value
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, Recipe | Ref | Artifact):
                    yield f"{name}.{i}", item


def explain(error: ValidationError) -> str:
    """One clause per problem of a pydantic report: the field, what was given, what is wanted."""
    clauses = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "value"
        given = without_password(repr(problem.get("input")))
        clauses.append(f"{where}: {problem['msg'][:1].lower()}{problem['msg'][1:]} (given {given[:80]})")
    return "; ".join(clauses)


def canonical_json(value: Any) -> bytes:
    r"""JSON with sorted keys, no spaces, UTF-8, and no NaN: one byte string per value.

    Raises:
        ValueError: a float is NaN or infinite; it would have no stable form.

    Example:
        >>> canonical_json({"b": 1.5, "a": "é"})
        b'{"a":"\xc3\xa9","b":1.5}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()
