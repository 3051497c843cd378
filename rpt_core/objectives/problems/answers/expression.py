# ruff: noqa: SIM905  (word lists read better as text)
r"""A parser of expressions as answers write them: LaTeX or plain, with implied products and mixed numbers.

What has two readings is not read: ``1/2x``, ``\sqrt23``, ``2\frac{15}{2}``, ``f(x+1)``; it may still be equal
by spelling.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from rpt_core.objectives.problems.answers import tree as t
from rpt_core.objectives.problems.answers.tokens import DEPTH_MAX, Token, Tokens, UnreadableError
from rpt_core.objectives.problems.answers.tree import Tree

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp sqrt max min gcd lcm".split()
)
_GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma "
    "tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar".split()
)
APPLIED = frozenset("fghFGHP")
"""Letters that name a function when a bracket follows: whether ``f(x)`` is a product cannot be known."""
_LONG_LETTERS = 3
"""Letters in one run that are still read as a product of variables."""
_SHORT_WORDS = frozenset("an and at by for if in is no not of off on or per the to up".split())
"""Words of two or three letters that are no product of variables."""
_CLOSERS = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_STOPS = frozenset(
    {")", "]", "}", r"\}", r"\rfloor", r"\rceil", ",", "+", "-", "/", r"\cdot", "=", "!", "^", "_"}
)


def parse_expression(tokens: Tokens) -> Tree:
    r"""The tree of an expression.

    Raises:
        UnreadableError: the tokens are no expression, or one with two readings.

    Example:
        >>> from rpt_core.objectives.problems.answers.tokens import tokenize
        >>> parse_expression(tokenize(r"3\frac{1}{2}")), parse_expression(tokenize("2^{3} \\cdot 5"))
        (('num', Fraction(7, 2)), ('num', Fraction(40, 1)))
    """
    if not tokens:
        raise UnreadableError("nothing to read")
    parser = _Parser(tuple(letter for token in tokens for letter in _letters(token)))
    found = parser.sum()
    if parser.at < len(parser.tokens):
        raise UnreadableError(f"unexpected {parser.text!r}")
    return found


def _letters(token: Token) -> Iterator[Token]:
    """A short run of italic letters one by one, as TeX sets it: in ``ab^2`` the square is of b alone."""
    word = token.text
    is_run = 1 < len(word) <= _LONG_LETTERS and word.isascii() and word.isalpha() and not token.upright
    if not is_run or word in FUNCTIONS or word in _SHORT_WORDS or word == "pi":
        yield token
        return
    for at, letter in enumerate(word):
        yield replace(token, text=letter, gap=token.gap and at == 0)


class _Parser:
    """Recursive descent; ``bars`` counts the open absolute values, so that ``|`` can close them."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens, self.at, self.depth, self.bars = tokens, 0, 0, 0

    @property
    def text(self) -> str:
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def peek(self, ahead: int = 0) -> Token | None:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def take(self, text: str) -> bool:
        if self.text != text or not text:
            return False
        self.at += 1
        return True

    def need(self, text: str) -> None:
        if not self.take(text):
            raise UnreadableError(f"{text!r} expected, not {self.text!r}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise UnreadableError("nested too deep")

    def sum(self) -> Tree:
        terms = [self.signed()]
        while self.text in ("+", "-"):
            minus = self.text == "-"
            self.at += 1
            term = self.signed()
            terms.append(t.neg(term) if minus else term)
        return t.add(*terms)

    def signed(self) -> Tree:
        minus = False
        while self.text in ("+", "-"):
            minus ^= self.text == "-"
            self.at += 1
        found = self.product()
        return t.neg(found) if minus else found

    def product(self) -> Tree:
        found = self.implied()
        while self.text in (r"\cdot", "/"):
            divides = self.text == "/"
            self.at += 1
            minus = self.take("-")
            if divides and self.mixed():
                raise UnreadableError(
                    "a mixed number after a slash: two fractions side by side, or one below"
                )
            factor = self.implied()
            if divides and self.num_implied > 1:
                raise UnreadableError("a product after a slash: in the denominator or beside the fraction")
            factor = t.neg(factor) if minus else factor
            found = t.div(found, factor) if divides else t.mul(found, factor)
        return found

    def implied(self) -> Tree:
        """Factors side by side; sets ``num_implied`` to how many they were."""
        factors = [self.mixed() or self.raised()]
        while self._another():
            self._needs_a_bracket_before_a_number()
            factors.append(self.raised())
        self.num_implied = len(factors)
        return t.mul(*factors)

    def _another(self) -> bool:
        text = self.text
        return bool(text) and text not in _STOPS and not (text == "|" and self.bars)

    def _needs_a_bracket_before_a_number(self) -> None:
        """``(-1) 2`` is a product; ``3 4`` is two numbers, ``x2`` may be an index."""
        if self.tokens[self.at].is_number and self.tokens[self.at - 1].text not in (")", "}"):
            raise UnreadableError("a number after a factor")

    def mixed(self) -> Tree | None:
        r"""``1 1/2`` or ``1\frac{1}{2}``: a whole number and a proper fraction."""
        whole, second = self.peek(), self.peek(1)
        if whole is None or second is None or not whole.text.isdigit():
            return None
        begun = self.at
        self.at += 1
        if second.is_number and second.gap and second.text.isdigit():
            below = self.peek(2)
            if below is None or not below.text.isdigit() or self.peek(1).text != "/":  # type: ignore[union-attr]
                raise UnreadableError("numbers side by side")
            self.at += 3
            return self._mixed(int(whole.text), Fraction(int(second.text), int(below.text) or 1), below.text)
        if second.text == r"\frac":
            fraction = t.rational(self.raised())
            if fraction is not None:
                return self._mixed(int(whole.text), fraction, "1")
        self.at = begun
        return None

    @staticmethod
    def _mixed(whole: int, fraction: Fraction, below: str) -> Tree:
        if int(below) == 0 or not 0 < fraction < 1:
            raise UnreadableError("a number beside a fraction that is not proper: a product or a sum")
        return t.number(whole + fraction)

    def raised(self) -> Tree:
        base = self.atom()
        while True:
            if self.text == "!":
                self.at += 1
                if self.text == "!":
                    raise UnreadableError("a double factorial")
                base = t.factorial(base)
            elif self.text == "^":
                self.at += 1
                base = t.power(base, self.argument())
            else:
                return base

    def argument(self) -> Tree:
        r"""What follows ``^``: a braced group, a signed number, or one factor."""
        self.deeper()
        found = self._argument()
        self.depth -= 1
        return found

    def _argument(self) -> Tree:
        if self.text in ("{", "("):
            return self.atom()
        if self.take("-"):
            return t.neg(self.argument())
        token = self.peek()
        if token is None or not (token.is_number or len(token.text) == 1 or token.text[0] == "\\"):
            raise UnreadableError("an exponent without braces")
        found = self.atom()
        if not token.is_number:
            return found
        if self.text == "!":
            raise UnreadableError("a factorial of an exponent or of the power")
        return t.power(found, self.argument()) if self.take("^") else found

    def atom(self) -> Tree:
        self.deeper()
        found = self._atom()
        self.depth -= 1
        return found

    def _atom(self) -> Tree:  # noqa: PLR0911  (one case a line)
        token = self.peek()
        if token is None:
            raise UnreadableError("an expression ends early")
        if token.is_number:
            return self._number(token)
        if token.text in _CLOSERS:
            return self._bracket(token.text)
        if token.text == "|":
            return self._bars()
        if token.is_word:
            return self._word(token)
        name = token.text[1:] if token.text[0] == "\\" else ""
        special: dict[str, Callable[[], Tree]] = {
            "frac": self._fraction, "binom": self._binomial, "sqrt": self._root,
        }  # fmt: skip
        self.at += 1
        if name in special:
            return special[name]()
        if name in ("pi", "infty"):
            return ("const", "pi" if name == "pi" else "inf")
        if name in FUNCTIONS:
            return self._call(name)
        if name in _GREEK:
            return self._symbol(name)
        raise UnreadableError(f"{token.text!r} is not known")

    def _number(self, token: Token) -> Tree:
        self.at += 1
        if self.text == "_":
            raise UnreadableError("a number with an index")
        mantissa, _, exponent = token.text.lower().partition("e")
        if exponent and abs(int(exponent)) > t.BITS_MAX // 4:
            raise UnreadableError("an exponent without bound")
        value = Fraction(mantissa if mantissa[0] != "." else "0" + mantissa)
        repeated = self._repeating(mantissa)
        if repeated is not None:
            return t.number(repeated)
        return t.number(value * Fraction(10) ** int(exponent or 0))

    def _repeating(self, mantissa: str) -> Fraction | None:
        r"""``0.1\overline{6}``; a point that no digit follows is a token of its own."""
        if self.text == "." and (after := self.peek(1)) and after.text == r"\overline":
            self.at += 1
            mantissa += "."
        if self.text not in (r"\overline", r"\dot") or "." not in mantissa:
            return None
        self.at += 1
        self.need("{")
        digits = self.text
        self.at += 1
        self.need("}")
        if not digits.isdigit():
            raise UnreadableError("what repeats is no number")
        places = len(mantissa.partition(".")[2])
        size = Fraction(int(digits), 10 ** len(digits) - 1) / 10**places
        return Fraction(mantissa.rstrip(".") if mantissa.endswith(".") else mantissa) + size

    def _bracket(self, opening: str) -> Tree:
        self.at += 1
        bars, self.bars = self.bars, 0
        found = self.sum()
        self.bars = bars
        self.need(_CLOSERS[opening])
        if opening in (r"\lfloor", r"\lceil"):
            return t.function("floor" if opening == r"\lfloor" else "ceil", found)
        return found

    def _bars(self) -> Tree:
        self.at += 1
        self.bars += 1
        found = self.sum()
        self.need("|")
        self.bars -= 1
        return t.function("abs", found)

    def _word(self, token: Token) -> Tree:
        name = token.text
        self.at += 1
        if name in FUNCTIONS:
            return self._call(name)
        if name == "pi":
            return ("const", "pi")
        if not name.isascii() or len(name) > 1:
            raise UnreadableError(f"{name!r} is a word")
        return self._symbol(name)

    def _symbol(self, name: str) -> Tree:
        if self.text == "'":
            raise UnreadableError("a primed variable")
        if self.take("_"):
            return ("sym", f"{name}_{self._index()}")
        if name in APPLIED and self.text == "(":
            raise UnreadableError("a product or a function's value")
        if name in ("e", "i"):
            return ("const", name)
        return ("sym", name)

    def _index(self) -> str:
        token = self.peek()
        self.at += 1
        if token is None:
            raise UnreadableError("an index is missing")
        if token.text != "{":
            return token.text
        texts = []
        while self.text not in ("}", ""):
            texts.append(self.text)
            self.at += 1
        self.need("}")
        return " ".join(texts)

    def _fraction(self) -> Tree:
        above, below = self._two("frac")
        return t.div(above, below)

    def _binomial(self) -> Tree:
        return t.binomial(*self._two("binom"))

    def _two(self, name: str) -> tuple[Tree, Tree]:
        r"""Two arguments, each braced, a letter or one digit: ``\frac12``, ``\frac1{12}``, ``\frac ab``."""
        token = self.peek()
        if token is not None and token.is_number and len(token.text) > 1:
            if not token.text.isdigit() or len(token.text) != 2 or self._braces_next():
                raise UnreadableError(f"the arguments of {name} cannot be told apart")
            self.at += 1
            return t.number(token.text[0]), t.number(token.text[1])
        return self._one(), self._one()

    def _braces_next(self) -> bool:
        after = self.peek(1)
        return after is not None and (
            after.text == "{" or after.text in _STOPS - {")", "]", "}", "+", "-", "=", ","}
        )

    def _one(self) -> Tree:
        token = self.peek()
        if token is None or (token.text != "{" and len(token.text) > 1 and token.text[0] != "\\"):
            raise UnreadableError("an argument without braces")
        if token.text[0] not in "{\\" and not token.is_number and not token.is_word:
            raise UnreadableError("an argument is missing")
        return self.atom()

    def _root(self) -> Tree:
        degree = t.number(2)
        if self.take("["):
            degree = self.sum()
            self.need("]")
        inside = self._one() if self.text != "(" else self.atom()
        return t.power(inside, t.div(t.ONE, degree))

    def _call(self, name: str) -> Tree:
        r"""A function of a bracket or of the factors that follow: ``\sin 2x``, ``\log_2 8``, ``\sin^2 x``."""
        base: Tree | None = None
        exponent: Tree | None = None
        while self.text in ("_", "^"):
            below = self.text == "_"
            self.at += 1
            found = self.argument()
            base, exponent = (found, exponent) if below else (base, found)
        if (base is not None and name != "log") or (exponent is not None and t.rational(exponent) == -1):
            raise UnreadableError(f"an index or the inverse of {name}")
        arguments = self._arguments()
        if (len(arguments) > 1) != (name in ("max", "min", "gcd", "lcm")):
            raise UnreadableError(f"{name} of {len(arguments)} arguments")
        found = self._value(name, arguments, base)
        return found if exponent is None else t.power(found, exponent)

    def _arguments(self) -> list[Tree]:
        if self.text in ("(", "{"):
            closing = _CLOSERS[self.text]
            self.at += 1
            found = [self.sum()]
            while self.take(","):
                found.append(self.sum())
            self.need(closing)
            return found
        factors = [self.mixed() or self.raised()]
        while self._another() and not self._is_function() and self.text not in ("(", "["):
            self._needs_a_bracket_before_a_number()
            factors.append(self.raised())
        return [t.mul(*factors)]

    def _is_function(self) -> bool:
        return self.text.removeprefix("\\") in FUNCTIONS - {"sqrt"}

    @staticmethod
    def _value(name: str, arguments: list[Tree], base: Tree | None) -> Tree:
        if name == "sqrt":
            return t.power(arguments[0], t.HALF)
        if name == "exp":
            return t.power(("const", "e"), arguments[0])
        if name == "log" and base is not None:
            return t.div(t.function("ln", arguments[0]), t.function("ln", base))
        if name in ("max", "min", "gcd", "lcm"):
            return ("fn", name, *sorted(arguments, key=repr))
        return t.function(name, *arguments)
