"""Which places are asked, what is refused and counted, and the order they come up in."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.positions import Positions, Rules, Scored, truth_ids
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.rounds import Rounds
from rpt_core.objectives.windows import CODEC_KEY, CONTEXT_COLUMN, window_of
from rpt_core.policy.codec import Codec
from rpt_core.recipes.objectives import RptObjective
from tests.unit.corpus.small_corpus import write_corpus
from tests.unit.difficulty.small_difficulty import write_difficulty

MARKED = "He wrote </think> and \\boxed{ 7} on the 壁, twice."


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> Codec:
    return Codec.train(["a few words, not many " * 20], 290, tmp_path_factory.mktemp("codec"))


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


def test_a_token_of_a_whole_character_does_not_begin_inside_one(folder: Path, tmp_path: Path):
    codec = Codec.train(["éé è ü ö " * 60], 300, tmp_path)
    ids = np.array(codec.encode("é è"), np.int32)
    whole = [codec.token_bytes(int(index)) for index in ids]
    assert any(one[-1] & 0xC0 == 0x80 and one[0] & 0xC0 != 0x80 for one in whole)
    nats = np.full(len(ids), 2.0, np.float32)
    refused: dict[str, int] = {}
    found = Positions(folder, Rules(1.5, 64), codec)._eligible(Scored("d", ids, nats, nats), refused)
    assert found.tolist() == list(range(1, len(ids)))
    assert refused == {"no-token-before": 1}


def test_a_document_without_a_problem_has_no_statement_to_leave_out(folder: Path, codec: Codec):
    ids = np.array(codec.encode("壁 then"), np.int32)
    inside = sum(codec.token_bytes(int(index))[0] & 0xC0 == 0x80 for index in ids)
    assert inside == 2  # its first character is three tokens
    nats = np.full(len(ids), 2.0, np.float32)
    for contexts, reason in (({}, "inside-a-character"), ({"d": 1}, "problem-statement")):
        refused: dict[str, int] = {}
        positions = Positions(folder, Rules(1.5, 64), codec, contexts=contexts)
        positions._eligible(Scored("d", ids, nats, nats), refused)
        assert refused == {"no-token-before": 1, reason: 2}


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
    content = codec.to_bytes(marked.document_ids.tolist())
    position = int(marked.positions[0])
    truth = codec.to_bytes(truth_ids(marked, position, 64, codec))
    before = codec.to_bytes(marked.document_ids[:position].tolist())
    assert content.startswith(before + truth + b"</think>")
    assert codec.to_bytes(truth_ids(marked, position, 1, codec)) == codec.token_bytes(
        int(marked.document_ids[position])
    )


def write_mixed(folder: Path, codec: Codec) -> Path:
    """Entropies 0 to 4 by chance, surprises 0 to 8; token 0 of a document is not scored."""
    write_difficulty(folder, codec)
    rows = pq.read_table(folder / "tokens.parquet")
    rng = np.random.default_rng(3)
    lengths = [len(ids) for ids in rows["token_ids"].to_pylist()]
    scores = {
        name: pa.array(
            [[None, *rng.uniform(0, top, n - 1).tolist()] for n in lengths], pa.list_(pa.float32())
        )
        for name, top in (("entropy_nats", 4), ("nll_nats", 8))
    }
    for name, column in scores.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    pq.write_table(rows, folder / "tokens.parquet", row_group_size=5)
    return folder


@pytest.fixture(scope="module")
def mixed(codec: Codec, tmp_path_factory) -> Path:
    return write_mixed(write_corpus(tmp_path_factory.mktemp("mixed"), 30), codec)


def numbers_of(found: Positions) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and surprise of everything eligible."""
    nats = np.concatenate([found.read(i).entropies_nats for i in range(len(found.counts))])
    table = {
        r["doc_id"]: r["nll_nats"]
        for r in pq.read_table(found.tokens, columns=["doc_id", "nll_nats"]).to_pylist()
    }
    windows = [found.read(i) for i in range(len(found.counts))]
    return nats, np.array([table[w.doc_id][t] for w in windows for t in w.positions])


def chosen(folder: Path, codec: Codec, **changes) -> Positions:
    put = NextToken.of(RptObjective(prompt="compact", entropy_floor_nats=1.0, **changes), codec)
    return Positions.open(folder, folder, codec, put.training_rules(256), "train")


def test_the_top_share_is_the_share_asked_for(mixed: Path, codec: Codec):
    whole = chosen(mixed, codec, choose="random")
    tokens = whole.num + whole.balance.dropped.get("below-the-floor", 0)
    for share in (0.05, 0.2, 0.5):
        found = chosen(mixed, codec, choose="top-share", top_share=share)
        assert found.num == pytest.approx(share * tokens, rel=0.05)
        assert numbers_of(found)[0].min() >= np.quantile(numbers_of(whole)[0], 1 - share) - 0.05


