"""Results as targets: the number after an equals sign, asked for and answered as a whole.

Where digits are tokens of their own, the prefix rule (RPT, eq. 3) pays "2" for 24. Here the only boundary is
the number's end, so a prediction is right when it is the whole number and nothing after it.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rpt_core.corpus.text.arithmetic import NUMBER
from rpt_core.objectives.next_token.prefix import Continuation
from rpt_core.policy.codec import Codec

_NUMBER = NUMBER.encode()
_RESULT = re.compile(rb"=\s*(?:\\?\$|\xe2\x82\xac|\xc2\xa3)?\s*(?P<number>" + _NUMBER + rb")")
_FIRST = re.compile(rb"\s*" + _NUMBER)


def results(content: bytes) -> list[tuple[int, int]]:
    """Where the numbers after equals signs begin and end, in bytes; a currency's sign may stand between.

    Example:
        >>> results(b"48/2 = 24 clips, 24 = $1,200.50.")
        [(7, 9), (23, 31)]
    """
    return [match.span("number") for match in _RESULT.finditer(content)]


def begins_result(ids: Sequence[int], codec: Codec) -> NDArray[np.bool_]:
    """Which tokens begin a result: with its first digit, or with the blank before it.

    A number that no token ends with is none: there would be no boundary to answer up to.

    Args:
        ids: Tokens of a document.
        codec: Theirs.
    """
    starts, content = codec.byte_starts(ids), codec.to_bytes(list(ids))
    found = np.zeros(len(ids), bool)
    borders = set(starts.tolist())
    for begin, end in results(content):
        token = int(np.searchsorted(starts, begin, side="right")) - 1
        if end in borders and not content[starts[token] : begin].strip():
            found[token] = True
    return found


def whole_number(truth: Continuation) -> Continuation:
    """The number a continuation begins with, right as a whole alone; nothing is right where there is none.

    Example:
        >>> from rpt_core.objectives.next_token.prefix import is_prefix, truth_of
        >>> truth = whole_number(truth_of([b" ", b"2", b"4", b" clips"]))
        >>> [is_prefix(said, truth) for said in (b" 24", b" 2", b"24", b" 24 clips")]
        [True, False, False, False]
    """
    match = _FIRST.match(truth.content)
    ends = {match.end()} if match else set[int]()
    return Continuation(truth.content[: max(ends, default=0)], truth.boundaries & ends)
