"""Templates that carry a value of the sentence they stand in.

Most templates are boxes, citations and notices, and vanish. Many hold a number, a word or a name ("a height
of {{convert|8849|m|ft}}"); dropping those leaves holes a reader cannot fill. They are rendered here, simply:
the first value and its unit, not the conversion.

A template of no known name is told by its form (:mod:`rpt_core.corpus.wiki.unnamed`).
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from rpt_core.corpus.wiki import calls, dates, numbers, words
from rpt_core.corpus.wiki.calls import HOLE, Call, Handler, parse_call
from rpt_core.corpus.wiki.functions import parser_function
from rpt_core.corpus.wiki.months import MONTHS
from rpt_core.corpus.wiki.units import convert, density
from rpt_core.corpus.wiki.unnamed import unnamed
from rpt_core.corpus.wiki.vanishing import shows_nothing, value_is_elsewhere

_ELSEWHERE = calls.constant(HOLE)


def render(
    parts: Sequence[str],
    lang: str = "en",
    before: str = "",
    in_sentence: Callable[[], bool] = lambda: True,
    keep: Callable[[str], str] = calls.as_it_is,
) -> str:
    """The words a template stands for; empty for boxes, citations and notices.

    Args:
        parts: Its name and its arguments, rendered.
        lang: Language of the edition.
        before: The character before it.
        in_sentence: Whether words stand beside it on its line; asked only of templates without a known name.
        keep: Holds a formula aside.

    Example:
        >>> render(["convert", "8849", "m", "ft"])
        '8849 m'
        >>> render(["Infobox person", "name=Ada"])
        ''
        >>> render(["Mitad", "12", "km"], lang="es")
        '12 km'
    """
    call = parse_call(parts, lang, before, keep)
    if ":" in call.name:
        named = parser_function(call)
        if named is not None:
            return HOLE if named is False else str(named)
        call = parse_call([_NAMESPACE.sub("", parts[0].strip()), *parts[1:]], lang, before, keep)
    handler = _handler(call.name, lang)
    return handler(call) if handler else unnamed(call, in_sentence)


@lru_cache(4096)
def _handler(name: str, lang: str) -> Handler | None:
    """What renders a template, by its name; None for a name nobody knows."""
    if known := _HANDLERS.get(name):
        return known
    for pattern, handler in (*_FORMS, *_FORMS_OF.get(lang, ())):
        if pattern.fullmatch(name):
            return handler
    if value_is_elsewhere(name):
        return _ELSEWHERE
    return calls.nothing if shows_nothing(name) else None


_NAMESPACE = re.compile(
    r"(?:subst|safesubst|msg|raw|template|vorlage|modèle|plantilla|predefinição|sjabloon|шаблон|szablon|mall|テンプレート|"
    r"قالب|bản mẫu|틀|t)\s*:\s*",
    re.IGNORECASE,
)


def _dollars(call: Call) -> str:
    return f"{call.name.upper()}{call.arg(0)}"


def _century_by_name(call: Call) -> str:
    number, _, rest = call.written.partition("e ")
    return f"{number.upper()}e {rest}"


def _numbered(call: Call) -> str:
    return f"{call.written} {call.arg(0)}".strip()


_SHIPS = (
    "hms uss ss rms hmas hmcs mv ms ins sms hnlms hmnzs hmsas usns uscgc rfa hdms hswms hnoms ara kms "
    "ijn rn rov orp jds mt ps ts rv fv usat hmhs"
)
_MONEY = (
    "chf nok sek dkk isk pln czk huf ils brl mxn nzd hkd sgd zar try uah vnd ngn thb ars clp cop pen "
    "twd myr idr egp frf dem itl ats esp nlg bef fim"
)
_FORMS: tuple[tuple[re.Pattern[str], Handler], ...] = (
    (re.compile(r"\d{1,6}/\d{1,6}"), numbers.fraction),
    (
        re.compile(r"(?:lang|языка?|langue|limba|język|לשון|لغة)[- ]\w{2,24}(?:[- ]\w{1,24}){0,4}"),
        calls.first,
    ),
    (re.compile(r"lang-.{1,40}"), calls.first),
    (re.compile(r"(?:link-\w\w|ill-?\w{0,12}|internal link helper/\w+)"), calls.first),
    (re.compile(r"(?:u?s|us|au|ca|hk|nz|a|c|r|mex|nt|s)\$"), _dollars),
    (re.compile(r"[ivxlc]{1,12}e (?:siècle|millénaire)"), _century_by_name),
    (re.compile(r"\d{1,4}(?:er|re|e|ème|ère)"), _numbered),
    (re.compile(rf"(?:{_MONEY.replace(' ', '|')})"), words.coded_money),
    (re.compile(rf"(?:{_SHIPS.replace(' ', '|')})"), words.ship),
)

_FORMS_OF: dict[str, tuple[tuple[re.Pattern[str], Handler], ...]] = {
    "fr": (
        (re.compile(r"[ivxlc]{1,8}(?:er|re|e)"), _numbered),
        (re.compile(rf"(?:1er|\d{{1,2}}) (?:{'|'.join(MONTHS['fr'])})"), words.named_after_itself),
        (re.compile(r"[^\W\d_]{2,20}(?: [^\W\d_]{2,20})? (?:[ivx]{1,5}|ier|1er)"), words.named_after_itself),
    ),
    "de": ((re.compile(r"[a-z]{2,3}s"), calls.first),),
}
"""Forms of one edition: ``Louis XIV``, ``1er janvier``; ``laS`` and ``enS`` hold words of a language."""
_NAMES: dict[Handler, str] = {
    calls.first: (
        "nowrap nobr nobreak j small big larger smaller large sic smallcaps sc aut caps strong em mvar var "
        "math bigmath nbsp-wrap noitalic lj1 flag flagcountry flagu flagg flagge vanchor vr latin unicode "
        "polytonic polytonisch ألمانية إنجليزية فرنسية إنج لاتينية railgauge abbr abbrlink abréviation "
        "abréviation_discrète abk tooltip hover_title keypress kbd samp code mono tt underline u "
        "strikethrough del ins bold i italic b textdir ruby-base blend not_a_typo typo proper_name "
        "as_written keep_together isbnt le illm le2 仮リンク 別名 读 iw не_переведено не_переведено_5 нп "
        "нп3 нп5 "
        "nouse s2 term glossary_link glossary defn hs2 nwr nobold normal midsize allow_wrap iast "
        "visible_anchor visibleanchor va esd ta nowrap2 nbs чч ж жирный ь comment подсказка подсказка2 "
        "кавычки выделить nastaliq script/arabic hebrew jis2004フォント 補助漢字フォント 拡張漢字 仮名 "
        "by いつ範囲 국기 국기나라 한자 "
        "نستعلیق big1 fs text highlight marker hl terme_défini не_опечатка как_в_тексте так_в_тексте "
        "w_językach fontsize italic_correction serif sans-serif sans slink section_link lll 節リンク "
        "annotated_link proper zlink dfn varserif ifsubst stylize sup2 cc3 сс3 сс2 сс old_style_date нс uc "
        "color_text no_italic no_wrap nowraplinks script-ja hani transcription en ko-hhrm circa_de"
    ),
    calls.second: "color colour font_color fontcolor bg font background_color resize couleur farbe",
    words.in_language: (
        "lang langue wikt-lang langx transl translit transliteration llang linktext-lang lang-txt lingua "
        "idioma язык lang2 en_langue rtl-lang lång språk taal tlit 언어 ngôn_ngữ мова мова-"
    ),
    words.linked: "ill interlanguage_link interlanguage_link_multi link-interwiki lien lien2 lihk",
    words.translated_link: "tsl",
    calls.last: "sort script sortowanie tri",
    calls.glued: "chem shy mset fchim chem2 formule_chimique química",
    calls.spaced: "linktext",
    convert: (
        "convert cvt conv convertir conversion converter converti converteer omrekenen 换算 換算 convert/2 "
        "convertit"
    ),
    density: "pop_density popdens",
    numbers.value: "val value valeur val2",
    numbers.fraction: (
        "frac fraction sfrac vulgar_fraction frac2 ⁄ tfrac bruch дробь breuk ułamek bråk 分数 frazione "
        "fração "
        "fracción fracao fractie sortfrac broj nicefrac str stfrac"
    ),
    numbers.power_of_ten: "e ×10^ x10 x10^ e+",
    numbers.ten_to_the: "10^ 10exp powten",
    numbers.format_number: (
        "formatnum nts number numero zahl formnum fmtn число num fnum nb formatnumber 数値 número nbr "
        "formatnombre ntsn nowrapnum"
    ),
    numbers.measure: (
        "unité unite tmp m unidad unid unità unita unidade eenheid birim nombre einheit jednostka đơn_vị "
        "وحدة medida misura grandeur phys maß si si-einheit unit units quantity qty einheiten mesure ед"
    ),
    numbers.gaps: "gaps",
    numbers.root: "sqrt radic √ nthroot root radical raiz raíz квадратный_корень",
    numbers.ordinal: "ordinal nth ord",
    dates.as_of: "as_of asof ca_date",
    dates.year_first: (
        "start_date birth_date death_date end_date dts start_date_and_age birth_date_and_age bda dob "
        "end_date_and_age 生年月日と年齢 生年月日 birth_year_and_age film_date release_date launch_date"
    ),
    dates.date: (
        "date date_de_naissance date_de_décès date_de_naissance- date- date_de_décès- fecha data дата "
        "日期 日付 "
        "datum dato tarih tanggal dni fecha_de_nacimiento fecha_de_inicio data_nascita nascimento dn "
        "geboren др дата_рождения дн data_di_nascita ngày_sinh_và_tuổi ngày_sinh ngày تاريخ "
        "تاريخ_الميلاد_والعمر fødselsdato födelsedatum data_urodzenia geburtsdatum date_birth_age "
        "date_of_birth fecha_nacimiento fechas dat"
    ),
    dates.death_and_age: (
        "death_date_and_age dda ddad 没年齢 死亡年月日と没年齢 fallecimiento fecha_de_fallecimiento "
        "falecimento дс "
        "datum_úmrtí ngày_mất_và_tuổi morte"
    ),
    dates.death_year_and_age: "death_year_and_age",
    dates.start_and_end: "start_and_end_dates",
    dates.old_style: "oldstyledate oldstyledatedy oldstyledateny",
    dates.day_in_words: (
        "birth-date birth-date_and_age death-date death-date_and_age start-date end-date bda-text"
    ),
    dates.reign: "reign r.",
    dates.circa: "circa c. ca. ca",
    dates.floruit: "floruit fl. fl",
    dates.decade: "decade_link decade",
    dates.life_years: "bd",
    dates.era("CE"): "ce",
    dates.era("BCE"): "bce",
    dates.era("AD"): "ad",
    dates.era("BC"): "bc",
    words.nihongo: "nihongo nihongo2 nihongo3 nihongo_foot nihongo_krt japonais japonés giapponese japans",
    words.chinese: "zh zh-full lang-zh zho chinois chinês cinese",
    words.korean: "korean ko coréen coreano kor",
    words.quote: (
        "quote blockquote quotation cquote bquote zitat citation_bloc début_citation 引用 cita цитата cytat "
        "citat citaat citação citazione 인용문 quotetext quote_text"
    ),
    words.citation: "citation",
    words.guillemets: "guil guillemets guill",
    words.quoted: "gloss gl",
    words.literally: "lit literal_translation lit.",
    words.ruby: "ruby ruby-ja ruby-zh ルビ ふりがな rubi",
    words.with_reading: "読み仮名 読み仮名_ruby不使用 読み 読み仮名2 振り仮名",
    words.sound: "audio audio2 audio-nohelp son аудио sonido sound",
    words.height: "height",
    words.height_german: "höhe",
    words.hour: "heure",
    words.quoted_german: '" „',
    words.aside: "incise",
    words.listing: (
        "hlist flatlist ubl unbulleted_list plainlist plain_list unordered_list ordered_list cslist "
        "comma_separated_entries bulleted_list vunblist enum liste_horizontale lista hlista "
        "indented_plainlist bullet_list flat_list liste_éléments список unordered"
    ),
    words.century: "s siècle s- sp- -s -s- sp -sp- -sp sap- sav- siglo siglos séc século séc. secolo",
    words.currency: "currency monnaie moneda",
    words.rupees: "inrconvert inr_convert",
    words.money("US$"): "usd us$ us_dollar",
    words.money("£"): "gbp £ pound_sterling pound",
    words.money("€"): "eur € euro",
    words.money("₹"): "inr ₹ indian_rupee rupee",
    words.money("¥"): "¥ jpy cny yen rmb",
    words.money("A$"): "aud a$ au$",
    words.money("C$"): "cad c$ cad$",
    words.money("₽"): "рубль rub",
    words.money("₩"): "krw won ₩",
    words.money("₱"): "php ₱",
    words.doubted: (
        "refnec refsou référence_nécessaire référence_souhaitée référence_à_confirmer citation_nécessaire "
        "passage_non_neutre passage_évasif travail_inédit pas_clair précision_nécessaire "
        "citazione_necessaria senza_fonte chiarire cita_requerida demostrar carece_de_fontes "
        "carece_de_fontes2 källa_behövs citation_needed_span cn-span clarify_span нет_аи_2 нет_аи2 "
        "уточнить_2 достоверность 要出典範囲 いつ範囲 誰範囲 要検証範囲 独自研究範囲 不明確範囲"
    ),
    dates.age: "age age_in_years edad idade возраст 年齢",
    dates.age_in_days: "age_in_days",
    words.person: "sortname bibleref bibleverse bibleref2 bible",
    words.marriage: "marriage married",
    words.ship: "ship",
    words.ship_class: "sclass sclass2 sclass-",
    words.particle: "subatomicparticle subatomic_particle",
    words.nuclide: "nuclide nuclide2 simplenuclide simplenuclide2 nuclide_link nucléide nuclido",
    words.raised: "sup exp smallsup superscript",
    words.lowered: "sub ind subscript",
    words.raised_and_lowered: "su",
    words.integral: "intmath",
    words.tex: "tmath texmath",
    words.clock_angle: "ra",
    words.declination: "dec",
    words.theorem: "math_theorem math_proof mathematical_theorem theorem math_lemma",
    words.around("⟨", "⟩"): "angbr angle_bracket angbr_ia",
    words.around("|", "|"): "abs mabs",
    words.around("⟨", "|"): "bra",
    words.around("|", "⟩"): "ket",
    words.around("⌊", "⌋"): "floor",
    words.around("⌈", "⌉"): "ceil",
    words.around("[", "]"): "bracket brackets",
    words.around("{", "}"): "brace braces",
    words.around("transl. ‘", "’"): "translation trans_title",
    words.suffixed("M☉"): "solar_mass",
    words.suffixed("R☉"): "solar_radius",
    words.suffixed("L☉"): "solar_luminosity",
    words.suffixed("M⊕"): "earth_mass",
    words.suffixed("R⊕"): "earth_radius",
    words.suffixed("MJ"): "jupiter_mass",
    words.suffixed("RJ"): "jupiter_radius",
    words.around("", "°"): "deg degree",
    words.prefixed("n°"): "n° numéro nº",
    words.prefixed("Mme"): "mme",
    words.prefixed("Mlle"): "mlle",
    words.prefixed("M."): "m. monsieur",
    words.prefixed("Dr"): "dr",
    words.prefixed("p."): "p.",
    words.prefixed("vol."): "vol.",
    words.prefixed("chap."): "chap.",
    words.prefixed("OV"): "ov",
    words.prefixed("U.S. Patent"): "us_patent uspatent patent_us",
    calls.constant("½"): "½",
    calls.constant("CO₂"): "co2",
    calls.constant("H₂O"): "h2o",
    calls.constant("–"): "ndash en_dash – endash",
    calls.constant(" – "): "spaced_ndash snd snds spnd spaced_en_dash dash",
    calls.constant("⇌"): "eqm",
    calls.constant("etc."): "etc. etc",
    calls.constant("—"): "mdashb mdash em_dash — emdash spaced_mdash",
    calls.constant(" "): "nbsp space spaces thinsp thin_space hair_space hsp pad",
    calls.constant("|"): "! pipe",
    calls.constant("="): "=",
    calls.constant("{"): "(",
    calls.constant("}"): ")",
    calls.constant("'"): "' apostrophe",
    calls.constant("'s"): "'s",
    calls.constant("π"): "pi",
    calls.constant("ʻ"): "okina ʻokina",
    calls.constant("×"): "times x",
    calls.constant("−"): "minus",
    calls.constant("±"): "± pm",
    calls.constant("♭"): "flat",
    calls.constant("♯"): "sharp",
    calls.constant("•"): "bullet •",
    calls.constant("·"): "· middot dot",
    calls.constant("1er"): "1er",
    calls.constant("1re"): "1re 1ère",
    calls.constant("†"): "dagger †",
    calls.constant("av. J.-C."): "av_jc avjc av_j-c av._j.-c.",
    calls.constant("apr. J.-C."): "apr_jc aprjc",
}  # fmt: skip
_ELEMENTS = {
    "hydrogen": "H", "helium": "He", "carbon": "C", "nitrogen": "N", "oxygen": "O", "fluorine": "F",
    "sodium": "Na", "magnesium": "Mg", "aluminium": "Al", "silicon": "Si", "phosphorus": "P",
    "sulfur": "S", "chlorine": "Cl", "potassium": "K", "calcium": "Ca", "iron": "Fe", "copper": "Cu",
    "zinc": "Zn", "bromine": "Br", "iodine": "I",
}  # fmt: skip
_HANDLERS: dict[str, Handler] = {name: calls.constant(symbol) for name, symbol in _ELEMENTS.items()} | {
    word.replace("_", " ").strip(): handler for handler, words_ in _NAMES.items() for word in words_.split()
}
