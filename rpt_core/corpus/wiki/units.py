"""``{{convert}}``: the value and the unit as given, the unit's code in words.

The codes are those of Module:Convert, and are no words (``mpgimp``, ``koilbbl/d``, ``e6acre``). Only the
given value is shown, never the converted one. English pages spell out the units of daily life; other
editions show symbols, as their own templates do.
"""

import math
import re

from rpt_core.corpus.wiki.calls import HOLE, Call
from rpt_core.corpus.wiki.numbers import grouped, scripts

_WORDS = """
mi:miles:mile; ft:feet:foot; foot:feet:foot; feet:feet:foot; mile:miles:mile; miles:miles:mile; in:in;
inch:inches:inch; yd:yards:yard; nmi:nautical miles:nautical mile; fathom:fathoms:fathom;
ftm:fathoms:fathom; furlong:furlongs:furlong; fur:furlongs:furlong; chain:chains:chain; chlk:chains:chain;
rod:rods:rod; perch:perches:perch; pole:poles:pole; league:leagues:league; hand:hands:hand; mil:mils:mil;
thou:thou; smoot:smoots:smoot; ly:light-years:light-year; pc:parsecs:parsec; au:AU; AU:AU;
micron:micrometres:micrometre; verst:versts:verst; ri:ri; li:li; shaku:shaku; angstrom:Å; Å:Å;
acre:acres:acre; acres:acres:acre; ha:ha; rood:roods:rood; dunam:dunams:dunam; feddan:feddans:feddan;
section:sections:section; sqmi:sq mi; mi2:sq mi; sqft:sq ft; ft2:sq ft; foot2:sq ft; sqfoot:sq ft;
sqin:sq in; in2:sq in; sqyd:sq yd; yd2:sq yd; sqkm:km²; sqm:m²; sqnmi:sq nmi; nmi2:sq nmi; pyeong:pyeong;
tsubo:tsubo; cho:chō; arpent:arpents:arpent; sqverst:square versts:square verst; cuft:cu ft; ft3:cu ft;
cufoot:cu ft; foot3:cu ft; cuin:cu in; in3:cu in; cuyd:cu yd; yd3:cu yd; cumi:cu mi; mi3:cu mi; cc:cc;
acreft:acre-feet:acre-foot; acre.ft:acre-feet:acre-foot; acre·ft:acre-feet:acre-foot;
acrefoot:acre-feet:acre-foot; MMcf:million cu ft; MMBF:million board feet; FBM:board feet:board foot;
USgal:US gal; usgal:US gal; U.S.gal:US gal; gal:gal; impgal:imp gal; USpt:US pt; imppt:imp pt; pt:pt;
USqt:US qt; impqt:imp qt; USfloz:US fl oz; impfloz:imp fl oz; usfloz:US fl oz; floz:fl oz; oz:oz; bbl:bbl;
USbbl:US bbl; impbbl:imp bbl; USbeerbbl:US bbl; USdrygal:US dry gal; USdrypt:US dry pt;
USbsh:US bushels:US bushel; USbu:US bushels:US bushel; impbsh:imp bushels:imp bushel; bu:bushels:bushel;
oilbbl:barrels:barrel; U.S.oilbbl:barrels:barrel; tsp:teaspoons:teaspoon; tbsp:tablespoons:tablespoon;
cup:cups:cup; UScup:US cups:US cup; boe:barrels of oil equivalent:barrel of oil equivalent;
BOE:barrels of oil equivalent:barrel of oil equivalent; TEU:TEU;
TOE:tonnes of oil equivalent:tonne of oil equivalent; grt:gross register tons; GRT:GRT; NRT:NRT; nrt:NRT;
DWton:deadweight tons; lb:lb; lbs:lb; lbm:lb; st:st; stone:stone; cwt:cwt; longcwt:long cwt;
shortcwt:short cwt; LT:long tons:long ton; lt:long tons:long ton; long ton:long tons:long ton;
long tons:long tons:long ton; ST:short tons:short ton; short ton:short tons:short ton;
short tons:short tons:short ton; ton:tons:ton; tonne:tonnes:tonne; tonnes:tonnes:tonne; t:t;
MT:tonnes:tonne; metric ton:metric tons:metric ton; carat:carats:carat; gr:grains:grain;
grain:grains:grain; ozt:troy ounces:troy ounce; troy ounce:troy ounces:troy ounce; drachm:drachms:drachm;
dram:drams:dram; dr:drams:dram; slug:slugs:slug; kt:carats; viss:viss; oka:oka; catty:catties:catty;
picul:piculs:picul; pood:poods:pood; C:°C; F:°F; K:K; R:°R; °C:°C; °F:°F; °R:°R; C-change:°C; F-change:°F;
K-change:K; C change:°C; F change:°F; °C-change:°C; °F-change:°F; mph:mph; kn:knots:knot; knot:knots:knot;
knots:knots:knot; kph:km/h; kmh:km/h; fps:ft/s; fpm:ft/min; Mach:Mach; mach:Mach; c:c;
furlong per fortnight:furlongs per fortnight; hp:hp; bhp:bhp; shp:shp; ihp:ihp; ehp:hp; PS:PS; ps:PS;
cv:CV; metric hp:PS; hp-metric:hp; hp-electric:hp; hp-electrical:hp; hp-mechanical:hp; hp-boiler:hp;
Btu:BTU; BTU:BTU; btu:BTU; therm:therms:therm; quad:quads:quad; TNT:tons of TNT:ton of TNT;
tTNT:tons of TNT:ton of TNT; ktTNT:kilotons of TNT:kiloton of TNT; MtTNT:megatons of TNT:megaton of TNT;
ktonTNT:kilotons of TNT:kiloton of TNT; MtonTNT:megatons of TNT:megaton of TNT; Cal:Cal; cal:cal;
kcal:kcal; thermochemical calorie:cal; erg:erg; eV:eV; psi:psi; ksi:ksi; psf:psf; inHg:inHg; inhg:inHg;
mmHg:mmHg; mmhg:mmHg; atm:atm; Torr:Torr; torr:Torr; bar:bar; lbf:lbf; ozf:ozf; tf:tonnes-force; kgf:kgf;
LTf:long tons-force; STf:short tons-force; dyn:dyn; lbfin2:psi; lbf/in2:lbf/in²; kgf/cm2:kgf/cm²;
lbft:lb⋅ft; lb.ft:lb⋅ft; lb·ft:lb⋅ft; lbfft:lb⋅ft; lbf.ft:lbf⋅ft; lbf·ft:lbf⋅ft; lb-ft:lb⋅ft; ftlb:ft⋅lb;
ft.lb:ft⋅lb; ft·lb:ft⋅lb; ft-lb:ft⋅lb; ftlbf:ft⋅lbf; ft.lbf:ft⋅lbf; ft·lbf:ft⋅lbf; ft-lbf:ft⋅lbf;
inlb:in⋅lb; in.lb:in⋅lb; inlbf:in⋅lbf; in.lbf:in⋅lbf; lbin:lb⋅in; lbfin:lbf⋅in; inozf:in⋅ozf; kgm:kg⋅m;
kg.m:kg⋅m; kgfm:kgf⋅m; kgf.m:kgf⋅m; Nm:N⋅m; N.m:N⋅m; N·m:N⋅m; kNm:kN⋅m; kN.m:kN⋅m; newton meter:N⋅m; Wh:Wh;
W.h:Wh; mpgus:mpg; mpgUS:mpg; mpgimp:mpg (imp); mpgUS2:mpg; mpg:mpg; miles/gallon:mpg; mpge:MPGe;
L/100km:L/100 km; l/100km:L/100 km; L/100 km:L/100 km; km/L:km/L; km/l:km/L; cuft/s:cu ft/s;
cuft/min:cu ft/min; ft3/s:cu ft/s; cfs:cu ft/s; cfm:cu ft/min; USgal/min:US gal/min; gal/min:gal/min;
m3/s:m³/s; kph/s:km/h/s; mph/s:mph/s; rpm:rpm; Hz:Hz; day:days:day; d:days:day; h:hours:hour;
hr:hours:hour; hour:hours:hour; min:minutes:minute; minute:minutes:minute; s:seconds:second;
second:seconds:second; week:weeks:week; wk:weeks:week; month:months:month; year:years:year; yr:years:year;
years:years:year; decade:decades:decade; century:centuries:century; fortnight:fortnights:fortnight;
millennium:millennia:millennium; metre:metres:metre; meter:meters:meter; metres:metres:metre;
meters:meters:meter; kilometre:kilometres:kilometre; kilometer:kilometers:kilometer;
kilometres:kilometres:kilometre; centimetre:centimetres:centimetre; centimeter:centimeters:centimeter;
millimetre:millimetres:millimetre; millimeter:millimeters:millimeter; litre:litres:litre;
liter:liters:liter; gram:grams:gram; gramme:grammes:gramme; kilogram:kilograms:kilogram;
hectare:hectares:hectare; square mile:square miles:square mile;
square kilometre:square kilometres:square kilometre; pound:pounds:pound; pounds:pounds:pound;
ounce:ounces:ounce; ounces:ounces:ounce; gallon:gallons:gallon; yard:yards:yard; yards:yards:yard;
inches:inches:inch; degree:°; deg:°; rad:rad; °:°; arcmin:′; arcsec:″; sqdeg:square degrees;
PD:people:person; /:; people:people:person; g0:g; g-force:g; gn:g; ppi:ppi; ppcm:ppcm;
"""
_UNITS: dict[str, tuple[str, str]] = {
    fields[0]: (fields[1], fields[-1])
    for entry in _WORDS.split(";")
    if len(fields := entry.strip("\n").strip(" ").split(":")) > 1
}
"""Code -> of many, of one; looked up as written first, since case tells some codes apart."""
_FOLDED = {code.lower(): words for code, words in reversed(_UNITS.items())}
_SYMBOLS = {
    "mi": "mi", "ft": "ft", "foot": "ft", "yd": "yd", "nmi": "nmi", "kn": "kn", "acre": "acre",
    "lt": "long ton", "st": "short ton", "s": "s", "h": "h", "min": "min",
}  # fmt: skip
"""What editions other than the English show of units that English spells out."""
_BASES = [
    "m",
    "g",
    "s",
    "W",
    "Wh",
    "J",
    "Pa",
    "Hz",
    "V",
    "A",
    "eV",
    "N",
    "bar",
    "B",
    "L",
    "l",
    "t",
    "T",
    "mol",
    "cal",
    "Gy",
    "Sv",
    "Ω",
    "F",
    "H",
    "C",
    "K",
    "gal",
    "sqft",
    "bbl",
    "pc",
    "yr",
    "year",
    "a",
    "ly",
]
_METRIC = re.compile(
    rf"(?:[YZEPTGMkhdcmuµnpfa]|da)?"
    rf"(?:{'|'.join(sorted(map(re.escape, _BASES), key=len, reverse=True))})-?[23]?"
)
_SCALES = {"3": "thousand", "6": "million", "9": "billion", "12": "trillion", "15": "quadrillion"}
_PREFIXED = (("MM", "6"), ("k", "3"), ("M", "6"), ("G", "9"), ("b", "9"))
"""Prefixes of units that take no SI prefix: ``koilbbl`` is thousand barrels."""
BETWEEN = {
    "-": "–", "–": "–", "to": " to ", "and": " and ", "by": " by ", "x": " × ", "or": " or ", "+/-": " ± ",
    "to about": " to about ", "to(-)": " to ", "×": " × ", "*": " × ", "and(-)": " and ", "and|": " and ",
    "±": " ± ", "xx": " × ", "till": " to ", "&": " and ", ",": ", ", ", and": ", and ", ", or": ", or ",
    "+": " + ",
}  # fmt: skip
_PARTS = frozenset(
    [
        "in",
        "oz",
        "yd",
        "ft",
        "lb",
        "lbs",
        "st",
        "fur",
        "chain",
        "chlk",
        "rod",
        "perch",
        "pole",
        "nmi",
        "mi",
        "cwt",
        "qr",
        "ozt",
        "dr",
        "s",
        "min",
        "h",
        "d",
        "pt",
        "floz",
        "usfloz",
        "m",
        "cm",
        "mm",
    ]
)
"""Units that may follow a larger one: 5 ft 8 in, 10 st 3 lb."""
_WHOLES = frozenset(
    [
        "ft",
        "foot",
        "lb",
        "lbs",
        "st",
        "mi",
        "mile",
        "yd",
        "fur",
        "chain",
        "lt",
        "long",
        "ton",
        "h",
        "hr",
        "day",
        "d",
        "min",
        "gal",
        "impgal",
        "usgal",
        "m",
        "km",
        "kg",
    ]
) | {"long ton"}
_NUMERAL = re.compile(r"[-−+]?\d[\d.,]{0,30}(?:[+⁄/]{1,2}\d{1,6}){0,2}(?:\s?\d{1,6}/\d{1,6})?")


