# ruff: noqa: SIM905  (word lists read better as text)
r"""Quantities as siunitx (versions 2 and 3) and units.sty set them: ``\SI{5}{\kilo\metre}`` is ``5 km``.

Numbers, units and ranges become plain text; a number keeps its own digits. Only the commands' default
settings are followed, and ``per-mode=symbol`` is (``kg/m`` reads where ``kg m^-1`` does not).
"""

import re
from collections.abc import Mapping

from rpt_core.corpus.latex.macros import Mouth

_PREFIXES = {
    "quecto": "q", "ronto": "r", "yocto": "y", "zepto": "z", "atto": "a", "femto": "f",
    "pico": "p", "nano": "n", "micro": "µ", "milli": "m", "centi": "c", "deci": "d", "deca": "da",
    "deka": "da",
    "hecto": "h",
    "kilo": "k",
    "mega": "M", "giga": "G", "tera": "T", "peta": "P", "exa": "E", "zetta": "Z", "yotta": "Y", "ronna": "R",
    "quetta": "Q", "kibi": "Ki", "mebi": "Mi", "gibi": "Gi", "tebi": "Ti", "pebi": "Pi", "exbi": "Ei",
}  # fmt: skip
_UNITS = {
    "ampere": "A", "candela": "cd", "kelvin": "K", "kilogram": "kg", "gram": "g", "metre": "m", "meter": "m",
    "mole": "mol", "second": "s", "becquerel": "Bq", "degreeCelsius": "°C", "celsius": "°C", "coulomb": "C",
    "farad": "F", "gray": "Gy", "hertz": "Hz", "henry": "H", "joule": "J", "katal": "kat", "lumen": "lm",
    "lux": "lx", "newton": "N", "ohm": "Ω", "pascal": "Pa", "radian": "rad", "siemens": "S", "sievert": "Sv",
    "steradian": "sr", "tesla": "T", "volt": "V", "watt": "W", "weber": "Wb", "day": "d", "hectare": "ha",
    "hour": "h", "litre": "L", "liter": "L", "minute": "min", "tonne": "t", "astronomicalunit": "au",
    "atomicmassunit": "u", "bohr": "a_0", "clight": "c_0", "dalton": "Da", "electronmass": "m_e",
    "electronvolt": "eV", "elementarycharge": "e", "hartree": "E_h", "planckbar": "ħ", "angstrom": "Å",
    "bar": "bar", "barn": "b", "bel": "B", "decibel": "dB", "knot": "kn", "mmHg": "mmHg", "nauticalmile": "M",
    "neper": "Np", "degree": "°", "arcminute": "′", "arcmin": "′", "arcsecond": "″", "arcsec": "″",
    "percent": "%", "bit": "bit", "byte": "B", "gon": "gon", "annum": "a", "parsec": "pc", "atm": "atm",
}  # fmt: skip
_SHORT = {
    **{name: name for name in (
        "fg pg ng mg g kg pm nm mm cm dm m km as fs ps ns ms s fmol pmol nmol mmol mol kmol pA nA "
        "mA A kA ml l hl L mL mHz Hz kHz MHz GHz THz mN N kN MN Pa kPa MPa GPa mV pV nV V kV mW "
        "nW W kW MW GW mJ J kJ eV meV keV MeV GeV TeV kWh F fF pF nF H mH K dB Bq Gy Sv T mT kat "
        "lm lx rad sr C min h d kibi B bit S Wb cd kA mC nC mS hPa Torr ppm"
    ).split()},
    **{f"u{unit}": f"µ{unit}" for unit in "g m s mol A l L V W J F H T C N".split()},
    "kohm": "kΩ", "Mohm": "MΩ", "mohm": "mΩ", "amu": "u", "Molar": "M",
}  # fmt: skip
_POWERS = {
    "squared": "2", "cubed": "3", "square": "2", "cubic": "3",
}  # fmt: skip
_CLOSE = ("°", "′", "″", "%")
"""Units that stand at their number without a blank."""
_TOKEN = re.compile(
    r"\\([a-zA-Z]++|.)[ \t]*+|([a-zA-Zµμ°Ωωℓ%′″Å]++)|(\^)\s*+|(/)|([.~\s])|(\d++)|(.)", re.DOTALL
)
_GROUP = re.compile(r"\s*+(?:\{([^{}]{0,60})\}|(-?[0-9]{1,4}|[^{}\\]))")
_NUMBER_SIGNS = re.compile(r"\\(?:pm|mp|times|cdot)(?![a-zA-Z])\s*+")
_SIGNS = {"pm": "±", "mp": "∓", "times": "×", "cdot": "×"}
_EXPONENT = re.compile(r"(?<!\s)\s*+[eEdD]\s*+([+-]?[0-9]{1,6})(?![0-9])")
_PRODUCT = re.compile(r"(?<!\s)\s*+[x×]\s*+")
_LEFT_COMMANDS = re.compile(r"\\[a-zA-Z]++\s*+|[{}$~]|\\.")


