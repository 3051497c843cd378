"""Values, words and formulas of templates, as a reader of each language edition sees them."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.wiki.dates import written
from rpt_core.corpus.wiki.expr import evaluate
from rpt_core.corpus.wiki.numbers import MARKS, grouped, plain
from rpt_core.corpus.wiki.templates import _HANDLERS
from rpt_core.corpus.wiki.text import to_prose, to_text
from rpt_core.corpus.wiki.vanishing import VANISHING, shows_nothing, value_is_elsewhere


def shown(call, lang="en"):
    """What a call shows between two words of a sentence."""
    text = to_text(f"It is {call} there.", lang=lang)
    assert text.startswith("It is ")
    assert text.endswith(" there.")
    return text[6:-7]


@pytest.mark.parametrize(
    ("lang", "number"),
    [
        ("en", "7,654,321.5"), ("de", "7.654.321,5"), ("fr", "7 654 321,5"), ("es", "7 654 321,5"),
        ("it", "7 654 321,5"), ("pt", "7 654 321,5"), ("nl", "7.654.321,5"), ("ru", "7 654 321,5"),
        ("ja", "7,654,321.5"), ("zh", "7,654,321.5"), ("pl", "7 654 321,5"), ("sv", "7 654 321,5"),
        ("ar", "7٬654٬321٫5"), ("uk", "7 654 321,5"), ("vi", "7.654.321,5"), ("hi", "76,54,321.5"),
    ],
)  # fmt: skip
def test_a_number_is_in_the_form_of_its_edition(lang, number):
    assert shown("{{formatnum:7654321.5}}", lang) == number
    assert shown("{{formatnum:{{#expr:7654321+0.5}}}}", lang) == number


@pytest.mark.parametrize(
    ("lang", "number"),
    [("es", "4321"), ("pl", "4321"), ("pt", "4321"), ("de", "4.321"), ("en", "4,321"), ("fr", "4 321")],
)
def test_some_editions_group_from_five_digits_on(lang, number):
    assert shown("{{formatnum:4321}}", lang) == number


@given(st.integers(-(10**15), 10**15), st.sampled_from([*sorted(MARKS), "en", "ja", "hi"]))
def test_a_grouped_number_is_read_back(number, lang):
    assert plain(grouped(str(number), lang), lang) == str(number)
    assert plain(grouped(f"{number}.25", lang), lang) == f"{number}.25"


@pytest.mark.parametrize(
    ("lang", "call", "value"),
    [
        ("it", "{{TA|12,5&nbsp;m}}", "12,5 m"), ("it", "{{M|98|c|m}}", "98 cm"), ("it", "{{M|3|e=6|ul=Hz}}",
        "3×10^6 Hz"),
        ("it", "{{Unità|1500|m}}", "1 500 m"), ("es", "{{unidad|12.5|km}}", "12,5 km"), ("es",
        "{{unidad|9|m|2}}", "9 m²"),
        ("es", "{{esd|25 €}}", "25 €"), ("es", "{{siglo|XVII}}", "siglo XVII"), ("pt", "{{fmtn|1234567}}",
        "1 234 567"),
        ("pt", "{{Unid|8|kg}}", "8 kg"), ("pt", "{{séc|XX}}", "século XX"), ("fr", "{{unité|300|km/h}}",
        "300 km/h"),
        ("fr", "{{unité|5|kg||m|-3}}", "5 kg⋅m⁻³"), ("fr", "{{nombre|40|chevaux}}", "40 chevaux"),
        ("fr", "{{s-|XII}}", "XIIe siècle"), ("fr", "{{-s-|III|e}}", "IIIe siècle av. J.-C."),
        ("fr", "{{euro|7.5}}", "7,5 €"), ("fr", "{{Charles X}}", "Charles X"), ("fr", "{{IIIe}}", "IIIe"),
        ("fr", "{{2 mai}}", "2 mai"), ("fr", "{{citation|un mot}}", "« un mot »"), ("fr",
        "{{refnec|peu sûr}}", "peu sûr"),
        ("ru", "{{s|7 кг}}", "7 кг"), ("ru", "{{число|98765}}", "98 765"), ("ru", "{{дробь|3|4}}", "3/4"),
        ("ru", "{{дата|9|5|1945}}", "9 мая 1945"), ("pl", "{{j|9 km}}", "9 km"), ("sv", "{{Lång|de|Wort}}",
        "Wort"),
        ("tr", "{{birim|7|kg}}", "7 kg"), ("zh", "{{tsl|en|foo|词}}", "词"), ("zh",
        "{{bd|1900年|1月2日|1990年|3月4日}}", "1900年1月2日－1990年3月4日"),
        ("ja", "{{読み仮名|京都|きょうと}}", "京都（きょうと）"), ("ja", "{{生年月日と年齢|1980|7|9}}",
        "1980年7月9日"),
        ("ja", "{{convert|3776|m|ft}}", "3,776 m"), ("de", "{{Zahl|54321}}", "54.321"), ("de", "{{CHF|5}}",
        "5 CHF"),
        ("de", "{{grS|λόγος}}", "λόγος"), ("de", "{{Bruch|2|3}}", "2/3"), ("ar", "{{وحدة|5|كم}}", "5 كم"),
        ("vi", "{{Ngày|2|9|1945}}", "2 tháng 9 năm 1945"), ("nl", "{{convert|3|mi|km}}", "3 mi"),
        ("uk", "{{nobr|3 км}}", "3 км"), ("xx", "{{mitad de|7|kg}}", "7 kg"), ("xx", "{{qqq|891,7 km²}}",
        "891,7 km²"),
        ("xx", "{{qqq|1234}}", "1234"), ("xx", "{{qqq|5|km/h}}", "5 km/h"), ("xx", "{{qqq|38&nbsp;°C}}",
        "38 °C"),
    ],
)  # fmt: skip
def test_measures_of_an_edition_are_shown(lang, call, value):
    assert shown(call, lang) == value


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("{{convert|4|mpgus}}", "4 mpg"), ("{{convert|2|e9bbl}}", "2 billion bbl"),
        ("{{convert|7|Moilbbl/d}}", "7 million barrels per day"),
        ("{{convert|4|F-change}}", "4 °F"), ("{{convert|900|PD/km2}}", "900 per km²"), ("{{convert|2|cuyd}}",
        "2 cu yd"),
        ("{{convert|40|ftlbf}}", "40 ft⋅lbf"), ("{{convert|1|acre}}", "1 acre"), ("{{convert|2|acre}}",
        "2 acres"),
        ("{{convert|-1|ft}}", "-1 foot"), ("{{convert|1|ft|abbr=on}}", "1 ft"), ("{{convert|10|st|3|lb}}",
        "10 st 3 lb"),
        ("{{convert|3|-|4|yd|0}}", "3–4 yards"), ("{{convert|5|km|0}}", "5 km"), ("{{convert|8|kg/m3}}",
        "8 kg/m³"),
        ("{{convert|9|m/s2}}", "9 m/s²"), ("{{convert|25567|ft/s}}", "25567 ft/s"), ("{{convert|3|L/100km}}",
        "3 L/100 km"),
        ("{{convert|2+3/4|in}}", "2 3/4 in"), ("{{convert|1//2|in}}", "1/2 in"), ("{{convert|5|frobs}}",
        "5 frobs"),
        ("{{convert|3|by|4|by|5|cm}}", "3 by 4 by 5 cm"), ("{{convert|30|kn|km/h}}", "30 knots"),
        ("{{cvt|3|e6m3}}", "3 million m³"),
        ("{{pop density|1000|50|km2}}", "20.0/km²"),
    ],
)  # fmt: skip
def test_units_of_convert_are_words(call, value):
    assert shown(call) == value


def test_only_english_pages_speak_of_millions():
    assert shown("{{convert|3|e6acre}}", "pt") == "3×10^6 acre"
    assert shown("{{convert|5|koilbbl/d}}", "ru") == "5×10^3 barrels/day"


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("7{{frac|2|3}}", "7 2/3"), ("7{{3/4}}", "7 3/4"), ("{{frac|5}}", "1/5"), ("x{{sfrac|1|n}}", "x1/n"),
        ("9.1{{e|-31}}", "9.1×10^-31"), ("{{e|9}}", "10^9"), ("{{10^|-6}}", "10^-6"),
        ("{{val|2.5|+0.1|-0.4}}", "2.5 +0.1/−0.4"),
        ("{{val|2.5|+0.1|-0.4|e=3|u=m}}", "(2.5 +0.1/−0.4)×10^3 m"), ("{{val|9.109|(11)|e=-31|u=kg}}",
        "9.109(11)×10^-31 kg"),
        ("{{val|3|u=m/s2}}", "3 m/s²"), ("{{val|12345.6|fmt=commas}}", "12,345.6"), ("{{nuclide|carbon|14}}",
        "carbon-14"),
        ("{{nuclide|Pb}}", "Pb"), ("{{SubatomicParticle|Positron}}", "e+"),
        ("{{SubatomicParticle|Graviton}}", "Graviton"),
        ("{{sqrt|5}}", "√5"), ("{{sqrt|a + b}}", "√(a + b)"), ("{{solar mass|7}}", "7 M☉"),
        ("{{gaps|9|876|543}}", "9 876 543"),
        ("{{chem|C|6|H|12}}", "C6H12"), ("{{abs|x}}", "|x|"), ("{{tmath|y^3}}", "$y^3$"), ("{{su|p=2|b=i}}",
        "i^2"),
        ("11<sup>1</sup>/<sub>4</sub>", "11 1/4"), ("{{bra|a}}{{ket|b}}", "⟨a||b⟩"),
        ("1101<sub>2</sub>", "1101_2"), ("7F<sub>16</sub>", "7F_16"), ("b<sub>k-1</sub>", "b_(k-1)"),
        ("''x''<sub>i</sub>", "x_i"),
        ("''H''<sub>0</sub>", "H_0"), ("C<sub>2</sub>H<sub>5</sub>OH", "C2H5OH"),
        ("(NH<sub>4</sub>)<sub>2</sub>SO<sub>4</sub>", "(NH4)2SO4"),
        ("2H<sub>2</sub>O<sub>(l)</sub>", "2H2O(l)"), ("E<sub>max</sub>", "E_max"),
        ("SO<sub>4</sub><sup>2−</sup>", "SO4^(2−)"),
    ],
)  # fmt: skip
def test_values_of_the_sciences_are_whole(call, value):
    assert shown(call) == value


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("{{sortname|Grace|Hopper}}", "Grace Hopper"), ("{{ubl|red|green}}", "red, green"),
        ("{{HMS|Beagle|1820|2}}", "HMS Beagle"),
        ("{{flatlist|\n* [[a|red]]\n* green\n}}", "red, green"), ("{{ship|USS|Hornet|CV-12}}", "USS Hornet"),
        ("{{IAST|dharma}}", "dharma"), ("{{gloss|law}}", "‘law’"), ("{{visible anchor|Here|there}}", "Here"),
        ("{{death date and age|1999|12|30|1920|12|31}}", "30 December 1999 (aged 78)"),
        ("{{currency|30|EUR}}", "€30"),
        ("{{langx|de|Wort|lit=word}}", "Wort"), ("{{nihongo|1=Kyoto|2=京都|3=Kyōto}}", "Kyoto (京都, Kyōto)"),
        ("{{ruby|漢|かん}}", "漢(かん)"), ("{{Audio|File.ogg|hear it}}", "hear it"),
        ("{{as of|2020|alt=lately}}", "lately"),
        ("{{birth-date|7 May 1824}}", "7 May 1824"), ("{{start and end dates|1914|7|28|1918|11|11}}",
        "28 July 1914 – 11 November 1918"),
        ("{{BCE|44}}", "44 BCE"), ("{{AD|79}}", "AD 79"), ("{{OldStyleDate|7 May|1724|26 April}}",
        "7 May [O.S. 26 April] 1724"),
        ("{{age|1990|2|3|2001|2|2}}", "10"), ("{{age in days|2000|2|28|2000|3|1}}", "2"),
        ("{{birth date|70|10|15}}", "15 October 70"),
        ("{{zorp|Some words|de}}", "Some words"), ("{{zorp|red|green}}", "red, green"),
        ("{{zorp|x.jpg|https://a.b|seen}}", "seen"),
        ("{{marriage|Ann|1842|1865}}", "Ann (m. 1842–1865)"), ("{{nowrap|{{math|1=a = b}} c}}", "a = b c"),
        ("{{nowrap|{{!}}x{{!}} {{=}} 1}}", "|x| = 1"), ("{{lc:ABC}}", "abc"), ("{{ucfirst:abc}}", "Abc"),
        ("{{lcfirst:ABC}}", "aBC"),
        ("{{padleft:7|3|0}}", "007"), ("{{padright:7|3|x}}", "7xx"), ("{{plural:2|one|two}}", "two"),
        ("{{#if:x|yes|no}}", "yes"),
        ("{{#if:|yes|no}}", "no"), ("{{#ifeq:a|b|c|d}}", "d"), ("{{#ifexpr:2>1|more|less}}", "more"),
        ("{{#expr:7/2 round 0}}", "4"),
        ("{{formatnum:1,234.5|R}}", "1234.5"), ("{{Template:convert|3|m}}", "3 m"),
        ("{{citation needed span|text=so they say}}", "so they say"),
    ],
)  # fmt: skip
def test_readable_arguments_stay_in_a_sentence(call, value):
    assert shown(call) == value


@pytest.mark.parametrize(
    "call",
    [
        "{{citation needed|date=May 2010}}", "{{flagicon|USA}}", "{{efn|A note.}}", "{{sfn|Smith|1990|p=4}}",
        "{{clarify|reason=odd}}",
        "{{rp|23}}", "{{cn}}", "{{dopracować}}", "{{нет АИ|3|01|2018}}", "{{要出典|date=2010年}}",
        "{{来源请求}}", "{{Infobox x|a=1}}",
        "{{carece de fontes|data=maio de 2010}}", "{{coord|1|2|N|3|4|E}}", "{{ISBN|1234567890}}", "{{ESP}}",
        "{{Use dmy dates|date=May 2010}}",
    ],
)  # fmt: skip
def test_what_is_no_part_of_a_sentence_vanishes(call):
    assert to_text(f"It stands{call} there.") == "It stands there."
    assert to_text(f"It stands. {call}") == "It stands."


def test_a_tag_touches_the_word_before_it_and_a_value_does_not():
    assert to_text("They left{{zorp|soon}}, and came {{zorp|back}}.") == "They left, and came back."
    assert (
        to_text("{{Zorp|Alpha}} is a letter.\n\n{{Zorp|Alpha}}\nBeta is one.")
        == "Alpha is a letter.\n\nBeta is one."
    )


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("Es gilt {{Formel|<math>a</math>}} hier.", "Es gilt $a$ hier."),
        ("So\n{{ecuación|\n<math>x=1</math>\n||left}}\nend.", "So $x=1$ end."),
        ("So {{NumBlk|:|<math>b</math>|{{EquationRef|1}}}} end.", "So $b$ end."),
        ("{{Equation box 1|indent=:|equation=<math>E</math>|cellpadding=6|border}}\nEnd.", "$E$ End."),
        ("{{math theorem|name=Euclid|math_statement=Let <math>p</math>.}}\nEnd.", "Euclid. Let $p$.\n\nEnd."),
        ("{{math proof|By <math>q</math>.}}", "Proof. By $q$."),
        ("{{Infobox law|pdf=<math>f</math>}}\nEnd.", "End."),
        ("It is.{{efn|As <math>n</math> grows.}}", "It is."),
    ],
)  # fmt: skip
def test_a_formula_in_a_template_survives_it(wikitext, text):
    assert to_text(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("One\n<!-- note -->\ntwo.", "One two."), ("* a\n<!-- c -->\n* b", "- a\n- b"),
        ("One\n <!-- a --> <!-- b -->\ntwo.", "One two."),
        ("One <!-- a -->\n\ntwo.", "One\n\ntwo."), ("One.<!-- a --> Two.", "One. Two."),
        ("{{Box|a={{{!}} class=x\n{{!}} cell\n{{!}}}\n}}\nEnd.", "End."), ("A {{{1|default}}} here.",
        "A default here."),
        ("See [mailto:a@b.c mail], [gopher://g.h old], [ftp://x y] and [1] [sic].",
        "See mail, old, y and [1] [sic]."),
        ("__目次非表示__ __NOTOC__ __KEIN_INHALTSVERZEICHNIS__ __БЕЗОГЛАВЛЕНИЯ__ Text `__init__`.",
        "Text `__init__`."),
        ("{{DEFAULTSORT:Foo, Bar}}Text.", "Text."),
    ],
)  # fmt: skip
def test_marks_that_show_nothing(wikitext, text):
    assert to_text(wikitext) == text


def test_a_page_s_own_name_is_known():
    assert to_prose("{{PAGENAME}} is a town.", title="Ulm").text == "Ulm is a town."


def test_a_sentence_whose_value_is_elsewhere_is_left_out_and_counted():
    prose = to_prose(
        "The town is old. It has {{Metadaten Einwohnerzahl DE-BE|Ulm}} people. "
        "It stands (now {{age|1990|1|1}} years)."
    )
    assert prose.text == "The town is old. It stands."
    assert prose.lost == ("(now years)", "It has people.")
    assert to_prose("In {{CURRENTYEAR}} all is well; it is {{convert|3|m}} high.").text == "it is 3 m high."
    assert to_prose("It has {{convert|3|m}} and is new.").lost == ()
    assert (
        to_prose("St. {{CURRENTYEAR}} Louis. Then Mr. Smith came {{#expr:1/0}} home. The end.").text
        == "The end."
    )


@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        max_leaves=8,
    )
)
def test_arithmetic_is_that_of_python(expression):
    assert evaluate(expression) == eval(expression)  # digits, brackets and signs alone


@pytest.mark.parametrize(
    ("expression", "value"),
    [("-2^2", 4.0), ("7 mod 4", 3.0), ("2 + 3 = 5", 1.0), ("-2.5 round 0", -3.0), ("floor 2.7 + 1", 3.0),
    ("1e3 / 8", 125.0),
     ("1/0", None), ("(", None), ("2 2", None), ("10^400", None), ("(" * 5000, None),
     ("1+" * 5000 + "1", None), ("²", None)],
)  # fmt: skip
def test_expressions_of_mediawiki(expression, value):
    assert evaluate(expression) == value


@pytest.mark.parametrize("lang", ["en", "de", "ja", "vi", "ru"])
@pytest.mark.parametrize("part", ["²", "٣", "x", "", "13", "00"])
def test_what_is_no_month_stays_a_word(lang, part):
    assert "2000" in written("2000", part, "", lang)


def test_no_argument_stops_a_template():
    calls = ("", "|", "|²|²|²", "|1|2|3|4|5|6|7", "|x|y|z", "|-1|x", "|9" * 40, "|1=a|2=b", "|e=²|u=m²")
    for name in _HANDLERS:
        for args in calls:
            prose = to_prose(f"Word {{{{{name}{args}}}}} word, {{{{nowrap|end}}}}.")
            assert prose.text.endswith("end.") or prose.lost == ("Word word, end.",)


def test_the_lists_of_names_do_not_contradict_each_other():
    assert all(shows_nothing(name) for name in VANISHING)
    assert not [name for name in VANISHING if value_is_elsewhere(name) or name in _HANDLERS]


@pytest.mark.parametrize(
    "unit",
    [
        "{{foo|",
        "{{val|1|",
        "{{#if:x|",
        "{{#expr:1+",
        "{{{!}}",
        "\ue003",
        "<sub>1</sub>",
        "a<sup>",
        "{{age}} (",
        "__A",
        "<!-- -->\n",
        "{{x}}; ",
        "{{zorp|-}}",
        "<sub>        ",
    ],
)
def test_new_rules_are_linear(unit):
    def took(size: int) -> float:
        started = time.process_time()
        with contextlib.suppress(BrokenInput):  # nested too deep: the reason too-costly
            to_prose(unit * (size // len(unit)))
        return time.process_time() - started

    # the least of some: a collection of garbage that other tests left is none of ours
    short, long = (min(took(size) for _ in range(4)) for size in (40_000, 160_000))
    assert long < 12 * max(short, 0.02)