def convert(call: Call) -> str:
    """``{{convert|5|ft|8|in}}``, ``{{convert|10|to|20|km}}``: values and units as given.

    Example:
        >>> convert(Call("convert", ("5", "koilbbl/d"), {})), convert(Call("convert", ("1", "mi", "km"), {}))
        ('5 thousand barrels per day', '1 mile')
        >>> convert(Call("convert", ("3", "e6acre"), {}, lang="pt"))
        '3×10^6 acre'
    """
    english = call.lang == "en"
    short = not english or call.named.get("abbr", "") in ("on", "in", "unit", "values")
    out, args = "", list(call.args)
    while args and args[0]:
        value = _value(args.pop(0))
        value = value if english else grouped(value, call.lang)
        out += value
        word = args[0].lower() if args else ""
        if word in BETWEEN and len(args) > 1:
            out += BETWEEN[args.pop(0).lower()]
            continue
        if not args or not args[0]:
            break
        unit = args.pop(0)
        shown = unit_words(unit, short=short, one=value.lstrip("-−") == "1", english=english)
        out += f"{'' if shown[:1] in '×′″/' or shown == '°' else ' '}{shown}"
        if len(args) < 2 or unit.lower() not in _WHOLES or args[1].lower() not in _PARTS:
            break
        if not _NUMERAL.fullmatch(args[0]):
            break
        out += " "
    return out.strip()