def number(text: str) -> str:
    r"""A number as siunitx reads it: decimal comma, exponent, uncertainty, products.

    Example:
        >>> number("1e-3"), number("1,5 +- 0.2"), number("3x4"), number(r"2.5 \pm 0.1"), number("1.23(4)e5")
        ('1×10^-3', '1.5 ± 0.2', '3 × 4', '2.5 ± 0.1', '1.23(4)×10^5')
    """
    text = _NUMBER_SIGNS.sub(lambda match: f" {_SIGNS[match[0].strip()[1:]]} ", text)
    text = re.sub(r"\+\s*+-|\+/-", " ± ", text)
    text = _LEFT_COMMANDS.sub("", text)
    exponent = _EXPONENT.search(text)
    if exponent and (exponent.start() == 0 or text[exponent.start() - 1] in "0123456789.)"):
        mantissa = text[: exponent.start()]
        power = f"10^{exponent[1].lstrip('+')}"
        text = f"{mantissa}×{power}" if mantissa.strip() not in ("", "+") else power
    text = re.sub(r"(?<=[0-9]),(?=[0-9])", ".", text)
    if "^" not in text:
        text = _PRODUCT.sub(" × ", text)
    return " ".join(text.split())


def unit(text: str, own: Mapping[str, str]) -> str:
    r"""A unit, in siunitx's words or as literal letters.

    Args:
        text: The argument.
        own: Units and prefixes the author declares.

    Example:
        >>> unit(r"\kilo\gram\per\metre\cubed", {}), unit(r"m/s^2", {}), unit(r"\square\metre", {})
        ('kg/m^3', 'm/s^2', 'm^2')
        >>> unit(r"kg.m.s^{-1}", {}), unit(r"\per\second", {}), unit(r"\micro\metre\tothe{4}", {})
        ('kg m s^-1', 's^-1', 'µm^4')
    """
    return _Unit(own).read(text)


class _Unit:
    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = own
        self._above: list[str] = []
        self._below: list[str] = []
        self._prefix, self._power, self._per = "", "", False
        self._literal_per = False
        self._last: list[str] = []

    def read(self, text: str) -> str:
        position = 0
        while match := _TOKEN.match(text, position):
            position = match.end()
            if match[1]:
                position = self._word(match[1], text, position)
            elif match[3]:
                position = self._raise(text, position)
            elif match[2] or match[6]:
                self._add(self._prefix + (match[2] or match[6]))
            elif match[4]:
                self._per = self._literal_per = True
            elif match[7] and match[7] not in "{}$":
                self._add(self._prefix + match[7])
        return self._shown()

    def _word(self, word: str, text: str, position: int) -> int:
        if word == "per":
            self._per = True
        elif word in ("tothe", "raiseto"):
            return self._to_the(word, text, position)
        elif word in ("squared", "cubed"):
            self._set_power(_POWERS[word])
        elif word in _POWERS:
            self._power = _POWERS[word]
        elif word in ("of",):
            found = _GROUP.match(text, position)
            if found:
                self._append(f" {found[1] or found[2]}")
                return found.end()
        elif word in self._own:
            self._declared(self._own[word])
        elif word in _PREFIXES:
            self._prefix += _PREFIXES[word]
        elif (symbol := _UNITS.get(word) or _SHORT.get(word)) is not None:
            self._add(self._prefix + symbol)
        elif word in ("%", "micro", "AA", "mu"):
            self._add(self._prefix + {"%": "%", "AA": "Å", "mu": "µ"}.get(word, "µ"))
        elif word == "circ":
            self._add("°")
        return position

    def _declared(self, body: str) -> None:
        self._add(self._prefix + _Unit({}).read(body))

    def _to_the(self, word: str, text: str, position: int) -> int:
        found = _GROUP.match(text, position)
        if not found:
            return position
        power = (found[1] or found[2]).strip()
        if word == "tothe":
            self._set_power(power)
        else:
            self._power = power
        return found.end()

    def _raise(self, text: str, position: int) -> int:
        if text.startswith(("\\circ", "{\\circ}"), position):
            self._add("°")
            return position + (7 if text[position] == "{" else 5)
        found = _GROUP.match(text, position)
        if not found:
            return position
        self._set_power((found[1] if found[1] is not None else found[2]).strip())
        return found.end()

    def _add(self, symbol: str) -> None:
        units = self._below if self._per else self._above
        if symbol == "C" and units and units[-1] == "°":
            units[-1] = "°C"
        else:
            units.append(symbol + (f"^{self._power}" if self._power else ""))
        self._prefix, self._power = "", ""
        self._last = units
        self._per = self._literal_per

    def _set_power(self, power: str) -> None:
        self._append(f"^{power}")

    def _append(self, text: str) -> None:
        if self._last:
            self._last[-1] += text

    def _shown(self) -> str:
        above, below = " ".join(self._above), self._below
        if self._prefix and not above:
            above = self._prefix
        if not below:
            return above
        if not above:
            return " ".join(
                f"{symbol}^-1" if "^" not in symbol else symbol.replace("^", "^-") for symbol in below
            )
        return f"{above}/{below[0]}" if len(below) == 1 else f"{above}/({' '.join(below)})"


