"""Templates that carry a value of the sentence they stand in.

Most templates are boxes, citations and notices, and vanish. A few dozen hold a number, a word or a
name ("a height of {{convert|8849|m|ft}}"); dropping those leaves holes a reader cannot fill. They are
rendered here, simply: the first value and its unit, not the conversion.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One template call: its name in lower case, positional and named arguments, all rendered."""

    name: str
    args: tuple[str, ...]
    named: dict[str, str]

    def arg(self, index: int) -> str:
        """Positional argument by number from 0, also when it is given as ``1=``; empty if absent."""
        if index < len(self.args):
            return self.args[index]
        return self.named.get(str(index + 1), "")

    @property
    def texts(self) -> tuple[str, ...]:
        """Positional arguments that hold something."""
        return tuple(arg for arg in self.args if arg)


_NAMED = re.compile(r"\s*+([\w\-](?:[\w \-]{0,38}[\w\-])?|(?<=\s))\s*+=(?!=)(.*)", re.DOTALL)


def parse_call(parts: Sequence[str]) -> Call:
    """Split the pieces between the bars into name, positional and named arguments.

    Example:
        >>> parse_call(["Lang ", "fr", "1=mot"]).arg(0)
        'fr'
    """
    args, named = [], {}
    for part in parts[1:]:
        match = _NAMED.fullmatch(part)
        if match:
            named[match[1].strip().lower()] = match[2].strip()
        else:
            args.append(part.strip())
    return Call(parts[0].strip().replace("_", " ").lower(), tuple(args), named)


def render(parts: Sequence[str]) -> str:
    """The words a template stands for; empty for boxes, citations and notices.

    Example:
        >>> render(["convert", "8849", "m", "ft"])
        '8849 m'
        >>> render(["Infobox person", "name=Ada"])
        ''
    """
    call = parse_call(parts)
    name, colon, _ = call.name.partition(":")
    if colon:
        return _parser_function(name.strip(), parts)
    handler = _HANDLERS.get(name) or _by_prefix(name)
    return handler(call) if handler else ""


def _parser_function(name: str, parts: Sequence[str]) -> str:
    value = parts[0].partition(":")[2].strip()
    if name == "formatnum":
        return _grouped(value)
    return {"lc": value.lower(), "uc": value.upper()}.get(name, "")


def _grouped(number: str) -> str:
    if not re.fullmatch(r"-?\d{5,}(\.\d+)?", number):
        return number
    whole, point, rest = number.partition(".")
    return f"{int(whole):,}{point}{rest}"


def _by_prefix(name: str) -> "Handler | None":
    """Families of templates that share a form: ``lang-de``, ``ill-fr``, ``ISO 639 name ..``."""
    if re.match(r"(lang|языка?|langue|limba|לשון)-\w{2,12}(-\w+)*$", name) or name.startswith("lang-"):
        return _first
    if re.match(r"(link-\w\w|ill-?\w*|internal link helper/\w+)$", name):
        return _first
    if re.match(r"(u?s|us|au|ca|hk|nz|a|c)\$$", name):
        return lambda call: f"{name.upper()}{call.arg(0)}"
    if re.match(r"[ivxlc]+e siècle$", name):
        return lambda call: f"{name.partition('e ')[0].upper()}e siècle"
    if re.match(r"\d{1,4}(er|re|e|ème)$", name):
        return lambda call: f"{name} {call.arg(0)}".strip()
    return None


Handler = Callable[[Call], str]


def _first(call: Call) -> str:
    return call.arg(0)


def _second(call: Call) -> str:
    return call.arg(1) or call.named.get("text") or call.named.get("texte", "")


def _last(call: Call) -> str:
    return call.texts[-1] if call.texts else ""


def _joined(call: Call) -> str:
    return "".join(call.args)


def _constant(text: str) -> Handler:
    return lambda call: text


_UNITS = {
    "sqmi": "sq mi", "sqkm": "km²", "km2": "km²", "m2": "m²", "cm2": "cm²", "ha": "ha", "m3": "m³",
    "km3": "km³", "cuft": "cu ft",
    "sqft": "sq ft", "cuin": "cu in", "c": "°C", "f": "°F", "km/h": "km/h", "ftin": "ft", "in": "in",
    "cm3": "cm³",
    "usgal": "US gal", "impgal": "imp gal", "lt": "long tons", "st": "short tons", "nmi": "nautical miles",
    "mi": "miles",
    "ft": "feet", "lb": "lb", "foot": "foot", "mile": "mile", "kn": "knots", "acre": "acres", "oz": "oz",
    "yd": "yards",
}  # fmt: skip
_BETWEEN = {"-": "–", "–": "–", "to": " to ", "and": " and ", "by": " by ", "x": " × ", "or": " or ",
"+/-": " ± ", "to about": " to about ", "to(-)": " to ", "×": " × ", "*": " × ",
"and(-)": " and "}  # fmt: skip


