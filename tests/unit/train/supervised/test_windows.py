"""Windows of documents: every token in exactly one, and none of a single token."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.train.supervised.windows import Windows, shuffled


class Letters:
    """A codec of one token a character, numbered through all texts."""

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        return [[ord(letter) for letter in text] for text in texts]


def windows(folder: Path, texts: list[str], size: int, split: str = "train") -> Windows:
    rows = [{"doc_id": str(i), "text": text, "split": split} for i, text in enumerate(texts)]
    rows.append({"doc_id": "x", "text": "of the other split", "split": "other"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    return Windows.build(folder, split, Letters(), size, folder / "tokens")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "cuts"),
    [(1, []), (2, [2]), (4, [4]), (5, [5]), (6, [4, 2]), (8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2])],
)
def test_a_last_token_alone_goes_with_its_neighbour(tmp_path: Path, length: int, cuts: list[int]):
    text = "abcdefghij"[:length]
    found = windows(tmp_path, [text], 4)
    assert [len(found[i]) for i in range(len(found))] == cuts
    assert "".join(chr(t) for i in range(len(found)) for t in found[i]) == (text if length > 1 else "")


def test_documents_are_counted_by_what_became_of_them(tmp_path: Path):
    found = windows(tmp_path, ["abcd", "", "x", "abcde", "abcdefgh"], 4)
    assert (found.num_documents, found.num_too_short, found.num_long_documents) == (5, 2, 2)
    assert ["".join(map(chr, found[i])) for i in range(len(found))] == ["abcd", "abcde", "abcd", "efgh"]
    assert len(windows(tmp_path, [], 4)) == 0


def test_every_epoch_uses_every_item_once_in_an_order_of_its_own():
    drawn = np.concatenate([shuffled(5, 2, step, seed=3) for step in range(1, 11)])
    epochs = drawn.reshape(4, 5)
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 1
    assert shuffled(5, 20, 1, seed=3).tolist() == drawn.tolist()
    assert shuffled(50, 50, 1, seed=3).tolist() != shuffled(50, 50, 1, seed=4).tolist()
