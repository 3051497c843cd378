"""`rpt try`: any model by any of its names, three forms, and a sentence where nothing can be said."""

import json
import shutil

import pytest

from tests.unit.evaluation.folders import write_model
from tests.unit.flows.cli.test_copy_and_compare import put, run, said
from tests.unit.infra.storage.test_store import write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    write_model(folder / "model")
    return folder


@pytest.fixture
def trained(store, model, tmp_path):
    """A cold start that learnt the compact words, and a policy over it that learnt a budget's."""
    cold = put(store, model, "cold-start", "5", recipe={"stage": "cold-start", "prompt": "compact"})
    objective = {"name": "rmt", "prompt": "compact", "budget": {"first": 20, "decay": 0.5}}
    shutil.copytree(model, tmp_path / "policy")
    recipe = {"stage": "train-rpt", "objective": objective}
    policy = put(store, tmp_path / "policy", "policy", "e", recipe=recipe, parents={"start": cold.artifact})
    store.add_ref("mine-cold-start", cold.artifact)
    store.add_ref("mine-policy", policy.artifact)
    return policy


def test_a_folder_goes_on_with_a_text(store, model, capsys):
    words = ("try", str(model / "model"), "the clock shows", "--max-new-tokens", "5", "--json")
    assert run(*words) == 0
    found = json.loads(capsys.readouterr().out)
    (answer,) = found["answers"]
    assert found["as"] == "plain"
    assert 1 <= answer["num_tokens"] == len(answer["tokens"]) <= 5
    assert answer["logprob_nats"] == pytest.approx(sum(t["logprob_nats"] for t in answer["tokens"]))
    assert all(t["logprob_nats"] <= 0 <= t["entropy_nats"] for t in answer["tokens"])
    assert run(*words) == 0
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize("form", ["think", "solve"])
def test_an_artifact_thinks_and_solves(store, trained, form, capsys):
    words = ("--as", form, "--samples", "2", "--temperature", "1", "--max-new-tokens", "6", "--tokens")
    assert run("try", "mine-policy", "the clock shows", *words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith(f"policy/eeeeeeeeeeee as {form}, temperature 1, ")
    assert out.count("perplexity") == out.count("thought") == out.count("log-probability entropy") == 2


def test_the_words_are_those_the_artifact_learnt(store, trained):
    from tasks.commands.trial import trained_words
    from tasks.inputs.models import find_model

    policy, cold = (trained_words(find_model(name, store), store)[0] for name in ("mine-policy", "555555"))
    assert (policy.name, policy.budget.first, policy.prompt) == ("rmt", 20, "compact")
    assert (cold.name, cold.prompt) == ("rpt", "compact")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("mine-polcy", "x"), "no artifact or ref is called 'mine-polcy'"),
        (("mine-polcy", "x"), "Near: mine-policy"),
        (("mine-policy", " "), "the text is empty"),
        (("mine-policy", "x", "--as", "sing"), "it can as plain, think, solve"),
        (("mine-policy", "clock " * 40_000), "this model was made for rows of"),
        (("mine-policy", "x", "--placement", "gpus=9"), "9 GPUs are asked for"),
        (("mine-policy", "a\udcffb"), "not valid Unicode"),
    ],
)
def test_what_cannot_be_asked_ends_in_a_sentence(store, trained, words, says, capsys):
    assert run("try", *words) == 2
    assert says in said(capsys)


def test_what_holds_no_model_is_named(store, tmp_path, capsys):
    put(store, write(tmp_path / "c", text="words"), "corpus", "c")
    assert run("try", "corpus/cccccc", "x") == 2
    assert "which holds no model" in said(capsys)