def _value(text: str) -> str:
    """``3+1/2`` is 3 1/2 and ``3//4`` is 3/4, as the module writes fractions."""
    text = re.sub(r"(?<=\d)\+(?=\d{1,6}//?\d)", " ", text)
    return re.sub(r"(?<=\d)//(?=\d)", "/", text)


def unit_words(code: str, *, short: bool = False, one: bool = False, english: bool = True) -> str:
    """The words or the symbol of a unit's code; a code nobody knows stays as it is.

    Example:
        >>> unit_words("e6km2"), unit_words("mpgimp"), unit_words("lb/cuft"), unit_words("PD/sqmi")
        ('million km²', 'mpg (imp)', 'lb/cu ft', 'per square mile')
    """
    code = code.strip()
    if scaled := re.fullmatch(r"e(3|6|9|12|15)(\D.*)", code):
        unit = unit_words(scaled[2], short=short, english=english)
        return f"{_SCALES[scaled[1]]} {unit}" if english else f"×10^{scaled[1]} {unit}"
    if (known := _known(code, short=short, one=one)) is not None:
        return known
    over, slash, under = code.partition("/")
    if slash:
        return _ratio(over, under, one=one, english=english)
    for prefix, power in _PREFIXED:
        rest = code.removeprefix(prefix)
        if rest != code and (known := _known(rest, short=short, one=False)) is not None:
            return f"{_SCALES[power]} {known}" if english else f"×10^{power} {known}"
    return scripts(code)


