"""The learned masker: what it may name, what is then asked, and what both parts earn."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from rpt_core.objectives.evidence import Needs
from rpt_core.objectives.next_token.masker import TASK, MaskQuestion, SpanQuestion, mask_reward
from rpt_core.objectives.next_token.positions import places_of
from rpt_core.objectives.next_token.prefix import read
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.objective import AsksFurther, Reporting
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import PretrainZeroObjective, RptObjective
from tests.unit.objectives.test_objectives import answer, policy_recipe

GROUP = 6


def opened(inputs, codec, **fields):
    return open_objective(recipe_of(PretrainZeroObjective(prompt="compact", **fields)), inputs, codec)


def recipe_of(objective):
    """Documents fit into one window."""
    recipe = policy_recipe(objective=objective, group_size=GROUP, prompts_per_step=14)
    return recipe.model_copy(update={"context_tokens": 1024})


def one_of(objective, cursor=0):
    """A document's question for a span, and the document's tokens."""
    (asked, *_), _ = objective.draw(1, cursor, 1)
    return asked, objective.positions.read(asked.questions[0].owner)


def unnamed(codec):
    """Answers that name nothing: words of no text, no box, cut off."""
    end = codec.control("end_think")
    return [
        answer(codec, " so", " ?!?"),
        Sample((*codec.encode(" so"), *end, codec.end_id), (0.0,) * 9, "stop"),
        answer(codec, " so", " The", finish="length"),
    ]


def tokens_at(codec, window, position, num=1):
    return codec.decode(window.document_ids[position : position + num].tolist())


def test_rewards_are_those_worked_out_by_hand():
    earned = [mask_reward(right / 8) for right in range(9)]
    assert earned == [0.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]


def test_a_document_is_read_whole_before_a_span_is_named(codec, inputs):
    objective = opened(inputs, codec)
    assert isinstance(objective, AsksFurther)
    assert isinstance(objective, Reporting)
    assert objective.needs == Needs()
    asked, cursor = objective.draw(1, 0, 14)
    assert (len(asked), cursor) == (2, 2), "a document makes as many groups as answers, and one"
    assert objective.draw(9, cursor, 14)[0] != asked
    for one in asked:
        [cut], [question] = one.trunk.cuts, one.questions
        window = objective.positions.read(question.owner)
        assert isinstance(question, MaskQuestion)
        assert one.trunk.document_ids == tuple(window.document_ids[window.start : window.end].tolist())
        assert cut.position == len(one.trunk.document_ids)
        usual = objective.question.prompt.suffix_ids
        assert cut.suffix_ids == (usual[0], *codec.encode(" mask"), usual[-1])
        assert one.trunk.instruction_ids == codec.control("rpt")
    everything, _ = objective.draw(1, 0, 7 * len(objective.positions.counts))
    assert len({one.trunk.key for one in everything}) == len(objective.positions.counts)


def test_spans_are_whole_tokens_at_eligible_places(codec, inputs):
    objective = opened(inputs, codec, span_tokens=3)
    asked, window = one_of(objective)
    ids = window.document_ids[window.start : window.end].tolist()
    position = int(window.positions[len(window.positions) // 2])
    for num in (1, 2, 3, 4):
        span = codec.to_bytes(ids[position - window.start :][:num])
        found = places_of(window, span, 3, codec)
        assert ((position, num) in found) is (num <= 3)
        for at, length in found:
            assert codec.to_bytes(window.document_ids[at : at + length].tolist()) == span
    long = next(p for p in window.positions.tolist() if len(codec.token_bytes(ids[p - window.start])) > 2)
    part = codec.token_bytes(ids[long - window.start])[:-1]
    assert all(at != long for at, _ in places_of(window, part, 3, codec)), "half a token is no span"
    assert (
        places_of(replace(window, positions=window.positions[:0]), codec.token_bytes(ids[long]), 3, codec)
        == []
    )
    assert places_of(window, b"", 3, codec) == places_of(window, b"no such words", 9, codec) == []
    named = objective.question.spans_named(window, answer(codec, " so", tokens_at(codec, window, position)))
    assert position in [at for at, _ in named]
    assert [objective.question.spans_named(window, one) for one in unnamed(codec)] == [[]] * 3
    assert asked.questions[0].position == window.end


def test_a_span_may_be_boxed_or_masked():
    both = b" so</think>\\boxed{ 7} or \\mask{ eight}"
    assert read(both, box=b"\\mask{").predictions[0] == b" eight"
    assert read(both).predictions[0] == b" 7"


def test_the_spans_named_are_asked_about_once_each(codec, inputs):
    objective = opened(inputs, codec)
    asked, window = one_of(objective)
    first, second = (int(window.positions[n]) for n in (4, len(window.positions) - 3))
    one, other = (tokens_at(codec, window, position) for position in (first, second))
    samples = [answer(codec, " a", one), answer(codec, " b", other), *unnamed(codec), answer(codec, "", one)]
    (more,) = objective.further(3, [asked], [[samples]])
    assert (more.trunk.key, more.trunk.document_ids) == (asked.trunk.key, asked.trunk.document_ids)
    assert all(isinstance(question, SpanQuestion) for question in more.questions)
    assert sorted(n for question in more.questions for n in question.named_by) == [0, 1, 5]
    for cut, question in zip(more.trunk.cuts, more.questions, strict=True):
        words = {one if n in (0, 5) else other for n in question.named_by}
        assert {question.truth} == words
        assert cut.position == question.position - window.start
        assert cut.suffix_ids == objective.question.prompt.suffix_ids
        assert codec.decode(question.truth_ids[: question.num_tokens]) == question.truth
        assert (
            tuple(window.document_ids[question.position :][: len(question.truth_ids)]) == question.truth_ids
        )
    assert objective.further(3, [asked], [[samples]]) == [more], "the same step asks the same"
    (none,) = objective.further(3, [asked], [[unnamed(codec) * 2]])
    assert (none.trunk.cuts, none.questions) == ((), ())


def test_of_several_places_the_step_and_the_answer_choose_one(codec, inputs):
    objective = opened(inputs, codec)
    asked, window = one_of(objective)
    ids = window.document_ids[window.start : window.end]
    common = max(window.positions.tolist(), key=lambda p: int((ids == window.document_ids[p]).sum()))
    word = tokens_at(codec, window, common)
    assert len(places_of(window, word.encode(), 1, codec)) > 2
    chosen = [
        {
            q.position
            for q in objective.further(step, [asked], [[[answer(codec, " a", word)] * GROUP]])[0].questions
        }
        for step in range(1, 9)
    ]
    assert len(set().union(*chosen)) > 2
    assert len({tuple(sorted(some)) for some in chosen}) > 1, "another step, other places"
    assert any(len(some) > 1 for some in chosen), "answers of one step choose for themselves"


@pytest.mark.parametrize(("match", "longer"), [("exact", "wrong"), ("covers", "correct")])
def test_a_prediction_is_the_span_or_covers_it(codec, inputs, match, longer):
    objective = opened(inputs, codec, match=match)
    _, window = one_of(objective)
    position = int(window.positions[5])
    span = tokens_at(codec, window, position, 2)
    (question,) = objective.question.ask_about(window, {(position, 2): [0]}).questions
    judged = {
        text: objective.question.judge(question, answer(codec, " so", text)).verdict
        for text in (
            span,
            tokens_at(codec, window, position),
            tokens_at(codec, window, position, 3),
            tokens_at(codec, window, position, 5),
            span + "?!",
            "?!",
        )
    }
    assert list(judged.values()) == ["correct", "wrong", longer, longer, "wrong", "wrong"]
    usual = open_objective(recipe_of(RptObjective(prompt="compact")), inputs, codec)
    held = objective.held_out(6)
    assert [one.questions for one in held] == [one.questions for one in usual.held_out(6)]
    first = held[0].questions[0]
    for num in (1, 2):
        shown = answer(codec, " so", codec.decode(first.truth_ids[:num]))
        assert objective.question.judge(first, shown).verdict == "correct", "held out, by the prefix rule"


def groups(codec, question, *shares):
    """Groups of eight predictions of a span, so many of each right."""
    truth = question.truth
    return [
        [answer(codec, " so", truth)] * right + [answer(codec, " so", "?!")] * (8 - right) for right in shares
    ]


def test_a_mask_earns_by_the_misses_of_what_can_be_predicted(codec, inputs):
    objective = opened(inputs, codec)
    asked, window = one_of(objective)
    places = [int(window.positions[n]) for n in (3, 9, 15)]
    named = {(position, 1): by for position, by in zip(places, ([0, 2], [1], [4]), strict=True)}
    more = objective.question.ask_about(window, named)
    words = [tokens_at(codec, window, places[n]) for n in (0, 1, 0, 2)]
    drawn = [answer(codec, " a", word) for word in (*words[:3], " ?!?", words[3])]
    drawn.append(unnamed(codec)[2])
    predicted = [groups(codec, q, right)[0] for q, right in zip(more.questions, (3, 0, 8), strict=True)]
    found = objective.verdicts([more], [predicted])
    assert [sum(v.score for v in group) for group in found[0]] == [3.0, 0.0, 8.0]
    [[masks]] = objective.concluded([asked], [[drawn]], [more], found)
    assert [v.score for v in masks] == [0.625, 0.0, 0.625, 0.0, 0.0, 0.0]
    assert [v.verdict for v in masks] == ["scored"] * 3 + ["unparsed", "scored", "truncated"]
    assert [v.prediction for v in masks[:3]] == words[:3]
    metrics, timings = objective.report()
    expected = {"named": 4 / 6, "reward": 1.25 / 6, "spans": 3.0, "right": (3 / 8 + 0 + 1) / 3}
    assert metrics == pytest.approx({f"masker/{name}": value for name, value in expected.items()})
    assert (timings, objective.report()) == ({}, ({}, {}))
    [[alone]] = objective.concluded(
        [asked],
        [[[unnamed(codec)[0]] * 2]],
        [replace(more, trunk=replace(more.trunk, cuts=()), questions=())],
        [[]],
    )
    assert [(v.score, v.verdict) for v in alone] == [(0.0, "unparsed")] * 2
    assert "masker/right" not in objective.report()[0]


def test_where_words_do_the_asking_the_task_stands_after_the_text(codec, inputs):
    objective = opened(inputs, codec)
    worded = type(objective.question).of(PretrainZeroObjective(prompt="v0"), codec)
    assert TASK in codec.decode(worded.mask_suffix_ids)
    assert TASK not in codec.decode(worded.prompt.suffix_ids)
    assert worded.prompt == next_token_prompt("v0", codec)
    room = worded.training_rules(800).window_tokens
    assert room + len(worded.prompt.instruction_ids) + len(worded.mask_suffix_ids) == 800
    assert worded.rules(800).window_tokens > room


def test_windows_with_nothing_to_ask_are_passed_over(codec, uneven_inputs):
    settings = {"choose": "floor", "entropy_floor_nats": 3.9}
    objective = opened(uneven_inputs, codec, **settings)
    counts = objective.positions.counts
    asked, _ = objective.draw(1, 0, 7 * len(counts))
    assert len(asked) == len(counts)
    for one in asked:
        window = objective.positions.read(one.questions[0].owner)
        assert np.all(window.entropies_nats >= 3.9)
        word = tokens_at(codec, window, int(window.positions[0]))
        assert {at for at, _ in objective.question.spans_named(window, answer(codec, "", word))} <= set(
            window.positions.tolist()
        )


def test_what_cannot_be_told_ahead_or_compared_is_refused():
    settings = PretrainZeroObjective(prompt="compact")
    with pytest.raises(ValidationError, match="half of its questions follow the answers of the same step"):
        policy_recipe(objective=settings, off_policy_steps=1)
    with pytest.raises(ValidationError, match="loss=rejection with objective pretrainzero"):
        policy_recipe(objective=settings, loss="rejection")
    with pytest.raises(ValidationError, match="reward"):
        PretrainZeroObjective(prompt="compact", reward="dense")
