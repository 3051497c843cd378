"""A reader's own model in a tiny recipe: words and rates follow it, or the plan says what to type."""

import json
import shlex
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from flows.agreement import PROMPTS, check_journey
from flows.recipes import Overrides, any_journey
from flows.recipes.tiny import ADAMW, COLD
from flows.recipes.trees import stage, walk
from rpt_core.errors import RecipeError
from rpt_core.objectives.next_segment.prompts import segment_prompt
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.prompts import problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.supervised import BaseRecipe
from tasks.inputs.given_models import has_control_tokens, longest_row, vocabulary

TINY = ("tiny_rpt", "tiny_real", "tiny_rmt", "tiny_rlpt")


def foreign(folder: Path, positions: int = 2048, model_type: str = "llama", words: str = "one two") -> str:
    """A folder as others make it: a byte-level tokenizer that knows none of our control words."""
    folder.mkdir()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=270, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([words * 20], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    place = "n_positions" if model_type == "gpt2" else "max_position_embeddings"
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, place: positions}))
    return str(folder)


def base(name: str) -> BaseRecipe:
    corpus = PrepareRecipe.parse({"documents": {"data": "x"}})
    return BaseRecipe(corpus=corpus, model=GivenModel(name=name))


def typed(sentence: str, after: str) -> dict[str, object]:
    """The fields that a refusal says to type."""
    words = [word for word in shlex.split(sentence.split(after)[1]) if word != "-p"]
    pairs = (word.split("=", 1) for word in words)
    return {name: int(value) if value.isdecimal() else value for name, value in pairs}


@pytest.mark.parametrize("name", TINY)
def test_words_of_all_stages_follow_the_model(name: str, tmp_path: Path):
    given = Overrides(model=foreign(tmp_path / "model"), data="rows.jsonl")
    journey = any_journey(name, given)
    check_journey(journey)
    for node in walk(journey):
        for field in PROMPTS.get(node.kind, ()):
            value = node
            for part in field.split("."):
                value = getattr(value, part)
            if field != "problems.prompt" or "problems" in node.modes:
                assert value == "auto", f"{node.kind}.{field}"


def test_auto_is_words_that_a_foreign_tokenizer_has(tmp_path: Path):
    codec = Codec.load(Path(foreign(tmp_path / "model")))
    assert next_token_prompt("auto", codec) == next_token_prompt("v6", codec)
    assert problem_prompt("auto", codec) == problem_prompt("plain", codec)
    assert segment_prompt("auto", codec) == segment_prompt("worded", codec)


@pytest.mark.parametrize("name", TINY)
def test_rates_are_gentler_than_for_a_model_trained_here(name: str):
    """Rates that make a model of 0.6 M parameters learn undo what a pretrained one knows."""
    own = any_journey(name, Overrides(data="x"))
    given = any_journey(name, Overrides(data="x", model="org/name"))
    rates = [
        [
            node.optimiser.learning_rate
            for node in walk(each)
            if node.kind in ("cold-start", "policy", "rlpt", "rlvr")
        ]
        for each in (own, given)
    ]
    assert len(rates[0]) == len(rates[1])
    assert all(theirs <= ours / 10 for ours, theirs in zip(*rates, strict=True))
    optimisers = {node.optimiser.name for node in walk(given) if node.kind == "cold-start"}
    assert optimisers == {"adamw"}
    assert {COLD.name, ADAMW.name} == {"muon", "adamw"}


@pytest.mark.parametrize("name", TINY)
def test_a_problem_set_alone_is_text_for_a_given_model(name: str):
    own = stage(any_journey(name, Overrides(data="x")), "prepare-corpus")
    given = stage(any_journey(name, Overrides(data="x", model="org/name")), "prepare-corpus")
    assert given.solutions_as_documents
    assert own.solutions_as_documents is (name == "tiny_real")  # what was made before stays valid


