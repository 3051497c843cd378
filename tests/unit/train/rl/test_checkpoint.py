"""What a checkpoint and a milestone hold, and when a model is the best so far."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from rpt_core.artifacts.build import STATE_FOLDER, LocalBuild
from rpt_core.errors import ResumeError
from rpt_core.train.rl import checkpoint
from rpt_core.train.rl.checkpoint import keep_best, publish, publish_best, recipe_digest, restore_best, save
from rpt_core.train.rl.record import Record, batch_digest
from rpt_core.train.rl.state import Progress
from tests.unit.train.rl.batches import FIRST, ROWS, batch, group, question
from tests.unit.train.rl.test_step import RECIPE

PROGRESS = Progress(5, 30, 2, asked=100, used=60, tokens=5000, gflops=20.5, best_step=3, best_accuracy=0.5)
STATE = {"seen": np.array([3.0, 5.0])}


class Follows:
    """An objective with a state."""

    needs = SimpleNamespace(reference_decay=None)
    wants_entropies = False

    def observe(self, seen): ...

    def state(self):
        return STATE

    def restore(self, state):
        self.restored = {name: value.tolist() for name, value in state.items()}


class Backend:
    def export(self, folder):
        folder.mkdir(parents=True)
        (folder / "weights").write_text("as they are")

    def save(self, folder):
        (folder / "moments").write_text("as they are")


def trainer(recipe=RECIPE, objective=None, num_parameters=100):
    objective = objective or SimpleNamespace(needs=SimpleNamespace(reference_decay=None))
    policy = SimpleNamespace(num_parameters=num_parameters)
    return SimpleNamespace(recipe=recipe, backend=Backend(), objective=objective, average=None, policy=policy)


@pytest.fixture
def build(tmp_path) -> LocalBuild:
    return LocalBuild({}, tmp_path / "out", tmp_path / "scratch")


def names(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_checkpoint_holds_all_that_is_needed_and_nothing_of_the_last_one(build):
    (build.scratch / "checkpoint").mkdir()
    (build.scratch / "checkpoint" / "stale").touch()
    (build.scratch / "best" / "model").mkdir(parents=True)
    (build.scratch / "best" / "model" / "weights").write_text("the best")
    one = trainer(objective=Follows())
    save(build, one, PROGRESS, Record())
    folder = build.saves[5]
    assert names(folder) == {
        "model/weights", "moments", "objective.safetensors", "progress.json", "rollouts.parquet",
        "batches.parquet", "best/model/weights",
    }  # fmt: skip
    assert json.loads((folder / "progress.json").read_text()) == {
        "recipe": recipe_digest(RECIPE),
        "progress": {
            "step": 5, "cursor": 30, "empty_steps": 2, "asked": 100, "used": 60, "tokens": 5000,
            "gflops": 20.5, "best_step": 3, "best_accuracy": 0.5, "deviation": 0.0,
        },
    }  # fmt: skip
    assert load_file(folder / "objective.safetensors")["seen"].tolist() == [3.0, 5.0]
    assert checkpoint.saved_progress(folder, RECIPE) == PROGRESS
    checkpoint.restore_objective(folder, one)
    assert one.objective.restored == {"seen": [3.0, 5.0]}
    (build.scratch / "best" / "model" / "weights").write_text("later")
    restore_best(folder, build)
    assert (build.scratch / "best" / "model" / "weights").read_text() == "the best"


def test_a_checkpoint_without_a_best_model_leaves_none(build):
    save(build, trainer(), PROGRESS, Record())
    restore_best(build.saves[5], build)
    assert not (build.scratch / "best").exists()


def test_another_recipe_is_told_both_digests(build):
    save(build, trainer(), PROGRESS, Record())
    other = RECIPE.model_copy(update={"seed": 9})
    with pytest.raises(ResumeError) as said:
        checkpoint.saved_progress(build.saves[5], other)
    assert str(said.value) == (
        f"the checkpoint of step 5 was written under recipe {recipe_digest(RECIPE)[:12]}, this run is "
        f"{recipe_digest(other)[:12]}: its steps were others. Start this recipe clean."
    )


@pytest.mark.parametrize(("num", "keeps"), [(7, True), (8, False)])
def test_milestones_of_models_up_to_a_size_keep_their_moments(build, monkeypatch, num, keeps):
    monkeypatch.setattr(checkpoint, "STATE_PARAMETERS_MAX", 7)
    told = []
    kept = build.milestone
    build.milestone = lambda *given: told.append(given[2]) or kept(*given)
    publish(build, trainer(num_parameters=num), PROGRESS, {"reward_mean": 0.25})
    folder = build.milestones[5]
    assert names(folder) == {
        "model/weights", f"{STATE_FOLDER}/progress.json", *([f"{STATE_FOLDER}/moments"] if keeps else []),
    }  # fmt: skip
    assert told == [{"reward_mean": 0.25}]
    assert not [path for path in build.scratch.iterdir() if path.name != "milestones"]


BEST = RECIPE.model_copy(update={"publish_best": True})


@pytest.mark.parametrize(
    ("recipe", "before", "accuracy", "taken"),
    [
        (BEST, Progress(step=4), 0.0, True),
        (BEST, Progress(step=4, best_step=2, best_accuracy=0.5), 0.5, False),
        (BEST, Progress(step=4, best_step=2, best_accuracy=0.5), 0.51, True),
        (BEST, Progress(step=4, best_step=2, best_accuracy=0.5), None, False),
        (BEST, Progress(step=4), None, False),
        (RECIPE, Progress(step=4), 0.9, False),
    ],
)
def test_a_model_is_put_aside_where_none_before_was_as_good(build, recipe, before, accuracy, taken):
    metrics = {"loss": 0.5, **({} if accuracy is None else {"eval/accuracy": accuracy})}
    found = keep_best(build, trainer(recipe), before, metrics)
    assert found == (replace(before, best_step=4, best_accuracy=accuracy) if taken else before)
    assert (build.scratch / "best").exists() is taken
    if taken:
        told = []
        build.milestone = lambda *given: told.append(given)
        publish_best(build, found)
        assert told == [(4, build.scratch / "best" / "model", metrics)]


def test_the_record_holds_the_first_answers_of_a_step_and_every_steps_digest(tmp_path):
    many = replace(batch(), documents=())
    groups = [group(question(f"doc-{n}", n + 1), ROWS[n % 3], keep=n != 2) for n in range(6)]
    document = replace(batch().documents[0], groups=tuple(groups))
    record = Record()
    record.add(1, 0, batch())
    record._batches[-1]["digest"] = "digest of the first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rpt_core.train.rl.record.batch_digest", lambda batch: "digest of the second")
        record.add(2, 17, replace(many, documents=(document,)))
    record.write(tmp_path)
    again = Record(tmp_path)
    assert (again._rows, again._batches) == (record._rows, record._batches)
    assert record._batches == [
        {"step": 1, "cursor": 0, "groups": 3, "kept": 2, "digest": "digest of the first"},
        {"step": 2, "cursor": 17, "groups": 6, "kept": 5, "digest": "digest of the second"},
    ]
    assert [(row["step"], row["doc_id"], row["thought"]) for row in record._rows] == [
        *((1, name, f"thought {n}") for name in ("first", "first", "second") for n in (0, 1)),
        *((2, f"doc-{d}", f"thought {n}") for d in range(4) for n in (0, 1)),
    ]
    assert record._rows[0] == {
        "step": 1, "doc_id": "first", "position": 3, "prompt_tail": "tail-3", "thought": "thought 0",
        "prediction": "guess 0", "truth": "truth-3", "verdict": "correct", "reward": 1.0, "tokens": 5,
    }  # fmt: skip


def test_a_digest_tells_where_one_row_of_tokens_ends_and_the_next_begins():
    one = batch()
    trunk = FIRST.trunk
    shifted = replace(
        trunk, instruction_ids=(*trunk.instruction_ids, 20), document_ids=trunk.document_ids[1:]
    )
    assert shifted.token_ids == trunk.token_ids
    cut = replace(trunk.cuts[0], position=4)
    digests = {batch_digest(one)}
    for other in (shifted, replace(trunk, cuts=(cut, trunk.cuts[1]))):
        document = replace(one.documents[0], asked=replace(FIRST, trunk=other))
        digests.add(batch_digest(replace(one, documents=(document, one.documents[1]))))
    first, second, third = one.documents[0].groups[0].samples
    moved = (
        replace(first, token_ids=first.token_ids[:-1]),
        replace(second, token_ids=(14, *second.token_ids)),
    )
    document = replace(
        one.documents[0],
        groups=(replace(one.documents[0].groups[0], samples=(*moved, third)), one.documents[0].groups[1]),
    )
    digests.add(batch_digest(replace(one, documents=(document, one.documents[1]))))
    assert len(digests) == 4
