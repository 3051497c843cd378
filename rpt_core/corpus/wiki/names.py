# ruff: noqa: SIM905  (word lists read better as text)
"""Names that differ between language editions: namespaces, disambiguation, closing sections.

A dump's header names its own namespaces; the lists here serve the editions whose header is missing or
(as in many shortened dumps) is the English one whatever the language.
"""

import re
from dataclasses import dataclass
from typing import Self

from lxml import etree

_FILE = frozenset(
    "file image media datei bild fichier archivo imagen immagine ficheiro imagem bestand afbeelding plik fil "
    "tiedosto kuva soubor fájl kép fișier dosya resim файл изображение картинка слика датотека "
    "зображення ملف صورة پرونده קובץ ファイル 画像 文件 檔案 档案 图像 圖像 파일 그림 चित्र "
    "ไฟล์ ภาพ tập_tin hình berkas gambar".replace("_", " ").split()
)
_CATEGORY = frozenset(
    "category kategorie catégorie categoría categoria kategoria kategori kategória luokka kategórie "
    "категория категорија категорія категорыя تصنيف رده קטגוריה カテゴリ 分类 分類 분류 श्रेणी หมวดหมู่ "
    "thể_loại kaarangay bólkur κατηγορία kategorija kategoriýa kategooria".replace("_", " ").split()
)
_OTHER = frozenset(
    "template wikipedia help portal user talk special module project draft mediawiki vorlage hilfe benutzer "
    "spezial modèle aide portail utilisateur spécial шаблон википедия справка портал участник قالب ويكيبيديا "
    "بوابة テンプレート wikipedia 模板 维基百科 維基百科 틀 위키백과 "
    "साँचा विकिपीडिया s wikisource wikt wiktionary "
    "commons q wikiquote b wikibooks n wikinews v wikiversity voy wikivoyage d wikidata m meta "
    "species".split()
)
_LANGUAGE_CODE = re.compile(
    r"[a-z]{2,3}(-[a-z]{2,8})?$|^(simple|be-x-old|zh-min-nan|roa-rup|map-bms|fiu-vro)$"
)
_XML_LANG = re.compile(rb"""<mediawiki\b[^<>]{0,1000}\sxml:lang=["']([A-Za-z-]{2,20})["']""")
_EDITION = re.compile(
    r"([a-z][a-z_]{1,15}?)(?:wiki|wiktionary|wikibooks|wikisource|wikiquote|wikinews|wikiversity|wikivoyage)(?=[-_.]|$)"
)
_LANGUAGES = {
    "simple": "en", "sample": "en", "commons": "en", "species": "en", "meta": "en", "wikidata": "en",
    "test": "en", "be-x-old": "be", "be-tarask": "be", "zh-yue": "yue", "zh-classical": "zh", "nb": "no",
    "nn": "no",
    "als": "de", "bar": "de", "pt-br": "pt", "zh-hans": "zh", "zh-hant": "zh", "de-at": "de", "de-ch": "de",
    "en-gb": "en",
}  # fmt: skip
"""Editions named otherwise than the language they write numbers and dates in."""
_MEDIA = re.compile(
    r"\.(jpe?g|png|svg|gif|tiff?|webp|xcf|ogg|oga|ogv|webm|mp3|mid|wav|flac|pdf|djvu|stl)\s*$", re.I
)

_DISAMBIGUATION = re.compile(
    r"\{\{\s*(disambig(uation)?|dab|hndis|geodis|human name disambiguation|place name disambiguation|"
    r"(letter|number|mathematical|species|school|hospital|road|airport)[- ]?\w* ?disambiguation|surname|"
    r"begriffsklärung|homonymie|desambiguaci[oó]n|desambiguação|disambigua|doorverwijspagina|"
    r"ujednoznacznienie|"
    r"неоднозначность|многозначность|пояснення|توضيح|aimai|曖昧さ回避|人名の曖昧さ回避|消歧义|消歧義|disambigpage|"
    r"동음이의|동명이인|बहुविकल्पी(?: शब्द)?)\s*(\||\}\})",
    re.I,
)
_DISAMBIGUATION_TITLE = re.compile(
    r"\((disambiguation|Begriffsklärung|homonymie|desambiguación|disambigua|значения|توضيح|曖昧さ回避|消歧义|消歧義|"
    r"동음이의|बहुविकल्पी)\)$"
)

_REDIRECT_WORDS = (
    "redirect weiterleitung redirection redirección rinvia rinvio rimando redirecionamento "
    "doorverwijzing перенаправление "
    "перенапр перенаправлення 転送 リダイレクト 重定向 patrz przekieruj przekierowanie tam omdirigering "
    "تحويل تغییر_مسیر تغییرمسیر "
    "đổi 넘겨주기 เปลี่ยนทาง הפניה अनुप्रेषित पुनर्प्रेषित पुनर्निर्देशित yönlendirme yönlendi̇rme yönlendir "
    "alih uudelleenohjaus "
    "ohjaus přesměruj viderestilling átirányítás redirecteaza ανακατευθυνση пренасочване виж преусмери "
    "preusmjeri "
    "გადამისამართება перанакіраванне পুনর্নির্দেশ পুনর্নির্দেশনা வழிமாற்று దారిమార్పు തിരിച്ചുവിടുക айдау stýring adkas "
    "stiùireadh athsheoladh birzuzendu redireccion redirecció preusmeritev suuna peradresavimas "
    "nukreipimas presmeruj "
    "ridirekto alidirektu ýönlendirme 重新導向 重新导向 转向 轉向".split()
)
REDIRECTS = tuple(word.replace("_", " ") for word in _REDIRECT_WORDS)
"""What stands after the hash of a redirect, in small letters; words of four letters also by form."""

