"""Which places are asked, what is refused and counted, and the order they come up in."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.errors import RecipeError
from rpt_core.objectives.positions import CODEC_KEY, Positions, Rounds, Rules, truth_ids, window_of
from rpt_core.policy.codec import Codec
from tests.unit.small_corpus import write_corpus

MARKED = "He wrote </think> and \\boxed{ 7} on the 壁, twice."


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> Codec:
    return Codec.train(["a few words, not many " * 20], 290, tmp_path_factory.mktemp("codec"))


def write_difficulty(folder: Path, codec: Codec, entropy: float = 2.0, **fingerprint: str) -> Path:
    """Every token of the corpus equally hard."""
    documents = pq.read_table(folder / "documents.parquet").to_pylist()
    ids = [codec.encode(row["text"]) for row in documents]
    scores = [[None, *[entropy] * (len(row) - 1)] for row in ids]
    table = pa.table(
        {
            "doc_id": [row["doc_id"] for row in documents],
            "token_ids": pa.array(ids, pa.list_(pa.int32())),
            "entropy_nats": pa.array(scores, pa.list_(pa.float32())),
            "nll_nats": pa.array(scores, pa.list_(pa.float32())),
        }
    )
    metadata = {CODEC_KEY: fingerprint.get("fingerprint", codec.fingerprint())}
    pq.write_table(table.replace_schema_metadata(metadata), folder / "tokens.parquet", row_group_size=7)
    return folder


@pytest.fixture(scope="module")
def folder(codec: Codec, tmp_path_factory) -> Path:
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), 30, extra=(MARKED, "x", "long " * 300))
    return write_difficulty(folder, codec)


def opened(
    folder: Path, codec: Codec, split: str = "train", floor: float = 1.5, window: int = 64
) -> Positions:
    return Positions.open(folder, folder, codec, Rules(floor, window), split)


def test_every_token_is_eligible_or_refused_for_one_reason(folder: Path, codec: Codec):
    found = opened(folder, codec)
    rows = pq.read_table(folder / "tokens.parquet").to_pylist()
    split = {r["doc_id"]: r["split"] for r in pq.read_table(folder / "documents.parquet").to_pylist()}
    tokens = sum(len(row["token_ids"]) for row in rows if split[row["doc_id"]] == "train")
    assert found.balance.rows_in == tokens == found.num + sum(found.balance.dropped.values())
    assert found.balance.dropped["no-token-before"] == sum(of == "train" for of in split.values())
    assert found.balance.dropped["inside-a-character"] == 2
    markers = sum(len(codec.encode(text)) for text in ("</think>", "\\boxed{"))
    assert found.balance.dropped["answer-marker"] == markers


def test_held_out_documents_never_train(folder: Path, codec: Codec):
    ids = {}
    for split in ("train", "eval"):
        found = opened(folder, codec, split)
        ids[split] = {found.read(index).doc_id for index in range(len(found.counts))}
    assert ids["eval"]
    assert not ids["train"] & ids["eval"]


def test_the_floor_is_inclusive_and_nothing_may_be_left(folder: Path, codec: Codec):
    assert opened(folder, codec, floor=2.0).num
    none = opened(folder, codec, floor=2.1)
    assert none.num == 0
    assert "below-the-floor" in none.why_none()


def test_another_tokenizer_is_refused_by_name(codec: Codec, tmp_path: Path):
    folder = write_difficulty(write_corpus(tmp_path, 12), codec, fingerprint="f00")
    with pytest.raises(RecipeError, match="another tokenizer"):
        opened(folder, codec)


def test_windows_own_every_position_once_and_show_what_came_before(folder: Path, codec: Codec):
    size = 64
    found = opened(folder, codec, window=size)
    seen = Counter()
    for index in range(len(found.counts)):
        window = found.read(index)
        assert len(window.positions) == found.counts[index]
        seen.update((window.doc_id, int(t)) for t in window.positions)
        for t in window.positions:
            assert window.start <= t < window.end
            assert t - window.start >= min(t, size // 2 - 1)
    assert set(seen.values()) == {1}
    assert len(seen) == found.num


def test_window_of_the_long_document_is_deep(folder: Path, codec: Codec):
    assert window_of(np.arange(64), 64).tolist() == [0] * 64
    assert window_of(np.array([64, 95, 96]), 64).tolist() == [1, 1, 2]


def test_a_truth_ends_before_a_marker(folder: Path, codec: Codec):
    found = opened(folder, codec)
    windows = [found.read(index) for index in range(len(found.counts))]
    marked = next(w for w in windows if b"wrote" in codec.to_bytes(w.document_ids.tolist()))
    truth = codec.to_bytes(truth_ids(marked, int(marked.positions[0]), 64, codec))
    assert b"wrote".endswith(truth[-3:-1]) or truth.endswith(b" ")
    assert b"<" not in truth


def items(rounds: Rounds, cursor: int, num: int) -> list[tuple[int, int]]:
    return [(owner, int(i)) for owner, which in rounds.take(cursor, num) for i in which]


def test_an_epoch_uses_every_item_once():
    rounds = Rounds(np.array([7, 0, 3, 4, 1], np.int32), per_visit=3, seed=1)
    epoch = items(rounds, 0, 15)
    assert len(set(epoch)) == len(epoch) == 15
    assert {owner: max(i for o, i in epoch if o == owner) + 1 for owner, _ in epoch} == {
        0: 7,
        2: 3,
        3: 4,
        4: 1,
    }
    assert set(items(rounds, 15, 15)) == set(epoch)
    assert items(rounds, 15, 15) != epoch


@pytest.mark.parametrize("sizes", [[4, 4, 4, 3], [1] * 15, [15], [2, 9, 4]])
def test_the_order_does_not_depend_on_how_much_is_drawn_at_once(sizes: list[int]):
    rounds = Rounds(np.array([7, 0, 3, 4, 1], np.int32), per_visit=3, seed=2)
    found: list[tuple[int, int]] = []
    for size in sizes:
        found += items(rounds, len(found), size)
    assert Counter(found) == Counter(items(rounds, 0, 15))
    assert [owner for owner, _ in found] == [owner for owner, _ in items(rounds, 0, 15)]


def test_rounds_visit_each_owner_once_before_any_twice():
    rounds = Rounds(np.full(20, 6, np.int32), per_visit=2, seed=0)
    first = [owner for owner, _ in rounds.take(0, 40)]
    assert sorted(first) == list(range(20))