def _convert(call: Call) -> str:
    """``{{convert|5|ft|8|in}}``, ``{{convert|10|to|20|km}}``: values and units as given."""
    out, args = "", list(call.args)
    while args and args[0]:
        out += args.pop(0)
        word = args[0].lower() if args else ""
        if word in _BETWEEN:
            out += _BETWEEN[args.pop(0).lower()]
            continue
        if args:
            out += (
                f" {_UNITS.get(word, args.pop(0))}"
                if word not in _UNITS
                else f" {_UNITS[args.pop(0).lower()]}"
            )
        if (
            len(args) >= 2
            and re.fullmatch(r"\d+(\.\d+)?", args[0])
            and word in ("ft", "lb", "st", "mi", "yd")
        ):
            out += " "
            continue
        break
    return out


def _val(call: Call) -> str:
    out = call.arg(0)
    if call.arg(1):
        out += f"±{call.arg(1)}"
    if exponent := call.named.get("e"):
        out += f"×10^{exponent}"
    unit = call.named.get("u") or call.named.get("ul", "")
    return f"{out} {unit}".strip()


def _fraction(call: Call) -> str:
    match call.texts:
        case (below,):
            return f"1/{below}"
        case (above, below):
            return f"{above}/{below}"
        case (whole, above, below, *_):
            return f"{whole} {above}/{below}"
    return ""


def _as_of(call: Call) -> str:
    year, month, day = call.arg(0), call.arg(1), call.arg(2)
    if month.isdigit() and 1 <= int(month) <= 12:
        month = MONTHS[int(month) - 1]
    since = "since" in call.named
    word = ("since" if since else "as of") if call.named.get("lc") else ("Since" if since else "As of")
    return " ".join(part for part in (word, day, month, year) if part)


def _date(call: Call) -> str:
    return " ".join(arg for arg in call.texts[:3])


def _start_date(call: Call) -> str:
    year, month, day = call.arg(0), call.arg(1), call.arg(2)
    if month.isdigit() and 1 <= int(month) <= 12:
        return " ".join(part for part in (day.lstrip("0"), MONTHS[int(month) - 1], year) if part)
    return year


def _nihongo(call: Call) -> str:
    inner = ", ".join(arg for arg in call.args[1:3] if arg)
    return f"{call.arg(0)} ({inner})" if inner and call.arg(0) else call.arg(0) or inner


def _chinese(call: Call) -> str:
    shown = [call.named.get(key, "") for key in ("c", "t", "s", "p")]
    return ", ".join(part for part in (*shown, *call.texts[:1]) if part)


def _quote(call: Call) -> str:
    text = call.named.get("text") or call.named.get("quote") or call.arg(0)
    return f"\n\n{text}\n\n" if text else ""


def _reign(call: Call) -> str:
    return f"r. {'–'.join(call.texts[:2])}"


def _circa(call: Call) -> str:
    return f"c. {'–'.join(call.texts[:2])}".strip()


def _height(call: Call) -> str:
    units = (("m", "m"), ("cm", "cm"), ("ft", "ft"), ("in", "in"))
    return " ".join(f"{call.named[key]} {unit}" for key, unit in units if call.named.get(key))


def _linked(call: Call) -> str:
    """A link to an article another edition has: its label, else its title."""
    named = (call.named.get(key) for key in ("texte", "text", "lt", "label", "fr"))
    return next((value for value in named if value), call.arg(0))


def _height_de(call: Call) -> str:
    return f"{call.arg(0)} m" if call.arg(0) else ""


def _hour_fr(call: Call) -> str:
    return " ".join(part for part in (call.arg(0), "h", call.arg(1)) if part) if call.arg(0) else ""


def _quoted_de(call: Call) -> str:
    text = call.named.get("text") or call.arg(0)
    return f"„{text}“" if text else ""


def _aside(call: Call) -> str:
    return f" – {call.arg(0)} – " if call.arg(0) else ""


def _listed(call: Call) -> str:
    return ", ".join(call.texts)


def _money(sign: str) -> Handler:
    return lambda call: f"{sign}{call.arg(0)}"


def _unit_fr(call: Call) -> str:
    exponent = {"2": "²", "3": "³"}
    unit = call.arg(1) + exponent.get(call.arg(2), "")
    return f"{call.arg(0)} {unit}".strip()


def _century(call: Call) -> str:
    parts = [f"{arg}e" if arg.isupper() else "" for arg in call.texts[:1]]
    return f"{parts[0]} siècle" if parts and parts[0] else ""


def _sup(call: Call) -> str:
    return f"^{call.arg(0)}" if call.arg(0) else ""


def _chem(call: Call) -> str:
    return "".join(call.args)


