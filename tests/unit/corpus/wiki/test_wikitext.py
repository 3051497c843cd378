import pytest

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.wiki.names import SiteNames
from rpt_core.corpus.wiki.text import categories, to_prose, to_text
from tests.least_time import least_seconds


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Ada''' ''was'' a '''''writer'''''.", "Ada was a writer."),
        (
            "See [[Greece]], [[Homer|the poet]] and [[deutsch]]e [[Paris (Texas)|]].",
            "See Greece, the poet and deutsche Paris.",
        ),
        ("See [[Paris (Texas)]] and [[Paris (Texas)|]].", "See Paris (Texas) and Paris."),
        (
            'A tower.<ref name="a">{{cite|t}}</ref> It<ref name=b /> stands.<references/>',
            "A tower. It stands.",
        ),
        ("Before [[File:a.jpg|thumb|A [[caption]] with {{lang|fr|mot}}]]after.", "Before after."),
        ("Vor [[Datei:a.png|mini|Bild]]nach.", "Vor nach."),
        ("Text.\n[[Category:Towers|T]]\n[[Kategorie:Türme]]\n[[de:Turm]]\n[[zh-min-nan:Thah]]", "Text."),
        ("Text.\n[[Kaarangay:Alemanya]]", "Text."),
        ("See [[:Category:Towers]] and [[:en:Brandenburg Gate|gate]].", "See Towers and gate."),
        ("{{Infobox\n| a = {{nested|[[x]]}}\n| b = c\n}}\nProse here.", "Prose here."),
        ("{|\n! a !! b\n|-\n| c || {{x|y}}\n|}\nProse here.", "Prose here."),
        ("<table><tr><td>a</td></tr></table>Prose here.", "Prose here."),
        ("{| a\n| b\n{| nested\n| c\n|}\n|}\nProse.", "Prose."),
        (
            'Mass <math>E = mc^2</math> and <math display="block">\\frac{1}{2}</math>.',
            "Mass $E = mc^2$ and $\\frac{1}{2}$.",
        ),
        ("Use <code>a = b</code> and <nowiki>[[not a link]]</nowiki>.", "Use a = b and [[not a link]]."),
        (
            'Say:\n<syntaxhighlight lang="c">\nint a;\nint b;\n</syntaxhighlight>\nDone now.',
            "Say:\n\n```\nint a;\nint b;\n```\n\nDone now.",
        ),
        (
            "10<sup>6</sup> m<sup>2</sup>, 1<sup>st</sup>, H<sub>2</sub>O, 10<sup>-3</sup>",
            "10^6 m^2, 1st, H2O, 10^-3",
        ),
        ("A &amp; B &ndash; C&nbsp;D &lt;tag&gt;", "A & B – C D <tag>"),
        ("One.<!-- hidden [[x]] {{y}} --> Two.", "One. Two."),
        ("One.<br />Two. __NOTOC__", "One. Two."),
        ("Site [http://x.org the site] and [http://x.org].", "Site the site and."),
        ("* one\n* two\n# three", "- one\n- two\n- three"),
        ("; Term\n: Its meaning.", "Term\n\nIts meaning."),
        (
            "== Life ==\nBorn.\n=== Early ===\nYoung.\n== See also ==\n* [[x]]\n=== deep ===\nz\n"
            "== Work ==\nWorked.",
            "Life\n\nBorn.\n\nEarly\n\nYoung.\n\nWork\n\nWorked.",
        ),
        ("== Empty ==\n== Next ==\nText.", "Next\n\nText."),
        ("Text.\n== Literatur ==\n* Book\n== Weblinks ==\n* [http://a b]", "Text."),
        ("The list:\n{|\n|a\n|}\n== Next ==\nText.", "Next\n\nText."),
        ("Achilles ({{lang-grc|}}; , {{unknown|x}}) was {{nobr|very tall}} .", "Achilles was very tall."),
        ("城市-{zh-hans:柏林;zh-hant:柏林市}-。", "城市柏林。"),
        ("Text {{{2|default}}} end.", "Text default end."),
        ("One line\nand its end.\n\nNext.", "One line and its end.\n\nNext."),
        ("It said:\n a = 1\n b = 2\nDone now.", "It said:\n\na = 1\nb = 2\n\nDone now."),
        ("<poem>\nShall I\ncompare thee\n</poem>", "Shall I\n\ncompare thee"),
        ("L''''Autriche''' est", "L'Autriche est"),
        ("L''''Autriche'''' est", "L'Autriche' est"),
        (
            "Born {{OldStyleDate|February 2|1905|January 20}} ({{age|1905|2|2}} years ago).",
            "Born February 2 [O.S. January 20] 1905.",
        ),
        ("{{Carbon}}<sub>''n''</sub>{{Hydrogen}}<sub>2''n''+2</sub>", "C_nH_(2n+2)"),
    ],
)
def test_markup_becomes_prose(wikitext, text):
    assert to_text(wikitext) == text


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("{{convert|8849|m|ft}}", "8849 m"),
        ("{{convert|5|ft|8|in|m}}", "5 feet 8 in"),
        ("{{cvt|10|to|20|km2|sqmi}}", "10 to 20 km²"),
        ("{{convert|10|-|20|C|F}}", "10–20 °C"),
        ("{{lang|fr|mot juste}}", "mot juste"),
        ("{{lang-de|Wort}}", "Wort"),
        ("{{langx|de|Wort}}", "Wort"),
        ("{{frac|1|2}}", "1/2"),
        ("{{frac|3|1|2}}", "3 1/2"),
        ("{{val|1.25|0.5|e=6|u=kg}}", "(1.25±0.5)×10^6 kg"),
        ("{{as of|2008}}", "As of 2008"),
        ("{{as of|2008|5|12|lc=y}}", "as of 12 May 2008"),
        ("{{nowrap|1=a = b}}", "a = b"),
        ("{{formatnum:1234567.5}}", "1,234,567.5"),
        ("{{formatnum:2008}}", "2,008"),
        ("{{circa|1200}}", "c. 1200"),
        ("{{reign|1154|1189}}", "r. 1154–1189"),
        ("{{ndash}}", "–"),
        ("{{US$|5 million}}", "US$5 million"),
        ("{{ordinal|22}}", "22nd"),
        ("{{nihongo|Tokyo|東京|Tōkyō}}", "Tokyo (東京, Tōkyō)"),
        ("{{chem|H|2|O}}", "H2O"),
        ("{{height|ft=5|in=7}}", "5 ft 7 in"),
        ("{{unité|10|km}}", "10 km"),
        ("{{XIXe siècle}}", "XIXe siècle"),
        ("{{date|1|janvier|2000}}", "1 janvier 2000"),
        ("{{start date|1999|12|31}}", "31 December 1999"),
        ("{{nowrap|{{convert|3|km}} away}}", "3 km away"),
        ("{{abbr|BCE|before the common era}}", "BCE"),
        ("{{sic|teh}}", "teh"),
        ("{{Lien|langue=en|trad=A|fr=B|texte=C}}", "C"),
        ("{{ill|Name|de|Nom|lt=Label}}", "Label"),
        ("{{tmp|2|°C}}", "2 °C"),
        ("{{heure|4|30}}", "4 h 30"),
        ("{{84e|congrès}}", "84e congrès"),
        ("{{en langue|de|Österreich}}", "Österreich"),
        ("{{Höhe|115|DE-NHN}}", "115 m"),
        ('{{"|Wort}}', "„Wort“"),
        ("{{incise|so there}}", "– so there –"),
        ("{{hlist|a|b}}", "a, b"),
    ],
)
def test_templates_that_carry_a_value_are_rendered(call, value):
    assert to_text(f"It is {call} there.") == f"It is {value} there."


