"""The prefix reward on every text there is: nothing but a boundary prefix earns it."""

from hypothesis import given
from hypothesis import strategies as st

from rpt_core.objectives.rewards.prefix import (
    BOX,
    END_OF_THOUGHT,
    is_prefix,
    length_bonus,
    num_whole_tokens,
    read,
    truth_of,
)

TEXT = st.text(min_size=1, max_size=12)


@st.composite
def tokens_of_text(draw) -> list[bytes]:
    """A text cut anywhere, also inside characters."""
    content = draw(TEXT).encode()
    cuts = sorted(
        draw(st.sets(st.integers(1, max(1, len(content) - 1)), max_size=6)) & set(range(1, len(content)))
    )
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def whole(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(tokens_of_text())
def test_every_whole_boundary_prefix_is_right_and_longer_ones_lose_nothing(tokens: list[bytes]):
    truth = truth_of(tokens)
    for count in range(1, len(tokens) + 1):
        prefix = b"".join(tokens[:count])
        assert is_prefix(prefix, truth) is whole(prefix)
    assert is_prefix(truth.content, truth)


@given(tokens_of_text(), st.binary(max_size=14))
def test_nothing_else_is_right(tokens: list[bytes], guess: bytes):
    truth = truth_of(tokens)
    prefixes = {b"".join(tokens[:count]) for count in range(1, len(tokens) + 1)}
    assert is_prefix(guess, truth) is (guess in prefixes and whole(guess))


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_reading_a_box_gives_back_what_was_boxed(thought: bytes, content: bytes):
    if END_OF_THOUGHT in thought or BOX in content or END_OF_THOUGHT in content:
        return
    reading = read(thought + END_OF_THOUGHT + BOX + content + b"}")
    assert content in reading.predictions
    assert reading.thought == thought


@given(st.binary(max_size=60))
def test_no_answer_breaks_the_reader(answer: bytes):
    reading = read(answer)
    assert reading is None or reading.predictions


@given(tokens_of_text(), st.floats(0, 1), st.integers(2, 12))
def test_a_longer_right_prediction_never_earns_less(tokens: list[bytes], each: float, most: int):
    truth = truth_of(tokens)
    earned = [
        1 + length_bonus(num_whole_tokens(truth.content[:length], truth), each, most)
        for length in sorted(truth.boundaries)
    ]
    assert earned == sorted(earned)
    assert not earned or earned[0] == 1


@given(tokens_of_text(), st.binary(max_size=14))
def test_a_bonus_is_for_right_predictions_alone(tokens: list[bytes], guess: bytes):
    truth = truth_of(tokens)
    assert (num_whole_tokens(guess, truth) > 0) is is_prefix(guess, truth)


@given(tokens_of_text(), st.binary(max_size=20))
def test_escapes_only_ever_add_readings(tokens: list[bytes], content: bytes):
    answer = END_OF_THOUGHT + BOX + content + b"}"
    plain, escaped = read(answer), read(answer, newline_escapes=True)
    assert (plain is None) is (escaped is None)
    if plain and escaped:
        assert escaped.predictions[: len(plain.predictions)] == plain.predictions
        added = escaped.predictions[len(plain.predictions) :]
        assert all(b"\n" in text for text in added)
