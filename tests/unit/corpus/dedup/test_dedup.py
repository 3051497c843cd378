import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from rpt_core.artifacts.digest import stable_id
from rpt_core.corpus.dedup.bands import Bands
from rpt_core.corpus.dedup.clusters import Clusters
from rpt_core.corpus.dedup.duplicates import EXACT, KEPT, NEAR, SAME_ID, DuplicateFinder, _Sets, _Stars
from rpt_core.corpus.dedup.minhash import SCHEME, SEED, signatures
from rpt_core.corpus.dedup.sketch import sketch
from rpt_core.corpus.text.words import ngrams, shingles, split_words


def resolve(folder: Path, texts, ids=None, priorities=None, guards=None, jaccard=0.8, batch=7):
    finder = DuplicateFinder(folder, 112, jaccard)
    ids = ids or [stable_id(str(i)) for i in range(len(texts))]
    priorities = priorities or [0] * len(texts)
    for i in range(0, len(texts), batch):
        part = slice(i, i + batch)
        words = split_words(texts[part])
        kept = None if guards is None else guards[part]
        finder.add(sketch(ids[part], priorities[part], texts[part], words, 112, kept))
    return finder.resolve()


def sentence(rng, num=60):
    return " ".join(rng.choice(WORDS) for _ in range(num))


WORDS = [f"word{i}" for i in range(500)]


def test_the_smallest_id_stays_whatever_the_order(tmp_path):
    rng = random.Random(0)
    base = sentence(rng)
    texts = [f"{base} one more", base, base, sentence(rng)]
    ids = ["0" * 31 + str(i) for i in (3, 1, 2, 0)]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        found = resolve(tmp_path, [texts[i] for i in order], [ids[i] for i in order])
        by_row = {order[i]: int(verdict) for i, verdict in enumerate(found.verdict)}
        assert by_row == {0: NEAR, 1: KEPT, 2: EXACT, 3: KEPT}


def test_the_source_read_with_more_care_stays(tmp_path):
    base = sentence(random.Random(1))
    found = resolve(tmp_path, [base, f"{base} more"], ["0" * 32, "f" * 32], [3, 0])
    assert found.verdict.tolist() == [NEAR, KEPT]
    assert found.cluster.tolist() == [1, 1]


def test_the_same_page_twice_is_one_whatever_it_says(tmp_path):
    rng = random.Random(2)
    found = resolve(tmp_path, [sentence(rng), sentence(rng)], ["a" * 32, "a" * 32])
    assert sorted(found.verdict.tolist()) == [KEPT, SAME_ID]


def test_alike_questions_with_other_answers_share_a_side_but_both_stay(tmp_path):
    base = sentence(random.Random(3))
    found = resolve(tmp_path, [base, f"{base} more", f"{base} again"], guards=[1, 2, 1])
    assert len(set(found.cluster.tolist())) == 1
    assert sorted(found.verdict.tolist()) == [KEPT, KEPT, NEAR]


def test_below_the_threshold_nothing_happens(tmp_path):
    rng = random.Random(4)
    words = [rng.choice(WORDS) for _ in range(60)]
    other = [*words[:30], *(rng.choice(WORDS) for _ in range(30))]
    assert resolve(tmp_path, [" ".join(words), " ".join(other)]).verdict.tolist() == [KEPT, KEPT]


def test_texts_without_words_are_never_alike(tmp_path):
    assert resolve(tmp_path, ["...", "!!!", ""]).verdict.tolist() == [KEPT] * 3


def test_short_texts_are_alike_only_when_equal(tmp_path):
    assert resolve(tmp_path, ["one two", "One, two!", "one three"]).verdict.tolist().count(NEAR) == 1


def test_no_rows_at_all(tmp_path):
    assert len(resolve(tmp_path, []).verdict) == 0


def test_a_small_partition_budget_changes_nothing(tmp_path, monkeypatch):
    rng = random.Random(5)
    texts = [sentence(rng) for _ in range(40)]
    texts += [f"{text} end" for text in texts[:20]]
    whole = resolve(tmp_path / "a", texts)
    monkeypatch.setattr("rpt_core.corpus.dedup.bands.PARTITION_BYTES", 64)
    parts = resolve(tmp_path / "b", texts)
    assert whole.verdict.tolist() == parts.verdict.tolist()
    assert whole.verdict.tolist().count(NEAR) == 20


def test_rows_of_every_block_read_take_part_by_their_own_flags(tmp_path, monkeypatch):
    monkeypatch.setattr("rpt_core.corpus.dedup.bands.PARTITION_BYTES", 64)
    monkeypatch.setattr("rpt_core.corpus.dedup.bands._READ_ROWS", 5)
    rng = random.Random(11)
    texts = [sentence(rng) for _ in range(6)]
    texts += ["...", "!!!", f"{texts[5]} end", *(sentence(rng) for _ in range(3)), "???", f"{texts[0]} end"]
    verdicts = resolve(tmp_path, texts, priorities=list(range(len(texts)))).verdict.tolist()
    assert [row for row, verdict in enumerate(verdicts) if verdict != KEPT] == [8, len(texts) - 1]


