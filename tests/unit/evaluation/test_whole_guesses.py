"""Plain guesses of whole numbers: greedy decoding told by one pass, and no further digit behind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rpt_core.evaluation.answers import next_token_guesses, truth_guesses
from rpt_core.evaluation.benchmarks.next_token import NextTokens
from rpt_core.evaluation.benchmarks.protocol import Setting
from rpt_core.objectives.next_token.positions import Window
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.next_token.results import begins_result
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import RptObjective
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.evaluation.test_evaluate import NOWHERE

TEXT = "half of 48 is 48/2 = 24 clips. in all 48+24 = 72 or $1,200 = $1,200. then 7*31 = 217"
SETTINGS = RptObjective(prompt="brief", asked="results", entropy_floor_nats=0.0)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    write_model(folder)
    return load_policy(folder)


@pytest.fixture(scope="module")
def asked(policy):
    """All results of the text, and a window that ends inside the last number."""
    codec = policy.codec
    ids = np.array(codec.encode(TEXT), np.int32)
    places = [int(at) for at in np.flatnonzero(begins_result(ids.tolist(), codec))]
    question = NextToken.of(SETTINGS, codec)
    window = Window("d", 0, len(ids), ids, np.array(places), np.ones(len(places), np.float32))
    cut = replace(window, end=places[-1] + 1)
    return [question.ask(window, places), question.ask(cut, places[-1:])]


def guess_at(policy, one, position, *, instructed):
    """The likeliest token at one place of the whole text."""
    trunk = replace(one.trunk, cuts=(Cut(position, ()),))
    [[token]] = next_token_guesses(policy, [replace(one, trunk=trunk)], instructed=instructed)
    return token


@pytest.mark.parametrize("instructed", [False, True])
def test_one_pass_guesses_every_token_of_every_number_and_the_one_behind(policy, asked, instructed):
    assert [len(question.truth_ids) for question in asked[0].questions] == [2, 2, 5, 3]
    found = truth_guesses(policy, asked, instructed=instructed)
    for tokens, cut, question in zip(found[0], asked[0].trunk.cuts, asked[0].questions, strict=True):
        assert len(tokens) == len(question.truth_ids) + 1
        assert list(tokens) == [
            guess_at(policy, asked[0], cut.position + ahead, instructed=instructed)
            for ahead in range(len(tokens))
        ]
    assert found[1] == found[0][-1:]  # what lies beyond the window is asked about all the same


def test_small_passes_guess_the_same(policy, asked):
    whole = truth_guesses(policy, asked, instructed=False)
    assert truth_guesses(policy, asked, instructed=False, tokens_per_batch=1) == whole


def test_a_plain_guess_is_right_as_a_whole_number_alone(policy, asked):
    codec, question = policy.codec, asked[0].questions[0]
    objective = NextToken.of(SETTINGS, codec)
    assert objective.asks_whole
    assert not NextToken.of(SETTINGS.model_copy(update={"reward": "first-token"}), codec).asks_whole
    two, four, five, blank, comma = (codec.encode(text)[0] for text in ("2", "4", "5", " ", ","))
    assert question.truth_ids == (two, four)
    assert objective.says_whole(question, (two, four, blank))
    assert objective.says_whole(question, (two, four, comma))
    assert not objective.says_whole(question, (two, four, five))  # 245
    assert not objective.says_whole(question, (two, five, blank))


def test_the_benchmark_compares_whole_numbers_where_these_are_asked_for(tmp_path, policy):
    codec = policy.codec
    write_corpus(tmp_path, codec)
    recipe = EvaluationRecipe(
        corpus=NOWHERE, difficulty=NOWHERE, model=NOWHERE, objective=RptObjective(prompt="brief"),
        modes=("plain",), num_positions=4, context_tokens=128,
    )  # fmt: skip
    benchmark = NextTokens.open(Setting(recipe, {"corpus": tmp_path, "difficulty": tmp_path}, codec))
    assert not benchmark.question_type.asks_whole
    whole = replace(benchmark, question_type=NextToken.of(SETTINGS, codec))
    question = replace(benchmark.asked[0].questions[0], truth_ids=tuple(codec.encode("24")))
    right = whole._compared_whole(question, (*question.truth_ids, codec.encode(" ")[0]))
    wrong = whole._compared_whole(question, (*question.truth_ids, codec.encode("0")[0]))
    assert (right.verdict, right.prediction, right.answer_tokens) == ("correct", "24", 2)
    assert (wrong.verdict, wrong.score) == ("wrong", 0.0)


def test_brief_words_stand_after_the_cut_alone(policy):
    prompt = NextToken.of(SETTINGS, policy.codec).prompt
    assert prompt.instruction_ids == policy.codec.begin_ids
    assert policy.codec.decode(prompt.suffix_ids) == "\nWhat comes next?\n<think>\n"
