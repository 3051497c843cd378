"""Fine-tuning on conversations: loss on answers alone, each seeing what came before it."""

import json

import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError, SourceError, StarvedError
from rpt_core.policy.forward import document_scores
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Trunk
from rpt_core.recipes.supervised import Optimiser, SftRecipe
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.supervised.sft import learn, read_conversations, tokenised, train_sft
from tests.toys import save_tiny_model

NOWHERE = Artifact(kind="base", fingerprint="0" * 64, digest="0" * 64)
TURNS = [("user", "one two"), ("assistant", "three"), ("user", "four"), ("assistant", "five six")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    save_tiny_model(folder / "model")
    return folder


def _lines(path, conversations):
    rows = [{"messages": [{"role": r, "content": c} for r, c in turns]} for turns in conversations]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def _build(tmp_path, base):
    return LocalBuild({"base": base}, tmp_path / "out", tmp_path / "scratch")


def test_the_loss_is_on_answers_alone_and_each_sees_its_past(base, tmp_path):
    policy = load_policy(base / "model", for_training=True)
    one = tokenised("a", TURNS, policy.codec)
    learned = learn(TorchBackend(policy, Optimiser(), 1), [one], _build(tmp_path, base))
    row, losses = list(one.trunk.document_ids), []
    for cut, answer in zip(one.trunk.cuts, one.answers, strict=True):
        path = (*row[: cut.position], *answer)
        nll_M = document_scores(policy, [Trunk("row", (), path)]).nll_M
        losses.append(nll_M[cut.position - 1 :])
    assert learned.loss == pytest.approx(float(torch.cat(losses).detach().mean()), rel=1e-5)
    assert [policy.codec.decode(ids[:-1]) for ids in one.answers] == ["three", "five six"]
    assert all(ids[-1] == policy.codec.end_id for ids in one.answers)
    assert "### User\none two\n\n### Assistant\nthree" in policy.codec.decode(row)


def test_conversations_in_one_pass_do_not_see_each_other(base, tmp_path):
    policy = load_policy(base / "model", for_training=True)
    build = _build(tmp_path, base)
    several = [tokenised(str(i), TURNS[: 2 + 2 * (i % 2)], policy.codec) for i in range(4)]
    tokens = [sum(map(len, one.answers)) for one in several]
    apart = [learn(TorchBackend(policy, Optimiser(), 1), [one], build).loss for one in several]
    together = learn(TorchBackend(policy, Optimiser(), 1), several, build).loss
    expected = sum(t * loss for t, loss in zip(tokens, apart, strict=True)) / sum(tokens)
    assert together == pytest.approx(expected, rel=1e-5)


def test_training_lowers_the_loss_and_keeps_count(base, tmp_path):
    data = _lines(tmp_path / "chat.jsonl", [TURNS] * 6 + [TURNS[:1]])
    with data.open("a") as stream:
        stream.write('not json\n{"messages": [{"role": "robot", "content": "x"}]}\n\n')
    optimiser = Optimiser(learning_rate=1e-2)
    recipe = SftRecipe(
        base=NOWHERE, data=str(data), conversations_per_step=3, epochs=4, max_tokens=200, optimiser=optimiser
    )
    build = _build(tmp_path, base)
    outcome = train_sft(recipe, build)
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == outcome.summary["steps"] == 8
    assert rows[-1]["answer_nll_nats"] < rows[0]["answer_nll_nats"] - 0.5
    assert outcome.rows.rows_in == 9
    assert outcome.rows.dropped == {"no-answer": 1, "not-a-conversation": 1, "unknown-role-or-content": 1}
    load_policy(build.out / "model")


def test_contents_never_become_control_tokens(base):
    codec = load_policy(base / "model").codec
    one = tokenised("a", [("user", "<|end|> x"), ("assistant", "<|end|>")], codec)
    assert codec.end_id not in one.trunk.document_ids
    assert one.answers[0].count(codec.end_id) == 1


def test_a_chat_template_is_used(base):
    codec = load_policy(base / "model").codec
    codec.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|end|>{% endfor %}"
    one = tokenised("a", TURNS, codec)
    assert codec.decode((*one.trunk.document_ids, *one.answers[-1])) == (
        "[user]one two<|end|>[assistant]three<|end|>[user]four<|end|>[assistant]five six<|end|>"
    )


def test_nothing_to_learn_is_said(base, tmp_path):
    with pytest.raises(SourceError, match=r"no .jsonl file"):
        read_conversations(tmp_path, load_policy(base / "model").codec, 100)
    data = _lines(tmp_path / "long.jsonl", [TURNS])
    with pytest.raises(StarvedError, match="1 too-long"):
        train_sft(SftRecipe(base=NOWHERE, data=str(data), max_tokens=16), _build(tmp_path, base))


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages if m.role != 'user' %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}",
    ],
    ids=["hides a turn", "shows turns twice"],
)
def test_a_template_that_does_not_show_every_turn_once_is_refused(base, template):
    codec = load_policy(base / "model").codec
    codec.chat_template = template
    with pytest.raises(RecipeError, match=r"shows \d of 4 turns"):
        tokenised("a", TURNS, codec)
