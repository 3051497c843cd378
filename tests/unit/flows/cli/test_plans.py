"""`rpt plan`: what it says of a journey that fits here, of one that does not, and of another machine."""

import json

import pytest

from flows.cli.commands.run import show_plan
from flows.cli.commands.studies import show_study_plan
from flows.recipes import NAMED, Overrides, any_journey
from flows.recipes.studies.shorter_thoughts import STUDY, TUNED
from flows.recipes.trees import walk
from infra import prices
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError, RecipeError
from rpt_core.evaluation.statistics.power import smallest_detectable
from rpt_core.planning.cards import CARDS
from rpt_core.recipes.given import GivenModel
from tasks.planning.estimate import PlanQuery, estimate, shape_of, spread_of
from tests.toys import tiny_policy

PRICE = """
[[price]]
gpu = "H100-80GB"
per_gpu_hour = 2.5
currency = "EUR"
date = 2026-11-02
source = "a contract"
"""
NOTHING = Overrides()


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RPT_STORE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def priced(tmp_path, monkeypatch):
    file = tmp_path / "prices.toml"
    file.write_text(PRICE)
    monkeypatch.setenv(prices.VARIABLE, str(file))


def said(capsys) -> str:
    return capsys.readouterr().out


def test_a_laptop_prints_all_of_it_and_then_what_is_missing(capsys):
    with pytest.raises(CapacityError, match="Missing: a GPU") as refused:
        show_plan("rpt_14b", "report", NOTHING, as_json=False)
    assert refused.value.exit_code == 2
    text = said(capsys)
    for words in (
        "8 x H100-80GB, ZeRO-3", "largest at one time", "engine's weights", "GPU hours", "13.9% of peak",
        "No price: infra/prices.toml", "in main memory (offload)",
    ):  # fmt: skip
        assert words in text, words


def test_with_a_price_there_is_money(capsys, priced):
    show_plan("rpt_small", "train-rpt", NOTHING, machine="H100-80GB", as_json=False)
    text = said(capsys)
    assert "Price: 2.5 EUR an hour for one H100-80GB, a contract, read 2026-11-02." in text
    last = next(line for line in text.splitlines() if line.startswith("together")).split()
    assert last[-1] == "EUR"
    hours, money = (float(cell.replace(",", "")) for cell in last[-3:-1])
    assert money == pytest.approx(2.5 * hours, rel=0.05)


def test_another_machine_is_planned_for_without_looking_at_inputs(capsys):
    show_plan("rmt_14b", "report", NOTHING, machine="8xH200-141GB", as_json=True)
    rows = json.loads(said(capsys))
    training = next(row for row in rows if row["stage"] == "train-rpt")
    assert training["action"] is None
    found = training["estimate"]
    assert found["card"] == "H200-141GB"
    assert found["layout"]["ranks"] == 8
    assert found["peak_bytes"] < 0.9 * 141e9
    assert found["hours"] > 0
    assert found["price"] is None
    assert next(row for row in rows if row["stage"] == "prepare-corpus")["estimate"] is None
    show_plan("rmt_14b", "report", NOTHING, machine="8xH200-141GB", means=(300, 100), as_json=True)
    shorter = next(row for row in json.loads(said(capsys)) if row["stage"] == "train-rpt")["estimate"]
    assert shorter["hours"] < found["hours"] / 5
    assert shorter["peak_bytes"] == found["peak_bytes"]


def test_a_machine_that_is_too_small_is_told_by_how_much(capsys):
    with pytest.raises(CapacityError, match=r"train-rpt of .* takes at least .* GB on each of 1 x L4-24GB"):
        show_plan("rpt_14b", "train-rpt", NOTHING, machine="L4-24GB", as_json=False)
    assert "largest at one time" in said(capsys)


def test_what_fits_here_keeps_its_plan_and_gains_an_estimate(capsys):
    show_plan("tiny_rpt", "train-base", NOTHING, as_json=True)
    rows = json.loads(said(capsys))
    assert [row["action"] for row in rows] == ["build", *["build after its inputs"] * 2]
    assert rows[-1]["estimate"]["layout"]["gpu"] is False
    assert rows[-1]["estimate"]["gpu_hours"] is None
    show_plan("tiny_rpt", "train-base", NOTHING, as_json=False)
    assert "one core, from the README's demo" in said(capsys)


def test_a_model_nobody_knows_is_named_and_not_guessed(capsys):
    overrides = Overrides(model="org/Some-2B-chat")
    with pytest.raises(CapacityError):
        show_plan("rpt_small", "train-rpt", overrides, as_json=False)
    assert "the sizes of org/Some-2B-chat are not known" in said(capsys)


