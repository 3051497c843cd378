"""Licences by one short name, whatever address or sentence a source names them by."""

import re

UNKNOWN = "unknown"
_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<kind>by(?:-nc)?(?:-sa|-nd)?)|publicdomain/(?P<public>zero|mark))"
)
_WORDS = re.compile(r"\bcc[ -]?(?P<kind>by(?:[ -]nc)?(?:[ -](?:sa|nd))?)\b", re.IGNORECASE)
_OTHERS = (
    ("arxiv", re.compile(r"arxiv\.org/licenses/(nonexclusive|assumed)", re.IGNORECASE)),
    ("cc0", re.compile(r"\bcc[ -]?0\b|creative commons zero", re.IGNORECASE)),
    ("public-domain", re.compile(r"public domain", re.IGNORECASE)),
    ("apache-2.0", re.compile(r"apache", re.IGNORECASE)),
    ("mit", re.compile(r"\bmit\b", re.IGNORECASE)),
    ("bsd", re.compile(r"\bbsd\b", re.IGNORECASE)),
    ("gfdl", re.compile(r"\bgfdl\b|free documentation", re.IGNORECASE)),
)


def licence_name(stated: str) -> str:
    """``cc-by``, ``cc-by-sa``, ``cc0``, ``public-domain``, ``arxiv`` ...; ``unknown`` for no or another one.

    Versions and countries are left out: a filter asks what a reader may do. ``arxiv`` is arXiv's own licence,
    which lets arXiv distribute a paper and nobody else.

    Example:
        >>> licence_name("http://creativecommons.org/licenses/by-nc-sa/4.0/"), licence_name("CC BY-SA")
        ('cc-by-nc-sa', 'cc-by-sa')
        >>> licence_name("http://arxiv.org/licenses/nonexclusive-distrib/1.0/"), licence_name("")
        ('arxiv', 'unknown')
    """
    if address := _ADDRESS.search(stated):
        if address["public"]:
            return "cc0" if address["public"] == "zero" else "public-domain"
        return f"cc-{address['kind']}"
    if words := _WORDS.search(stated):
        return f"cc-{words['kind'].lower().replace(' ', '-')}"
    return next((name for name, pattern in _OTHERS if pattern.search(stated)), UNKNOWN)
