"""RLP: the paper's rewards and advantages, what is forced after a thought, and a training that resumes."""

from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import Stopped
from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_token.rlp import InformationGain, information_gain
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RlpObjective
from rpt_core.recipes.reinforce import Selection
from rpt_core.recipes.replay import Replay
from rpt_core.train.rl.evidence import measured
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import PRESETS
from rpt_core.train.rl.reference import REFERENCE_FILE, follow
from rpt_core.train.rl.reinforce import open_trainer, train_policy
from rpt_core.train.rl.replay import FROM, TRAINED, read_batches, replay
from tests.toys import ToyObjective, judge_group
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.objectives.test_objectives import policy_recipe
from tests.unit.train.rl.test_reinforce import MUON, StoppingBuild, _metrics, _weights
from tests.unit.train.rl.test_step import RECIPE

GIVEN = np.log([(0.90, 0.50, 0.80), (0.60, 0.20, 0.70), (0.10, 0.05, 0.30), (0.95, 0.90, 0.99)])
"""Log-probabilities of three true tokens after each of four thoughts."""
WITHOUT, AVERAGE = np.log((0.40, 0.10, 0.60)), np.log((0.42, 0.12, 0.58))
"""The same after an empty thought: under the policy, and under the moving average."""
PAPER = RlpObjective(prompt="compact")


def opened(inputs, codec, **changes):
    return open_objective(policy_recipe(objective=PAPER.model_copy(update=changes)), inputs, codec)


def thought(codec, text: str, finish: str = "stop") -> Sample:
    ids = (*codec.encode(text), *(codec.control("end_think") if finish == "stop" else ()))
    return Sample(ids, (0.0,) * len(ids), finish)


def rewards(tokens: int, baseline=AVERAGE) -> list[float]:
    return [information_gain(given[:tokens].tolist(), baseline[:tokens].tolist()) for given in GIVEN]


def leave_one_out(scores) -> list[float]:
    preset = PRESETS["rlp"]
    return group_advantages(
        scores, by_deviation=preset.by_deviation, leave_one_out=preset.leave_one_out
    ).tolist()


def test_rewards_and_advantages_are_those_worked_out_by_hand():
    assert rewards(3) == pytest.approx([2.510840, 1.055553, -2.969799, 3.365787], abs=1e-6)
    assert leave_one_out(rewards(3)) == pytest.approx([2.026993, 0.086610, -5.280526, 3.166922], abs=1e-6)
    assert rewards(1) == pytest.approx([0.762140, 0.356675, -1.435085, 0.816207], abs=1e-6)
    assert leave_one_out(rewards(1)) == pytest.approx([0.849541, 0.308921, -2.080092, 0.921630], abs=1e-6)


def test_whose_baseline_it_is_changes_no_advantage():
    assert leave_one_out(rewards(3, WITHOUT)) == pytest.approx(leave_one_out(rewards(3)), abs=1e-6)


def test_the_true_tokens_are_forced_after_each_thought_and_after_an_empty_one(codec, inputs):
    objective = opened(inputs, codec, target_tokens=2)
    assert objective.needs == Needs(forced=True, reference_decay=0.999)
    assert objective.stop_ids == frozenset(codec.control("end_think"))
    (asked, *_), _ = objective.draw(1, 0, 1)
    ended, endless = thought(codec, " so"), thought(codec, " so so", "length")
    wanted = objective.wanted([asked], [[[ended, endless]]])
    truth, box = asked.trunk.document_ids[asked.trunk.cuts[0].position :][:2], codec.control("box_open")
    ((first, second),), ((without,),) = wanted.tails[0], wanted.reference_tails[0]
    assert (first.given, first.scored) == ((*ended.token_ids, *box), truth)
    assert second.scored == ()
    assert (without.given, without.scored) == ((*codec.control("end_think"), *box), truth)
    assert wanted.plain is None


