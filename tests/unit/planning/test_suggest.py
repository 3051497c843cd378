"""The placement that is suggested: it fits, and nothing simpler does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.errors import RecipeError
from rpt_core.planning.cards import CARDS, parse_machine
from rpt_core.planning.jobs import StageJob
from rpt_core.planning.load import Load
from rpt_core.planning.memory import memory
from rpt_core.planning.published import SHAPES
from rpt_core.planning.suggest import COUNTS, ROOM, closest, fits, layouts, suggested

TRAIN = Load(
    documents=64, trunk=4096, cuts=4, suffix=64, group=8, answer=8192, draws=True, scores_document=True
)
READ = Load(documents=64, trunk=4096, trains=False, scores_document=True)


@given(
    name=st.sampled_from(sorted(SHAPES)), card=st.sampled_from(sorted(CARDS)), trains=st.booleans(),
    offload=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_it_fits_and_fewer_gpus_do_not(name, card, trains, offload):
    shape, kind = SHAPES[name], CARDS[card]
    job = StageJob(TRAIN if trains else READ, 1)
    found = suggested(shape, job, kind, offload=offload)
    if found is None:
        assert not fits(closest(shape, job, kind, COUNTS[-1]), kind) or not offload
        return
    assert found.memory.peak <= kind.memory_bytes * ROOM
    fewer = [n for n in COUNTS if n < found.spread.ranks]
    for number in fewer:
        for spread in layouts(shape, job, number, offload=offload):
            assert memory(shape, job.load, spread).peak > kind.memory_bytes * ROOM


def test_simple_comes_first():
    """A small model trains by plain torch, one that is only read takes no ZeRO, 14 B needs several GPUs."""
    card = CARDS["H100-80GB"]
    small = suggested(SHAPES["Qwen/Qwen3-0.6B"], StageJob(TRAIN, 1), card)
    assert small
    assert (small.spread.ranks, small.spread.zero_stage) == (1, 0)
    read = suggested(SHAPES["Qwen/Qwen3-14B"], StageJob(READ, 1), card)
    assert read
    assert (read.spread.ranks, read.spread.zero_stage, read.spread.checkpointed) == (1, 0, False)
    large = suggested(SHAPES["Qwen/Qwen3-14B"], StageJob(TRAIN, 1), card)
    assert large
    assert large.spread.ranks > 1
    assert large.spread.zero_stage > 0
    assert not large.spread.offload
    thrifty = suggested(SHAPES["Qwen/Qwen3-14B"], StageJob(TRAIN, 1), card, offload=True)
    assert thrifty
    assert thrifty.spread.offload
    assert thrifty.spread.ranks < large.spread.ranks


def test_an_engine_spans_gpus_of_one_node_and_whole_key_heads():
    sizes = {s.tensor_parallel for s in layouts(SHAPES["Qwen/Qwen2.5-7B"], StageJob(TRAIN, 1), 64)}
    assert sizes == {1, 2, 4}  # it has four key heads
    assert {s.tensor_parallel for s in layouts(SHAPES["Qwen/Qwen3-8B"], StageJob(TRAIN, 1), 2)} == {1, 2}


@pytest.mark.parametrize("words", ["", "8", "8xTPU", "0xH100-80GB", "H100-80GB x 8", "8xH100-41GB"])
def test_a_machine_that_is_none_is_refused_with_the_kinds_there_are(words):
    with pytest.raises(RecipeError, match="H100-80GB, A100-80GB"):
        parse_machine(words)
