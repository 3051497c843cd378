"""What is made: recipes, and the ways one recipe names another as its input.

A recipe holds the science of one stage: its inputs, numbers and seeds. If it affects the
bytes it is in the recipe; if it does not, it cannot be. Where and how fast it runs is a
:class:`~rpt_core.artifacts.placement.Placement`.

An input is given in one of three forms. ``Recipe``: make it (or reuse it) first.
``Ref``: a named version in the store, such as ``math@17`` or ``math@latest``.
``Artifact``: a resolved input; only this form is fingerprinted, and only by its content digest.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from rpt_core.addresses import refuse_password, without_password
from rpt_core.errors import RecipeError


class Frozen(BaseModel):
    """A frozen value that refuses unknown fields, infinities and NaN: canonical JSON has none of them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # an input may be an address with a password; explain() shows it without
    )


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


SEED_MAX = 2**32 - 1
"""The largest that every generator of random numbers takes."""


class Ref(Frozen):
    """A named version: ``name@7``, ``name@latest``, or a fingerprint's first 8 or more hex digits."""

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

    @field_validator("seed", check_fields=False)
    @classmethod
    def _seed_in_range(cls, seed: int) -> int:
        if not 0 <= seed <= SEED_MAX:
            raise ValueError(f"a seed is a whole number from 0 to {SEED_MAX:,}")
        return seed

    def inputs(self) -> dict[str, "Recipe | Ref | Artifact"]:
        """What names other artifacts, by place: ``corpus``, ``before.0``, or ``models.RMT.evaluations.0``.

        Items of a tuple are told apart by their ``name`` where they have one, else by their number.
        """
        return dict(_inputs(self, ""))

    def with_inputs(self, given: "Mapping[str, Recipe | Ref | Artifact]") -> Self:
        """The same recipe with the inputs of the given places replaced."""
        return _placed(self, "", given) if given else self

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
        return {name: _by_digest(getattr(self, name), one) for name, one in plain.items()}

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
            raise RecipeError(f"the recipe cannot be read: {explain(error, cls)}") from None


def _parts(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What a frozen value or a tuple holds, each with its place."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            named = isinstance(item, Frozen) and not isinstance(item, Recipe | Ref | Artifact)
            yield f"{place}.{getattr(item, 'name', number) if named else number}", item
    elif isinstance(value, Frozen):
        for name, field in value:
            yield f"{place}.{name}" if place else name, field


def _inputs(value: Any, place: str) -> Iterator[tuple[str, Recipe | Ref | Artifact]]:
    for here, part in _parts(value, place):
        if isinstance(part, Recipe | Ref | Artifact):
            yield here, part
        else:
            yield from _inputs(part, here)


def _placed(value: Any, place: str, given: Mapping[str, Any]) -> Any:
    """A value with the inputs of the given places in it replaced; itself where there are none."""
    if place and isinstance(value, Recipe | Ref | Artifact):
        return given.get(place, value)
    parts = [(_placed(part, here, given), part) for here, part in _parts(value, place)]
    if all(new is old for new, old in parts):
        return value
    if isinstance(value, tuple):
        return tuple(new for new, _ in parts)
    fields = zip(type(value).model_fields, parts, strict=True)
    return value.model_copy(update={name: new for name, (new, old) in fields if new is not old})


def _by_digest(value: Any, plain: Any) -> Any:
    """A value's JSON form with each artifact in it as its digest alone."""
    if isinstance(value, Artifact):
        return value.digest
    if isinstance(value, tuple):
        return [_by_digest(item, one) for item, one in zip(value, plain, strict=True)]
    if isinstance(value, Frozen):
        return {name: _by_digest(getattr(value, name), one) for name, one in plain.items()}
    return plain


def explain(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """One clause per problem of a pydantic report: the field, what is wanted, what was given.

    Args:
        error: The report.
        model: What was validated; unknown fields then name the nearest known ones.
    """
    return "; ".join(_clause(dict(problem), model) for problem in error.errors(include_url=False))


def _clause(problem: dict[str, Any], model: type[BaseModel] | None) -> str:
    given = problem.get("input")
    typed, known = _as_typed(problem["loc"], model)
    where = ".".join(typed)
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no such field{_nearest(typed, known)}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    clause = f"{where}: {message}" if where else message
    if isinstance(given, BaseModel | Mapping):  # a whole recipe says nothing about one field of it
        return clause
    shown = without_password(repr(given))
    return f"{clause} (given {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'})"


_SHOWN = 80
"""Characters of a value that an error repeats."""


def _nearest(typed: list[str], known: list[str]) -> str:
    """What was probably meant, else all there is."""
    near = difflib.get_close_matches(typed[-1], known, n=1)
    if near:
        return f"; did you mean {'.'.join([*typed[:-1], near[0]])}?"
    return f"; there are {', '.join(known)}" if known else ""


def _as_typed(path: tuple[int | str, ...], model: type[BaseModel] | None) -> tuple[list[str], list[str]]:
    """A pydantic path as ``-p`` says it, and the fields known at its last place.

    Pydantic puts the tag that chose a union's member into the path; a person leaves it out.
    """
    if model is None:
        return [str(part) for part in path], []
    here, typed = {model}, [model.kind] if issubclass(model, Recipe) else []
    for part in path[:-1]:
        fields = [each.model_fields[str(part)].annotation for each in here if part in each.model_fields]
        if tagged := {each for each in here if not fields and part in (each.__name__, *_tags(each))}:
            here = tagged
            continue
        if fields:  # else a place in a list
            here = {found for annotation in fields for found in _models_in(annotation)}
        typed.append(str(part))
    return [*typed, *map(str, path[-1:])], sorted({name for each in here for name in each.model_fields})


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {found for argument in get_args(annotation) for found in _models_in(argument)}


def _tags(model: type[BaseModel]) -> set[Any]:
    """Values of a model's ``Literal`` fields, one of which may tell it from its siblings."""
    return {value for field in model.model_fields.values() for value in get_args(field.annotation)}


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
