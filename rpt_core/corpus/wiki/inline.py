"""Tags, outside links, switches, script variants and entities: what stands inside the lines of wikitext."""

import html
import re

from rpt_core.corpus.text.scripts import with_scripts

_BREAKING = "p|div|blockquote|poem|li|ul|ol|dl|dt|dd|center|tr|td|th|caption|h[1-6]|hr|table|tbody|section"
_TAG = re.compile(
    rf"<(?P<br>/?(?:br)\b)[^<>]{{0,300}}>|</?(?P<block>{_BREAKING})\b[^<>]{{0,600}}>"
    r"|</?(?:span|small|big|b|i|u|s|em|strong|font|cite|code|tt|sub|sup|abbr|var|del|ins|q|kbd|samp|a|bdi|bdo|strike|mark|"
    r"noinclude|onlyinclude|includeonly|nowiki|math|ref|references|ruby|rb|rt|rp|time|data|wbr|dfn|gallery|poem)\b[^<>]{0,600}>",
    re.IGNORECASE,
)
_EXTERNAL = re.compile(
    r"\[(?:(?:[a-z][a-z0-9+.]{1,11}:)?//?|(?:mailto|news|tel|sms|sips?|urn|geo|magnet|xmpp|bitcoin):)[^\s\[\]]{1,2000}"
    r"(?:[ \t]+([^\[\]\n]{0,500}))?\]",
    re.IGNORECASE,
)
_MAGIC = re.compile(r"__[^\W\d_a-z]{2,40}(?:_[^\W\d_a-z]{2,40}){0,4}__")
_VARIANT = re.compile(r"-\{([^{}]{0,300})\}-")
_QUOTES = re.compile(r"'{2,}")
_POEM = re.compile(r"(</?poem\b[^<>]{0,300}>)", re.IGNORECASE)


def in_lines(text: str) -> str:
    """The text with tags, outside links, quotes of bold and italic, switches and entities resolved."""
    text = with_scripts(_with_verses(text))
    text = _TAG.sub(lambda m: " " if m["br"] else "\n\n" if m["block"] else "", text)
    text = _EXTERNAL.sub(lambda m: m[1] or "", text)
    text = _VARIANT.sub(_variant, text)
    text = _MAGIC.sub("", _QUOTES.sub(_apostrophes, text))
    text = html.unescape(text) if "&" in text else text
    return text.replace("\xa0", " ").replace("\u200b", "").replace("\u00ad", "")


def _with_verses(text: str) -> str:
    """The lines of a ``<poem>`` set apart: elsewhere a line end is a blank."""
    parts = _POEM.split(text)
    for number in range(1, len(parts) - 1, 2):
        if not parts[number].startswith("</"):
            parts[number + 1] = parts[number + 1].replace("\n", "\n\n")
    return "".join(parts)


def _apostrophes(match: re.Match[str]) -> str:
    """Quotes that mean bold and italic vanish; a fourth one, or a sixth, is an apostrophe (``L''''Eau``)."""
    num = len(match[0])
    return "'" if num == 4 else "'" * (num - 5)


def _variant(match: re.Match[str]) -> str:
    """Chinese script variants ``-{zh-hans:A;zh-hant:B}-``: the first."""
    first = match[1].split(";")[0]
    return first.partition(":")[2] if ":" in first else first
