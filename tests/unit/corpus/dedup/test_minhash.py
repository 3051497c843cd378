"""The vectorised signatures against datasketch, slot by slot, and against the theory of their error."""

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.corpus.dedup import minhash
from rpt_core.corpus.dedup.minhash import EMPTY, SCHEME, SEED, signatures

SETS = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=40), max_size=12)


def flat(sets):
    offsets = np.concatenate([[0], np.cumsum([len(held) for held in sets])]).astype(np.int64)
    return np.array([value for held in sets for value in held], np.uint32), offsets


def oracle(held, num):
    found = MinHash(num_perm=num, seed=SEED, scheme=SCHEME, hashfunc=int)
    for value in held:
        found.update(value)
    return np.asarray(found.hashvalues, np.uint32)


@settings(deadline=None, max_examples=60)
@given(SETS, st.sampled_from([16, 112, 128]))
def test_every_slot_is_that_of_datasketch(sets, num):
    got = signatures(*flat(sets), num)
    assert got.shape == (len(sets), num)
    for row, held in zip(got, sets, strict=True):
        assert np.array_equal(row, oracle(held, num))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_any_size_give_the_same_bits(monkeypatch, block):
    rng = np.random.default_rng(0)
    sets = [rng.integers(0, 2**32, size, np.uint32).tolist() for size in (0, 1, 300, 5, 0, 64, 65)]
    whole = signatures(*flat(sets), 32)
    monkeypatch.setattr(minhash, "BLOCK", block)
    assert np.array_equal(signatures(*flat(sets), 32), whole)
    assert set(whole[0].tolist()) == {int(EMPTY)}


@pytest.mark.parametrize("jaccard", [0.2, 0.5, 0.8, 0.95])
def test_the_error_is_that_of_the_theory(jaccard):
    """Root mean square error of K slots over many pairs: sqrt(J (1 - J) / K), within 10 %, without bias."""
    rng = np.random.default_rng(1)
    size, pairs, num = 400, 400, 128
    shared = round(2 * size * jaccard / (1 + jaccard))
    sets = []
    for _ in range(pairs):
        drawn = rng.choice(2**32, 2 * size - shared, replace=False).astype(np.uint32).tolist()
        sets += [drawn[:size], drawn[size - shared :]]
    true = shared / (2 * size - shared)
    found = signatures(*flat(sets), num).reshape(pairs, 2, num)
    errors = (found[:, 0] == found[:, 1]).mean(axis=1) - true
    theory = np.sqrt(true * (1 - true) / num)
    assert np.sqrt(np.mean(errors**2)) <= 1.1 * theory
    assert abs(errors.mean()) <= 4 * theory / np.sqrt(pairs)
