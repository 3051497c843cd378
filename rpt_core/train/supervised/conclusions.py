"""What the thoughts of a teacher that errs conclude: boxed in place of the truth, right or not."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from rpt_core.corpus.tables import BOXED, read_rows
from rpt_core.policy.codec import Codec


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a thought comes to, and the words of the text that stand in that place."""

    answer: str
    boxed: str

    def in_place_of(self, text: str, at: int) -> str:
        """A text that states the conclusion where it stated the answer, ``at`` code points from its start.

        Example:
            >>> Conclusion(" 4", " 11").in_place_of("It shows 4.", 8)
            'It shows 11.'
        """
        return text[:at] + self.boxed + text[at + len(self.answer) :]


Conclusions = Mapping[int, Conclusion]
"""By the code points of the document before the place."""


def read_conclusions(corpus: Path, *, whole: bool = False) -> dict[str, dict[int, Conclusion]]:
    """By document; empty where the corpus's teacher says nothing of its own.

    Args:
        corpus: Folder of a corpus artifact.
        whole: Whether a trace without a conclusion of its own concludes its whole answer.
    """
    file = corpus / "traces.parquet"
    found: dict[str, dict[int, Conclusion]] = defaultdict(dict)
    known = file.is_file() and BOXED.name in pq.read_schema(file).names
    if known or (whole and file.is_file()):
        columns = ["doc_id", "char_offset", "answer", *([BOXED.name] if known else [])]
        for row in read_rows(file, columns):
            if boxed := row.get(BOXED.name) or (row["answer"] if whole else ""):
                found[row["doc_id"]].setdefault(row["char_offset"], Conclusion(row["answer"], boxed))
    return found


@dataclass(frozen=True, slots=True)
class BoxedIds:
    """A conclusion in tokens."""

    ids: tuple[int, ...]
    truth_end: int | None
    """Document token after the true answer; None where that ends inside a token."""

    def shown(self, document: Sequence[int], start: int, num_more: int) -> tuple[int, ...]:
        """The conclusion and up to ``num_more`` tokens that follow the answer in the text.

        Args:
            document: Tokens of a window.
            start: First of them in the document.
            num_more: Tokens after the answer.
        """
        if self.truth_end is None:
            return self.ids
        at = self.truth_end - start
        return (*self.ids, *map(int, document[at : at + num_more]))


def boxed_ids(places: Conclusions, ids: Sequence[int], codec: Codec) -> dict[int, BoxedIds]:
    """The conclusions of one document in tokens, by the token they stand at; those between tokens left out.

    Args:
        places: Its conclusions.
        ids: All tokens of the document.
        codec: Of the tokens.
    """
    if not places:
        return {}
    offsets = enumerate(codec.char_offsets(list(ids)))
    token_at = {int(offset): token for token, offset in offsets if offset >= 0}
    return {
        token_at[offset]: BoxedIds(tuple(codec.encode(one.boxed)), token_at.get(offset + len(one.answer)))
        for offset, one in places.items()
        if offset in token_at
    }
