"""The prefix reward on every text there is: nothing but a boundary prefix earns it."""

from hypothesis import given
from hypothesis import strategies as st

from rpt_core.objectives.next_token.prefix import (
    BOX,
    is_prefix,
    length_bonus,
    num_whole_tokens,
    read,
    truth_of,
)
from rpt_core.objectives.verdicts import END_OF_THOUGHT

TEXT = st.text(min_size=1, max_size=12)


@st.composite
def tokens_of_text(draw) -> list[bytes]:
    """A text cut anywhere, also inside characters."""
    content = draw(TEXT).encode()
    cuts = sorted(
        draw(st.sets(st.integers(1, max(1, len(content) - 1)), max_size=6)) & set(range(1, len(content)))
    )
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


@st.composite
def guesses(draw) -> tuple[list[bytes], bytes]:
    """A truth, and a guess that is any slice of it, now and then with something changed or added."""
    tokens = draw(tokens_of_text())
    content = b"".join(tokens)
    if draw(st.booleans()):  # as long as some whole tokens, wherever it stands
        length = len(b"".join(tokens[: draw(st.integers(1, len(tokens)))]))
        start = draw(st.integers(0, len(content) - length))
        guess = bytearray(content[start : start + length])
    else:
        start = draw(st.integers(0, len(content)))
        guess = bytearray(content[start : draw(st.integers(start, len(content)))])
    change = draw(st.sampled_from(["none", "none", "none", "byte", "more"]))
    if change == "byte" and guess:
        guess[draw(st.integers(0, len(guess) - 1))] ^= draw(st.integers(1, 255))
    if change == "more":
        guess += draw(st.binary(max_size=3))
    return tokens, bytes(guess)


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


@given(guesses())
def test_nothing_else_is_right(case: tuple[list[bytes], bytes]):
    tokens, guess = case
    truth = truth_of(tokens)
    prefixes = {b"".join(tokens[:count]) for count in range(1, len(tokens) + 1)}
    assert is_prefix(guess, truth) is (guess in prefixes and whole(guess))


PIECES = st.lists(
    st.sampled_from([END_OF_THOUGHT, BOX, b"{", b"}", b" 7", b"\\n", b"\xe2\x98", b"</think", b"\\boxed"]),
    max_size=9,
).map(b"".join)


@given(PIECES, PIECES)
def test_reading_a_box_gives_back_what_was_boxed(thought: bytes, content: bytes):
    """Whatever stands in the box: the first marker ends the thought, the last box is the one that counts."""
    reading = read(thought + END_OF_THOUGHT + BOX + content + b"}")
    first, _, behind = (thought + END_OF_THOUGHT + BOX + content).partition(END_OF_THOUGHT)
    assert reading.thought == first
    assert behind.rpartition(BOX)[2] in reading.predictions


@given(PIECES)
def test_what_is_read_stands_in_a_box_behind_the_thought(answer: bytes):
    reading = read(answer)
    thought, ended, rest = answer.partition(END_OF_THOUGHT)
    _, boxed, inside = rest.rpartition(BOX)
    if not (ended and boxed and b"}" in inside):
        assert reading is None
        return
    assert reading.thought == thought
    assert all(inside.startswith(text + b"}") for text in reading.predictions)
    assert inside.rpartition(b"}")[0] in reading.predictions


@given(tokens_of_text(), st.floats(0, 1), st.integers(2, 12))
def test_a_longer_right_prediction_never_earns_less(tokens: list[bytes], each: float, most: int):
    truth = truth_of(tokens)
    earned = [
        1 + length_bonus(num_whole_tokens(truth.content[:length], truth), each, most)
        for length in sorted(truth.boundaries)
    ]
    assert earned == sorted(earned)
    assert not earned or earned[0] == 1


@given(guesses())
def test_a_bonus_is_for_right_predictions_alone(case: tuple[list[bytes], bytes]):
    tokens, guess = case
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
