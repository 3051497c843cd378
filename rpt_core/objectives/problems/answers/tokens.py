r"""An answer as tokens: one spelling for what LaTeX and Unicode spell in many ways.

Nothing that separates is lost here: every token knows whether a blank (or ``\quad``, ``\ ``, ``~``) stood
before it, so ``3 4`` stays two numbers, and whether it was upright text, so ``\text{m}``
is not the variable m.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

DEPTH_MAX = 40
"""Levels of nesting that are read; answers of problem sets have at most about eight."""


class UnreadableError(ValueError):
    """The text is no answer this package can read; caught within the package, never shown."""


@dataclass(frozen=True, slots=True)
class Token:
    """One symbol of an answer."""

    text: str
    gap: bool = False
    """Whether a blank stands before it."""
    upright: bool = False
    r"""Whether it stood in ``\text{}``, ``\mathrm{}`` or the like."""

    @property
    def is_number(self) -> bool:
        """A decimal, with or without an exponent."""
        return self.text[0].isdigit() or (self.text[0] == "." and len(self.text) > 1)

    @property
    def is_word(self) -> bool:
        """A run of letters."""
        return self.text[0].isalpha()


Tokens = tuple[Token, ...]

_UNICODE = {
    "−": "-", "–": "-", "‐": "-", "‑": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ",
    "÷": "/", "⁄": "/", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "∞": r"\infty ", "∪": r"\cup ",
    "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "±": r"\pm ", "√": r"\sqrt ", "π": r"\pi ",
    "≈": r"\approx ",
    "→": r"\rightarrow ", "←": r"\leftarrow ", "º": "°", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"',
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "θ": r"\theta ",
    "λ": r"\lambda ", "μ": r"\mu ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ",
    "ω": r"\omega ", "Ω": r"\Omega ", "Δ": r"\Delta ", "⟨": r"\langle ", "⟩": r"\rangle ",
}  # fmt: skip
_FRACTIONS = {
    char: f"{above}/{below}"
    for char, (above, below) in {
        "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
        "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
        "⅞": (7, 8), "⅐": (1, 7), "⅑": (1, 9), "⅒": (1, 10),
    }.items()
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+", strict=True))

_SYNONYMS = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom",
    r"\tbinom": r"\binom",
    r"\times": r"\cdot", r"\ast": r"\cdot", "*": r"\cdot", r"\div": "/", r"\le": r"\leq", r"\ge": r"\geq",
    r"\leqslant": r"\leq", r"\geqslant": r"\geq", r"\ne": r"\neq", r"\varnothing": r"\emptyset",
    r"\to": r"\rightarrow", r"\gets": r"\leftarrow", r"\dots": r"\ldots", r"\cdots": r"\ldots",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lbrack": "[", r"\rbrack": "]", r"\degree": "°", r"\%": "%", r"\$": "$", r"\colon": ":", r"\&": "&&",
    r"\ensuremath": "", r"\pounds": "£", r"\euro": "€", r"\lt": "<", r"\gt": ">", r"\#": "#", r"\_": "_ ",
}  # fmt: skip
_SPACES = frozenset({r"\,", r"\;", r"\:", r"\ ", r"\quad", r"\qquad", r"\>", r"\enspace", r"\thinspace", "~"})
_NOTHING = frozenset(
    {
        r"\left", r"\right", r"\middle", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\bigl", r"\bigr", r"\Bigl",
        r"\Bigr", r"\biggl", r"\biggr", r"\Biggl", r"\Biggr", r"\displaystyle", r"\textstyle", r"\limits",
        r"\nolimits", r"\!", r"\(", r"\)", r"\[", r"\]", r"\bf", r"\rm", r"\it",
    }
)  # fmt: skip
_UPRIGHT = frozenset(
    {
        r"\text", r"\textbf", r"\textit", r"\textrm", r"\textsf", r"\texttt", r"\mathrm", r"\mathbf",
        r"\mathit", r"\mathsf", r"\mathtt", r"\mbox", r"\hbox", r"\operatorname", r"\emph", r"\boldsymbol",
        r"\bm", r"\mathop",
    }
)  # fmt: skip
_BOXES = frozenset({r"\boxed", r"\fbox", r"\framebox"})
_ITALIC_INSIDE = frozenset({r"\mathbf", r"\mathit", r"\boldsymbol", r"\bm"})
"""Fonts of variables: their letters stay variables."""

_TOKEN = re.compile(
    r"(?P<gap>\s+)|(?P<cmd>\\(?:[A-Za-z]+|.|$))|"
    r"(?P<num>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4}(?![\w.]))?)|(?P<word>[^\W\d_]+)|(?P<char>.)",
    re.DOTALL,
)
_THIN_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:\\,\d{3})+(?![\d,])(?!\\,\d)")
_BRACED_COMMA = re.compile(r"(?<=\d)\{,\}(?:\\!)?(?=\d{3})")
_KERNED_COMMA = re.compile(r"(?<=\d),\\!(?=\d{3})")


def tokenize(answer: str) -> Tokens:
    r"""The tokens of an answer, in one spelling.

    Raises:
        UnreadableError: braces out of balance around upright text, or too deep.

    Example:
        >>> [token.text for token in tokenize(r"\left(\dfrac12,\, 3 \text{ cm}\right)")]
        ['(', '\\frac', '12', ',', '3', 'cm', ')']
    """
    return _thousands(_degrees(tuple(_scan(_delimiters(_ascii(answer)), upright=False, depth=0))))


def _ascii(answer: str) -> str:
    """Unicode's mathematics as LaTeX, full-width characters as plain ones."""
    if answer.isascii():
        return answer
    answer = re.sub(
        "[" + "".join(_RAISED) + "]+", lambda m: "^{" + "".join(map(_RAISED.__getitem__, m[0])) + "}", answer
    )
    answer = re.sub(
        "[" + "".join(_LOWERED) + "]+",
        lambda m: "_{" + "".join(map(_LOWERED.__getitem__, m[0])) + "}",
        answer,
    )
    answer = "".join(
        f" {_FRACTIONS[char]} " if char in _FRACTIONS else _UNICODE.get(char, char) for char in answer
    )
    return "".join(_UNICODE.get(char, char) for char in unicodedata.normalize("NFKC", answer))


