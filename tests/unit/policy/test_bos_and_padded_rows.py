"""Models with BOS and with rows of logits their tokenizer lacks: what is scored, and what is drawn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from rpt_core.difficulty.entropy import score_documents, spans
from rpt_core.errors import RecipeError
from rpt_core.evaluation.answers import draw_thinking, next_token_guesses
from rpt_core.objectives.objective import Asked, Question
from rpt_core.policy.attention import tree_attention
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.load import load_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.plain import PlainProbabilities
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.rl.losses import dual
from rpt_core.train.supervised.sft import tokenised
from tests.tiny_tokenizers import BOS, MISTRAL, begins_with_bos, byte_level, save, save_model

TOKENS, ROWS = 340, 640
DOCUMENT = "The old clock shows 3, and 12 and 30 is 42. It is 2 plus 2, she said."


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_model(save(begins_with_bos(byte_level(TOKENS)), tmp_path_factory.mktemp("bos")), ROWS)


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    return load_policy(folder)


@pytest.fixture(scope="module")
def logp(folder: Path, policy: Policy) -> torch.Tensor:
    """The unmodified model's log-probabilities on BOS and the document, shape ``(1 + tokens, rows)``."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = [*policy.codec.begin_ids, *policy.codec.encode(DOCUMENT)]
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return found


def document(policy: Policy) -> tuple[int, ...]:
    return tuple(policy.codec.encode(DOCUMENT))


def test_difficulty_is_read_behind_bos_and_bos_is_not_scored(policy: Policy, logp: torch.Tensor):
    ids = document(policy)
    windows = list(spans(0, len(ids), 400, 200))
    entropies, nlls, forwarded = score_documents(policy, [ids], windows, ROWS, 4096)
    expected = -logp[torch.arange(1, len(ids)), list(ids[1:])]
    assert np.isnan(nlls[0][0])
    assert nlls[0][1:] == pytest.approx(expected.numpy(), abs=1e-4)
    assert entropies[0][1:] == pytest.approx(-(logp.exp() * logp).sum(1)[1:-1].numpy(), abs=1e-3)
    assert forwarded == 1 + len(ids)


def test_a_window_from_the_middle_begins_with_bos_too(policy: Policy):
    ids = document(policy)
    windows = list(spans(0, len(ids), 12, 6))
    _, nlls, _ = score_documents(policy, [ids], windows, 16, 4096)
    last = windows[-1]
    alone = document_scores(policy, [Trunk("w", policy.begin_ids, ids[last.start : last.end])]).nll_M
    fresh = len(ids) - last.new
    assert last.start > 0
    assert nlls[0][last.new :] == pytest.approx(alone[-fresh:].detach().numpy(), abs=1e-4)


def test_plain_chances_and_guesses_are_read_behind_bos(policy: Policy, logp: torch.Tensor):
    ids, places = document(policy), (3, 9, 20)
    trunk = Trunk("d", (5, 6, 7), ids, tuple(Cut(place, (8,)) for place in places))
    (chances,) = PlainProbabilities(policy)([trunk], [[[ids[place]] for place in places]])
    expected = [float(logp[place, ids[place]].exp()) for place in places]
    assert [chance for (chance,) in chances] == pytest.approx(expected, rel=1e-3)
    questions = tuple(Question("d", place, "", (ids[place],), "") for place in places)
    (guesses,) = next_token_guesses(policy, [Asked(trunk, questions)], instructed=False)
    assert guesses == [int(logp[place, :TOKENS].argmax()) for place in places]


def test_a_documents_own_loss_counts_its_first_token_behind_bos(policy: Policy, logp: torch.Tensor):
    ids = document(policy)
    trunk = dual.raw(Trunk("d", (5, 6, 7), ids, (Cut(3),)), policy.begin_ids)
    scores, _ = dual.raw_scores(TorchBackend(policy, Optimiser(), 1), [trunk])
    assert dual.num_own_tokens(trunk, frozenset({3})) == len(ids) - 1
    assert scores.token_M.tolist() == list(range(len(ids)))
    assert scores.nll_M.detach().tolist() == pytest.approx(
        (-logp[range(len(ids)), list(ids)]).tolist(), abs=1e-3
    )


@pytest.mark.parametrize("template", [None, MISTRAL])
def test_a_conversation_begins_with_bos_once(tmp_path: Path, template):
    codec = Codec.load(save(begins_with_bos(byte_level()), tmp_path, template=template))
    found = tokenised("c", [("user", "2 plus 2"), ("assistant", "4")], codec)
    bos = byte_level().token_to_id(BOS)
    assert found.trunk.token_ids[0] == bos
    assert found.trunk.token_ids.count(bos) == 1