@pytest.mark.parametrize("name", [name for name in NAMED if name != "tiny_real"])
def test_every_named_recipe_is_weighed(name):
    found = estimate(walk(NAMED[name]()), PlanQuery(gpus=64, card=CARDS["H100-80GB"]))
    assert found.unknown == found.too_large == ()
    trained = {one.stage for one in found.stages if one.work and one.work.update and one.draw_hours}
    assert trained & {"train-rpt", "train-rlpt", "finetune-rlvr"}
    assert all(one.memory.peak > 0 and one.hours != 0 for one in found.stages)


def test_a_folder_is_weighed_by_its_own_sizes(tmp_path):
    policy = tiny_policy()
    folder = tmp_path / "mine"
    folder.mkdir()
    policy.config.save_pretrained(folder)
    assert shape_of(GivenModel(name=str(folder))).parameters == policy.num_parameters
    (folder / "config.json").write_text("{")
    with pytest.raises(RecipeError, match="is no JSON"):
        shape_of(GivenModel(name=str(folder)))


def test_text_that_lies_here_is_weighed_by_its_bytes(tmp_path):
    (tmp_path / "notes.txt").write_text("word " * 100_000)
    journey = any_journey("rpt_small", Overrides(data=str(tmp_path / "notes.txt")))
    found = estimate(walk(journey), PlanQuery(gpus=1, card=CARDS["H100-80GB"]))
    scored = next(one for one in found.stages if one.stage == "score-difficulty")
    assert scored.work is not None
    tokens = 500_000 / 3
    assert scored.work.total == pytest.approx(2 * 1.7e9 * tokens, rel=0.5)


def test_a_placement_says_how_a_stage_is_laid_out():
    placement = Placement(
        gpus=4, ranks=4, engine="vllm", layout="packed", dtype="bfloat16", tokens_per_micro_batch=8192,
        checkpoint_activations=True, backend="deepspeed", zero_stage=3, offload=True, tensor_parallel=2,
    )  # fmt: skip
    spread = spread_of(placement)
    assert (spread.gpu, spread.ranks, spread.engine, spread.layout) == (True, 4, "vllm", "packed")
    assert (spread.zero_stage, spread.offload, spread.tensor_parallel) == (3, True, 2)
    assert (spread.dtype, spread.micro_batch_tokens, spread.checkpointed) == ("bfloat16", 8192, True)


def test_the_doctor_looks_at_gpus_when_asked(capsys, monkeypatch):
    from flows.cli.commands import run
    from infra.local.doctor import Check

    broken = [Check("gpu", "warn", "none"), Check("vllm", "fail", "no vLLM", "make vllm")]
    monkeypatch.setattr("infra.local.gpus.examine_gpus", lambda: broken)
    assert run.show_doctor(as_json=True, gpu=True) == 1
    assert [check["name"] for check in json.loads(said(capsys))] == ["gpu", "vllm"]
    monkeypatch.setattr("infra.local.gpus.examine_gpus", lambda: broken[:1])
    assert run.show_doctor(as_json=True, gpu=True) == 0


def planned(capsys, recipe: str, about: str, seeds: tuple[int, ...], arms: tuple[str, ...]) -> str:
    show_study_plan(recipe, seeds, arms, NOTHING, about, "", as_json=False)
    return said(capsys)


def test_the_plan_of_a_study_says_the_setting_that_each_arm_trains_under(capsys, monkeypatch):
    parts = ("RMT", "RMT without NTP")
    setting = {"loss": "dr_grpo", "optimiser": {"learning_rate": 3e-5}}
    monkeypatch.setitem(TUNED, "RMT", setting)
    text = planned(capsys, "tiny_rmt", STUDY.name, (7, 8), parts)
    for arm in parts:
        assert f"  {arm}: loss=dr_grpo, optimiser.learning_rate=3e-05\n" in text
    assert "the smallest p of six" in text
    monkeypatch.delitem(TUNED, "RMT")
    assert "  RMT: none, as the recipe has it\n" in planned(capsys, "tiny_rmt", STUDY.name, (7, 8), parts)


def test_the_plan_of_a_study_for_machines_has_the_settings_and_the_most_seeds_of_an_arm(capsys, monkeypatch):
    monkeypatch.setitem(TUNED, "RMT", {"optimiser": {"learning_rate": 3e-5}})
    show_study_plan("tiny_rmt", (7, 8), ("RMT@7-10", "RPT"), NOTHING, STUDY.name, "", as_json=True)
    plan = json.loads(said(capsys))
    assert plan["settings"]["RMT"] == {"optimiser.learning_rate": 3e-5}
    assert plan["smallest_detectable_points"] == {
        str(sd): pytest.approx(smallest_detectable(sd, 4)) for sd in (1, 3, 5)
    }
    show_study_plan("tiny_rpt", (7, 8), ("Chinese",), NOTHING, "other-text", "", as_json=True)
    assert json.loads(said(capsys))["settings"] == {}


def test_the_plan_of_a_study_without_claims_counts_none(capsys):
    text = planned(capsys, "tiny_rpt", "other-text", (7, 8), ("Chinese",))
    assert "one claim" in text
    assert "the smallest p of" not in text
    assert "Settings that" not in text
