"""One call of a template: its name and arguments, and the edition and the words it stands among."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HOLE = "\ue003"
"""Stands for a value that the page does not hold; the sentence round it cannot be read."""


def as_it_is(text: str) -> str:
    """Keeps a formula where it stands: for callers that hold nothing aside."""
    return text


@dataclass(frozen=True, slots=True)
class Call:
    """One template call: its name in lower case, positional and named arguments, all rendered."""

    name: str
    args: tuple[str, ...]
    named: dict[str, str]
    lang: str = "en"
    """Language of the edition, as its dump is named: ``de`` for dewiki."""
    before: str = ""
    """The character it stands after, as rendered; empty at the beginning of a line."""
    written: str = ""
    """Its name as written."""
    keep: Callable[[str], str] = field(default=as_it_is, compare=False)
    """Holds a formula aside, so that nothing reads it as mark-up."""

    def arg(self, index: int) -> str:
        """Positional argument by number from 0, also when it is given as ``1=``; empty if absent."""
        if index < len(self.args):
            return self.args[index]
        return self.named.get(str(index + 1), "")

    def first_of(self, *names: str) -> str:
        """The first of some named arguments that holds something."""
        return next((self.named[name] for name in names if self.named.get(name)), "")

    @property
    def texts(self) -> tuple[str, ...]:
        """Positional arguments that hold something, the numbered ones in their places."""
        numbered = (self.named.get(str(index + 1), "") for index in range(len(self.args), _NUMBERED_MAX))
        return tuple(arg for arg in (*self.args, *numbered) if arg)


_NUMBERED_MAX = 12
Handler = Callable[[Call], str]

_NAMED = re.compile(r"\s*+([\w\-](?:[\w \-]{0,38}[\w\-])?|(?<=\s))\s*+=(?!=)(.*)", re.DOTALL)


def parse_call(
    parts: Sequence[str], lang: str = "en", before: str = "", keep: Callable[[str], str] = as_it_is
) -> Call:
    """Split the pieces between the bars into name, positional and named arguments.

    Example:
        >>> parse_call(["Lang ", "fr", "1=mot"]).arg(0)
        'fr'
    """
    args: list[str] = []
    named: dict[str, str] = {}
    for part in parts[1:]:
        match = _NAMED.fullmatch(part) if "=" in part else None
        if match:
            named[match[1].strip().lower()] = match[2].strip()
        else:
            args.append(part.strip())
    written = parts[0].strip().replace("_", " ")
    return Call(written.lower(), tuple(args), named, lang, before, written, keep)


def first(call: Call) -> str:
    """The first argument."""
    return call.arg(0)


def second(call: Call) -> str:
    """The second argument, or the text by name."""
    return call.arg(1) or call.first_of("text", "texte", "texto", "testo")


def last(call: Call) -> str:
    """The last argument that holds something."""
    return call.texts[-1] if call.texts else ""


def glued(call: Call) -> str:
    """All arguments without anything between."""
    return "".join(call.args)


def spaced(call: Call) -> str:
    """All arguments, blanks between."""
    return " ".join(call.texts)


def items(call: Call) -> list[str]:
    """The items of a list: the arguments, and the lines of an argument that are a list themselves."""
    found = (item.strip() for arg in call.texts for item in _ITEM.split(arg))
    return [item for item in found if item]


_ITEM = re.compile(r"(?:^|\n)[*#:;]+")


def constant(text: str) -> Handler:
    """A template that always shows the same."""
    return lambda call: text


def nothing(call: Call) -> str:
    """A template that shows nothing a reader of the text misses."""
    return ""
