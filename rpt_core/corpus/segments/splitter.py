# ruff: noqa: SIM905  (word lists read better as text)
"""Sentences as offsets: spans that, one after another, are the text, character for character.

Punkt (Kiss & Strunk 2006) learns abbreviations from the corpus itself, without labels; formulas and code
are covered while it reads. What stands after its boundaries, end marks of other scripts
(:mod:`rpt_core.corpus.segments.sentence_ends`) and line ends of paragraphs decide as well, but for the
line ends round a displayed formula that is part of a sentence.
What is shorter than the recipe's least joins a neighbour, within its paragraph where it can.
"""

import copy
import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from rpt_core.corpus.segments.clauses import unpointed
from rpt_core.corpus.segments.displays import layout
from rpt_core.corpus.segments.punkt import PunktParameters, learn, tokenizer
from rpt_core.corpus.segments.sentence_ends import before_blanks, goes_on, loose, marked, writes_small
from rpt_core.corpus.text.shield import cover, spans

TRAINING_CHARS = 1_000_000
"""Text per language that Punkt learns from; more changes few abbreviations."""
TRAINING_CHARS_MIN = 200_000
"""Languages with less are learnt together: marks and numbers are much the same in all."""
DOCUMENT_CHARS_MAX = 100_000
"""Of one document, so that no single book teaches its own style."""

_KNOWN = frozenset(
    "eq eqs fig figs thm lem prop cor def ref refs sec secs ch app resp cf e.g i.e etc et al viz vs approx "
    "dr mr mrs ms prof st no nos vol pp p ed eds ca c dept est jr sr inc ltd co corp u.s u.k ph.d b.c a.d "
    "gov sen rep lt col gen capt sgt maj rev hon mt ft messrs pres supt fr br jan feb apr aug sept sep oct "
    "nov dec trans rev lat gr cap art arts bros mme mlle vgl abb bzw hrsg nr bd".split()
)
"""Abbreviations of scientific and encyclopaedic English, whatever the corpus shows."""
_FOLLOWED = re.compile(r"(?<![\w.])([^\W\d_]{1,20})\.\s+([^\W\d_])")
_CAPITAL_SHARE_MAX = 0.9
"""A learnt abbreviation nearly always followed by a capital is a word that likes to end sentences."""
_ORDINALS = frozenset("de da nb nn no fi cs sk hu hr sl sr et lv is tr lb fo eo pl".split())
"""Languages that write ordinals as a number and a point: "am 4. Oktober" ends no sentence."""
_LINE_END = re.compile(r"\n+")
_NUMBERED = re.compile(r"[ \t]*(?:[-*•][ \t]+)?\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,5})\.[ \t]+")
"""The number or letter of a list item, whose point ends nothing."""
_STOP = re.compile(r"[.?!]")
"""Punkt cuts after these alone: a heading or list item without one inside needs no look."""


class PunktSample:
    """A fixed choice of documents to learn from: the smallest ids, up to so many characters per language."""

    def __init__(self, chars: int = TRAINING_CHARS) -> None:
        self._chars = chars
        self._heaps: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._held: dict[str, int] = defaultdict(int)

    def offer(self, doc_id: str, lang: str, text: str) -> None:
        """Consider one document; which ones stay does not depend on the order of offers."""
        part = text[:DOCUMENT_CHARS_MAX]
        heap = self._heaps[lang]
        heapq.heappush(heap, (-int(doc_id, 16), part))
        self._held[lang] += len(part)
        while heap and self._held[lang] - len(heap[0][1]) >= self._chars:
            self._held[lang] -= len(heapq.heappop(heap)[1])

    def texts(self) -> dict[str, list[str]]:
        """Chosen texts by language, in order of id."""
        return {
            lang: [text for _, text in sorted(heap, reverse=True)]
            for lang, heap in sorted(self._heaps.items())
        }


