"""One text put to a model: what is drawn is the model's own, its scores too, and an answer is read right."""

from dataclasses import dataclass

import pytest
import torch
from transformers import AutoModelForCausalLM

from rpt_core.errors import RecipeError
from rpt_core.evaluation.trial import Request, answers, trunk_of
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.prompts import problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.load import load_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import Budget, RlvrObjective, RmtObjective
from tests.tiny_tokenizers import CHATML, byte_level, save
from tests.toys import tiny_policy
from tests.unit.evaluation.folders import write_model

TEXT = "the clock shows three"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    write_model(path)
    return path


@pytest.fixture(scope="module")
def policy(folder):
    return load_policy(folder)


@dataclass
class Says:
    """An engine that says what it is told to."""

    text: str
    codec: object
    finish: str = "stop"

    def generate(self, trunks, sampling, step):
        ids = self.codec.encode_template(self.text)
        ids += [self.codec.end_id] if self.finish == "stop" else []
        return [[[Sample(tuple(ids), (0.0,) * len(ids), self.finish)]]]


@torch.no_grad()
def test_a_greedy_answer_is_the_models_own_argmax_with_its_probabilities(folder, policy):
    request = Request(TEXT, max_new_tokens=12)
    trunk, (said,) = answers(policy, TorchEngine(policy), request)
    assert trunk.document_ids == tuple(policy.codec.encode(TEXT))
    plain = AutoModelForCausalLM.from_pretrained(folder)
    ids = [*policy.codec.begin_ids, *trunk.document_ids]
    for token in said.tokens:
        logp_V = plain(torch.tensor([ids])).logits[0, -1].log_softmax(0)  # (V,)
        assert token.token_id == int(logp_V.argmax())
        assert token.logprob_nats == pytest.approx(float(logp_V.max()), abs=1e-4)
        assert token.entropy_nats == pytest.approx(float(-(logp_V.exp() * logp_V).sum()), abs=1e-4)
        ids.append(token.token_id)
    assert said.logprob_nats == pytest.approx(sum(token.logprob_nats for token in said.tokens))
    assert said.prediction == said.text
    assert said.thought == ""
    assert said.perplexity > 1


def test_several_samples_differ_and_repeat_by_their_seed(policy):
    request = Request(TEXT, samples=4, temperature=1.5, max_new_tokens=8, seed=3)
    first, again = (answers(policy, TorchEngine(policy), request)[1] for _ in range(2))
    assert first == again
    assert len({said.text for said in first}) > 1


def test_a_thought_is_shown_apart_from_the_prediction(policy):
    request = Request(TEXT, form="think")
    _, (said,) = answers(policy, Says(" on and on</think>\\boxed{ noon}", policy.codec), request)
    assert (said.thought, said.prediction, said.is_read) == (" on and on", " noon", True)
    _, (said,) = answers(policy, Says(" on and on</think> noon", policy.codec), request)
    assert (said.thought, said.is_read) == (" on and on</think> noon", False)
    cut = Says(" on</think>\\boxed{ noon}", policy.codec, finish="length")
    assert not answers(policy, cut, request)[1][0].is_read


def test_a_solution_is_the_last_closed_box(policy):
    request = Request("2 + 2?", form="solve")
    engine = Says(" add</think>\\boxed{5}, no, \\boxed{4} and \\boxed{", policy.codec)
    (said,) = answers(policy, engine, request)[1]
    assert (said.thought, said.prediction, said.is_read) == (" add", "4", True)


@pytest.mark.parametrize(("template", "form"), [(CHATML, "chat"), (None, "plain")])
def test_a_model_from_elsewhere_solves_in_its_own_form(tmp_path, template, form):
    codec = Codec.load(save(byte_level(), tmp_path, template=template))
    tiny = tiny_policy(vocab=len(codec))
    elsewhere = Policy(tiny.model, codec, tiny.config)
    request = Request("2 + 2?", form="solve")
    trunk, (said,) = answers(elsewhere, Says("2 + 2 = 4.\n\nThe final answer is 4.", codec), request)
    words = codec.decode([*trunk.token_ids, *trunk.cuts[0].suffix_ids])
    assert ("<|im_start|>user" in words) == (form == "chat")
    assert "<think>" not in words
    assert (said.thought, said.prediction, said.is_read) == ("", "4", True)
    learnt = Request("2 + 2?", form="solve", problem=RlvrObjective(prompt="auto"))
    trunk, (said,) = answers(elsewhere, Says("The final answer is 4.", codec), learnt)
    assert codec.decode(trunk.cuts[0].suffix_ids).rstrip().endswith("<think>")
    assert not said.is_read


def test_a_solution_in_the_models_own_words_is_its_last_number_where_it_has_no_box(policy):
    engine = Says(" 2 + 2 makes 4.", policy.codec)
    found = [
        answers(policy, engine, Request("2 + 2?", form="solve", problem=RlvrObjective(thought=thought)))[1][0]
        for thought in ("free", "open")
    ]
    assert [(one.prediction, one.is_read) for one in found] == [("4", True), ("", False)]


def test_the_words_are_those_of_training(policy):
    codec = policy.codec
    thinking, solving = (trunk_of(Request(TEXT, form=form), codec) for form in ("think", "solve"))
    assert thinking.instruction_ids == next_token_prompt("auto", codec).instruction_ids
    assert thinking.cuts[0].suffix_ids == next_token_prompt("auto", codec).suffix_ids
    assert solving.instruction_ids == problem_prompt("auto", codec).instruction_ids
    budget = RmtObjective(prompt="compact", budget=Budget(first=20, decay=0.5))
    stated = trunk_of(Request(TEXT, form="think", next_token=budget), codec).cuts[0].suffix_ids
    assert " 10" in codec.decode(stated)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"text": " \n"}, "the text is empty"),
        ({"text": "x", "form": "sing"}, "cannot be asked as 'sing'; it can as plain, think, solve"),
        ({"text": "x", "samples": 2}, "2 samples are asked for at temperature 0"),
    ],
)
def test_what_makes_no_sense_is_refused(request_, says):
    with pytest.raises(RecipeError, match=says):
        Request(**request_)


def test_a_text_beyond_the_context_is_refused_with_all_lengths(policy):
    room = policy.config.max_position_embeddings
    with pytest.raises(RecipeError, match=f"answer up to {room}, and this model was made for rows of {room}"):
        answers(policy, TorchEngine(policy), Request(TEXT, max_new_tokens=room))
