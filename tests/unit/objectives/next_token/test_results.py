"""Numbers after equals signs as targets: where they stand, and that the whole number alone is right."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.objectives.next_token.positions import Positions, Rules, Scored, Window
from rpt_core.objectives.next_token.prefix import is_prefix, truth_of
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.next_token.results import begins_result, results, whole_number
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RptObjective

SOLUTION = "Half of 48 is 48/2 = 24 clips. In all 48 + 24 = 72, or $72 = €72. Then x = y, and 1,200/2=600.5!"
NUMBERS = ["24", "72", "72", "600.5"]
SETTINGS = RptObjective(prompt="compact", asked="results", entropy_floor_nats=0.0)


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> Codec:
    """Digits are tokens of their own, or stand in tokens with the blank before them."""
    return Codec.train([SOLUTION, " 24 24 24 = 72 = 72 "], 300, tmp_path_factory.mktemp("codec"), marks=True)


def positions(codec: Codec, text: str) -> list[int]:
    ids = np.array(codec.encode(text), np.int32)
    nats = np.ones(len(ids), np.float32)
    rules = NextToken.of(SETTINGS, codec).rules(256)
    assert rules.results_only
    return Positions(Path(), rules, codec)._eligible(Scored("d", ids, nats, nats), {}).tolist()


def asked(codec: Codec, text: str):
    ids = np.array(codec.encode(text), np.int32)
    found = np.array(positions(codec, text), np.int64)
    window = Window("d", 0, len(ids), ids, found, np.ones(len(found), np.float32))
    return NextToken.of(SETTINGS, codec).ask(window, found.tolist()).questions


def test_questions_stand_where_results_begin_and_nowhere_else(codec):
    questions = asked(codec, SOLUTION)
    assert [codec.decode(question.truth_ids).strip() for question in questions] == NUMBERS
    for question in questions:
        assert question.tail.rstrip(" €$").endswith("=")


def test_every_refused_token_is_counted(codec):
    ids = np.array(codec.encode(SOLUTION), np.int32)
    nats, refused = np.ones(len(ids), np.float32), {}
    found = Positions(Path(), Rules(0.0, 64, results_only=True), codec)._eligible(
        Scored("d", ids, nats, nats), refused
    )
    assert len(found) + sum(refused.values()) == len(ids)
    assert refused["no-result"] == len(ids) - 1 - len(NUMBERS)


def test_the_whole_number_alone_is_right(codec):
    objective = NextToken.of(SETTINGS, codec)
    question = asked(codec, SOLUTION)[0]
    blank = codec.decode(question.truth_ids).removesuffix("24")
    wanted = {"24": "correct", "2": "wrong", "24 clips": "wrong", "24.0": "wrong", "25": "wrong", "": "wrong"}
    for said, end in wanted.items():
        ids = (*codec.encode(f"<think>so</think>\\boxed{{{blank}{said}}}"), codec.end_id)
        verdict = objective.judge(question, Sample(tuple(ids), (0.0,) * len(ids), "stop"))
        assert verdict.verdict == end, said


def test_without_it_a_first_digit_is_right_already(codec):
    """What the rule is for: where digits are tokens, a prefix of a number is a number."""
    truth = truth_of([b"2", b"4", b" clips"])
    assert is_prefix(b"2", truth)
    assert not is_prefix(b"2", whole_number(truth))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = 3", [b"3"]),
        ("= -7 and = +8", [b"-7", b"+8"]),
        ("5 == 5", [b"5"]),
        ("= 1,234,567.25.", [b"1,234,567.25"]),
        ("= 12,34", []),
        ("= \\$40", [b"40"]),
        ("= £40", [b"40"]),
        ("x = y2", []),
        ("= 0.5.1", []),
        ("48/2=<<24", []),
        ("=\n12", [b"12"]),
    ],
)
def test_what_is_a_result(text, wanted):
    content = text.encode()
    assert [content[begin:end] for begin, end in results(content)] == wanted


class Split:
    """A tokenizer that cuts as it is told."""

    def __init__(self, *tokens):
        self.tokens = tokens

    def to_bytes(self, ids):
        return b"".join(self.tokens[one] for one in ids)

    def byte_starts(self, ids):
        return np.cumsum([0, *(len(self.tokens[one]) for one in ids)])


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ((b"a =", b" 24", b"%"), [1]),
        ((b"a =", b" ", b"2", b"4", b"%"), [2]),
        ((b"a =", b" 2", b"4%"), []),  # it ends inside a token
        ((b"a = ", b"24", b"%"), [1]),
        ((b"a =", b" $2", b"4", b"%"), []),  # the token that begins it says something else first
    ],
)
def test_a_result_begins_and_ends_with_tokens(tokens, wanted):
    found = begins_result(range(len(tokens)), Split(*tokens))
    assert np.flatnonzero(found).tolist() == wanted


@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from(["{:d}", "{:,}", "{:.2f}"]),
    st.sampled_from(["", " ", " $"]),
)
def test_any_number_is_found_whole(number, form, between):
    said = form.format(number)
    content = f"1 + 1 ={between}{said} in all".encode()
    assert [content[begin:end].decode() for begin, end in results(content)] == [said]
    truth = whole_number(truth_of([bytes([byte]) for byte in f"{said} in".encode()]))
    assert truth.content.decode() == said
    assert truth.boundaries == {len(said)}
