"""Cuts as a worker is asked about them: order, seeds, what stands in a message, which answers are refused."""

import math
from dataclasses import replace

import pytest

from rpt_core.errors import RecipeError
from rpt_core.policy.engines.vllm.questions import (
    GROUP_MAX,
    EngineRequest,
    group_of,
    message_of,
    questions_of,
    seed_of,
    shares,
)
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from tests.toys import tiny_policy

SAMPLING = Sampling(0.8, 5, frozenset({1}), group_size=2, seed=3)
TRUNKS = [
    Trunk(
        "a", (2, 3), tuple(range(10, 20)),
        (Cut(7), Cut(4, (9,)), Cut(4, (8,)), Cut(2, stop_ids=frozenset({5}))),
    ),
    Trunk("b", (), (6, 7, 8)),
    Trunk("c", (4,), (6, 7, 8), (Cut(3),)),
]  # fmt: skip


def test_questions_come_by_document_and_depth_so_that_prefixes_hit():
    questions = questions_of(TRUNKS, SAMPLING, 1)
    assert [(q.trunk, q.cut, q.depth) for q in questions] == [
        (0, 3, 4), (0, 1, 6), (0, 2, 6), (0, 0, 9), (2, 0, 4),
    ]  # fmt: skip
    assert [q.stop_ids for q in questions] == [{5}, {1}, {1}, {1}, {1}]


def test_a_seed_names_its_question_and_leaves_room_for_every_answer():
    questions = questions_of(TRUNKS, SAMPLING, 1)
    seeds = [q.seed for q in questions]
    assert len(set(seeds)) == len(seeds)
    assert all(seed % GROUP_MAX == 0 and 0 <= seed < 2**63 for seed in seeds)
    assert questions_of(TRUNKS[2:], SAMPLING, 1)[0].seed == seeds[-1]  # whatever is asked beside it
    others = [seed_of(*what) for what in ((4, 1, "c", "3.0"), (3, 2, "c", "3.0"), (3, 1, "b", "3.0"))]
    assert seed_of(3, 1, "c", "3.0") == seeds[-1] not in others
    assert len({other >> 10 for other in others}) == 3


def test_a_message_holds_every_document_and_every_set_of_stops_once():
    message = message_of(7, questions_of(TRUNKS, replace(SAMPLING, forced_ids=(9,)), 1), TRUNKS, SAMPLING)
    assert message["documents"] == [TRUNKS[0].token_ids, TRUNKS[2].token_ids]
    assert message["stops"] == [[5], [1]]
    assert [cut[:4] for cut in message["cuts"]] == [
        [0, 4, (9,), 0], [0, 6, (9, 9), 1], [0, 6, (8, 9), 1], [0, 9, (9,), 1], [1, 4, (9,), 1],
    ]  # fmt: skip


@pytest.mark.parametrize("change", [{"group_size": 1025}, {"temperature": 0.001}])
def test_what_vllm_would_do_otherwise_without_a_word_is_refused(change):
    with pytest.raises(RecipeError, match="vLLM draws at most 1024 answers to a question"):
        questions_of(TRUNKS, replace(SAMPLING, **change), 1)


def test_workers_get_whole_documents_and_about_equal_tokens():
    long = [EngineRequest(0, cut, 100, (), frozenset(), 0) for cut in range(2)]
    short = [EngineRequest(trunk, 0, 60, (), frozenset(), 0) for trunk in (1, 2, 3)]
    assert shares([*long, *short], 2) == [long, short]
    assert shares(short[:1], 2) == [short[:1], []]


QUESTION = EngineRequest(0, 0, depth=10, suffix_ids=(4, 9), stop_ids=frozenset({1}), seed=0)


def _row(ids, stopped=False, cached=0):
    return {"ids": ids, "logprobs": [-0.5] * len(ids), "stopped": stopped, "cached": cached}


def _group(*rows, sampling=SAMPLING, **more):
    answer = {"samples": list(rows), "version": 2, **more}
    return group_of(answer, QUESTION, sampling, tiny_policy().work)


def test_answers_become_samples_and_forced_tokens_are_unread():
    forced = replace(SAMPLING, forced_ids=(4, 9))
    group = _group(_row([7, 1], stopped=True), _row([7, 7, 7]), sampling=forced)
    first, second = group.samples
    assert (first.token_ids, first.finish, first.version) == ((4, 9, 7, 1), "stop", 2)
    assert (second.token_ids, second.finish) == ((4, 9, 7, 7, 7), "length")
    assert [math.isnan(x) for x in first.logprobs] == [True, True, False, False]
    assert group.samples == _group(_row([7, 1], stopped=True), _row([7, 7, 7]), sampling=forced).samples


def test_what_was_cached_is_not_counted_as_work():
    work = tiny_policy().work
    group = _group(_row([7, 1], stopped=True), _row([7, 1], stopped=True, cached=8))
    assert group.num_forwarded == (12 + 1) + (4 + 1)
    pairs = sum(range(1, 14)) + sum(range(9, 14))  # the token at place p sees p + 1
    assert group.flops == work.per_token * 18 + work.per_pair * pairs + work.per_score * 4


@pytest.mark.parametrize(
    "rows",
    [
        [_row([7] * 5)],
        [_row([7] * 5)] * 3,
        [_row([7] * 5), _row([7] * 6)],
        [_row([7] * 5), _row([])],
        [_row([7] * 5), _row([7, 7])],
        [_row([7] * 5), _row([7, 1])],
        [_row([7] * 5), _row([7, 7], stopped=True)],
        [_row([7] * 5), {**_row([7] * 5), "logprobs": [-1.0]}],
    ],
)
def test_what_is_no_answer_to_the_question_is_refused(rows):
    with pytest.raises(ValueError, match="answer"):
        _group(*rows)
