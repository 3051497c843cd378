r"""The prefix-matching reward: a byte-exact prefix on a token boundary earns 1 (RPT, eq. 3).

    r = 1 if Y == X[:len(Y)] and len(Y) in L_gt, else 0

X are the bytes of the true continuation, Y those of the prediction, L_gt the token boundaries: the cumulative
byte lengths of the true tokens. Nothing is stripped: a leading space is part of the prediction. An empty
prediction is on no boundary and earns nothing, and so does one that ends inside a token. A boundary inside
a UTF-8 character does not count either: half a character is no prediction that text could hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rpt_core.objectives.verdicts import END_OF_THOUGHT, Reading
from rpt_core.policy.codec import Codec

BOX = b"\\boxed{"


@dataclass(frozen=True, slots=True)
class Continuation:
    """The true continuation and where its tokens end."""

    content: bytes
    boundaries: frozenset[int]
    """Bytes after 1, 2, ... whole tokens, those inside a character left out."""


def read(answer: bytes, *, newline_escapes: bool = False, box: bytes = BOX) -> Reading | None:
    r"""Find the last ``\boxed{}`` after the end of the thought.

    Args:
        answer: All bytes of the answer, without its end token.
        box: What opens it.
        newline_escapes: Also read ``\n`` inside the box as a line break, for prompts whose examples write
            it so (RPT's template v4).

    Returns:
        None when there is no end of thought, or no closed box after it.

    Example:
        >>> read(b" so</think>\\boxed{ 7}").predictions
        (b' 7',)
        >>> read(b"\\boxed{ 7}</think> is all") is None
        True
    """
    thought, ended, rest = answer.partition(END_OF_THOUGHT)
    at = rest.rfind(box)
    if not ended or at < 0:
        return None
    inside = rest[at + len(box) :]
    ends = [end for end in (_balanced(inside), inside.rfind(b"}")) if end >= 0]
    readings = list(dict.fromkeys(inside[:end] for end in ends))
    if newline_escapes:
        readings += [text.replace(b"\\n", b"\n") for text in readings if b"\\n" in text]
    return Reading(thought, tuple(readings)) if readings else None


def truth_of(tokens: Sequence[bytes]) -> Continuation:
    """The continuation that these tokens spell.

    Example:
        >>> sorted(truth_of([b" para", b"meter", b"s"]).boundaries)
        [5, 10, 11]
    """
    content = b"".join(tokens)
    lengths, total = set(), 0
    for token in tokens:
        total += len(token)
        if total == len(content) or content[total] & 0xC0 != 0x80:
            lengths.add(total)
    if content and not _is_whole(content):
        lengths.discard(len(content))
    return Continuation(content, frozenset(lengths - {0}))


def is_prefix(prediction: bytes, truth: Continuation) -> bool:
    """Whether the prediction is a byte-exact prefix on a token boundary (RPT, eq. 3).

    Example:
        >>> truth = truth_of([b" para", b"meter", b"s"])
        >>> [is_prefix(y, truth) for y in (b" para", b" parameter", b" param", b"para", b"")]
        [True, True, False, False, False]
    """
    return len(prediction) in truth.boundaries and truth.content.startswith(prediction)


def num_whole_tokens(prediction: bytes, truth: Continuation) -> int:
    """True tokens that a right prediction holds, parts of a character counted with its last; 0 when wrong.

    Example:
        >>> truth = truth_of([b" para", b"meter", b"s"])
        >>> [num_whole_tokens(y, truth) for y in (b" para", b" parameters", b" param")]
        [1, 3, 0]
    """
    if not is_prefix(prediction, truth):
        return 0
    return sum(boundary <= len(prediction) for boundary in truth.boundaries)


def length_bonus(num_tokens: int, each: float, most: int) -> float:
    """What a right prediction of several tokens earns beside its 1; never less for a longer one.

    RPT pays every right prefix alike, so the safest answer is the shortest. This is the counter-measure:
    ``each`` for every token after the first, up to ``most`` tokens.

    Example:
        >>> [round(length_bonus(n, 0.1, 4), 1) for n in (0, 1, 2, 4, 9)]
        [0.0, 0.0, 0.1, 0.3, 0.3]
    """
    return each * max(min(num_tokens, most) - 1, 0)


def first_token(prediction: bytes, codec: Codec) -> int | None:
    """The token a prediction begins with when it is tokenised by itself; None where it is no text."""
    try:
        ids = codec.encode(prediction.decode())
    except UnicodeDecodeError:  # half a character is no text, and so no token of one
        return None
    return ids[0] if ids else None


def is_first_token(prediction: bytes, truth_id: int, codec: Codec) -> bool:
    """The first-token variant: the prediction's own first token is the true one, the rest is ignored."""
    return first_token(prediction, codec) == truth_id


def _balanced(inside: bytes) -> int:
    """Where the brace that closes the box stands; -1 when none does."""
    depth = 1
    for at, byte in enumerate(inside):
        depth += (byte == 0x7B) - (byte == 0x7D)
        if depth == 0:
            return at
    return -1


def _is_whole(content: bytes) -> bool:
    """Whether the bytes end with a whole character."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.end < len(content)
    return True
