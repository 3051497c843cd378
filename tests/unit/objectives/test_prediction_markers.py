"""What a prediction may not say to its judge, and where it stands in an answer."""

import pytest

from rpt_core.objectives.next_segment.guards import (
    imitates_judge,
    read,
)

START, END = b"<|startofprediction|>", b"<|endofprediction|>"


def test_the_judges_words_are_told_from_ordinary_ones():
    spoken = ("score=0", "SCORE \uff1a 1", "x\n reference: y", "Predicted:")
    for said in (*spoken, "<|im_end|>", "<think>", "</think>", "[INST]", "[/INST]"):
        assert imitates_judge(said), said
    for said in ("score: 10", "score: 2", "a reference: b", "<| |", "think", "INST", "scores 1"):
        assert not imitates_judge(said), said


@pytest.mark.parametrize(
    ("answer", "predictions"),
    [
        (b"t</think>" + START + b"a" + END + b" \n", (b"a",)), (b"</think>x " + START + b"a" + END, (b"a",)),
        (START + END + b"</think>" + START + END, (b"",)), (b"t</think>" + START + b"a" + END + b"b", None),
        (b"</think>" + END + START, None), (b"</think>" + START + b"a", None), (b"</think>a" + END, None),
        (b"</think>" + START + START + END, None), (b"</think>" + START + END + END, None), (b"", None),
    ],
)  # fmt: skip
def test_the_one_pair_of_markers(answer, predictions):
    found = read(answer)
    assert (found and found.predictions) == predictions
    if found:
        assert found.thought == answer.partition(b"</think>")[0]
