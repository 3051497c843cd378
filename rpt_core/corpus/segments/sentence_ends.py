r"""Where sentences end beside Punkt's ``. ! ?``: marks of other scripts, and what cannot begin a sentence.

The marks are Unicode's property ``Sentence_Terminal`` (UAX 29), so every script that has one is served;
Tibetan shads and the doubled Ethiopic word space, which the property leaves out, are added. Punkt knows
abbreviations, not what follows: a small letter, ``&`` or a comma after a point goes on with the sentence.
"""

import re
from collections.abc import Iterable, Iterator

TERMINALS = (
    "\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b\u1362"
    "\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8\u1aa9\u1aaa\u1aab\u1b4e\u1b4f\u1b5a"
    "\u1b5b\u1b5e\u1b5f\u1b7d\u1b7e\u1b7f\u1c3b\u1c3c\u1c7e\u1c7f\u2024\u203c\u203d\u2047\u2048\u2049\u2cf9\u2cfa"
    "\u2cfb\u2e2e\u2e3c\u2e53\u2e54\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9"
    "\uaa5d\uaa5e\uaa5f\uaaf0\uaaf1\uabeb\ufe12\ufe15\ufe16\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61"
    "\U00010a56\U00010a57\U00011047\U00011048\U000110be\U000110bf\U000110c0\U000110c1\U00011141\U00011142\U00011143"
    "\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b\U0001123c\U000112a9\U0001144b"
    "\U0001144c\U000115c2\U000115c3\U00011641\U00011642\U0001173c\U0001173d\U0001173e\U00011c41\U00011c42\U00016a6e"
    "\U00016a6f\U00016af5\U00016b37\U00016b38\U00016b44\U00016e98\U0001bc9f\U0001da88"
)
"""``Sentence_Terminal`` without ``. ! ?``, historic scripts left out (Unicode 16)."""
_COMMAS = "\u104a\u2024\ufe52"
"""In the property, but no ends: the Burmese comma, a leader of dots, the small form of a point."""
_ADDED = "\u0f0d\u0f0e\u0f14"
"""Tibetan shads, the only mark there is, and the one of treasure texts."""
_SPACED = "\u061d\u061e\u061f\u06d4\u0589\u2047\u2048\u2049\u203c\u203d"
"""Marks of scripts with blanks between sentences: without one they stand in an abbreviation."""
MARKS = "".join(sorted((set(TERMINALS) | set(_ADDED)) - set(_COMMAS)))
CLOSING = "」』）】》〉〕〗｝］\"'”’»)]}"
_DANDAS, _WIDE_POINT, _WORD_SPACE = "\u0964\u0965", "\uff0e", "\u1361"
_FREE = "".join(
    sorted(mark for mark in set(MARKS) - {*_SPACED, *_DANDAS, _WIDE_POINT} if mark < "\U00010000")
)
_RARE = "".join(mark for mark in MARKS if mark >= "\U00010000")
_CLOSING = re.escape(CLOSING)
_ENDS = re.compile(
    # One class first: the engine then skips text without any mark at the speed of memory.
    rf"[{_FREE}{_SPACED}{_DANDAS}{_WIDE_POINT}{_WORD_SPACE}](?:"
    # Chinese, Japanese, Burmese, Khmer and the like: the mark alone, however many.
    rf"(?<=[{_FREE}])[{_FREE}{_SPACED}!?.]*[{_CLOSING}]*"
    # Of scripts with blanks between sentences: not inside an abbreviation or a number.
    rf"|(?<=[{_SPACED}])[{_SPACED}!?.]{{0,40}}+[{_CLOSING}«“]{{0,20}}+(?=\s|\Z)"
    # A verse's number stands between two dandas and belongs to the verse before.
    rf"|(?<=[{_DANDAS}])(?: ?[0-9\u0966-\u096f\u09e6-\u09ef]{{1,5}} ?[{_DANDAS}])?[{_DANDAS}]*[\"'”’»)]*"
    # The wide point of Japanese and Chinese technical prose, not that of a number.
    rf"|(?<={_WIDE_POINT})(?!\d)[{_CLOSING}]*"
    # The Ethiopic full stop, typed as two word spaces.
    rf"|(?<={_WORD_SPACE}){_WORD_SPACE})"
)
_RARE_ENDS = re.compile(rf"[\U00010000-\U0001ffff](?<=[{_RARE}])[{_RARE}]*[{_CLOSING}]*")
"""Apart, since the engine compares characters of the higher planes one by one."""
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_GREEK_QUESTION = re.compile(rf";(?<=[{_GREEK}]{{2}};)[»”’\"')]*(?=\s|\Z)")
"""To Unicode a semicolon: after a Greek word alone."""
_CHINESE = "。！？．｡"
_HAN = "\u3400-\u9fff"
_PARTICLE = re.compile(
    # After 」: what can only go on with the sentence the quotation stands in.
    r"と(?!ころ|ても|にかく|うとう|もに)|って|は(?![いじた])|が|を|に(?!わか)|の(?!ち)|で(?![もは])|も(?![うしっ])"
    r"|や(?![がっは])|へ|など|[、，,;；:：]"
)
_ATTACHED = re.compile(rf"[はがをのに](?=[{_HAN}\u30a1-\u30faA-Za-z])")
"""After a point without a bracket, as in the name モーニング娘。: a particle that begins no sentence."""
_SAID = re.compile(rf"[{_HAN}]{{0,6}}?[说說道问問答喊叫][。，！？]")
"""Who said what stands before it in quotation marks."""
_OPENERS = frozenset("\"'“”„‚‘’«»‹›([{¿¡*_ \t\n「『（–—―")
_GOES_ON = frozenset("&,;:%)]}»/")
_STOPS = frozenset(".!?…")
_ALONE = frozenset("+=<>|")
"""Signs that join two sides when a blank stands after them."""
_GEORGIAN = range(0x10D0, 0x1100)