def test_the_top_share_is_exact_where_entropies_are_distinct(codec: Codec, tmp_path: Path):
    """Eight scored tokens of distinct entropy: a quarter of them is two, half is four."""
    text = "abcdefghi"
    ids = codec.encode(text)
    assert len(ids) == 9
    folder = write_corpus(tmp_path, 1, 1)
    documents = pq.read_table(folder / "documents.parquet").slice(0, 1)
    for name, value in (("text", text), ("split", "train")):
        place = documents.schema.get_field_index(name)
        documents = documents.set_column(place, name, pa.array([value]))
    pq.write_table(documents, folder / "documents.parquet")
    nats = [None, 0.7, 0.3, 0.8, 0.1, 0.5, 0.2, 0.6, 0.4]
    schema = pa.schema(
        [("doc_id", pa.string()), ("token_ids", pa.list_(pa.int32()))]
        + [(name, pa.list_(pa.float32())) for name in ("entropy_nats", "nll_nats")],
        metadata={CODEC_KEY: codec.fingerprint()},
    )
    row = {"doc_id": documents["doc_id"][0].as_py(), "token_ids": ids, "entropy_nats": nats, "nll_nats": nats}
    pq.write_table(pa.Table.from_pylist([row], schema), folder / "tokens.parquet")
    for share, positions in ((0.125, [3]), (0.25, [1, 3]), (0.5, [1, 3, 5, 7]), (1.0, [*range(1, 9)])):
        found = chosen(folder, codec, choose="top-share", top_share=share)
        assert found.read(0).positions.tolist() == positions


def test_random_positions_know_no_floor(mixed: Path, codec: Codec):
    found = chosen(mixed, codec, choose="random")
    assert "below-the-floor" not in found.balance.dropped
    assert numbers_of(found)[0].min() < 0.1


def test_noise_guards_are_counted(mixed: Path, codec: Codec):
    found = chosen(mixed, codec, entropy_ceiling_nats=3.0, surprise_ceiling_nats=5.0)
    nats, surprise = numbers_of(found)
    assert nats.min() >= 1.0
    assert nats.max() <= 3.0
    assert surprise.max() <= 5.0
    assert found.balance.dropped["above-the-ceiling"] > 0
    assert found.balance.dropped["too-surprising"] > 0
    assert found.balance.rows_in == found.num + sum(found.balance.dropped.values())


def test_held_out_questions_are_the_same_however_training_chooses(codec: Codec):
    plain = NextToken.of(RptObjective(prompt="compact"), codec)
    guarded = NextToken.of(
        RptObjective(prompt="compact", choose="top-share", surprise_ceiling_nats=2.0), codec
    )
    assert plain.rules(256) == guarded.rules(256)
    assert plain.training_rules(256) == plain.rules(256)


def test_a_problems_statement_is_context(codec: Codec, tmp_path: Path):
    folder = write_difficulty(
        write_corpus(tmp_path, 6, extra=("Wie viel ist 4 mal 壁? It is many words.",)), codec
    )
    documents = pq.read_table(folder / "documents.parquet")
    texts = documents["text"].to_pylist()
    chars = pa.array([text.index("It is many") if "壁" in text else None for text in texts], pa.int32())
    documents = documents.append_column(CONTEXT_COLUMN, chars)
    documents = documents.set_column(
        documents.schema.get_field_index("split"), "split", pa.array(["train"] * len(texts))
    )
    pq.write_table(documents, folder / "documents.parquet")
    found = opened(folder, codec)
    assert found.balance.dropped["problem-statement"] > 5
    windows = [found.read(i) for i in range(len(found.counts))]
    (window,) = [w for w in windows if "壁" in codec.decode(w.document_ids.tolist())]
    assert codec.decode(window.document_ids[window.positions[0] :].tolist()) == "It is many words."
    everything = Positions.open(folder, folder, codec, Rules(1.5, 64, problem_is_context=False), "train")
    assert everything.num == found.num + found.balance.dropped["problem-statement"] - 2  # 壁 is three tokens


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


def test_a_random_choice_has_no_floor_in_training(codec: Codec):
    settings = RptObjective(prompt="compact", choose="random", entropy_floor_nats=1.5)
    asked = NextToken.of(settings, codec)
    assert asked.rules(256).entropy_floor_nats == 1.5
    assert asked.training_rules(256).entropy_floor_nats == 0.0


@pytest.mark.parametrize("fingerprint", ["0" * 20, "f" * 20])
def test_both_tokenizers_are_named_by_twelve_letters(codec: Codec, tmp_path: Path, fingerprint):
    folder = write_difficulty(write_corpus(tmp_path, 12), codec, fingerprint=fingerprint)
    with pytest.raises(RecipeError) as caught:
        opened(folder, codec)
    assert f"({fingerprint[:12]})" in str(caught.value)
    assert f"({codec.fingerprint()[:12]})" in str(caught.value)
