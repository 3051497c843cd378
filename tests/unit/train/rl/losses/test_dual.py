"""The next-token half of the dual objective against a pass of its own, and trainings that carry it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import Stopped
from rpt_core.recipes.objectives import Budget, Curriculum, NtpObjective, RmtObjective
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate
from tests.toys import gradients, relative_error, save_tiny_model
from tests.unit.corpus.small_corpus import write_corpus
from tests.unit.difficulty.small_difficulty import write_uneven
from tests.unit.train.rl.test_step import INPUT, RECIPE, make_trainer

KEEP_ALL = Selection(drop_equal_from_step=10_000)


def gradient_of(trainer, batch):
    trainer.policy.model.zero_grad()
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    sums = accumulate(trainer, lessons, scales_of(trainer, lessons))
    return sums, gradients(trainer.policy)


def separate_pass(trainer, batch, *, raw: bool):
    """Mean loss and gradient over tokens not asked about, by one ordinary pass per document."""
    trainer.policy.model.zero_grad()
    total, count = 0, 0
    for document in batch.documents:
        trunk = document.asked.trunk
        before = () if raw else trunk.instruction_ids
        ids = torch.tensor([before + trunk.document_ids])
        logp = torch.log_softmax(trainer.policy.model(input_ids=ids, use_cache=False).logits, -1)[0]
        asked = {cut.position for cut in trunk.cuts}
        for token in range(0 if before else 1, len(trunk.document_ids)):
            if token not in asked:
                total = total - logp[len(before) + token - 1, trunk.document_ids[token]]
                count += 1
    (total / count).backward()
    return float(total.detach()) / count, gradients(trainer.policy)


@pytest.mark.parametrize("text", ["instructed", "raw"])
@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_one_pass_gives_value_and_gradient_of_two(text, budget):
    """The whole gradient is the policy's own, plus lambda times that of a separate pass."""
    changes = {"ntp_text": text, "selection": KEEP_ALL}
    alone = make_trainer(RECIPE.model_copy(update=changes | {"ntp_weight": 0.0}))
    both = make_trainer(
        RECIPE.model_copy(update=changes | {"ntp_weight": 0.3}), tokens_per_micro_batch=budget
    )
    batch = collect(alone, Progress(), Clock())
    policy, policy_gradient = gradient_of(alone, batch)
    ntp, ntp_gradient = separate_pass(alone, batch, raw=text == "raw")
    sums, found = gradient_of(both, batch)
    assert sums.ntp_loss == pytest.approx(ntp, rel=1e-5)
    assert sums.loss == pytest.approx(policy.loss + 0.3 * ntp, rel=1e-5)
    expected = {name: policy_gradient[name] + 0.3 * ntp_gradient[name] for name in policy_gradient}
    assert relative_error(found, expected) < 1e-4


def test_the_instructed_form_costs_no_token_and_the_raw_form_its_own_pass():
    batch = collect(make_trainer(), Progress(), Clock())
    tokens = {}
    for name, changes in {
        "none": {},
        "instructed": {"ntp_weight": 0.1},
        "raw": {"ntp_weight": 0.1, "ntp_text": "raw"},
    }.items():
        tokens[name] = gradient_of(make_trainer(RECIPE.model_copy(update=changes)), batch)[0].forwarded
    documents = [len(one.asked.trunk.document_ids) for one in batch.documents]
    assert all(any(group.keep for group in one.groups) for one in batch.documents), "every trunk is forwarded"
    assert tokens["instructed"] == tokens["none"]
    assert tokens["raw"] == tokens["instructed"] + len(documents) * max(documents)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("start")
    codec = save_tiny_model(folder / "model").codec
    corpus = write_uneven(write_corpus(tmp_path_factory.mktemp("corpus"), 40), codec)
    return {"start": folder, "corpus": corpus, "difficulty": corpus}


def recipe(**changes) -> PolicyRecipe:
    shared = {"prompt": "compact", "entropy_floor_nats": 1.0}
    curriculum = Curriculum(tiers_nats=(1.0, 2.0, 3.0), follows=changes.pop("follows", "proxy"))
    objective = RmtObjective(**shared, budget=Budget(first=8, decay=0.2), curriculum=curriculum)
    given = {
        "corpus": INPUT, "difficulty": INPUT, "start": INPUT, "objective": objective, "ntp_weight": 0.1,
        "prompts_per_step": 8, "group_size": 4, "cuts_per_document": 2, "temperature": 1.0, "steps": 8,
        "reasoning_tokens": 10, "context_tokens": 256, "optimiser": Optimiser(learning_rate=1e-3),
    }  # fmt: skip
    return PolicyRecipe(**(given | changes))


class StoppingBuild(LocalBuild):
    """Asks the stage to stop once a step has been logged."""

    stop_after = 3

    def log(self, step, values, timings=None):
        super().log(step, values, timings)
        self.stop = step >= self.stop_after


def build_of(folder: Path, inputs, cls=LocalBuild):
    return cls(inputs, folder / "out", folder / "scratch", placement=Placement(checkpoint_seconds=1e-6))


def metrics_of(build):
    return [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("follows", ["proxy", "policy", "success"])
def test_a_training_resumes_mid_schedule_with_the_same_tiers_and_budgets(tmp_path, inputs, follows):
    whole = build_of(tmp_path / "whole", inputs)
    outcome = train_policy(recipe(follows=follows), whole)
    broken = build_of(tmp_path / "broken", inputs, StoppingBuild)
    for stop_after in (1, 4):
        broken.stop, broken.stop_after = False, stop_after
        with pytest.raises(Stopped):
            train_policy(recipe(follows=follows), broken)
    broken.stop, broken.stop_after = False, 99
    assert train_policy(recipe(follows=follows), broken) == outcome
    rows = metrics_of(whole)
    assert metrics_of(broken) == rows
    assert [row["budget_tokens"] for row in rows] == [8, 6, 5, 4, 3, 2, 2, 1]
    assert all(
        sum(v for k, v in row.items() if k.startswith("tier_share/")) == pytest.approx(1) for row in rows
    )
    file = "rollouts.parquet"
    assert pq.read_table(broken.out / file).equals(pq.read_table(whole.out / file))
    weights = [load_file(b.out / "model/model.safetensors") for b in (whole, broken)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_training_ends_when_its_tokens_are_used_up(tmp_path, inputs):
    build = build_of(tmp_path, inputs)
    outcome = train_policy(recipe(max_tokens=6000, steps=100, evaluate_every=50), build)
    rows = [row for row in metrics_of(build) if row["step"]]
    assert rows[-1]["tokens_total"] >= 6000 > rows[-2]["tokens_total"]
    assert outcome.tokens == rows[-1]["tokens_total"]
    assert "eval/accuracy" in rows[-1]  # the last step is looked at, whichever it is


def test_the_control_learns_from_documents_alone(tmp_path, inputs):
    objective = NtpObjective(prompt="compact", entropy_floor_nats=1.0)
    build = build_of(tmp_path, inputs)
    optimiser = Optimiser(learning_rate=1e-2)
    outcome = train_policy(
        recipe(objective=objective, ntp_weight=1.0, optimiser=optimiser, evaluate_every=4), build
    )
    rows = metrics_of(build)
    assert rows[-1]["ntp_loss"] < rows[1]["ntp_loss"] - 0.5
    assert rows[-1]["questions_total"] == 0
    assert "reward_mean" not in rows[-1]
    assert "eval/accuracy" in rows[-1]
    assert outcome.tokens == sum(row.get("update_tokens", 0) for row in rows)
