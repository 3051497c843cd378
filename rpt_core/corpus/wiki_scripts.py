"""Superscripts and subscripts of wikitext, as plain text sets them: 10^6, m^2, 1st; a_(n+1), 101_2, H2O."""

import html
import re

_SCRIPT = re.compile(
    r"<(?P<tag>sup|sub)\b[^<>]{0,200}>\s{0,20}(?P<text>[^<>\n]{1,60}?)\s{0,20}</(?P=tag)\s{0,20}>", re.IGNORECASE
)
_FRACTION = re.compile(
    r"<sup\b[^<>]{0,60}>\s?(\d{1,6})\s?</sup>\s?[/⁄]\s?<sub\b[^<>]{0,60}>\s?(\d{1,6})\s?</sub>", re.IGNORECASE
)
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo "
    "Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og D R X"
).split()  # fmt: skip  # noqa: SIM905  (a list of words reads better as text)
_CHEMICAL = re.compile(rf"(?:{'|'.join(sorted(_SYMBOLS, key=len, reverse=True))}|[)\]])$")
_BASE_CHARS = 4


def with_scripts(text: str) -> str:
    """The text with its ``<sup>`` and ``<sub>`` set as plain text.

    Example:
        >>> with_scripts("10<sup>6</sup> m<sup>2</sup>, 101<sub>2</sub>, a<sub>n+1</sub>, H<sub>2</sub>O, 1<sup>st</sup>")
        '10^6 m^2, 101_2, a_(n+1), H2O, 1st'
        >>> with_scripts("6<sup>1</sup>/<sub>2</sub>")
        '6 1/2'
    """
    if "<" not in text:
        return text
    text = _FRACTION.sub(_fraction, text)
    return _SCRIPT.sub(_set, text)


def _fraction(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1 : match.start()]
    return f"{' ' if before.isdigit() else ''}{match[1]}/{match[2]}"


def _set(match: re.Match[str]) -> str:
    inner = html.unescape(match["text"])
    if match["tag"].lower() == "sup":
        return _superscript(inner)
    return _subscript(match.string[max(0, match.start() - _BASE_CHARS) : match.start()], inner)


def _superscript(raised: str) -> str:
    """``10<sup>6</sup>`` is 10^6; ordinals and trademarks stay letters."""
    if (re.fullmatch(r"[a-zA-Zº°ª™®]{1,4}", raised) and len(raised) > 1) or raised in "º°ª™®":
        return raised
    return f"^{raised}" if re.fullmatch(r"[-−+]?[\w.]+", raised) else f"^({raised})"


def _subscript(base: str, lowered: str) -> str:
    """Counts of atoms stay beside their element; other marks below a letter or number are set apart."""
    plain = lowered.replace("''", "")
    if not base or base[-1].isspace():
        return lowered
    if plain.isdecimal() and _CHEMICAL.search(base):
        return lowered
    return f"_{lowered}" if re.fullmatch(r"[\w.′']+", plain) else f"_({lowered})"