@pytest.mark.parametrize("read_rows", [3, 1 << 20])
@pytest.mark.parametrize("partition_bytes", [64, 1 << 20])
def test_buckets_hold_their_rows_in_order_of_rank(tmp_path, monkeypatch, partition_bytes, read_rows):
    monkeypatch.setattr("rpt_core.corpus.dedup.bands.PARTITION_BYTES", partition_bytes)
    monkeypatch.setattr("rpt_core.corpus.dedup.bands._READ_ROWS", read_rows)
    bands = Bands(tmp_path, 2)
    low, high = 7, (1 << 63) + 1
    hashes = [[low, 1], [high, 2], [low, 3], [high, 4], [low, 5], [low, 6], [high, 6]]
    bands.add(np.array(hashes, np.uint64))
    filled = np.array([True] * 5 + [False, True])
    found = [
        bucket.rows[start:end].tolist()
        for bucket in bands.buckets(np.array([4, 0, 5, 1, 3, 2, 6]), filled)
        for start, end in pairwise(bucket.offsets.tolist())
    ]
    assert found == [[4, 0, 2], [1, 3, 6]]


def test_a_chain_is_cut_at_the_same_place_whatever_the_order_of_arrival(tmp_path):
    """A is like B and B like C, but A is not like C: who is joined depends on rank, never on arrival."""
    sets = {"A": range(10), "B": range(2, 12), "C": range(4, 14)}
    rank_of = {"A": 0, "B": 1, "C": 2}
    joined = []
    for number, order in enumerate(["ABC", "BAC", "CBA", "BCA"]):
        folder = tmp_path / str(number)
        bands = Bands(folder, 1)
        bands.add(np.ones((3, 1), np.uint64))
        np.array([value for name in order for value in sets[name]], np.uint32).tofile(folder / "s.u32")
        stars = _Stars(_Sets(folder / "s.u32", np.full(3, 10)), 8 / 12)
        rank = np.array([rank_of[name] for name in order])
        edges = stars.edges(bands, rank, np.ones(3, np.bool_))
        pairs = [pair for first, second in edges for pair in zip(first, second, strict=True)]
        joined.append({(order[a], order[b]) for a, b in pairs})
    assert joined == [{("A", "B")}] * 4


def test_a_pair_that_meets_in_every_band_is_alike_in_every_band(tmp_path):
    """Compared once, remembered after; a pair that is alike counts where it meets, another one once."""
    sets = [*range(10), *range(10), *range(90, 100)]
    np.array(sets, np.uint32).tofile(tmp_path / "s.u32")
    bands = Bands(tmp_path, 3)
    bands.add(np.ones((3, 3), np.uint64))
    stars = _Stars(_Sets(tmp_path / "s.u32", np.full(3, 10)), 0.8)
    edges = list(stars.edges(bands, np.arange(3), np.ones(3, np.bool_)))
    pairs = [pair for a, b in edges for pair in zip(a.tolist(), b.tolist(), strict=True)]
    assert pairs == [(0, 1)] * 3
    assert (stars.num_pairs, stars.num_edges) == (3 + 1, 3)


@pytest.mark.parametrize(("jaccard", "is_alike"), [(8 / 12, True), (8 / 12 + 1e-6, False)])
def test_exactly_as_alike_as_asked_is_alike(tmp_path, jaccard, is_alike):
    np.array([*range(10), *range(2, 12)], np.uint32).tofile(tmp_path / "s.u32")
    sets = _Sets(tmp_path / "s.u32", np.full(2, 10))
    assert sets.alike(np.array([0]), np.array([1]), jaccard).tolist() == [is_alike]


def test_planted_duplicates_are_found(tmp_path):
    """Recall at least 0.95 of the pairs at Jaccard 0.8 and more; every pair named is one (precision 1)."""
    rng = random.Random(6)
    texts, truth = [], []
    for _ in range(300):
        words = [rng.choice(WORDS) for _ in range(200)]
        rate = rng.choice([0.0, 0.005, 0.01, 0.02])
        edited = [rng.choice(WORDS) if rng.random() < rate else word for word in words]
        texts += [" ".join(words), " ".join(edited)]
        hashes, offsets = shingles(split_words(texts[-2:]), 5)
        a, b = set(hashes[: offsets[1]].tolist()), set(hashes[offsets[1] :].tolist())
        truth.append(len(a & b) / len(a | b))
    found = resolve(tmp_path, texts, batch=64)
    met = [found.cluster[2 * i] == found.cluster[2 * i + 1] for i in range(300)]
    alike = [i for i, jaccard in enumerate(truth) if jaccard >= 0.8]
    assert sum(met[i] for i in alike) >= 0.95 * len(alike)
    assert not [i for i in range(300) if met[i] and truth[i] < 0.8]