def _delimiters(answer: str) -> str:
    """Without the dollars of mathematics; a single dollar before a number is money."""
    text = _THIN_THOUSANDS.sub(lambda m: m[0].replace("\\,", ""), answer)
    text = _KERNED_COMMA.sub("{,}", text)
    text = text.replace("**", " ") if text.startswith("**") and text.endswith("**") else text
    bare = re.findall(r"(?<!\\)\$", text)
    if len(bare) % 2 == 1 and re.match(r"\s*[-+]?\s*\$\s*[\d.]", text):
        text = text.replace("$", r"\$", 1)
    return re.sub(r"(?<!\\)\$", " ", text)


def _scan(text: str, *, upright: bool, depth: int) -> Iterator[Token]:
    if depth > DEPTH_MAX:
        raise UnreadableError("text within text, too deep")
    text = _BRACED_COMMA.sub("\x00", text)
    at, gap = 0, False
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative takes any character
        at, found = match.end(), match[0]
        if match["gap"] or found in _SPACES:
            gap = True
        elif found in _NOTHING:
            at += text.startswith(".", at) and found in (r"\left", r"\right")
        elif found in _UPRIGHT or found in _BOXES:
            inside, at = _group(text, at)
            inner = list(_scan(inside, upright=found not in _ITALIC_INSIDE | _BOXES, depth=depth + 1))
            if inner:
                yield replace(inner[0], gap=True)
                yield from inner[1:]
            gap = True
        else:
            spelled = _SYNONYMS.get(found, "," if found == "\x00" else found)
            if spelled:
                yield Token("\x00" if found == "\x00" else spelled, gap, upright)
            gap = False


