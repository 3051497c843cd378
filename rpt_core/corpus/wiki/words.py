"""Templates that carry words: names, foreign words, lists, money, ships, symbols of the sciences."""

import re

from rpt_core.corpus.wiki.calls import Call, Handler, items
from rpt_core.corpus.wiki.numbers import grouped

_ROMAN = re.compile(r"[IVXLC]{1,8}|[ivxlc]{1,8}")


def nihongo(call: Call) -> str:
    """``{{nihongo|Tokyo|東京|Tōkyō}}``: the name, and in brackets its script and its reading."""
    name, inner = call.arg(0), ", ".join(arg for arg in (call.arg(1), call.arg(2)) if arg)
    return f"{name} ({inner})" if inner and name else name or inner


def chinese(call: Call) -> str:
    """``{{zh|c=北京|p=Běijīng}}``: characters and reading."""
    shown = [call.named.get(key, "") for key in ("c", "t", "s", "p")]
    return ", ".join(part for part in (*shown, *call.texts[:1]) if part)


def korean(call: Call) -> str:
    """``{{Korean|hangul=한국|rr=hanguk}}``: script and reading."""
    shown = [call.named.get(key, "") for key in ("hangul", "hanja", "rr", "mr")]
    return ", ".join(part for part in (*shown, *call.texts[:1]) if part)


def quote(call: Call) -> str:
    """A quotation, as a paragraph of its own."""
    text = call.first_of("text", "quote", "texte", "texto") or call.arg(0)
    return f"\n\n{text}\n\n" if text else ""


def citation(call: Call) -> str:
    """In French ``{{citation|..}}`` puts quotation marks round words; elsewhere it is a reference."""
    return guillemets(call) if call.lang == "fr" else ""


def guillemets(call: Call) -> str:
    """Words in French quotation marks."""
    return f"« {call.arg(0)} »" if call.arg(0) else ""


def quoted_german(call: Call) -> str:
    """Words in German quotation marks."""
    text = call.named.get("text") or call.arg(0)
    return f"„{text}“" if text else ""


def quoted(call: Call) -> str:
    """A meaning, in single quotation marks."""
    return f"‘{call.arg(0)}’" if call.arg(0) else ""


def literally(call: Call) -> str:
    """A literal translation."""
    return f"lit. ‘{call.arg(0)}’" if call.arg(0) else ""


def linked(call: Call) -> str:
    """A link to an article another edition has: its label, else its title."""
    return call.first_of("texte", "text", "lt", "label", "fr") or call.arg(0)


def translated_link(call: Call) -> str:
    """``{{tsl|en|word|词|label}}`` of the Chinese edition: label, else its title, else the foreign one."""
    return call.arg(3) or call.arg(2) or call.arg(1)


def ruby(call: Call) -> str:
    """Words, and in brackets how they are read."""
    words, reading = call.arg(0), call.arg(1)
    return f"{words}({reading})" if words and reading and not reading.isdecimal() else words


def sound(call: Call) -> str:
    """The label of a recording, never its file's name."""
    return call.first_of("label", "texte", "text") or call.arg(1)


def in_language(call: Call) -> str:
    """``{{lang|fr|mot}}``: the words behind the code; without a code, the words."""
    return call.arg(1) or call.first_of("text", "texte", "texto", "testo", "3") or _no_code(call.arg(0))


def _no_code(text: str) -> str:
    return "" if re.fullmatch(r"[a-z]{2,3}(-\w{2,8})*", text) else text


def height(call: Call) -> str:
    """``{{height|ft=5|in=7}}``."""
    units = (("m", "m"), ("cm", "cm"), ("ft", "ft"), ("in", "in"))
    return " ".join(f"{call.named[key]} {unit}" for key, unit in units if call.named.get(key))


def height_german(call: Call) -> str:
    """``{{Höhe|115|DE-NHN}}`` in metres."""
    return (
        f"{grouped(call.arg(0), call.lang) if len(call.arg(0)) > 4 else call.arg(0)} m" if call.arg(0) else ""
    )


def hour(call: Call) -> str:
    """``{{heure|4|30}}`` is 4 h 30."""
    return " ".join(part for part in (call.arg(0), "h", call.arg(1)) if part) if call.arg(0) else ""


def aside(call: Call) -> str:
    """Words between dashes."""
    return f" – {call.arg(0)} – " if call.arg(0) else ""


