"""The exported reward gives what the objective gives, and the exported questions are the training's own."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rpt_core.export import reward
from rpt_core.export.questions import FOLDER, MODEL_FOLDER, NO_BOUNDARY, OTHER_TOKENS, export_questions
from rpt_core.objectives.next_token import objective as rpt
from rpt_core.objectives.problems import objective as rlvr
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RlvrObjective, RmtObjective, RptObjective
from rpt_core.recipes.reinforce import RlvrRecipe
from tests.unit.objectives.test_objectives import NOWHERE, answer, policy_recipe


@pytest.fixture
def target(tmp_path, codec: Codec) -> Path:
    codec.save(tmp_path / MODEL_FOLDER)
    return tmp_path


def tokenizer_of(folder: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda prompts: tokenizer(prompts)["input_ids"]


def exported(recipe, inputs, target, most=12):
    counts = export_questions(recipe, inputs, target, tokenizer_of(target / MODEL_FOLDER), most)
    tables = (pq.read_table(target / FOLDER / f"{split}.parquet") for split in ("train", "test"))
    return counts, *(table.to_pylist() for table in tables)


def test_the_questions_are_those_that_training_asks_first(codec, inputs, target):
    recipe = policy_recipe(cuts_per_document=3)
    counts, train, test = exported(recipe, inputs, target)
    asked, _ = rpt.open_objective(recipe, inputs, codec).draw(1, 0, 12)
    wanted = [
        (one.trunk.instruction_ids + one.trunk.document_ids[: cut.position] + cut.suffix_ids, question)
        for one in asked
        for cut, question in zip(one.trunk.cuts, one.questions, strict=True)
    ]
    assert counts.train.rows_in == len(wanted) == 12
    assert counts.train.kept == len(train) == 12 - sum(counts.train.dropped.values()) > 0
    tokenize = tokenizer_of(target / MODEL_FOLDER)
    by_place = {(q.document, q.position): (ids, q) for ids, q in wanted}
    for row in train:
        ids, question = by_place[row["document"], row["position"]]
        assert tuple(tokenize([row["prompt"]])[0]) == ids
        assert row["truth"].startswith(question.truth[:5])
    assert {row["document"] for row in test}.isdisjoint({row["document"] for row in train})


TEXTS = ("{truth}", "{truth}", "x{truth}", "{half}", "", " }}", "{truth} and on", "\\n")


@pytest.mark.parametrize("rule", ["prefix", "token"])
def test_it_agrees_with_the_training_on_every_answer(codec, inputs, target, rule):
    objective = RptObjective(prompt="compact", entropy_floor_nats=1.5)
    if rule == "token":
        objective = RmtObjective(
            prompt="compact", entropy_floor_nats=1.5, reward="token", curriculum=None, budget=None
        )
    recipe = policy_recipe(objective=objective)
    _, train, _ = exported(recipe, inputs, target)
    opened = rpt.open_objective(recipe, inputs, codec)
    questions = {(q.document, q.position): q for one in opened.draw(1, 0, 12)[0] for q in one.questions}
    verdicts, answers, rows = [], [], []
    for row in train:
        question = questions[row["document"], row["position"]]
        first = codec.decode(question.truth_ids[:1])
        for text in TEXTS:
            said = text.format(truth=first, half=first[: len(first) // 2])
            for finish in ("stop", "length"):
                sample = answer(codec, " hm", said, finish)
                ids = sample.token_ids if finish == "stop" else sample.token_ids[:-1]
                verdicts.append(opened.question.judge(question, Sample(ids, sample.logprobs, finish)).score)
                answers.append(list(ids))
                rows.append(row)
    ends = json.loads((target / reward.SETTINGS).read_text())["end_ids"]
    texts = [codec.decode(ids[:-1]) if ids[-1] in ends else None for ids in answers]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = [
        float(text is not None and reward.is_right(text, *row))
        for text, *row in zip(
            texts,
            *(columns[name] for name in ("kind", "truth", "boundaries", "newline_escapes")),
            strict=True,
        )
    ]
    assert found == verdicts
    assert 0 < sum(found) < len(found)


def test_problems_are_graded_by_the_projects_own_rules(codec, inputs, target):
    recipe = RlvrRecipe(
        corpus=NOWHERE, start=NOWHERE, objective=RlvrObjective(prompt="compact"), context_tokens=512
    )
    _, train, test = exported(recipe, inputs, target)
    opened = rlvr.open_objective(recipe, inputs, codec)
    assert train
    assert test
    questions = {q.document: q for one in opened.draw(1, 0, 12)[0] for q in one.questions}
    for row in train[:4]:
        for text in (row["truth"], f" {row['truth']}.0", "no number"):
            sample = answer(codec, " hm", text)
            mine = opened.solve.judge(questions[row["document"]], sample).verdict == "correct"
            said = codec.decode(sample.token_ids[:-1])
            assert reward.is_right(said, "problem", row["truth"], [], False) == mine


def test_a_prompt_that_reads_as_other_tokens_stays_behind_with_a_reason(codec, inputs, target):
    def shifted(prompts):
        return [[*ids, 0] if i % 2 else ids for i, ids in enumerate(tokenizer_of(target / "model")(prompts))]

    counts = export_questions(policy_recipe(), inputs, target, shifted, 8)
    assert counts.train.dropped[OTHER_TOKENS] >= 4
    assert set(counts.train.dropped) <= {OTHER_TOKENS, NO_BOUNDARY}


def test_conversations_and_plain_texts_are_read_without_token_ids():
    columns = {"kind": ["next-token"] * 2, "truth": [" blue"] * 2, "boundaries": [[5]] * 2}
    texts = ["so</think>\\boxed{ blue}", [{"role": "assistant", "content": "so</think>\\boxed{blue}"}]]
    assert reward.reward(texts, newline_escapes=[False] * 2, **columns) == [1.0, 0.0]