def _group(text: str, at: int) -> tuple[str, int]:
    """The braced group that starts at ``at`` (blanks skipped), or one character; and where it ends."""
    while at < len(text) and text[at].isspace():
        at += 1
    if not text.startswith("{", at):
        return text[at : at + 1], at + 1
    level, position = 0, at
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        level += (char == "{") - (char == "}")
        position += 1
        if level == 0:
            return text[at + 1 : position - 1], position
    raise UnreadableError("a brace of a text stays open")


def _degrees(tokens: Tokens) -> Tokens:
    r"""``^\circ`` and ``^{\circ}`` as the one sign they show."""
    made: list[Token] = []
    for token in tokens:
        made.append(token)
        for size, texts in ((2, ["^", r"\circ"]), (4, ["^", "{", r"\circ", "}"])):
            if [one.text for one in made[-size:]] == texts:
                made[-size:] = [Token("°", made[-size].gap)]
    return tuple(made)


OPENING = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle"}
CLOSING = frozenset(OPENING.values())


def _thousands(tokens: Tokens) -> Tokens:
    """Join ``1,234,567``: three digits after each comma, no blank, outside brackets; ``{,}`` anywhere."""
    made: list[Token] = []
    level, at = 0, 0
    while at < len(tokens):
        token = tokens[at]
        level += (token.text in OPENING) - (token.text in CLOSING)
        end = _thousands_end(tokens, at, level)
        if end > at + 1:
            digits = "".join(part.text for part in tokens[at:end] if part.text not in (",", "\x00"))
            made.append(Token(digits, token.gap, token.upright))
        else:
            made.append(Token(",", token.gap) if token.text == "\x00" else token)
        at = max(end, at + 1)
    return tuple(made)


def _thousands_end(tokens: Tokens, at: int, level: int) -> int:
    """Where the number with thousands separators that starts at ``at`` ends; ``at`` where none does."""
    if not re.fullmatch(r"\d{1,3}", tokens[at].text):
        return at
    if at and tokens[at - 1].text == "," and not tokens[at].gap:
        return at
    end = at + 1
    while end + 1 < len(tokens):
        comma, digits = tokens[end], tokens[end + 1]
        joins = comma.text == "\x00" or (
            comma.text == "," and level == 0 and not digits.gap and not comma.gap
        )
        if not joins or not re.fullmatch(r"\d{3}(\.\d+)?", digits.text):
            break
        end += 2
        if "." in digits.text:
            break
    follows = end < len(tokens) and tokens[end].text == "," and end + 1 < len(tokens)
    if follows and tokens[end + 1].is_number and not tokens[end + 1].gap and not tokens[end].gap:
        return at  # 1,200,3 is a list
    return end if end > at + 1 else at


def spelled(tokens: Tokens) -> str:
    r"""One line that equal spellings share: blanks between tokens, braces only around several of them.

    Example:
        >>> spelled(tokenize("x^{2}+1")) == spelled(tokenize("x^2 + 1")), spelled(tokenize("3 4"))
        (True, '3 4')
    """
    texts: list[str] = []
    for token in tokens:
        texts.append(token.text)
        if token.text == "}" and len(texts) >= 3 and texts[-3] == "{":
            texts[-3:] = [texts[-2]]
    return " ".join(texts)


def split_at(tokens: Tokens, separators: frozenset[str]) -> list[Tokens]:
    """Parts between separators outside all brackets and braces."""
    parts, level, begun = [], 0, 0
    for at, token in enumerate(tokens):
        level += (token.text in OPENING or token.text == "{") - (token.text in CLOSING or token.text == "}")
        if level == 0 and token.text in separators:
            parts.append(tokens[begun:at])
            begun = at + 1
    return [*parts, tokens[begun:]]


def closes_at_end(tokens: Tokens) -> bool:
    """Whether the bracket that opens the answer is closed by its last token (of any form: ``[0,1)``)."""
    level = 0
    for at, token in enumerate(tokens):
        level += (token.text in OPENING or token.text == "{") - (token.text in CLOSING or token.text == "}")
        if level == 0:
            return at == len(tokens) - 1 and at > 0
        if level > DEPTH_MAX:
            raise UnreadableError("brackets too deep")
    return False
