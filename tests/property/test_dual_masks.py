"""The dual objective's two sets of tokens are disjoint and cover every target exactly once."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.policy.forward import DocumentScores
from rpt_core.policy.layout import lay_out
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.train.rl.losses import dual


@st.composite
def documents(draw) -> list[tuple[Trunk, frozenset[int]]]:
    """Documents of any length with any places asked about, the end of the text among them."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 12))
        asked = draw(st.sets(st.integers(0, length), max_size=5))
        instruction = tuple(draw(st.lists(st.integers(2, 9), max_size=3)))
        cuts = tuple(Cut(place, (3, 4)) for place in sorted(asked))
        found.append((Trunk(str(number), instruction, tuple(range(2, 2 + length)), cuts), frozenset(asked)))
    return found


def scored(trunks: list[Trunk]) -> DocumentScores:
    """What a pass over these trunks scores, every token's loss a different power of two."""
    _, _, trunk_M, token_M = lay_out(trunks, [[[] for _ in t.cuts] for t in trunks]).document_targets()
    values = torch.arange(len(token_M), dtype=torch.float64)
    return DocumentScores(values, values, trunk_M, token_M)


@given(documents(), st.booleans())
def test_asked_and_own_are_disjoint_and_complete(found, is_raw):
    trunks, asked = [t for t, _ in found], [a for _, a in found]
    if is_raw:
        trunks = [dual.raw(trunk, ()) for trunk in trunks]
    document = scored(trunks)
    own = dual.own_tokens(trunks, asked, document)
    for index, (trunk, places) in enumerate(zip(trunks, asked, strict=True)):
        mine = document.trunk_M == index
        in_loss = document.token_M[mine & own].tolist()
        first = 0 if trunk.instruction_ids else 1  # nothing predicts the first token of a bare document
        targets = set(range(first, len(trunk.document_ids)))
        assert len(in_loss) == len(set(in_loss)) == dual.num_own_tokens(trunk, places)
        assert set(in_loss) | (places & targets) == targets
        assert not set(in_loss) & places


@given(documents())
def test_the_loss_is_the_sum_over_own_tokens(found):
    trunks, asked = [t for t, _ in found], [a for _, a in found]
    document = scored(trunks)
    expected = sum(
        float(document.nll_M[i])
        for i, (trunk, token) in enumerate(zip(document.trunk_M, document.token_M, strict=True))
        if token not in asked[trunk]
    )
    assert float(dual.own_loss(trunks, asked, document)) == expected


@given(documents())
def test_entropies_stand_at_their_tokens(found):
    trunks = [trunk for trunk, _ in found]
    document = scored(trunks)
    by_trunk = dual.entropies_by_trunk(trunks, document)
    for index, trunk in enumerate(trunks):
        mine = document.trunk_M == index
        if not mine.any():
            assert trunk.key not in by_trunk
            continue
        values = by_trunk[trunk.key]
        assert len(values) == len(trunk.document_ids)
        assert np.isnan(values).sum() == len(values) - mine.sum()
        assert values[document.token_M[mine]].tolist() == document.entropies_M[mine].tolist()
