"""Thoughts alone, of a model whose tokenizer spells the end of a thought in several tokens."""

import pytest

from rpt_core.objectives.next_token.rlp import InformationGain
from rpt_core.objectives.verdicts import is_ended, scored_thought, thought_end
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RlpObjective
from tests.tiny_tokenizers import byte_level, save


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> Codec:
    folder = tmp_path_factory.mktemp("spelled")
    save(byte_level(), folder)
    return Codec.load(folder)


def drawn(codec: Codec, text: str, finish: str = "stop") -> Sample:
    ids = tuple(codec.encode(text))
    return Sample(ids, (0.0,) * len(ids), finish)


def test_drawing_stops_at_the_last_token_of_the_end(codec):
    end = codec.control("end_think")
    assert len(end) > 1
    assert thought_end(codec) == {end[-1]}
    objective = InformationGain.of(RlpObjective(prompt="brief"), codec)
    assert objective.stop_ids == {end[-1]}


@pytest.mark.parametrize(
    ("text", "finish", "verdict"),
    [("48/2=24</think>", "stop", "scored"), ("4>", "stop", "unparsed"), ("48/2=2", "length", "truncated"),
     ("48</think>", "length", "truncated")],
)  # fmt: skip
def test_a_thought_ends_where_its_end_is_spelled_and_nowhere_else(codec, text, finish, verdict):
    sample = drawn(codec, text, finish)
    assert is_ended(sample, codec) == (verdict == "scored")
    assert scored_thought(sample, codec).verdict == verdict
    thought = InformationGain.of(RlpObjective(prompt="brief"), codec).thought_ids(sample)
    assert thought == (sample.token_ids if verdict == "scored" else None)


def test_an_end_of_one_token_is_told_by_where_drawing_stopped(tmp_path):
    codec = Codec.train(["a b c " * 40], 280, tmp_path)
    assert len(codec.control("end_think")) == 1
    assert is_ended(drawn(codec, "a b"), codec)
    assert not is_ended(drawn(codec, "a b", "length"), codec)