def test_a_thought_that_never_ends_stays_out_of_its_group(codec, inputs):
    objective = opened(inputs, codec)
    (asked, *_), _ = objective.draw(1, 0, 1)
    drawn = [[[thought(codec, " so"), thought(codec, " so", "length"), thought(codec, " or so")]]]
    evidence = Evidence(tails=[[[(-0.5,), (), (-1.5,)]]], reference_tails=[[[(-2.0,)]]])
    (((one, endless, other),),) = objective.verdicts([asked], drawn, evidence)
    assert [v.verdict for v in (one, endless, other)] == ["scored", "truncated", "scored"]
    assert [v.score for v in (one, endless, other)] == [1.5, 1.0, 0.5]
    assert group_advantages([1.5, 1.0, 0.5], by_deviation=False).tolist() == [0.5, 0.0, -0.5]
    assert (one.thought, one.thought_tokens) == (" so</think>", len(codec.encode(" so")))
    nothing = Evidence(tails=[[[(), ()]]], reference_tails=[[[(-2.0,)]]])
    endless = [[[thought(codec, " so", "length")] * 2]]
    assert [v.score for v in objective.verdicts([asked], endless, nothing)[0][0]] == [0.0, 0.0]
    assert judge_group(objective, asked, 0, drawn[0][0])[0].verdict == "scored"


def test_equal_likelihoods_teach_nothing():
    assert leave_one_out([information_gain([-0.7], [-1.1])] * 4) == [0.0] * 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_corpus(folder, write_model(folder / "model"))
    return {"start": folder, "corpus": folder, "difficulty": folder}


def small(**changes):
    return type(RECIPE).parse({
        **dict(RECIPE), "objective": PAPER.model_copy(update={"reference_decay": 0.5}), "loss": "rlp",
        "steps": 3, "prompts_per_step": 3, "cuts_per_document": 3, "group_size": 8, "reasoning_tokens": 64,
        "context_tokens": 128, "optimiser": MUON, "evaluate_every": 3, "milestones": (2,), **changes,
    })  # fmt: skip


def test_a_stopped_training_goes_on_with_the_same_average_and_ends_in_the_same_bytes(tmp_path, folders):
    def build(name, cls=LocalBuild, **more):
        return cls(folders, tmp_path / name / "out", tmp_path / name / "scratch", **more)

    recipe = small(selection=Selection(drop_equal_from_step=99))
    whole = build("whole", placement=Placement(checkpoint_seconds=1e-6))
    outcome = train_policy(recipe, whole)
    broken = build("broken", StoppingBuild)
    broken.stop, broken.stop_after = False, 2
    with pytest.raises(Stopped):
        train_policy(recipe, broken)
    assert (broken.resume().folder / REFERENCE_FILE).exists()
    broken.stop, broken.stop_after = False, 99
    assert train_policy(recipe, broken) == outcome
    assert (_weights(broken), _metrics(broken)) == (_weights(whole), _metrics(whole))
    rows = [row for row in _metrics(whole) if "reward_mean" in row]
    assert all(row.get("verdict/scored", 0) + row["verdict/truncated"] == 24 for row in rows)
    assert any(row["policy_loss"] != 0 for row in rows)
    assert "eval/score_mean" in rows[-1]
    assert "eval/accuracy" not in rows[-1]


def test_a_step_is_replayed_under_the_average_of_its_milestone(tmp_path, folders):
    recipe = small(selection=Selection(drop_equal_from_step=99))
    trained = LocalBuild(folders, tmp_path / "out", tmp_path / "scratch")
    train_policy(recipe, trained)
    again = {**folders, TRAINED: trained.out, FROM: trained.milestones[2]}
    build = LocalBuild(again, tmp_path / "again", tmp_path / "rest")
    outcome = replay(Replay(training=recipe, step=3), build)
    assert outcome.summary["digest"] == read_batches(trained.out)[3]["digest"]
    assert outcome.summary["from_step"] == 2


def test_evidence_that_was_not_declared_is_refused(tmp_path, folders):
    trainer = open_trainer(small(), LocalBuild(folders, tmp_path / "out", tmp_path / "scratch"))
    silent = replace(trainer, objective=ToyObjective(9))
    with pytest.raises(TypeError, match=r"toy asks for evidence .* \(plain, reference_decay\)"):
        measured(silent, [], Wanted(plain=[], reference_tails=[]))


def test_the_average_follows_the_policy(tmp_path, folders):
    trainer = open_trainer(small(), LocalBuild(folders, tmp_path / "out", tmp_path / "scratch"))
    own, average = (next(iter(p.model.parameters())) for p in (trainer.policy, trainer.average))
    before = average.detach().clone()
    own.data += 1.0
    follow(trainer, 1)
    np.testing.assert_allclose(average.detach(), before + 0.5, atol=1e-6)
    frozen = replace(trainer, objective=replace(trainer.objective, question=InformationGain.of(
        PAPER.model_copy(update={"reference_decay": 1.0}), trainer.policy.codec)))  # fmt: skip
    follow(frozen, 2)
    np.testing.assert_allclose(average.detach(), before + 0.5, atol=1e-6)