def _known(code: str, *, short: bool, one: bool) -> str | None:
    if short and code.lower() in _SYMBOLS and code not in ("LT", "ST"):
        return _SYMBOLS[code.lower()] if code.lower() != "st" else "st"
    if code in _UNITS:
        return _UNITS[code][one]
    if _METRIC.fullmatch(code):
        return _metric(code)
    return _FOLDED[code.lower()][one] if code.lower() in _FOLDED else None


def _metric(code: str) -> str:
    code = re.sub(r"^u(?=[A-Za-z])", "µ", code)
    return code.translate(_POWERS) if code[-1] in "23" else code


_POWERS = str.maketrans({"2": "²", "3": "³"})
_PER = {
    "d": "day", "year": "year", "yr": "year", "a": "year", "y": "year", "mo": "month", "wk": "week",
    "acre": "acre",
    "min": "min",
}  # fmt: skip
_AREAS = {"sqmi": "square mile", "mi2": "square mile", "sqft": "square foot", "sqkm": "km²"}
_COUNTS = frozenset(("PD", "PE", "", "inhabitants", "people", "pop"))


def _ratio(over: str, under: str, *, one: bool, english: bool) -> str:
    """``kg/m3``: both sides; ``PD/sqmi`` counts people; spelt-out units say *per*."""
    bottom = _PER.get(under) or unit_words(under, short=True, english=english)
    if over in _COUNTS:
        return f"per {_AREAS.get(under, bottom)}" if english else f"/{bottom}"
    top = unit_words(over, short=True, one=one, english=english)
    spelt = english and top.replace(" ", "").isalpha() and len(top) > 5
    return f"{top} per {bottom}" if spelt else f"{top}/{bottom}"


def density(call: Call) -> str:
    """``{{pop density|3645257|640081.87|km2}}``: people by area, in the unit of the area."""
    try:
        people, area = (float(arg.replace(",", "")) for arg in (call.arg(0), call.arg(1)))
        value = people / area
        if not math.isfinite(value):
            return HOLE
    except (ValueError, ZeroDivisionError):
        return HOLE
    places = call.named.get("prec", "")
    if not (places.isdecimal() and len(places) == 1):
        places = "0" if value >= 100 else "1"
    shown = f"{value:.{places}f}"
    return (
        f"{shown if call.lang == 'en' else grouped(shown, call.lang)}/{unit_words(call.arg(2), short=True)}"
    )
