"""Addresses without what must stay secret: for everything that is printed, logged or written down."""

import re

HIDDEN = "***"
_LOGIN = re.compile(r"(?<=://)(?:[^\s/?#@]*@)+")
_LOGIN_WITH_SLASH = re.compile(r"(?<=://)[^\s/?#@:\[]+:(?!\d*(?:[/?#\s\"']|$))[^\s\"'<>]*@")
_QUERY = re.compile(
    r"(?i)([?&](?:[\w-]*(?:password|passwd|secret|token|signature|credential)|api[-_]?key|access[-_]?key|sig)=)"
    r"[^&#\s\"'<>]+"
)


def without_password(text: str) -> str:
    """A text with the logins, and the keys in queries, of all its addresses hidden.

    Example:
        >>> without_password("http://me:s3cret@judge:8000/v1 refuses")
        'http://***@judge:8000/v1 refuses'
        >>> without_password("https://host/x?part=1&X-Amz-Signature=ab12")
        'https://host/x?part=1&X-Amz-Signature=***'
        >>> without_password("http://127.0.0.1:8000/v1/math@3")
        'http://127.0.0.1:8000/v1/math@3'
    """
    for pattern in (_LOGIN_WITH_SLASH, _LOGIN):
        text = pattern.sub(f"{HIDDEN}@", text)
    return _QUERY.sub(rf"\g<1>{HIDDEN}", text)


def holds_password(address: str) -> bool:
    """Whether an address carries a login or a key that would be written down with it."""
    return without_password(address) != address


def refuse_password(address: str) -> str:
    """The address of an endpoint, unchanged: a validator for recipes, whose every field is recorded.

    Raises:
        ValueError: it carries a login or a key; says where these belong.
    """
    if holds_password(address):
        raise ValueError(
            "the address carries a login or a key, which every record of the run would repeat; "
            "give it without, and export RPT_JUDGE_KEY=<key> or RPT_JUDGE_LOGIN=<user>:<password>"
        )
    return address
