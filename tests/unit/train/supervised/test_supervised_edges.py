"""What the supervised stages load and learn from, step by step."""

from types import SimpleNamespace

import pytest

from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.train.supervised import judge, sft


class LoadedError(Exception):
    """Raised where a model would be loaded, with how."""


def test_fine_tuning_loads_weights_that_can_be_trained(monkeypatch, tmp_path):
    def load(folder, **how):
        raise LoadedError(folder, how["for_training"])

    monkeypatch.setattr(sft, "load_policy", load)
    monkeypatch.setattr(sft, "device_of", lambda build: "cpu")
    with pytest.raises(LoadedError) as found:
        sft.train_sft(None, SimpleNamespace(inputs={"base": tmp_path}))
    assert found.value.args == (tmp_path / "model", True)


def test_a_step_of_the_judge_goes_on_where_the_last_one_ended(monkeypatch):
    """No pair is skipped or seen twice: step 1 begins with pair 0."""
    drawn, drilled, learnt = [], [], []

    def pair(recipe, number):
        drawn.append(number)
        return SimpleNamespace(reference="r", predicted="p")

    def drill(seed, step, number, world):
        drilled.append((step, number))
        assert world == recipe.world

    codec = SimpleNamespace(control=lambda name: (7,), begin_ids=(1,))
    monkeypatch.setattr(judge, "_pair", pair)
    monkeypatch.setattr(judge, "drill", drill)
    monkeypatch.setattr(judge, "_answer", lambda one, codec: (4, 5, 6))
    monkeypatch.setattr(judge, "ask_about", lambda reference, texts, rule, codec: (reference, texts, rule))
    monkeypatch.setattr(judge, "learn_answers", lambda *told: learnt.append(told))
    recipe = JudgeRecipe(pairs_per_step=3, drills_per_step=2)
    for step in (1, 2):
        judge._learn(None, codec, recipe, None, step)
    assert drawn == [0, 1, 2, 3, 4, 5]
    assert drilled == [(1, 0), (1, 1), (2, 0), (2, 1)]
    _, trunks, answers, weights, _ = learnt[0]
    assert trunks[:3] == [("r", ["p"], "prefix")] * 3
    assert [len(one) for one in answers] == [1, 1, 1, 2]  # the drills hang below one trunk
    assert len(trunks[3].cuts) == 2
    assert weights[0] == [[[1.0, judge.VERDICT_WEIGHT, 1.0]]]
    assert weights[3] == [[[0.0, judge.VERDICT_WEIGHT, 0.0]]] * 2