@pytest.mark.parametrize(
    ("text", "num"),
    [
        ("", 0),
        ("...", 0),
        ("one two-three", 3),
        ("naïve café", 2),
        ("a1 b2", 2),
        ("漢字かな交じり", 7),
        ("بسم الله", 2),
        ("हिन्दी में", 2),
        ("ภาษา", 4),
        ("\U00020000\U00020001", 2),
    ],
)
def test_words_in_any_script(text, num):
    assert split_words([text]).count(0) == num


def test_words_know_where_they_stand():
    words = split_words(["x", "The  Cat,sat", "猫cat"])
    spans = list(zip(words.starts_W.tolist(), words.ends_W.tolist(), strict=True))
    assert spans == [(0, 1), (0, 3), (5, 8), (9, 12), (0, 1), (1, 4)]


def test_runs_of_words_never_cross_texts():
    hashes, offsets = ngrams(split_words(["a b c d", "e f", "", "g h i"]), 3)
    assert offsets.tolist() == [0, 2, 2, 2, 3]
    assert len(hashes) == 3


def test_candidates_are_those_of_datasketch(tmp_path, monkeypatch):
    """Rows joined by LSH alone, edges contracted on the way: the clusters of MinHashLSH's own answers."""
    monkeypatch.setattr("rpt_core.corpus.dedup.clusters.EDGES_MAX", 20)
    rng = random.Random(7)
    texts = [sentence(rng) for _ in range(120)]
    texts += [" ".join(w if rng.random() > 0.03 else "x" for w in text.split()) for text in texts * 2]
    finder = DuplicateFinder(tmp_path, 112, 0.8)
    ids = [stable_id(str(i)) for i in range(360)]
    finder.add(sketch(ids, [0] * 360, texts, split_words(texts), 112))
    hashes, offsets = shingles(split_words(texts), 5)
    short = (hashes >> np.uint64(32)).astype(np.uint32)
    sketches = [
        MinHash(num_perm=112, seed=SEED, scheme=SCHEME, hashvalues=row)
        for row in signatures(short, offsets, 112)
    ]
    index = MinHashLSH(num_perm=112, params=(14, 8))
    for number, made in enumerate(sketches):
        index.insert(number, made)
    theirs = Clusters(np.arange(360))
    for number, made in enumerate(sketches):
        found = np.array(index.query(made))
        theirs.unite(np.full(len(found), number), found)
    ours = finder.candidates()
    assert ours.tolist() == theirs.roots().tolist()
    assert 100 < len(set(ours.tolist())) < 250


def test_sets_are_compared_exactly_whatever_fits_at_once(tmp_path, monkeypatch):
    rng = random.Random(8)
    rows = [[rng.randrange(40) for _ in range(rng.randrange(1, 60))] for _ in range(50)]
    path = tmp_path / "shingles.u32"
    np.array([value for row in rows for value in row], np.uint32).tofile(path)
    sizes = np.array([len(row) for row in rows])
    first, second = (np.array([rng.randrange(50) for _ in range(300)]) for _ in range(2))
    truth = [
        len({*rows[a]} & {*rows[b]}) >= 0.5 * len({*rows[a]} | {*rows[b]})
        for a, b in zip(first, second, strict=True)
    ]
    for fits in (1, 500, 1 << 20):
        monkeypatch.setattr("rpt_core.corpus.dedup.duplicates.SHINGLES_AT_ONCE", fits)
        assert _Sets(path, sizes).alike(first, second, 0.5).tolist() == truth
    assert 0 < sum(truth) < 300


def test_a_bucket_of_boilerplate_is_counted_and_left(tmp_path, monkeypatch):
    """Rows that share a band and nothing else: after so many stars the rest of the bucket stays as it is."""
    monkeypatch.setattr("rpt_core.corpus.dedup.duplicates.STARS_MAX", 3)
    path = tmp_path / "shingles.u32"
    np.arange(60, dtype=np.uint32).tofile(path)
    bands = Bands(tmp_path, 1)
    bands.add(np.ones((6, 1), np.uint64))
    stars = _Stars(_Sets(path, np.full(6, 10)), 0.8)
    edges = list(stars.edges(bands, np.arange(6), np.ones(6, np.bool_)))
    assert sum(len(first) for first, _ in edges) == 0
    assert (stars.num_pairs, stars.num_edges, stars.num_capped) == (5 + 4 + 3, 0, 1)
