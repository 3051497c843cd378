"""Comparing two readings: what is decided at once, and which leaves have to be asked for.

The rules, in one place:

- Bare lists (``2, 5``), sets and unions have no order; tuples, intervals and matrices do. Repeats collapse
  within braces only. A tuple answers a bare list in the same order.
- A name before an equals sign is dropped where the other answer has none; two different names differ.
- A unit is dropped where the other answer has none; two different units of one number differ. Letters in
  italics after a number are variables, unless the other answer has just that unit.
- A percent sign is a factor of 100 where the known answer is a plain decimal or has a percent sign too;
  elsewhere it is a unit. A bare whole number answers a known percentage by the number of percent.
- Words are equal but for case, quotes and a leading article; symbols keep their case.
- Everything is exact: a rounded decimal is another number.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from rpt_core.objectives.problems.answers import tree as t
from rpt_core.objectives.problems.answers.expression import parse_expression
from rpt_core.objectives.problems.answers.reading import (
    Assignment,
    Opaque,
    Quantity,
    Value,
    ValueGroup,
    WordAnswer,
)
from rpt_core.objectives.problems.answers.tokens import Token, UnreadableError
from rpt_core.objectives.problems.answers.tree import Tree

Match = Literal["correct", "wrong", "unparsed"]
Leaf = tuple[str, str] | tuple[Tree, Tree]
"""A pair to be decided by computation: two trees, or two texts of LaTeX where no tree could be read."""

ITEMS_MAX = 24
"""Items of lists that are matched without order."""
_UNORDERED = frozenset({"list", "set", "union"})
_SHORT_WORDS = frozenset({"no", "ok", "up", "on", "in", "it", "is", "he", "we", "me", "us"})


@dataclass
class AnswerComparison:
    """One comparison: what is decided already, what is still wanted, and the rules applied on the way."""

    decided: Mapping[Leaf, Match]
    wanted: list[Leaf] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    """How often ``percent`` was a factor, and how many pairs were ``computed``."""

    def compare(self, given: Value, known: Value) -> Match:
        """Whether two readings say the same."""
        if given == known:
            return "correct"
        if isinstance(given, Assignment) or isinstance(known, Assignment):
            return self._named(given, known)
        if isinstance(given, ValueGroup) or isinstance(known, ValueGroup):
            return self._group(given, known)
        if isinstance(given, WordAnswer) or isinstance(known, WordAnswer):
            return self._words(given, known)
        if isinstance(given, Quantity) and isinstance(known, Quantity):
            return self._quantity(given, known)
        return self._opaque(given, known)

    def _named(self, given: Value, known: Value) -> Match:
        if isinstance(given, Assignment) and isinstance(known, Assignment):
            if given.name == known.name:
                return self.compare(given.value, known.value)
            solved = all(
                isinstance(one, Quantity) and not t.symbols(one.tree) for one in (given.value, known.value)
            )
            return "wrong" if solved else "unparsed"
        if isinstance(given, Assignment):
            return self.compare(given.value, known)
        assert isinstance(known, Assignment)
        return self.compare(given, known.value)

    def _group(self, given: Value, known: Value) -> Match:
        if not (isinstance(given, ValueGroup) and isinstance(known, ValueGroup)):
            return self._group_and_single(given, known)
        names = [
            [item.name for item in group.items if isinstance(item, Assignment)] for group in (given, known)
        ]
        ordered = any(len(set(found)) > 1 for found in names) and bool(names[0]) != bool(names[1])
        if given.kind == known.kind or {given.kind, known.kind} == {"list", "set"}:
            if given.kind in _UNORDERED and not ordered:
                return self._unordered(self._once(given), self._once(known))
            return self._ordered(given, known)
        if {given.kind, known.kind} == {"()", "list"}:
            return self._ordered(given, known)
        return "unparsed" if "digits" in {given.kind, known.kind} else "wrong"

    def _group_and_single(self, given: Value, known: Value) -> Match:
        group, single = (given, known) if isinstance(given, ValueGroup) else (known, given)
        assert isinstance(group, ValueGroup)
        if group.kind == "set" and len(group.items) == 1:
            return self.compare(*((group.items[0], known) if group is given else (given, group.items[0])))
        if isinstance(single, Opaque):
            return "unparsed"
        if isinstance(single, WordAnswer) and _letters(single) and _letters(single) == _letters(group):
            return "correct"
        return "wrong"

    def _once(self, group: ValueGroup) -> ValueGroup:
        """A set without what stands twice; bare lists keep repeats."""
        if group.kind != "set":
            return group
        kept: list[Value] = []
        for item in group.items[:ITEMS_MAX]:
            if not any(self.compare(item, other) == "correct" for other in kept):
                kept.append(item)
        return ValueGroup(group.kind, (*kept, *group.items[ITEMS_MAX:]))

    def _ordered(self, given: ValueGroup, known: ValueGroup) -> Match:
        if len(given.items) != len(known.items):
            return "wrong"
        return _all(self.compare(left, right) for left, right in zip(given.items, known.items, strict=True))

    def _unordered(self, given: ValueGroup, known: ValueGroup) -> Match:
        """Each item of one with its equal of the other; equality is transitive, so the first will do."""
        if len(given.items) != len(known.items):
            return "wrong"
        if len(given.items) > ITEMS_MAX:
            return self._ordered(given, known) if given.items == known.items else "unparsed"
        left, unread = list(known.items), False
        for item in given.items:
            verdicts = [self.compare(item, other) for other in left]
            if "correct" in verdicts:
                del left[verdicts.index("correct")]
            elif "unparsed" in verdicts:
                unread = True
            else:
                return "wrong"
        if unread:
            return "unparsed"
        if any(isinstance(item, WordAnswer) for item in known.items) and given.items != known.items:
            return "unparsed"  # an order of events may be the answer
        return "correct"

    def _words(self, given: Value, known: Value) -> Match:
        if isinstance(given, WordAnswer) and isinstance(known, WordAnswer):
            return _same_words(given, known)
        words, other = (given, known) if isinstance(given, WordAnswer) else (known, given)
        assert isinstance(words, WordAnswer)
        if isinstance(other, Opaque) or any(char.isdigit() for char in words.text):
            return "unparsed"
        assert isinstance(other, Quantity)
        if (product := _as_product(words)) is not None and t.symbols(other.tree):
            return self._leaf(*((product, other.tree) if words is given else (other.tree, product)))
        return "wrong" if not t.symbols(other.tree) else "unparsed"

    def _quantity(self, given: Quantity, known: Quantity) -> Match:
        if given.base != known.base:
            return "unparsed" if given.tree == known.tree or not (given.base and known.base) else "wrong"
        if given.percent or known.percent:
            return self._percent(given, known)
        if given.italic and known.unit == given.italic[1]:
            return self._leaf(given.italic[0], known.tree)
        if known.italic and given.unit == known.italic[1]:
            return self._leaf(given.tree, known.italic[0])
        found = self._leaf(given.tree, known.tree)
        if given.unit and known.unit and given.unit != known.unit:
            return "wrong" if found == "correct" else "unparsed"
        return found

    def _percent(self, given: Quantity, known: Quantity) -> Match:
        """The rule of the percent sign; see the module's text."""
        if given.unit or known.unit:
            return "unparsed"
        if given.percent and known.percent:
            return self._leaf(given.tree, known.tree)
        bare = t.rational(known.tree if given.percent else given.tree)
        scaled = (known if given.percent else given).decimal or (
            known.percent and bare is not None and bare.denominator != 1
        )
        if not scaled or (
            known.percent and bare is not None and abs(bare) > 1 and bare == t.rational(known.tree)
        ):
            return self._leaf(given.tree, known.tree)
        self.rules["percent"] += 1
        hundredth = t.number(Fraction(1, 100))
        if given.percent:
            return self._leaf(t.mul(hundredth, given.tree), known.tree)
        return self._leaf(given.tree, t.mul(hundredth, known.tree))

    def _opaque(self, given: Value, known: Value) -> Match:
        texts = [
            t.as_latex(one.tree)
            if isinstance(one, Quantity)
            else one.latex
            if isinstance(one, Opaque)
            else ""
            for one in (given, known)
        ]
        units = [
            one
            for one in (given, known)
            if isinstance(one, Quantity) and (one.unit or one.percent or one.base)
        ]
        if not all(texts) or units:
            return "unparsed"
        return self._ask((texts[0], texts[1]))

    def _leaf(self, given: Tree, known: Tree) -> Match:
        if given == known:
            return "correct"
        if t.rational(given) is not None and t.rational(known) is not None:
            return "wrong"
        infinite = [t.has(one, "inf") for one in (given, known)]
        if any(infinite):
            simple = [t.rational(one) is not None or one in _INFINITIES for one in (given, known)]
            return "wrong" if all(simple) else "unparsed"
        return self._ask((given, known))

    def _ask(self, leaf: Leaf) -> Match:
        if leaf in self.decided:
            self.rules["computed"] += 1
            return self.decided[leaf]
        self.wanted.append(leaf)
        return "unparsed"


