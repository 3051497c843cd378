"""What a tokenizer must show when it is loaded: texts come back, and ids are those of the folder's own."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from tokenizers import Tokenizer

from rpt_core.errors import RecipeError
from rpt_core.policy.tokens.chat import render


class Encoder(Protocol):
    """What is checked: :class:`rpt_core.policy.codec.Codec`, as far as the checks look at it."""

    end_ids: frozenset[int]
    begin_ids: tuple[int, ...]
    chat_template: str | None

    @property
    def pad_id(self) -> int:
        """What pads a row."""

    def encode(self, text: str) -> list[int]:
        """Ids of data."""

    def encode_template(self, text: str) -> list[int]:
        """Ids of words around data, control tokens included."""

    def opening(self, text: str, *, of_template: bool = False) -> list[int]:
        """Ids of the words a row begins with."""

    def to_bytes(self, ids: Iterable[int]) -> bytes:
        """Bytes of ids."""

    def special_names(self) -> dict[str, str]:
        """Names a chat template may use."""


PROBES = (
    "The sum of 12 and 30 is 42.\n\n\tSo  x = 7.",
    "数学は言葉であり、言葉は数学ではない。",
    "na\u00efve, nai\u0308ve; \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \U0001f469\u200d\U0001f680",
    r"\frac{a}{b} = \boxed{c} % } {",
    " <think>text</think><|endoftext|><|im_end|></s><s>[INST]",
)
"""What every tokenizer must give back unchanged when it is loaded."""

SAME_IDS = (PROBES[0], PROBES[1], "def f(x):\n    return x ** 2  # it's done", "Hello")
"""What must get the ids of the folder's own tokenizer: composed characters and no control words, for there
our encoding of data differs on purpose."""

QUESTION = "2 plus 2"
"""The document of the chat template's check: digits at its edges merge with nothing."""

EDGE_TOKENS = 2
"""Words of a template right beside the document may share a token with it when all is encoded in one piece.
Here they never do: a document has the same tokens in every prompt."""


def check_texts(codec: Encoder, own: Tokenizer) -> None:
    """Texts come back byte for byte, hold no control token, and get the ids they get from ``own``.

    Raises:
        RecipeError: with the text and both outcomes.
    """
    for probe in PROBES:
        ids = codec.encode(probe)
        back = codec.to_bytes(ids)
        controls = [token for token in ids if token in codec.end_ids | {codec.pad_id}]
        if back != probe.encode() or controls:
            found = f"came back as {back!r}" if back != probe.encode() else f"gave control tokens {controls}"
            raise RecipeError(
                f"the tokenizer does not give back what it is given: {probe!r} became {len(ids)} tokens and "
                f"{found}. Rewards compare bytes, so such a tokenizer cannot be trained with. Check that the "
                "folder holds the whole tokenizer.json: an incomplete one encodes everything to nothing."
            )
    for probe in SAME_IDS:
        theirs: list[int] = own.encode(probe, add_special_tokens=False).ids
        ours = codec.encode(probe)
        # a blank before the first word is the only thing data is encoded without
        if theirs not in (ours, codec.encode(f" {probe}")):
            raise RecipeError(
                f"the tokenizer changes texts before it encodes them: {probe!r} is {_some(theirs)} for the "
                f"folder's own tokenizer and {_some(ours)} spelled byte for byte, which rewards need. The "
                "model would read other tokens than it was trained with. Take a model whose tokenizer has no "
                "such normaliser (byte-level BPE, or SentencePiece BPE with byte fallback)."
            )


def check_template(codec: Encoder, own: Tokenizer) -> None:
    """A conversation in pieces has the ids that ``own`` gives the template's text in one piece.

    Raises:
        RecipeError: with both, or what :func:`rpt_core.policy.tokens.chat.render` says of the template.
    """
    if codec.chat_template is None:
        return
    text = render(codec.chat_template, [{"role": "user", "content": QUESTION}], codec.special_names())
    head, found, tail = text.partition(QUESTION)
    if not found:
        return  # the prompt that needs it says so
    opening, ending = codec.opening(head, of_template=True), codec.encode_template(tail)
    ours = opening + codec.encode(QUESTION) + ending
    theirs: list[int] = own.encode(text, add_special_tokens=False).ids
    begin = list(codec.begin_ids)
    if theirs[: len(begin)] != begin:  # a template may write BOS itself
        theirs = begin + theirs
    same_start, same_end = _shared(ours, theirs), _shared(ours[::-1], theirs[::-1])
    if same_start < len(opening) - EDGE_TOKENS or same_end < len(ending) - EDGE_TOKENS:
        raise RecipeError(
            f"the chat template's words get other ids in pieces, {_some(ours)}, than the folder's own "
            f"tokenizer gives them in one piece, {_some(theirs)}: the model would read a prompt it was not "
            "trained with. Remove chat_template to use plain headings, or take another model."
        )


def words_come_back(codec: Encoder, text: str, ids: list[int], *, loosely: bool) -> list[int]:
    """The ids, once it is sure that they spell the words.

    Args:
        codec: Knows the bytes of the ids.
        text: Words of ours or of a chat template.
        ids: What they became.
        loosely: Blanks may differ: the tokenizer puts one before a first word, or some of its control
            tokens take those beside them.

    Raises:
        RecipeError: they spell something else.
    """
    back, wanted = codec.to_bytes(ids), text.encode()
    if back != wanted and not (loosely and _solid(back) == _solid(wanted)):
        raise RecipeError(
            f"the tokenizer does not give back a prompt: {text[:200]!r} became {back[:200]!r}, so "
            "the model would not be asked what the recipe says. Take a model whose tokenizer spells every "
            "text (byte-level BPE, or SentencePiece BPE with byte fallback)."
        )
    return ids


def _solid(words: bytes) -> bytes:
    return re.sub(rb"\s+", b"", words)


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _some(ids: Sequence[int]) -> str:
    more = f" ... ({len(ids)} in all)" if len(ids) > 24 else ""
    return f"{list(ids[:24])}{more}"
