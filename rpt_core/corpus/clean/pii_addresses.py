"""IP addresses, told from version, section and enzyme numbers, ratios and hashes that look like them."""

import ipaddress
import re

_NOT_PERSONAL = frozenset({"0.0.0.0", "127.0.0.1", "255.255.255.255"})  # noqa: S104  (compared, not bound)
WINDOW = 120
"""Characters before a number that are looked at."""

_NUMBERED = (
    r"sections?|sec\.|§|chapters?|chap\.|paragraphs?|para\.|clauses?|articles?|art\.|rules?|items?|steps?|parts?|appendix|annex"
    r"|figures?|fig\.|tables?|tab\.|theorems?|thm\.|lemmas?|lemmata|propositions?|prop\.|corollary|corollaries|cor\."
    r"|definitions?|def\.|remarks?|rem\.|examples?|ex\.|exercises?|problems?|equations?|eqs?\.|formulas?|claims?"
    r"|axioms?|conjectures?|assumptions?|algorithms?|listings?|notations?|numbered|nos?\.|levels?|rfc|iso|iec|din"
    r"|abschnitt|kapitel|satz|s[äa]tze|abbildung|abb\.|tabelle|beispiel|th[ée]or[èe]me|teorema|sezione|secci[óo]n|cap[íi]tulo"
    r"|раздел|глава|теорема|ec(?: numbers?)?|enzymes?|commission(?: numbers?)?|oid|asn\.1"
)
_RELEASED = (
    r"versions?|ver\.?|v|releases?|rel\.?|builds?|firmware|drivers?|kernels?|packages?|librar(?:y|ies)|plug-?ins?"
    r"|patch(?:es)?|upgraded?|updated?|revisions?|rev\.?|editions?|versión|versione|версия|sdk|api|dll|bios"
    r"|openssl|chrom(?:e|ium)|firefox|safari|opera|windows|macos|mac os x?|ios|android|linux|ubuntu|debian"
    r"|fedora|python|java|jdk|jre|php|perl|ruby|node\.js|excel|photoshop|flash player|acrobat|skype|itunes"
    r"|mysql|oracle|postgres(?:ql)?|apache|nginx|tomcat|glibc|gcc|clang|matlab|numpy|pandas|scipy|tensorflow|cuda|unity"
)
_COUNTED = re.compile(
    # At the end of what stands before: one of the words, or the name of a package after such a word.
    rf"(?:(?<![^\W_])(?:(?:{_NUMBERED}|{_RELEASED})|(?:packages?|librar(?:y|ies)|drivers?|plug-?ins?|modules?)"
    r"\s{1,4}+[\w.+-]{1,40}|from\s{1,4}+version|lib[\w.+-]{1,40})|==|[<>~]=|[@^~])\s{0,4}+[:(\[]?\s{0,4}+\Z",
    re.I,
)
_LISTED = re.compile(
    r"(?<![\w.])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){1,4}\s{0,3}+"
    r"(?:,\s{0,3}+(?:(?:and|or|und|et|y)\b)?|[;&]|(?:and|or|to|through|until|und|bis|et|y)\b|[-–—])\s{0,3}+)+\Z",
    re.I,
)
"""The numbers before this one in a list, with what stands between them."""
_RELEASED_AFTER = re.compile(
    r"\A(?:\s?-?(?:rc|beta|alpha)\b|\s{1,4}+(?:(?:is|was|has been|or)\s{1,4}+)?"
    r"(?:released?|installed|newer|later|higher|shipped)\b)",
    re.I,
)
_NETWORK = re.compile(
    r"\bips?(?:v[46])?\b|address|ad[d]?resse|dirección|indirizzo|адрес|地址|アドレス|\bhosts?\b|hostname|servers?|\bdns\b|gateways?|routers?"
    r"|\bping|\bports?\b|subnet|network|\bnodes?\b|client|proxy|\bssh\b|telnet|\bhttps?\b|\bftp\b|\blan\b|\bvpn\b|\bnat\b"
    r"|firewall|blocked|banned|logged|login|traceroute|nameserver|resolver|connect|packet|vandal",
    re.I,
)
_NETWORK_AFTER = re.compile(r"\A(?::[0-9]{2,5}\b|/(?:[89]|[12][0-9]|3[0-2])\b)")
_SMALL = 32
"""Parts of version and section numbers are rarely as large as this."""


def is_ipv4(match: re.Match[str], text: str) -> bool:
    """Whether four numbers between points are an address, by themselves and by the words round them.

    After a word such as "Theorem", "OpenSSL" or "version", or in a list that begins after one, they are none.
    Four small numbers need more: a word such as "host" near by, a port, or the 10 of private networks.
    """
    try:
        ipaddress.IPv4Address(match[0])
    except ValueError:
        return False
    if match[0] in _NOT_PERSONAL:
        return False
    before = text[max(0, match.start() - WINDOW) : match.start()]
    if listed := _LISTED.search(before):
        before = before[: listed.start()]
    if _COUNTED.search(before) or _RELEASED_AFTER.match(text[match.end() : match.end() + 40]):
        return False
    parts = [int(part) for part in match[0].split(".")]
    if parts[0] == 10 or max(parts) >= _SMALL or parts == [8, 8, 8, 8]:
        return True
    return bool(_NETWORK.search(before[-48:])) or _is_networked(match, text)


_BLOCKS = tuple(
    ipaddress.IPv6Network(block)
    for block in ("2000::/3", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/32")
)
"""What IANA has given out, to hosts and networks; hash bytes and ratios fall elsewhere."""


def is_ipv6(match: re.Match[str], text: str) -> bool:
    """Whether groups between colons are an address: by its form, and by its block.

    A full one elsewhere counts as well when its groups are as long and mixed as no ratio's or hash's are.
    """
    shown = match[0].split("%")[0]
    try:
        address = ipaddress.IPv6Address(shown)
    except ValueError:
        return False
    if address.ipv4_mapped is not None:
        return "." in shown
    if any(address in block for block in _BLOCKS):
        # Of decimal digits alone, "2001::5", it may be the slice of an array or a row of years as well.
        return not _is_decimal(shown) or _is_networked(match, text)
    groups = shown.split(":")
    long = [group for group in groups if len(group) > 2]
    return "" not in groups and len(long) >= 4 and not _is_decimal(shown)


def _is_decimal(shown: str) -> bool:
    return shown.replace(":", "").isdecimal()


def _is_networked(match: re.Match[str], text: str) -> bool:
    """Whether a word of networks stands near, or a port or prefix length behind."""
    before, after = text[max(0, match.start() - 48) : match.start()], text[match.end() : match.end() + 24]
    return bool(_NETWORK_AFTER.match(after) or _NETWORK.search(before) or _NETWORK.search(after))