_INFINITIES = (("const", "inf"), t.neg(("const", "inf")))


def _all(verdicts: Iterable[Match]) -> Match:
    found = list(verdicts)
    if "wrong" in found:
        return "wrong"
    return "unparsed" if "unparsed" in found else "correct"


def _same_words(given: WordAnswer, known: WordAnswer) -> Match:
    if given.folded == known.folded:
        short = len(known.text) < 3 and known.folded not in _SHORT_WORDS
        return "wrong" if short and given.text != known.text else "correct"
    if _letters(given) and _letters(given) == _letters(known):
        return "correct"
    same = sorted(given.folded.split()) == sorted(known.folded.split())
    anagram = len(known.text) <= 3 and sorted(given.text) == sorted(known.text)
    return "unparsed" if same or anagram else "wrong"


def _letters(value: Value) -> frozenset[str]:
    """The choices named by ``AC`` or by ``A, C``; empty for anything else."""
    if isinstance(value, WordAnswer):
        names = list(value.text)
    elif isinstance(value, ValueGroup) and value.kind in ("list", "set"):
        names = [item.tree[1] for item in value.items if isinstance(item, Quantity) and item.tree[0] == "sym"]
        names = names if len(names) == len(value.items) else []
    else:
        return frozenset()
    return (
        frozenset(names)
        if names and set(names) <= set("ABCDEFGHIJ") and len(set(names)) == len(names)
        else frozenset()
    )


def _as_product(words: WordAnswer) -> Tree | None:
    try:
        return parse_expression((Token(words.text),)) if words.text.isalpha() else None
    except UnreadableError:
        return None