def test_scores_of_given_text_are_the_models_own(policy: Policy, logp: torch.Tensor):
    ids = document(policy)
    scored = document_scores(policy, [Trunk("d", policy.begin_ids, ids)])
    expected = -logp[range(len(ids)), list(ids)]
    assert scored.nll_M.detach().tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    given = branch_logprobs(policy, [Trunk("d", policy.begin_ids, ids[:4], (Cut(4),))], [[[ids[4:]]]])
    assert given.logprobs_N.detach().tolist() == pytest.approx((-expected[4:]).tolist(), abs=1e-3)


def many(policy: Policy, **more) -> tuple[Trunk, Sampling]:
    trunk = Trunk("d", policy.begin_ids, document(policy), (Cut(4), Cut(9, (20, 21))))
    plan = Sampling(temperature=1.3, max_new_tokens=12, stop_ids=policy.codec.end_ids, group_size=40, seed=1)
    return trunk, replace(plan, **more)


@pytest.mark.parametrize("more", [{}, {"top_p": 0.9}, {"top_k": 500}])
def test_rows_without_a_token_are_never_drawn(policy: Policy, more):
    trunk, sampling = many(policy, **more)
    drawn = TorchEngine(policy).generate([trunk], sampling, 1)
    tokens = {token for cut in drawn[0] for sample in cut for token in sample.token_ids}
    assert len(tokens) > 50
    assert max(tokens) < TOKENS
    thinking = draw_thinking(policy, TorchEngine(policy), [trunk], sampling)
    assert max(token for cut in thinking[0] for sample in cut for token in sample.token_ids) < TOKENS


def test_what_is_drawn_is_what_is_updated(policy: Policy):
    """The engine's log-probabilities and the trainer's are of one distribution, without those rows."""
    trunk, sampling = many(policy)
    drawn = TorchEngine(policy).generate([trunk], sampling, 1)
    answers = [[[sample.token_ids for sample in cut] for cut in drawn[0]]]
    engine = [x for cut in drawn[0] for sample in cut for x in sample.logprobs]
    scores = {
        kind: branch_logprobs(policy, [trunk], answers, temperature=1.3, as_drawn=kind)
        for kind in (True, False)
    }
    assert scores[True].logprobs_N.detach().tolist() == pytest.approx(engine, abs=1e-4)
    assert float((scores[False].logprobs_N.detach() - torch.tensor(engine)).min()) < -0.1
    assert torch.isfinite(scores[True].entropies_N).all()
    assert float(scores[True].entropies_N.detach().max()) <= np.log(TOKENS)


def test_no_gradient_reaches_rows_without_a_token(policy: Policy):
    trunk, sampling = many(policy)
    answers = [[[s.token_ids for s in cut] for cut in TorchEngine(policy).generate([trunk], sampling, 1)[0]]]
    scores = branch_logprobs(policy, [trunk], answers, with_document=False, as_drawn=True)
    (scores.logprobs_N.sum() + scores.entropies_N.sum()).backward()
    gradient = policy.output_weight.grad
    policy.model.zero_grad()
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert float(gradient[TOKENS:].abs().max()) == 0
    assert float(gradient[:TOKENS].abs().max()) > 0


def test_an_end_that_only_the_generation_config_knows_is_drawn(folder: Path, tmp_path: Path):
    save(begins_with_bos(byte_level(TOKENS)), tmp_path)
    (tmp_path / "generation_config.json").write_text(f'{{"eos_token_id": [{TOKENS + 3}, {ROWS + 9}]}}')
    codec = Codec.load(tmp_path)
    assert codec.unknown_ids(ROWS) == [i for i in range(TOKENS, ROWS) if i != TOKENS + 3]
    assert codec.unknown_ids(TOKENS) == []


def test_a_tokenizer_without_gaps_masks_nothing(tmp_path: Path):
    policy = load_policy(save_model(save(byte_level(TOKENS), tmp_path), TOKENS))
    assert policy.unknown_ids is None
    assert policy.begin_ids == ()


def test_holes_of_a_vocabulary_are_never_drawn(tmp_path: Path):
    folder = save(byte_level(TOKENS), tmp_path)
    state = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = state["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    vocabulary[last] = TOKENS + 10
    (folder / "tokenizer.json").write_text(json.dumps(state))
    codec = Codec.load(folder)
    assert codec.unknown_ids(TOKENS + 12) == [*range(TOKENS - 1, TOKENS + 10), TOKENS + 11]


def test_heads_of_two_widths_are_refused_with_both():
    query, value = torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 3, 6)
    with pytest.raises(RecipeError, match="values have 6 numbers a head and queries 8 "):
        tree_attention(torch.nn.Identity(), query, query, value, None)
    with pytest.raises(ValueError, match=r"an attention mask of shape \(1, 1\) was given"):
        tree_attention(torch.nn.Identity(), query, query, query, torch.zeros(1, 1))