def _quantity(value: str, of: str) -> str:
    if not of:
        return value
    if any(sign in value for sign in ("±", "∓")) and "×" not in value:
        value = f"({value})"
    return f"{value}{of}" if of.startswith(_CLOSE) and not of.startswith("°C") else f"{value} {of}"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def _angle(text: str) -> str:
    parts = [part.strip() for part in text.split(";")]
    if len(parts) == 1:
        return f"{number(parts[0])}°"
    return "".join(f"{number(part)}{sign}" for part, sign in zip(parts, "°′″", strict=False) if part)


_NUM_ARGS = {
    "SI": 2, "qty": 2, "num": 1, "si": 1, "unit": 1, "ang": 1, "tablenum": 1, "numrange": 2, "SIrange": 3,
    "qtyrange": 3, "numlist": 1, "SIlist": 2, "qtylist": 2, "numproduct": 1, "qtyproduct": 2, "complexnum": 1,
    "complexqty": 2, "unitfrac": 2,
}  # fmt: skip
QUANTITIES = frozenset(_NUM_ARGS)
"""Commands of siunitx and units."""


def quantity(word: str, mouth: Mouth, start: int) -> str | None:
    r"""What such a command shows; None, and nothing read, where its arguments do not stand (``\qty(x)``).

    Args:
        word: One of :data:`QUANTITIES`.
        mouth: What reads the arguments.
        start: Position after the word itself.
    """
    mouth.position = start
    option = mouth.optional()
    args: list[str] = []
    while len(args) < _NUM_ARGS[word]:
        if word.startswith("SI") and len(args) == 1 and (before := mouth.optional()):
            # Version 2 has a unit before the number in brackets.
            args[0] = f"{before} {args[0]}"
        group = mouth.group()
        if group is None:
            return None
        args.append(group)
    return _shown(word, option, args, mouth)


def _shown(word: str, option: str | None, args: list[str], mouth: Mouth) -> str:
    own = mouth.known.units
    if word == "unitfrac" or (word == "unit" and option and "=" not in option):
        # units.sty: the number is the optional argument.
        of = "/".join(unit(arg, own) for arg in args)
        return _quantity(number(mouth.expanded(option)), of) if option else of
    if word in ("si", "unit"):
        return unit(args[0], own)
    num_values = 2 if word.endswith("range") else 1
    values = [mouth.expanded(arg) for arg in args[:num_values]]
    of = unit(args[-1], own) if len(args) > num_values else ""
    if word == "ang":
        return _angle(values[0])
    return _several(word, values, of)


def _several(word: str, values: list[str], of: str) -> str:
    """A number, or a range, list or product of numbers, each with its unit."""
    if word.endswith("range"):
        return " to ".join(_quantity(number(part), of) for part in values)
    if word.endswith("list"):
        return _listed([_quantity(number(part), of) for part in values[0].split(";")])
    if word.endswith("product") and of:
        return " × ".join(_quantity(number(part), of) for part in _PRODUCT.split(values[0]))
    return _quantity(number(values[0]), of)


def in_formula(shown: str) -> str:
    r"""A quantity's text as a part of a formula.

    Example:
        >>> in_formula("1×10^-3 kg"), in_formula("50%")
        ('\\text{1×10}^{-3}\\text{ kg}', '\\text{50\\%}')
    """
    parts = re.split(r"\^(-?[\w.]+)", shown.replace("%", "\\%"))
    return "".join(
        f"^{{{part}}}" if place % 2 else f"\\text{{{part}}}" for place, part in enumerate(parts) if part
    )
