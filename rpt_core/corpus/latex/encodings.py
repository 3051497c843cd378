r"""Bytes of a TeX file to text, by the encoding it declares (inputenc, XeTeX, CJK, an editor's note).

UTF-8 that is valid is UTF-8, whatever an old preamble says. Otherwise the declaration counts, from where it
stands; a tree's main file declares for the files it inputs. Without a declaration the bytes are Windows-1252,
as in most papers before 2010, unless the words they give cannot be Western ones.
"""

import codecs
import re
from collections.abc import Iterable

from rpt_core.corpus.files.streams import BrokenInput, decode
from rpt_core.corpus.latex.scan import LINE_CHARS, is_commented

_CODECS = {
    "latin1": "latin-1", "latin2": "iso8859-2", "latin3": "iso8859-3", "latin4": "iso8859-4",
    "latin5": "iso8859-9", "latin6": "iso8859-10", "latin7": "iso8859-13", "latin8": "iso8859-14",
    "latin9": "iso8859-15", "latin10": "iso8859-16", "isolatin1": "latin-1",
    "isolatin2": "iso8859-2", "isolatin9": "iso8859-15",
    **{f"cp{number}": f"cp{number}" for number in
       (437, 850, 852, 855, 858, 865, 866, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257)},
    "ansinew": "cp1252", "windows1251": "cp1251", "windows1252": "cp1252", "windows1250": "cp1250",
    "koi8r": "koi8-r", "koi8u": "koi8-u", "koi8ru": "koi8-u", "koi8": "koi8-r",
    "iso88595": "iso8859-5", "iso88597": "iso8859-7", "iso88591": "latin-1", "iso88592": "iso8859-2",
    "iso885915": "iso8859-15", "isocyr": "iso8859-5", "isogreek": "iso8859-7", "isolatingreek": "iso8859-7",
    "applemac": "mac-roman", "macroman": "mac-roman", "macce": "mac-latin2", "maccyr": "mac-cyrillic",
    "maccyrillic": "mac-cyrillic", "macukr": "mac-cyrillic", "pt154": "ptcp154",
    "ascii": "ascii", "usascii": "ascii",
    "utf8": "utf-8", "utf8x": "utf-8", "unicode": "utf-8",
    "gbk": "gb18030", "gb": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "euccn": "gb18030",
    "bg5": "big5hkscs", "big5": "big5hkscs", "bg5hk": "big5hkscs", "big5hk": "big5hkscs",
    "sjis": "cp932", "shiftjis": "cp932", "jis": "euc-jp", "eucjp": "euc-jp",
    "ks": "cp949", "euckr": "cp949", "uhc": "cp949", "kscp949": "cp949",
}  # fmt: skip
"""Names of inputenc, CJK, XeTeX and editors, small and without marks -> Python's codec."""
_CJK = frozenset({"gb18030", "big5hkscs", "cp932", "euc-jp", "cp949"})
_DECLARED = re.compile(
    rb"\\usepackage[ \t]*+\[([^\]\[{}]{1,200})\][ \t]*+\{[^{}]{0,200}\binputenc\b[^{}]{0,200}\}"
    rb"|\\inputencoding[ \t]*+\{([\w-]{1,40})\}"
    rb"|\\XeTeX(?:input|default)encoding[ \t]*+[\"{]?[ \t]*+([\w-]{1,40})"
    rb"|\\begin\{CJK\*?\}(?:\[[^\]\n]{0,80}\])?\{([\w-]{1,40})\}"
    rb"|\\CJKenc\{([\w-]{1,40})\}"
    rb"|%[ \t]*+(?:!TEX[ \t]*+encoding[ \t]*+=|-\*-[ \t]*+coding:)[ \t]*+([\w-]{1,40})"
    rb"|(\\end\{CJK\*?\})"
)
_CLASS_OPTIONS = re.compile(rb"\\document(?:class|style)[ \t]*+\[([^\]]{1,500})\]")
_INPUTENC = re.compile(rb"\\usepackage[ \t]*+\{[^{}]{0,200}\binputenc\b")
_FOREIGN_RUN = re.compile(r"[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]{4}")
"""Four accented letters in a row: no word of a Western language, but most words of a Cyrillic one misread."""
_UNKNOWN = "?"
"""Before the name of a declared encoding that is in no table."""
_MANY_CHARS = 4
"""So many characters beyond ASCII are valid UTF-8 by chance in no other encoding."""