def century(call: Call) -> str:
    """``{{s|XVIII|e}}`` is XVIIIe siècle, ``{{siglo|XIX}}`` siglo XIX, ``{{-s-|V}}`` before Christ."""
    number = call.arg(0)
    if not _ROMAN.fullmatch(number):
        return number
    if call.name in ("siglo", "s.", "siglos"):
        return f"siglo {number.upper()}{' a. C.' if call.arg(1).lower() == 'a' else ''}"
    if call.name in ("séc", "século", "séc."):
        return f"século {number.upper()}"
    if call.name == "secolo":
        return f"{number.upper()} secolo"
    before_christ = " av. J.-C." if call.name.startswith(("-s", "-m", "sav")) else ""
    ordinal = f"{number.upper()}{'er' if number.upper() == 'I' else 'e'}"
    if call.name.startswith(("sp", "-sp", "sap")) and _ROMAN.fullmatch(call.arg(2)):
        return f"{ordinal} – {call.arg(2).upper()}e siècle{before_christ}"
    return f"{ordinal} siècle{before_christ}"


def money(sign: str) -> Handler:
    """An amount with its sign where the edition puts it."""
    return lambda call: amount_with(sign, call)


def amount_with(sign: str, call: Call) -> str:
    """An amount in the edition's form, its sign before or behind."""
    amount = call.arg(0) if call.lang == "en" else grouped(call.arg(0), call.lang)
    if not amount:
        return sign
    if len(sign) == 3 and sign.isalpha():
        return f"{sign} {amount}" if call.lang in _SIGN_FIRST else f"{amount} {sign}"
    return f"{sign}{amount}" if call.lang in _SIGN_FIRST else f"{amount} {sign}"


def coded_money(call: Call) -> str:
    """``{{CHF|5}}``: an amount under the code of its currency."""
    if not call.arg(0)[:1].isdecimal():
        return ""  # a country's flag has such a name too
    return amount_with(_SIGNS.get(call.name, call.name.upper()), call)


_SIGN_FIRST = frozenset(["en", "nl", "pt", "zh", "ja", "ko", "hi", "tr"])
_SIGNS = {
    "usd": "US$", "eur": "€", "gbp": "£", "jpy": "¥", "cny": "CN¥", "inr": "₹", "aud": "A$", "cad": "C$",
    "nzd": "NZ$", "krw": "₩", "rub": "₽", "us": "US$", "uk": "£", "ils": "₪", "brl": "R$",
    "mxn": "Mex$", "php": "₱", "try": "₺", "uah": "₴", "vnd": "₫", "ngn": "₦", "thb": "฿", "hkd": "HK$",
}  # fmt: skip


def currency(call: Call) -> str:
    """``{{currency|25|USD}}`` is US$25; a code without a sign stands behind."""
    amount, code = call.arg(0), (call.arg(1) or call.first_of("type", "code")).lower()
    sign = _SIGNS.get(code, "")
    return f"{sign}{amount}" if sign or not code else f"{amount} {code.upper()}"


def rupees(call: Call) -> str:
    """``{{INRConvert|5|c}}`` is ₹5 crore."""
    scale = {
        "c": " crore",
        "l": " lakh",
        "b": " billion",
        "m": " million",
        "k": " thousand",
        "t": " trillion",
    }
    return f"₹{call.arg(0)}{scale.get(call.arg(1), '')}" if call.arg(0) else "₹"


def doubted(call: Call) -> str:
    """Words a tag of doubt stands round, ``{{refnec|texte}}``; its date is none of them."""
    text = call.first_of("text", "texte", "texto", "testo") or call.arg(0)
    return "" if _DATED.match(text) else text


_DATED = re.compile(r"\d|[^\W\d_]{3,12} \d{4}$|date=")


def person(call: Call) -> str:
    """``{{sortname|Ada|Lovelace}}``: first name and last."""
    return " ".join(call.texts[:2])


def marriage(call: Call) -> str:
    """``{{marriage|Mary Todd|1842|1865}}``."""
    years = "–".join(call.texts[1:3])
    return f"{call.arg(0)} (m. {years})" if years else call.arg(0)


def ship(call: Call) -> str:
    """``{{HMS|Ajax|22}}`` is HMS Ajax, ``{{ship|USS|Hornet|CV-12}}`` USS Hornet."""
    if call.name == "ship":
        return " ".join(call.texts[:2])
    return f"{call.written} {call.arg(0)}".strip()


def ship_class(call: Call) -> str:
    """``{{sclass|Nimitz|aircraft carrier}}``."""
    return f"{call.arg(0)}-class {call.arg(1)}".strip() if call.arg(0) else ""


def prefixed(word: str) -> Handler:
    """A word and the argument: ``{{n°|4}}`` is n° 4."""
    return lambda call: f"{word} {call.arg(0)}".strip()


def suffixed(word: str) -> Handler:
    """The argument and a word: ``{{solar mass|2}}`` is 2 M☉."""
    return lambda call: f"{call.arg(0)} {word}" if re.match(r"[\d~≈.,+−-]", call.arg(0)) else word


def around(left: str, right: str) -> Handler:
    """The argument between two marks."""
    return lambda call: f"{left}{call.arg(0)}{right}" if call.arg(0) else ""