def test_names_of_the_dump_s_own_header():
    header = (
        b'<siteinfo><dbname>xwiki</dbname><namespaces><namespace key="6">Slika</namespace>'
        b'<namespace key="14">Razred</namespace></namespaces></siteinfo>'
    )
    site = SiteNames.parse(header)
    assert to_text("A [[Slika:a.x|thumb|b]]tower. [[Razred:Towers]]", site) == "A tower."
    assert categories("[[Razred:Towers|x]]", site) == ("Towers",)


@pytest.mark.parametrize(
    "header", [b"", b"<siteinfo>", b"<siteinfo><broken></siteinfo>", b"<siteinfo>&nope;</siteinfo>"]
)
def test_a_broken_header_costs_only_its_names(header):
    assert SiteNames.parse(header).link_kind("File:x.png") == "file"


UNITS = (
    "{{a|",
    "[[a|",
    "<b>",
    "''",
    "{{{a|",
    "[http://a ",
    "<ref>",
    "<ref name=",
    "{|\n|",
    "\n{|",
    "&amp",
    "==a\n",
    "<math>",
    "{{lang|fr|",
    "-{",
    "<sup>a",
    "(",
    "( ,",
    ", ",
    " .",
    "<ref <",
    "a)(",
    "[[:",
    "}}{{",
    "{{nowrap|",
    "<!--",
    "[[a|[[",
    "[[]]",
    "<div ",
    "__A",
    "|",
    "|}",
    "]]",
    "}}",
    "=",
    "* ",
    ";:",
    "<nowiki>",
    "<pre>",
    "&#",
    "[[File:",
    "{{convert|1|",
    "((",
    "))",
    "\ue000",
    "<table>",
    "(;",
    " ",
    "( ",
    "\t,",
    "a ",
    "\n",
    "\n ",
)


@pytest.mark.parametrize("unit", UNITS)
def test_no_markup_takes_more_than_linear_time(unit):
    """64 KB of anything ends within a second or with a reason (mwparserfromhell needs a minute for some)."""
    markup = unit * (65_536 // len(unit))

    def read() -> None:
        reason = ""
        try:
            to_text(markup)
        except BrokenInput as broken:
            reason = broken.reason
        assert reason in ("", "too-costly")

    assert least_seconds(read, 1.0) < 1.0


def test_an_unclosed_box_swallows_its_paragraph_and_no_more():
    assert to_text("{{Infobox|a=b\n\nThe prose stays here.") == "The prose stays here."


def test_an_unclosed_link_is_its_words():
    assert to_text("A [[tower of stone.") == "A tower of stone."


@pytest.mark.parametrize("unit", ["{{a}} ", "[[a|", "[[a]]|"])
def test_more_marks_than_any_page_has_end_the_reading(unit, monkeypatch):
    monkeypatch.setattr("rpt_core.corpus.wiki.text.MARKS_MAX", 1000)
    to_prose(unit * 300)
    with pytest.raises(BrokenInput, match="more than 1000 templates"):
        to_prose(unit * 600)
