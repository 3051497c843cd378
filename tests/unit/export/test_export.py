"""`rpt export`: a model that other tools load as it is, its card, and what is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rpt_core.policy.codec import Codec
from tests.unit.corpus.small_corpus import write_corpus
from tests.unit.difficulty.small_difficulty import write_difficulty
from tests.unit.evaluation.folders import write_model
from tests.unit.evaluation.tables import AFTER, Planted, write_evaluation
from tests.unit.flows.cli.test_copy_and_compare import put, run, said
from tests.unit.objectives.test_objectives import policy_recipe

ROOT = Path(__file__).resolve().parents[3]
TRL = ROOT / ".venv-trl" / "bin" / "python"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    write_model(root / "policy" / "model")
    write_corpus(root / "corpus", 40)
    shutil.copytree(root / "corpus", root / "difficulty")
    write_difficulty(root / "difficulty", Codec.load(root / "policy" / "model"))
    write_evaluation(root / "evaluation", AFTER, planted=Planted(12, 3), manifest=False)
    return root


@pytest.fixture
def trained(store, folders):
    """A policy over a corpus and difficulties, evaluated once."""
    corpus = put(store, folders / "corpus", "corpus", "c")
    difficulty = put(store, folders / "difficulty", "difficulty", "d", parents={"corpus": corpus.artifact})
    start = put(store, folders / "policy", "base", "5", recipe={"stage": "train-base", "steps": 3})
    inputs = {"corpus": corpus.artifact, "difficulty": difficulty.artifact, "start": start.artifact}
    recipe = policy_recipe(steps=2).with_inputs(inputs).model_dump(mode="json")
    policy = put(store, folders / "policy", "policy", "e", recipe=recipe, parents=inputs)
    put(
        store, folders / "evaluation", "evaluation", "a", recipe={"stage": "evaluate"},
        parents={"model": policy.artifact},
    )  # fmt: skip
    return policy


def test_transformers_loads_it_and_computes_what_we_compute(store, trained, tmp_path, capsys):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rpt_core.policy.load import load_policy

    assert run("export", "policy/eeeeee", str(tmp_path / "out"), "--questions", "8") == 0
    ours = load_policy(store.materialise(trained.artifact) / "model")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").eval()
    ids = torch.tensor([ours.codec.encode("the clock shows 3 and rests on Monday")])
    with torch.no_grad():
        expected, found = ours.model(ids).logits, theirs(ids).logits
    assert torch.equal(expected, found)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    assert tokenizer("the clock shows 3")["input_ids"] == ours.codec.encode("the clock shows 3")
    out = capsys.readouterr().out
    assert "for transformers and vLLM" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model", "questions", "README.md", "reward.py", "reward.json",
    }  # fmt: skip


def test_every_number_of_the_card_leads_to_an_artifact_it_names(trained, tmp_path):
    assert run("export", "policy/eeeeee", str(tmp_path / "out"), "--questions", "0") == 0
    card = (tmp_path / "out" / "model" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["library_name"] == "transformers"
    (scores,) = told["model-index"]
    for result in scores["results"]:
        (metric,) = result["metrics"]
        assert metric["name"] == "evaluation/aaaaaaaaaaaa"
        assert f"{100 * metric['value']:.1f} %" in body
    rows = [line for line in body.splitlines() if "](#artifact-evaluation-aaaaaaaaaaaa)" in line]
    assert len(rows) == len(scores["results"]) > 3
    assert '<a id="artifact-evaluation-aaaaaaaaaaaa"></a>' in body
    assert "| steps | 2 |" in body
    assert "`rpt why eeeeeeeeeeee`" in body


@pytest.mark.parametrize(
    ("ref", "why"), [("555555", "a base model has no questions"), ("corpus/cccccc", "holds no model")]
)
def test_what_cannot_be_exported_is_said(trained, tmp_path, capsys, ref, why):
    code = run("export", ref, str(tmp_path / "out"))
    said_all = " ".join("".join(capsys.readouterr()).split())
    assert why in said_all
    assert code == (0 if ref == "555555" else 2)
    assert (tmp_path / "out").exists() == (ref == "555555")


def test_a_folder_with_something_in_it_is_left_alone(trained, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("precious")
    assert run("export", "policy/eeeeee", str(tmp_path / "mine")) == 2
    assert "is no empty folder" in said(capsys)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.txt"]


STEP = """
import sys
from datasets import load_dataset
from trl import GRPOConfig, GRPOTrainer
from reward import reward

questions = load_dataset("parquet", data_files="questions/train.parquet", split="train")
given = []

def watched(**columns):
    given.append(reward(**columns))
    return given[-1]

config = GRPOConfig(
    output_dir="trained", max_steps=2, per_device_train_batch_size=4, num_generations=4,
    max_completion_length=24, use_cpu=True, bf16=False, report_to="none", save_strategy="no",
    learning_rate=1e-5, disable_tqdm=True,
)
trainer = GRPOTrainer("model", reward_funcs=watched, args=config, train_dataset=questions)
trainer.train()
assert len(given) == 2 and all(value in (0.0, 1.0) for one in given for value in one), given
right = "</think>\\\\boxed{" + questions[0]["truth"][: questions[0]["boundaries"][0]] + "}"
ids = trainer.processing_class(right)["input_ids"] + [trainer.processing_class.eos_token_id]
row = {name: [questions[0][name]] for name in questions.column_names}
assert reward(completions=[""], completion_ids=[ids], **row) == [1.0]
assert reward(completions=[""], completion_ids=[ids[:-1]], **row) == [0.0], "cut off"
print("two steps", trainer.state.global_step)
"""


@pytest.mark.slow
@pytest.mark.skipif(not TRL.exists(), reason="no .venv-trl here: infra/setup_trl.sh makes it")
@pytest.mark.timeout(900)
def test_trl_trains_on_the_questions_with_the_reward(trained, tmp_path):
    assert run("export", "policy/eeeeee", str(tmp_path / "out"), "--questions", "8") == 0
    (tmp_path / "out" / "step.py").write_text(STEP)
    done = subprocess.run(
        [str(TRL), "step.py"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=850,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "two steps 2" in done.stdout