def _ordinal(call: Call) -> str:
    number = call.arg(0)
    if not number.isdigit():
        return number
    ending = (
        "th" if number[-2:] in ("11", "12", "13") else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    )
    return number + ending


_NAMES: dict[Handler, str] = {
    _first: (
        "nowrap nobr nobreak small big larger smaller sic smallcaps sc strong em mvar var math bigmath "
        "nbsp-wrap noitalic "
        "linktext lj1 angbr angle_bracket flag flagcountry vanchor vr latin "
        "ألمانية إنجليزية فرنسية railgauge "
        "oldstyledate old_style_date oldstyledatedy oldstyledateny "
        "abbr abbrlink "
        "tooltip hover_title nombre numero nb keypress kbd samp code mono tt underline u strikethrough "
        "del ins bold i italic b textdir rtl-lang ruby-base blend audio "
        " not_a_typo typo proper_name as_written keep_together isbnt le tsl illm le2 "
        "仮リンク 別名 读 iw не_переведено не_переведено_5 нп нп3 нп5 nouse s2 "
        " term glossary_link defn hs2 nts number "
        " nwr nobold normal midsize allow_wrap"
    ),
    _second: (
        "lang langue wikt-lang langx transl transliteration llang linktext-lang "
        "lang-txt lingua idioma язык lang2 en_langue rtl-lang color colour font_color fontcolor bg font"
    ),
    _linked: "ill interlanguage_link interlanguage_link_multi link-interwiki lien lien2",
    _last: "sort script",
    _joined: "chem shy mset",
    _convert: "convert cvt conv",
    _val: "val value",
    _fraction: "frac fraction sfrac vulgar_fraction frac2 ⁄",
    _as_of: "as_of asof ca_date",
    _date: "date date_de_naissance date_de_décès date_de_naissance- date-",
    _start_date: "start_date birth_date death_date end_date dts start_date_and_age birth_date_and_age",
    _nihongo: "nihongo nihongo2 nihongo3 nihongo_foot nihongo_krt",
    _chinese: "zh zh-full lang-zh",
    _quote: "quote blockquote quotation cquote bquote zitat citation_bloc début_citation 引用 cita",
    _reign: "reign r.",
    _circa: "circa c. ca. ca",
    _height: "height",
    _money("US$"): "usd us$ us_dollar",
    _money("£"): "gbp £ pound_sterling pound",
    _money("€"): "eur € euro",
    _money("₹"): "inr ₹ indian_rupee rupee",
    _money("¥"): "¥ jpy cny yen",
    _money("A$"): "aud a$",
    _money("C$"): "cad c$ cad$",
    _unit_fr: "unité unite tmp",
    _height_de: "höhe",
    _hour_fr: "heure",
    _quoted_de: '" „',
    _aside: "incise",
    _listed: "hlist flatlist",
    _century: "s siècle s- sp-",
    _sup: "sup",
    _chem: "chem2 sub",
    _ordinal: "ordinal nth ord",
    _constant("–"): "ndash en_dash – endash",
    _constant(" – "): "spaced_ndash snd spnd spaced_en_dash dash",
    _constant("⇌"): "eqm",
    _constant("etc."): "etc. etc",
    _constant("—"): "mdashb mdash em_dash — emdash spaced_mdash",
    _constant(" "): "nbsp space spaces thinsp thin_space hair_space hsp pad",
    _constant("|"): "! pipe",
    _constant("="): "=",
    _constant("'"): "' apostrophe",
    _constant("'s"): "'s",
    _constant("π"): "pi",
    _constant("ʻ"): "okina ʻokina",
    _constant("°"): "deg degree",
    _constant("×"): "times",
    _constant("−"): "minus",
    _constant("±"): "± pm",
    _constant("♭"): "flat",
    _constant("♯"): "sharp",
    _constant("•"): "bullet •",
    _constant("·"): "· middot dot",
    _constant("1er"): "1er",
    _constant("1re"): "1re 1ère",
    _constant("av. J.-C."): "av_jc avjc av_j-c",
}  # fmt: skip
_ELEMENTS = {
    "hydrogen": "H", "helium": "He", "carbon": "C", "nitrogen": "N", "oxygen": "O", "fluorine": "F",
    "sodium": "Na", "magnesium": "Mg", "aluminium": "Al", "silicon": "Si", "phosphorus": "P",
    "sulfur": "S", "chlorine": "Cl", "potassium": "K", "calcium": "Ca", "iron": "Fe", "copper": "Cu",
    "zinc": "Zn", "bromine": "Br", "iodine": "I",
}  # fmt: skip
_HANDLERS: dict[str, Handler] = {name: _constant(symbol) for name, symbol in _ELEMENTS.items()} | {
    word.replace("_", " "): handler for handler, words in _NAMES.items() for word in words.split()
}