def marked(text: str) -> Iterator[int]:
    """Where the next sentence begins after every end mark that is none of ``. ! ?``.

    Example:
        >>> list(marked("好吗？是的。"))
        [3, 6]
    """
    if text.isascii():
        return
    for pattern in (_ENDS, _RARE_ENDS, _GREEK_QUESTION):
        for match in pattern.finditer(text):
            after = after_blanks(text, match.end())
            if not _runs_on(text, match, after):
                yield after


def _runs_on(text: str, match: re.Match[str], after: int) -> bool:
    """Whether the sentence goes on after an end mark, as it does round a quotation."""
    mark = match[0]
    if mark[0] == ";":
        return after < len(text) and "\n" not in text[match.end() : after] and goes_on(text, after)
    if mark[0] not in _CHINESE or after > match.end():
        return False
    if mark[-1] in CLOSING:
        return bool(_PARTICLE.match(text, after) or _SAID.match(text, after))
    return mark in "。｡" and bool(_ATTACHED.match(text, after))


_BEFORE_WORD = r"(?=\s+[\"“‘(]?(?!I\b)[^\W\d_])"
_LOOSE: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = (
    (("..",), re.compile(rf"\.\.(?<=\w\.\.)\.*+[\"”’)]*+{_BEFORE_WORD}")),
    (("…",), re.compile(rf"…(?<=\w…)[\"”’)]*+{_BEFORE_WORD}")),
    ((":)", ":-", ":D", ":(", ";)", ";-", ":P"), re.compile(rf"[:;](?<![^\s.!?)].)-?[)(DP]{_BEFORE_WORD}")),
    (("♥", "☺", "😀", "😊", "😂", "❤"), re.compile(rf"[♥☺❤😀-🙏]{_BEFORE_WORD}")),
    (("***", "---", "___", "===", "~~~"), re.compile(rf"[*_=~-](?<!\S.)[*_=~-]{{2,}}+{_BEFORE_WORD}")),
    (("http", "www."), re.compile(rf"(?<!\S)(?:https?://|www\.)\S++{_BEFORE_WORD}")),
)
"""What ends a sentence in messages, before a capital: dots, emoticons, rows of signs, addresses."""
_CAPITAL_NOUNS = ("de", "lb", "nds", "bar")
"""Languages where a capital after three dots says nothing."""


def loose(text: str, lang: str = "") -> Iterator[int]:
    """Where the next sentence begins after the ends of informal writing.

    Example:
        >>> text = "We had a great time :) Come back... Well worth it."
        >>> [text[place:] for place in sorted(loose(text))]
        ['Come back... Well worth it.', 'Well worth it.']
    """
    for hints, pattern in _LOOSE if lang not in _CAPITAL_NOUNS else _LOOSE[2:]:
        if not any(hint in text for hint in hints):
            continue
        for match in pattern.finditer(text):
            after = match.end()
            while not text[after].isalpha():
                after += 1
            if text[after].isupper():
                yield after_blanks(text, match.end())


def after_blanks(text: str, position: int) -> int:
    """The first place from here on that is no blank; the text's end where all are."""
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def before_blanks(text: str, position: int) -> int:
    """The place after the last character before here that is no blank; 0 where all are."""
    while position > 0 and text[position - 1].isspace():
        position -= 1
    return position


def goes_on(text: str, start: int, small: bool = True) -> bool:
    """Whether what begins at ``start`` cannot begin a sentence: a small letter, a comma, ``&`` and the like.

    Args:
        text: Formulas uncovered: the cover begins with a small letter.
        start: The first character after the blanks of the possible boundary.
        small: Whether small letters count.
    """
    place, limit = start, min(len(text), start + 40)
    while place < limit and text[place] in _OPENERS:
        place += 1
    if place == limit:
        return False
    first, after = text[place], text[place + 1 : place + 2]
    if first in _GOES_ON:
        return True
    stands_alone = (first in _ALONE and after.isspace()) or (first in _STOPS and not after.isalnum())
    if place == start and stands_alone:
        return True
    attached = place > start > 0 and not text[start - 1].isspace()
    return (attached and first.isalpha()) or (small and is_small(first))


def is_small(letter: str) -> bool:
    """Whether a letter is a small one of a script that begins sentences with capitals (Georgian does not)."""
    return letter.islower() and letter.upper() != letter and ord(letter) not in _GEORGIAN


_I = re.compile(
    r"(?<![\w.$'’-])i(?:['’](?:m|ve|ll|d)\b|m\b|ve\b| (?:am|was|have|had|will|would|do|did|don['’]?t|can"
    r"|could|just|think|know|want|wanna|need|got|get|like|love|really|went|never|also)\b)"
)
_SMALL_START = re.compile(r"[^\W\d_]{2}|i ")


def writes_small(text: str, lang: str, cuts: Iterable[int]) -> bool:
    """Whether the writer begins sentences with small letters, as in messages: then these say nothing.

    So it is when the text begins with one, when the English pronoun is one, or when most points that end an
    ordinary word stand before one.
    """
    opening = _SMALL_START.match(text)
    if opening and opening[0].islower() and is_small(opening[0][0]):
        return True
    if lang == "en" and _I.search(text):
        return True
    small = capital = 0
    for cut in cuts:
        end = before_blanks(text, cut)
        if 5 <= end < cut < len(text) and text[end - 5 : end - 1].isalpha() and text[end - 1] == ".":
            small += is_small(text[cut])
            capital += text[cut].isupper()
    return small > 2 and small > capital