def named_after_itself(call: Call) -> str:
    """``{{Louis XIV}}`` shows its own name."""
    return call.written


def listing(call: Call) -> str:
    """A list inside a sentence, commas between its items; long items stand on lines of their own."""
    shown = items(call)
    if any(len(item) > _ITEM_CHARS for item in shown):
        return "".join(f"\n* {item}" for item in shown) + "\n"
    return ", ".join(shown)


_ITEM_CHARS = 80


_PARTICLES = {
    "electron": "e−", "positron": "e+", "proton": "p", "antiproton": "p̄", "neutron": "n", "antineutron": "n̄",
    "muon": "μ−", "antimuon": "μ+", "tau": "τ−", "antitau": "τ+", "photon": "γ", "gluon": "g",
    "neutrino": "ν",
    "antineutrino": "ν̄", "electron neutrino": "νe", "electron antineutrino": "ν̄e", "muon neutrino": "νμ",
    "tau neutrino": "ντ", "pion+": "π+", "pion-": "π−", "pion0": "π0", "kaon+": "K+", "kaon-": "K−",
    "kaon0": "K0",
    "w boson+": "W+", "w boson-": "W−", "w boson": "W", "z boson": "Z", "z boson0": "Z0", "higgs boson": "H",
    "lambda": "Λ", "sigma": "Σ", "xi": "Ξ", "omega": "Ω", "up quark": "u", "down quark": "d",
    "strange quark": "s",
    "charm quark": "c", "bottom quark": "b", "top quark": "t", "alpha": "α", "beta": "β", "beta-": "β−",
    "beta+": "β+",
}  # fmt: skip


def particle(call: Call) -> str:
    """``{{SubatomicParticle|Electron}}`` is e−; a particle without a sign of its own keeps its name."""
    name = call.arg(0)
    return _PARTICLES.get(name.lower().replace("−", "-"), name)


def nuclide(call: Call) -> str:
    """``{{nuclide|uranium|235}}`` is uranium-235, whichever comes first."""
    element, mass = call.arg(0), call.arg(1)
    if element.isdecimal():
        element, mass = (call.texts[-1] if len(call.texts) > 1 else ""), element
    mass = mass if re.fullmatch(r"\d{1,3}m?\d?", mass) else ""
    return f"{element}-{mass}" if element and mass else element or mass


def raised(call: Call) -> str:
    """A superscript, to be set as the tag of that name is."""
    return f"<sup>{call.arg(0)}</sup>" if call.arg(0) else ""


def lowered(call: Call) -> str:
    """A subscript, to be set as the tag of that name is."""
    return f"<sub>{''.join(call.args)}</sub>" if call.arg(0) else ""


def raised_and_lowered(call: Call) -> str:
    """``{{su|p=2|b=i}}``."""
    low, high = call.named.get("b", ""), call.named.get("p", "")
    return (f"<sub>{low}</sub>" if low else "") + (f"<sup>{high}</sup>" if high else "")


def integral(call: Call) -> str:
    """``{{intmath|int|0|1}}`` is the sign with its bounds."""
    sign = {"int": "∫", "iint": "∬", "iiint": "∭", "oint": "∮", "sum": "∑", "prod": "∏"}.get(call.arg(0), "∫")
    return sign + raised_and_lowered(Call("", (), {"b": call.arg(1), "p": call.arg(2)})) + " "


def tex(call: Call) -> str:
    """``{{tmath|x^2}}``: a formula in TeX."""
    return call.keep(f"${call.arg(0)}$") if call.arg(0) else ""


def clock_angle(call: Call) -> str:
    """``{{RA|1|2|3}}`` in hours, minutes and seconds."""
    return " ".join(f"{arg}{mark}" for arg, mark in zip(call.args, "hms", strict=False) if arg)


def declination(call: Call) -> str:
    """``{{DEC|10|20|30}}`` in degrees, minutes and seconds."""
    shown = " ".join(f"{arg}{mark}" for arg, mark in zip(call.args, "°′″", strict=False) if arg)
    return shown if not shown or shown[0] in "+-−–" else f"+{shown}"


def theorem(call: Call) -> str:
    """``{{math theorem|name=..|math_statement=..}}``: its name and what it states."""
    name = call.named.get("name", "") or call.written.removeprefix("math ").removeprefix("Math ").capitalize()
    if note := call.named.get("note", ""):
        name += f" ({note})"
    body = call.first_of("math_statement", "statement", "proof", "text") or call.arg(0)
    return f"\n\n{name}. {body}\n\n" if body else ""


def with_reading(call: Call) -> str:
    """``{{読み仮名|東京|とうきょう}}``: the word and its reading, as the Japanese edition sets them."""
    words, reading = call.arg(0), call.arg(1)
    return f"{words}（{reading}）" if words and reading else words