CLOSING_SECTIONS = frozenset(
    section.strip()
    for section in """
    see also; references; reference; external links; external link; further reading; notes; footnotes;
    bibliography; citations; sources; notes and references; references and notes; works cited; gallery;
    publications; selected bibliography; other websites; related pages;
    reference literature; siehe auch; weblinks; einzelnachweise; literatur; anmerkungen;
    quellen; belege; fußnoten; literatur (auswahl); voir aussi; notes et références; liens externes;
    bibliographie; articles connexes; références; lien externe; annexes; véase también; referencias;
    enlaces externos; bibliografía; note; collegamenti esterni; altri progetti; voci correlate;
    см. также; примечания; литература; ссылки; источники; комментарии; вижте също; външни препратки;
    източници; бележки; انظر أيضا; انظر أيضًا; مراجع; المراجع; وصلات خارجية; المصادر; مصادر; هوامش;
    معرض صور; 関連項目; 脚注; 参考文献; 外部リンク; 出典; 注釈; 関連書籍; 注釈・出典; 関連文献;
    ギャラリー; 参见; 參見; 参考资料; 參考資料; 參考文獻; 外部链接; 外部連結; 注释; 註釋; 延伸阅读;
    延伸閱讀; 参看; 相關條目; 圖集; 图集; 备注; 같이 보기; 각주; 외부 링크; 참고 문헌; 주석; 참고자료;
    참고 자료; इन्हें भी देखें; सन्दर्भ; संदर्भ; बाहरी कड़ियाँ; टिप्पणी; चित्र दीर्घा; यह भी देखिए;
    बाहरी कड़ियां; mga sumpay ha gawas; mga kasarigan; bibliografia; zobacz też; przypisy;
    linki zewnętrzne; zie ook; externe links
    """.split(";")
)
"""Headings whose section holds links and citations, not prose; compared in lower case."""


@dataclass(frozen=True, slots=True)
class SiteNames:
    """Namespaces of one wiki, in lower case."""

    files: frozenset[str] = _FILE
    categories: frozenset[str] = _CATEGORY
    others: frozenset[str] = _OTHER
    dbname: str = ""
    xml_lang: str = ""
    """Language the header states, which shortened dumps may state wrongly."""

    @classmethod
    def parse(cls, header: bytes) -> Self:
        """Read the names a dump's header gives (keys 6 and 14); a header that does not parse gives none."""
        start, end = header.find(b"<siteinfo>"), header.find(b"</siteinfo>")
        stated = _XML_LANG.search(header)
        lang = stated[1].decode() if stated else ""
        if start < 0 or end < 0:
            return cls(xml_lang=lang)
        try:
            info = etree.fromstring(
                header[start : end + len(b"</siteinfo>")],
                etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False),
            )
        except etree.XMLSyntaxError:
            return cls(xml_lang=lang)
        names: dict[str, set[str]] = {"6": set(), "14": set(), "": set()}
        for space in info.iter("namespace"):
            key = space.get("key", "")
            names[key if key in names else ""].add((space.text or "").strip().lower())
        return cls(
            files=_FILE | names["6"],
            categories=_CATEGORY | names["14"],
            others=_OTHER | (names[""] - {""}),
            dbname=(info.findtext("dbname") or "").strip(),
            xml_lang=lang,
        )

    def database(self, file_name: str) -> str:
        """Which edition a dump belongs to: its file name where that says so, else its header.

        Page numbers repeat between editions, so they are no identity without this.

        Example:
            >>> SiteNames(dbname="enwiki").database("dewiki-mini.xml.bz2")
            'dewiki'
        """
        match = re.match(r"([a-z][a-z_]{1,15}wiki)(?=[-_.]|$)", file_name)
        return match[1] if match else self.dbname or "wiki"

    def language(self, file_name: str) -> str:
        """Language of an edition, which says how numbers and dates are written; ``en`` where nothing tells.

        Example:
            >>> SiteNames(dbname="enwiki").language("dewiki-mini.xml.bz2")
            'de'
            >>> SiteNames(dbname="ptwikibooks").language("dump.xml")
            'pt'
        """
        match = _EDITION.match(file_name) or _EDITION.match(self.dbname)
        code = match[1].replace("_", "-") if match else self.xml_lang.lower() or "en"
        return _LANGUAGES.get(code, code)

    def link_kind(self, target: str) -> str:
        """``file``, ``category``, ``other``, ``article``, or ``shown`` (``[[:File:..]]``)."""
        target = target.strip()
        if target.startswith(":"):
            return "shown"
        prefix, colon, rest = target.partition(":")
        if not colon:
            return "article"
        name = prefix.strip().replace("_", " ").lower()
        if name in self.files or _MEDIA.search(rest):
            return "file"
        if name in self.categories:
            return "category"
        if name in self.others or (prefix == name and _LANGUAGE_CODE.fullmatch(name)):
            return "other"
        return "article"


def is_disambiguation(title: str, wikitext: str) -> bool:
    """Whether a page only lists meanings of its title, in any of a dozen languages.

    Example:
        >>> is_disambiguation("Mercury", "'''Mercury''' may mean: ... {{disambiguation}}")
        True
    """
    return bool(_DISAMBIGUATION_TITLE.search(title) or _DISAMBIGUATION.search(wikitext))
