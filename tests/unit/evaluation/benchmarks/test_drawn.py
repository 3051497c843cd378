"""Drawn answers: where they end, what they say, what they are worth, and which are drawn at all."""

from pathlib import Path

import pytest

from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.pack import Form, Message
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.evaluation.benchmarks.suite.drawn import ROUND, Drawing, SamplingRound, parts_of, sampling_of
from rpt_core.evaluation.benchmarks.suite.prompts import Prompter
from rpt_core.objectives.problems.answer import Grade
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
from rpt_core.recipes.given import GivenModel
from tests.unit.evaluation.folders import texts

ITEM = Item("one", "the clock shows 3. then?", "4")
RECIPE = BenchmarkRecipe(model=GivenModel(name="m", digest="d"), benchmark="gsm8k")


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> Codec:
    return Codec.train(texts(20), 280, tmp_path_factory.mktemp("codec") / "codec")


class Says:
    """An engine that gives the answers it was told, over and over."""

    def __init__(self, codec: Codec, *answers: tuple[str, str]) -> None:
        self.codec, self.answers, self.asked = codec, answers, list[tuple[str, int, int]]()

    def generate(self, trunks, sampling, step):
        self.asked += [(trunk.key, step, sampling.group_size) for trunk in trunks]
        return [[[self._sample(n) for n in range(sampling.group_size)]] for _ in trunks]

    def _sample(self, number: int) -> Sample:
        text, finish = self.answers[number % len(self.answers)]
        ids = (*self.codec.encode(text), *([self.codec.end_id] if finish == "stop" else []))
        return Sample(ids, (-0.5,) * len(ids), "stop" if finish == "stop" else "length")


def drawn(codec: Codec, mode: str, form: Form, *answers: tuple[str, str], held=None):
    pack, engine = PACKS["gsm8k"], Says(codec, *answers)
    prompter = Prompter(codec, pack.name, form)
    asked = prompter(ITEM, pack.message(ITEM, mode, ()))
    drawing = Drawing(pack, mode, codec, engine, sampling_of(RECIPE, codec, 50, asked.stops))
    return drawing(SamplingRound((asked,), 0, len(answers)), held or {}), engine


def test_what_an_answer_is_worth_depends_on_its_end_its_thought_and_its_box(codec):
    rows, _ = drawn(
        codec, "reasoning", "think",
        ("hm</think>so \\boxed{4}", "stop"), ("hm</think>so \\boxed{5}", "stop"), ("so \\boxed{4}", "stop"),
        ("hm</think>so \\boxed{4} and", "length"), ("hm</think>no box", "stop"),
    )  # fmt: skip
    assert [row.verdict for row in rows] == ["correct", "wrong", "unparsed", "truncated", "unparsed"]
    assert [row.score for row in rows] == [1, 0, 0, 0, 0]
    assert [row.prediction for row in rows] == ["4", "5", "", "", ""]
    assert [row.sample for row in rows] == list(range(5))
    assert rows[0].answer == "hm</think>so \\boxed{4}"
    assert 0 < rows[0].thought_tokens < rows[0].answer_tokens
    assert len({row.sample_seed for row in rows}) == 5
    assert len({row.prompt_digest for row in rows}) == 1


def test_an_answer_in_plain_text_ends_where_the_model_asks_itself(codec):
    rows, _ = drawn(
        codec, "few-shot", "plain",
        (" 3 + 1 = 4. The answer is 4.\n\nQ: noon? The answer is 9.", "length"), (" The answer is 9", "stop"),
        (" so it shows", "stop"), (" so it shows", "length"),
    )  # fmt: skip
    assert [row.verdict for row in rows] == ["correct", "wrong", "unparsed", "truncated"]
    assert rows[0].answer == " 3 + 1 = 4. The answer is 4."
    assert not any(row.thinks for row in rows)


def test_an_answer_without_a_thought_says_its_answer_in_words(codec):
    rows, _ = drawn(
        codec, "reasoning", "plain",
        ("It moves. The final answer is 4.", "stop"), ("3 + 2 = 5", "stop"), ("3 + 1 = 4 and", "length"),
        ("The answer is 4. It moves", "length"), ("no number", "stop"),
    )  # fmt: skip
    assert [row.verdict for row in rows] == ["correct", "wrong", "truncated", "correct", "unparsed"]
    assert [row.prediction for row in rows] == ["4", "5", "", "4", ""]


def test_a_lack_of_time_is_told_apart(codec, monkeypatch):
    monkeypatch.setattr(type(PACKS["gsm8k"]), "grades", lambda *_: [Grade("unparsed", timed_out=True)])
    rows, _ = drawn(codec, "reasoning", "think", ("hm</think>\\boxed{4}", "stop"))
    assert [row.verdict for row in rows] == ["timed out"]


def test_a_round_is_drawn_whole_or_not_at_all(codec):
    rows, engine = drawn(codec, "reasoning", "think", ("a", "stop"), ("b", "stop"))
    assert engine.asked == [("gsm8k/one", 0, 2)]
    held = {(row.item_id, row.sample): row for row in rows}
    again, engine = drawn(codec, "reasoning", "think", ("x", "stop"), ("y", "stop"), held=held)
    assert again == rows
    assert engine.asked == []
    del held["one", 1]
    mixed, engine = drawn(codec, "reasoning", "think", ("x", "stop"), ("y", "stop"), held=held)
    assert [row.answer for row in mixed] == ["a", "y"]
    assert engine.asked == [("gsm8k/one", 0, 2)]


def test_parts_cover_every_sample_once_and_do_not_depend_on_how_many_there_are():
    asked = [object()] * 20
    for samples in (1, 3, ROUND, 2 * ROUND + 1):
        parts = list(parts_of(asked, samples))  # type: ignore[arg-type]
        numbers = [(id(part), number) for part in parts for number in part.numbers]
        assert sum(len(part.asked) * part.num_samples for part in parts) == 20 * samples
        assert len(set(numbers)) == len(numbers)
    eight, many = (list(parts_of(asked, samples)) for samples in (ROUND, 8 * ROUND))  # type: ignore[arg-type]
    assert len(list(parts_of(asked, ROUND, on_gpu=True))) == 1  # type: ignore[arg-type]
    assert [len(part.asked) for part in eight] == [len(part.asked) for part in many if part.round == 0]


def test_temperature_0_takes_the_likeliest_token(codec):
    greedy = sampling_of(RECIPE.model_copy(update={"temperature": 0.0, "top_p": 0.5}), codec, 9, ())
    assert (greedy.top_k, greedy.top_p, greedy.temperature, greedy.max_new_tokens) == (1, 1.0, 1.0, 9)
    usual = sampling_of(RECIPE, codec, 9, ())
    assert (usual.top_k, usual.top_p, usual.temperature) == (0, 0.95, 0.6)
    assert usual.stop_ids == codec.end_ids


def test_a_prompt_of_the_form_think_opens_a_thought(codec, tmp_path: Path):
    asked = Prompter(codec, "gsm8k", "think")(ITEM, Message("Solve.\n", ITEM.question))
    assert asked.in_thought
    assert codec.decode(asked.ids).endswith("<think>") or codec.control("think")[0] == asked.ids[-1]
    plain = Prompter(codec, "gsm8k", "plain")(ITEM, Message("", "Q: x\nA:", raw=True, stops=("Q:",)))
    assert not plain.in_thought
    assert codec.decode(plain.ids) == "Q: x\nA:"
    assert plain.digest != asked.digest