def codec_of(name: str) -> str | None:
    """Python's name of an encoding as TeX's packages call it; None when nobody knows it.

    Example:
        >>> codec_of("koi8-r"), codec_of("GBK"), codec_of("martian")
        ('koi8-r', 'gb18030', None)
    """
    return _CODECS.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def declared_encoding(contents: Iterable[bytes]) -> str | None:
    """The first encoding that a tree's files declare outside of a CJK environment."""
    for data in contents:
        for start, codec, for_good in _declarations(data):
            if codec and for_good and start >= 0:
                return codec
    return None


def decode_tex(data: bytes, inherited: str | None = None) -> str:
    r"""Text of one TeX file; line ends as ``\n``.

    Args:
        data: Its bytes.
        inherited: Codec that the main file of its tree declares.

    Raises:
        Broken: ``not-utf-8``: the encoding is not known; or none is declared, and this is no Western text.

    Example:
        >>> decode_tex(rb"\usepackage[cp1251]{inputenc} " + "да".encode("cp1251"))[-2:]
        'да'
    """
    declared = [] if data.isascii() else list(_declarations(data))
    text = _as_unicode(data, any(codec in _CJK for _, codec, _ in declared) or inherited in _CJK)
    if text is None:
        text = "".join(_segments(data, declared, inherited))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _as_unicode(data: bytes, maybe_cjk: bool) -> str | None:
    """UTF-8 or UTF-16 by its mark; None for other bytes, and for few that a CJK encoding may have meant."""
    try:
        text = decode(data)
    except BrokenInput:
        return None
    if maybe_cjk and not text.isascii() and sum(not char.isascii() for char in text) < _MANY_CHARS:
        return None
    return text


def _declarations(data: bytes) -> list[tuple[int, str | None, bool]]:
    """Where which codec begins, and whether it holds beyond an environment (None: the one before)."""
    found: list[tuple[int, str | None, bool]] = []
    for match in _DECLARED.finditer(data):
        comment = match[6] is not None
        before = data[max(0, match.start() - LINE_CHARS) : match.start()]
        if not comment and is_commented(before.decode("latin-1")):
            continue
        if match[7]:
            found.append((match.end(), None, False))
            continue
        names = next(part for part in match.groups() if part).decode("ascii", "replace")
        named = [codec for name in names.split(",") if (codec := codec_of(name))]
        if named or not comment:
            found.append((match.end(), named[-1] if named else f"{_UNKNOWN}{names}", match[4] is None))
    options = _CLASS_OPTIONS.search(data)
    if options and _INPUTENC.search(data):
        for name in options[1].decode("ascii", "replace").split(","):
            if codec := codec_of(name):
                found.insert(0, (options.end(), codec, True))
    return found


def _segments(
    data: bytes, declared: list[tuple[int, str | None, bool]], inherited: str | None
) -> Iterable[str]:
    position, codec, outer = 0, inherited, inherited
    first = next((named for _, named, for_good in declared if named and for_good), None)
    if codec is None and first:
        # What stands before the declaration (a title in a comment, say) is of the same editor.
        codec = outer = first
    for start, named, for_good in declared:
        if named == codec:
            continue
        yield _decoded(data[position:start], codec)
        position, codec = start, named if named else outer
        if for_good:
            outer = named
    yield _decoded(data[position:], codec)


def _decoded(data: bytes, codec: str | None) -> str:
    if data.isascii():
        return data.decode("ascii")
    if codec in ("utf-8", "ascii") or (codec is None and _mostly_utf8(data)):
        # A stray byte of another editor in UTF-8.
        return data.decode("utf-8", _STRAY)
    if codec and codec.startswith(_UNKNOWN):
        raise BrokenInput("not-utf-8", f"the file declares the encoding {codec[1:]!r}, which is not known")
    if codec:
        return data.decode(codec, "replace")
    text = data.decode("latin-1" if any(byte in data for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252")
    if run := _FOREIGN_RUN.search(text):
        raise BrokenInput("not-utf-8", f"no encoding is declared, and as Latin-1 it reads {run[0]!r}")
    return text


def _mostly_utf8(data: bytes) -> bool:
    """Whether far more of the bytes beyond ASCII are whole UTF-8 characters than are not."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return sum(not char.isascii() for char in text) - wrong > 4 * wrong


def _stray(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


_STRAY = "rpt-stray-cp1252"
codecs.register_error(_STRAY, _stray)
