"""The prefix reward: the paper's rule in vectors, and what a box may hold."""

import pytest

from rpt_core.objectives.next_token.prefix import is_first_token, is_prefix, read, truth_of
from rpt_core.policy.codec import Codec

PARAMETERS = truth_of([b" para", b"meter", b"s"])


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        (b" para", True),
        (b" parameter", True),
        (b" parameters", True),
        (b"para", False),
        (b" param", False),
        (b"", False),
        (b" parametric", False),
        (b" parameters and", False),
        (b"  para", False),
        (b"meter", False),
        (b"s", False),
    ],
)
def test_only_whole_tokens_of_the_truth_are_right(prediction: bytes, right: bool):
    assert is_prefix(prediction, PARAMETERS) is right


def test_half_a_character_is_no_prediction():
    snowman = "☃".encode()
    truth = truth_of([b" ", snowman[:2], snowman[2:], b"!"])
    assert truth.boundaries == {1, 4, 5}
    assert not is_prefix(b" " + snowman[:2], truth)
    assert is_prefix(" ☃".encode(), truth)


def test_a_truth_that_was_cut_inside_a_character_ends_before_it():
    assert truth_of([b"a", "é".encode()[:1]]).boundaries == {1}
    assert truth_of([]).boundaries == frozenset()


@pytest.mark.parametrize(
    ("answer", "readings"),
    [
        (rb"t</think>\boxed{ 7}", [b" 7"]),
        (rb"t</think>\boxed{1} no: \boxed{ 2 }", [b" 2 "]),
        (rb"\boxed{1}</think>\boxed{2}", [b"2"]),
        (rb"</think>\boxed{\frac{a}{b}}", [rb"\frac{a}{b}"]),
        (rb"</think>\boxed{}}", [b"", b"}"]),
        (rb"</think>\boxed{{}", [b"{"]),
        (rb"</think>\boxed{a} and {b}", [b"a", b"a} and {b"]),
        (b"</think>\\boxed{\n}", [b"\n"]),
        (rb"</think>\boxed{}", [b""]),
        (rb"t</think>\boxed{a</think>}", [b"a</think>"]),
    ],
)
def test_what_is_read_from_a_box(answer: bytes, readings: list[bytes]):
    assert list(read(answer).predictions) == readings


@pytest.mark.parametrize(
    "answer", [b"", rb"\boxed{7}", rb"\boxed{7}</think>", rb"</think>\boxed{7", b"</think>7"]
)
def test_what_cannot_be_read(answer: bytes):
    assert read(answer) is None


def test_written_out_line_breaks_only_behind_the_flag():
    answer = rb"</think>\boxed{\n}"
    assert read(answer).predictions == (rb"\n",)
    assert read(answer, newline_escapes=True).predictions == (rb"\n", b"\n")


def test_the_thought_ends_at_the_first_marker():
    reading = read(rb"a</think>b</think>\boxed{7}")
    assert (reading.thought, reading.predictions) == (b"a", (b"7",))


@pytest.mark.parametrize(
    ("text", "begins_alike"),
    [("para, para, a meter, a meter ", True), ("parameter, parameter, para, para ", False)],
    ids=["a word of several tokens", "a word of one token"],
)
def test_the_first_token_variant(tmp_path, text: str, begins_alike: bool):
    codec = Codec.train([f" {text}" * 9], 300, tmp_path)
    (truth,) = codec.encode(" para")
    assert (codec.encode(" parameter")[0] == truth) is begins_alike, "the vocabulary this case is about"
    assert is_first_token(b" para", truth, codec)
    assert is_first_token(b" parameter", truth, codec) is begins_alike
    assert not is_first_token(b"", truth, codec)
    assert not is_first_token(b"\xe2\x98", truth, codec)