@pytest.mark.parametrize("name", ["tiny_rpt", "tiny_rmt", "tiny_rlpt"])
@pytest.mark.parametrize("how", ["field", "whole"])
def test_a_model_named_by_its_field_alone_is_refused_with_the_whole_command(name, how, tmp_path):
    """The recipe's other fields are then those of a model trained here; nine minutes later it would fail."""
    folder = foreign(tmp_path / "model")
    fields: dict[str, object] = (
        {"base.model.name": folder} if how == "field" else {"base.model": {"name": folder}}
    )
    with pytest.raises(RecipeError, match=f"control tokens .* the tokenizer of {folder} has none") as refused:
        check_journey(any_journey(name, Overrides(fields=fields)))
    assert f"-p model={folder}" in str(refused.value)
    more = typed(str(refused.value), "follow the model: ")
    check_journey(any_journey(name, Overrides(fields={**fields, **more})))


@pytest.mark.parametrize(
    "fields",
    [
        {"policy.objective.prompt": "compact"},
        {"evaluation.problems.prompt": "compact"},
        {"cold-start.prompt": "compact-fenced"},
        {"cold-start.prompt": "v3"},
    ],
)
def test_words_that_a_given_model_was_not_taught_are_refused(fields, tmp_path):
    given = {"model": foreign(tmp_path / "model"), "data": "x"}
    with pytest.raises(RecipeError, match="asks in the words"):
        check_journey(any_journey("tiny_rpt", Overrides(**given, fields=fields)))


def test_a_model_with_control_tokens_is_asked_by_them(tmp_path: Path):
    """A model trained here and given back: ``auto`` stands for ``compact``; to name it changes nothing."""
    Codec.train(["one two three " * 40], 280, tmp_path / "own")
    (tmp_path / "own" / "config.json").write_text('{"max_position_embeddings": 1024}')
    own = base(str(tmp_path / "own"))
    assert has_control_tokens(own) is True
    given = Overrides(model=own.model.name, fields={"policy.objective.prompt": "compact"})
    check_journey(any_journey("tiny_rpt", given))
    other = Overrides(model=own.model.name, fields={"policy.objective.prompt": "v6"})
    with pytest.raises(RecipeError, match=r"'v6'.* learnt to answer to 'compact'"):
        check_journey(any_journey("tiny_rpt", other))


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(("model_type", "positions"), [("gpt2", 64), ("llama", 256), ("opt", 512)])
def test_rows_longer_than_the_model_are_refused_with_all_that_must_shrink(
    name, model_type, positions, tmp_path
):
    given = Overrides(model=foreign(tmp_path / "model", positions, model_type), data="x")
    with pytest.raises(RecipeError, match=f"was made for {positions}") as refused:
        check_journey(any_journey(name, given))
    fields = typed(str(refused.value), "Make them shorter: ")
    check_journey(any_journey(name, given.model_copy(update={"fields": fields})))


def test_what_a_plan_knows_of_a_folder(tmp_path: Path):
    one, like, other = (
        base(foreign(tmp_path / name, words=words))
        for name, words in (("one", "one two"), ("like", "one two"), ("other", "drei vier"))
    )
    assert vocabulary(one) == vocabulary(like) != vocabulary(other)
    assert longest_row(one) == (2048, False)
    assert has_control_tokens(one) is False
    nowhere = base("models/nowhere")
    assert (vocabulary(nowhere), longest_row(nowhere), has_control_tokens(nowhere)) == (None, None, None)
    (tmp_path / "one" / "config.json").write_text("{broken")
    assert longest_row(one) is None  # whoever loads it says so


def test_two_folders_of_other_vocabularies_are_refused_as_proxy_and_policy(tmp_path: Path):
    own, other = foreign(tmp_path / "own"), foreign(tmp_path / "other", words="drei vier")
    journey = any_journey("tiny_rpt", Overrides(model=own, data="x"))
    policy = stage(journey, "train-rpt")
    proxy = policy.difficulty.proxy.model_copy(update={"model": GivenModel(name=other)})
    wrong = policy.model_copy(update={"difficulty": policy.difficulty.model_copy(update={"proxy": proxy})})
    with pytest.raises(RecipeError, match="vocabularies differ"):
        check_journey(wrong)
