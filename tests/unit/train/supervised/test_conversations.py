"""Conversations under a tokenizer of one token a letter: what is learnt from, and in which order."""

import json
from types import SimpleNamespace

import pytest

from rpt_core.policy.trunk import Cut
from rpt_core.train.supervised import sft
from rpt_core.train.supervised.loop import Learned, Trained
from rpt_core.train.supervised.sft import read_conversations, tokenised

END = 1


class Letters:
    """One token a letter; a turn ends by token 1, which templates write as ``$``."""

    chat_template, end_id, end_ids = None, END, frozenset({END})

    def encode(self, text):
        return [ord(letter) for letter in text]

    def encode_template(self, text):
        return [END if letter == "$" else ord(letter) for letter in text]

    def opening(self, text, *, of_template):
        return [9 if of_template else 8, *self.encode_template(text)]

    def special_names(self):
        return {}


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def test_plain_headings_stand_before_every_turn():
    turns = [("user", "Q"), ("assistant", "A"), ("user", "R"), ("assistant", "BB")]
    found = tokenised("key", turns, Letters())
    row = "### User\nQ\n\n### Assistant\nA\n\n### User\nR\n\n### Assistant\n"
    assert found.trunk.key == "key"
    assert found.trunk.instruction_ids == ()
    assert found.trunk.document_ids == (8, *ids(row))
    first = 1 + len("### User\nQ\n\n### Assistant\n")
    assert found.trunk.cuts == (Cut(first), Cut(1 + len(row)))
    assert found.answers == ((*ids("A"), END), (*ids("BB"), END))
    assert found.num_tokens == 1 + len(row) + 3


@pytest.mark.parametrize(("close", "ends"), [("$", (END,)), ("--$\n$", (*ids("--"), END)), ("", (END,))])
def test_an_answer_ends_as_the_template_ends_it(monkeypatch, close, ends):
    monkeypatch.setattr(sft, "render", lambda template, turns, names, *, answer: told.append(
        (template, turns, answer)) or "<q>".join(["", *[f"{sft.PLACE}{close}"] * 2]))  # fmt: skip
    told: list = []
    codec = Letters()
    codec.chat_template = "a template"
    found = tokenised("key", [("user", "Q"), ("assistant", "A")], codec)
    assert found.answers == ((*ids("A"), *ends),)
    assert found.trunk.document_ids[0] == 9
    marked = [{"role": "user", "content": sft.PLACE}, {"role": "assistant", "content": sft.PLACE}]
    assert told == [("a template", marked, False)]


def line(*turns) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


ASKED = [("user", "Q"), ("assistant", "A")]


def test_files_are_read_in_the_order_of_names_and_lines(tmp_path):
    (tmp_path / "b.jsonl").write_text(line(*ASKED) + "\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_text(
        "\n".join([line(*ASKED, ("user", "R"), ("system", "S")), "", line(*ASKED)])
    )
    (tmp_path / "notes.txt").write_text("no conversation")
    found, rows = read_conversations(tmp_path, Letters(), 100)
    assert [one.trunk.key for one in found] == ["b.jsonl:0", "a.jsonl:0", "a.jsonl:2"]
    assert all(one.answers == found[0].answers for one in found)  # what nobody answered is left out
    assert (rows.rows_in, rows.kept, rows.dropped) == (3, 3, {})
    assert [one.trunk.key for one in read_conversations(tmp_path / "b.jsonl", Letters(), 100)[0]] == [
        "b.jsonl:0"
    ]


def test_what_cannot_be_learnt_from_is_counted_by_reason(tmp_path):
    whole = tokenised("key", ASKED, Letters()).num_tokens
    lines = [
        line(*ASKED), line(("user", "QQ"), ("assistant", "A")), line(("user", "Q")), line(),
        line(("robot", "Q"), ("assistant", "A")), line(("user", None), ("assistant", "A")), "[]", "{}", "no",
        '{"messages": [{"role": "user"}]}', '{"messages": 3}',
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found, rows = read_conversations(tmp_path, Letters(), whole)
    assert len(found) == 1
    assert rows.dropped == {
        "no-answer": 2, "not-a-conversation": 5, "too-long": 1, "unknown-role-or-content": 2,
    }  # fmt: skip
    assert list(rows.dropped) == sorted(rows.dropped)
    assert (rows.rows_in, rows.kept) == (11, 1)


@pytest.mark.parametrize(
    ("num", "per_step", "epochs", "steps", "each"), [(7, 3, 2, 4, 3), (2, 5, 3, 3, 2), (3, 3, 1, 1, 3)]
)
def test_every_epoch_passes_over_all_conversations(tmp_path, monkeypatch, num, per_step, epochs, steps, each):
    (tmp_path / "a.jsonl").write_text("\n".join([line(*ASKED)] * num))
    opened, learnt, exported = [], [], []

    def open_backend(numerics, policy, optimiser, total):
        opened.append((numerics, optimiser, total))
        return SimpleNamespace(export=exported.append)

    def train(build, policy, backend, total, learn):
        for number in range(1, total + 1):
            learn(number)
        return Trained({"answer_nll_nats": 0.25}, 99, 5e9)

    monkeypatch.setattr(sft, "load_policy", lambda *_, **__: SimpleNamespace(codec=Letters()))
    monkeypatch.setattr(sft, "device_of", lambda build: "cpu")
    monkeypatch.setattr(sft, "open_backend", open_backend)
    monkeypatch.setattr(sft, "train_supervised", train)
    monkeypatch.setattr(
        sft, "learn", lambda backend, some, build: learnt.append([one.trunk.key for one in some])
    )
    recipe = SimpleNamespace(
        data=str(tmp_path),
        max_tokens=100,
        conversations_per_step=per_step,
        epochs=epochs,
        optimiser="rule",
        seed=4,
    )
    build = SimpleNamespace(inputs={"base": tmp_path}, out=tmp_path / "out", numerics="numerics")
    outcome = sft.train_sft(recipe, build)
    assert opened == [("numerics", "rule", steps)]
    assert [len(some) for some in learnt] == [each] * steps
    assert (
        sorted([key for some in learnt for key in some][:num])
        == [f"a.jsonl:{i}" for i in range(num)][: each * steps]
    )
    assert exported == [tmp_path / "out" / "model"]
    assert outcome.summary == {"conversations": num, "steps": steps, "final_answer_nll_nats": 0.25}
    assert (outcome.tokens, outcome.flops, outcome.rows.kept) == (99, 5e9, num)


def test_all_tokens_of_an_answer_weigh_the_same(monkeypatch):
    given = []
    monkeypatch.setattr(sft, "learn_answers", lambda *told: given.append(told) or Learned(0.0, {}, 0))
    some = [tokenised("a", ASKED, Letters()), tokenised("b", [*ASKED, ("assistant", "BB")], Letters())]
    sft.learn("backend", some, "build")
    (told,) = given
    first, (second, third) = some[0].answers[0], some[1].answers
    weights = [[[[1.0, 1.0]]], [[[1.0, 1.0]], [[1.0, 1.0, 1.0]]]]
    trunks = [one.trunk for one in some]
    assert told == ("backend", trunks, [[[first]], [[second], [third]]], weights, "build")