class Splitter:
    """Sentence splitters for every language of a corpus."""

    def __init__(self, parameters: Mapping[str, PunktParameters], common: PunktParameters) -> None:
        self._learnt = parameters, common
        self._by_lang = {lang: tokenizer(found) for lang, found in parameters.items()}
        self._common = tokenizer(common)

    def __reduce__(self) -> tuple[type["Splitter"], tuple[Mapping[str, PunktParameters], PunktParameters]]:
        """To another process go the parameters alone."""
        return Splitter, self._learnt

    @classmethod
    def train(cls, texts: Mapping[str, Iterable[str]]) -> "Splitter":
        """Learn abbreviations, collocations and sentence starters from the corpus's own text."""
        by_lang: dict[str, PunktParameters] = {}
        rest: dict[str, list[str]] = {}
        for lang, documents in texts.items():
            proses = [cover(text) for text in documents]
            if sum(map(len, proses)) >= TRAINING_CHARS_MIN:
                by_lang[lang] = _learn(proses, ordinals=lang in _ORDINALS)
            else:
                rest[lang] = proses
        if len(by_lang) == 1 and not rest:
            return cls(by_lang, next(iter(by_lang.values())))
        common = _learn([prose for proses in rest.values() for prose in proses])
        plain = _without_ordinals(common)
        by_lang |= {lang: common if lang in _ORDINALS else plain for lang in rest}
        return cls(by_lang, common)

    def split(self, text: str, lang: str = "", min_chars: int = 1) -> list[tuple[int, int]]:
        """Start and end of every sentence, blanks after it included.

        Args:
            text: Any text.
            lang: Chooses the parameters; unknown languages use those of the whole corpus.
            min_chars: Shorter sentences (blanks aside) are merged into a neighbour.

        Returns:
            Spans from 0 to ``len(text)`` without gap or overlap; none for an empty text.
        """
        if not text:
            return []
        shielded = spans(text)
        covered = cover(text, shielded)
        told = layout(text, shielded)
        cuts = {0, len(text)} | told.cuts
        punkt = self._by_lang.get(lang, self._common)
        after_points: set[int] = set()
        for start, end in _paragraphs(covered, told.joined):
            cuts.add(start)
            if _STOP.search(covered, start, end - 1):
                number = _NUMBERED.match(text, start, end)
                found = {start + first for first, _ in punkt.span_tokenize(covered[start:end])}
                after_points |= found - {number.end(), start} if number else found - {start}
            elif text[start] > "\u3000":
                cuts.update(unpointed(text, start, end))
        cuts |= _begun(text, after_points, lang)
        cuts.update(marked(covered), loose(covered, lang))
        borders = sorted(cuts)
        return merge_short(text, list(pairwise(borders)), min_chars)


def _learn(proses: Sequence[str], ordinals: bool = True) -> PunktParameters:
    """Punkt's parameters, without what its statistics get wrong in text of few templates."""
    parameters = learn(proses)
    parameters.abbrev_types -= _sentence_ends(proses, parameters.abbrev_types)
    parameters.abbrev_types |= _KNOWN
    return parameters if ordinals else _without_ordinals(parameters)


def _without_ordinals(learnt: PunktParameters) -> PunktParameters:
    """The same, but a number and a point before a capital end a sentence, however often both meet."""
    parameters = copy.copy(learnt)
    parameters.collocations = {pair for pair in learnt.collocations if pair[0] != "##number##"}
    return parameters


def _sentence_ends(proses: Sequence[str], learnt: set[str]) -> set[str]:
    """Learnt abbreviations that are words: what follows them nearly always begins with a capital."""
    followed, capital = Counter[str](), Counter[str]()
    for prose in proses:
        for word, letter in _FOLLOWED.findall(prose):
            lowered = word.lower()
            if lowered in learnt:
                followed[lowered] += 1
                capital[lowered] += letter.isupper()
    return {word for word, num in followed.items() if capital[word] > _CAPITAL_SHARE_MAX * num}


def _paragraphs(text: str, joined: Collection[int]) -> Iterable[tuple[int, int]]:
    """Start and end of what stands between line ends, those in ``joined`` overlooked."""
    start = 0
    for match in _LINE_END.finditer(text):
        if match.start() in joined:
            continue
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _begun(text: str, found: Iterable[int], lang: str) -> set[int]:
    """Of Punkt's boundaries those at which a sentence can begin, before its opening mark."""
    placed = {_before_guillemet(text, cut) for cut in found}
    doubtful = {cut for cut in placed if goes_on(text, cut)}
    if doubtful and writes_small(text, lang, placed):
        doubtful = {cut for cut in doubtful if goes_on(text, cut, small=False)}
    return placed - doubtful


def _before_guillemet(text: str, cut: int) -> int:
    """The same, or before a ``«`` between blanks: to Punkt it closes the sentence that ended before it.

    Example:
        >>> text = "Il est là. « Halte ! » Puis il partit."
        >>> text[_before_guillemet(text, 13):]
        '« Halte ! » Puis il partit.'
    """
    place = before_blanks(text, cut)
    alone = place > 1 and text[place - 1] == "«" and text[place - 2].isspace()
    return place - 1 if alone else cut


def merge_short(text: str, found: list[tuple[int, int]], min_chars: int) -> list[tuple[int, int]]:
    """Join sentences that are too short to the next one, or to the one before at the end of a paragraph.

    Example:
        >>> merge_short("No. It is a long one.", [(0, 4), (4, 21)], 5)
        [(0, 21)]
    """
    merged: list[tuple[int, int]] = []
    start: int | None = None
    for first, end in found:
        start = first if start is None else start
        piece = text[start:end]
        if len(piece.strip()) >= min_chars:
            merged.append((start, end))
            start = None
        elif piece.endswith("\n") and merged and not text[merged[-1][0] : merged[-1][1]].endswith("\n"):
            merged[-1] = (merged[-1][0], end)
            start = None
    if start is not None:
        # The last piece of the text: to the one before, or alone when it is all there is.
        first = merged.pop()[0] if merged else start
        merged.append((first, found[-1][1]))
    return merged
