"""What the form of a run offers and refuses: Prefect makes it of a flow's parameters."""

import jsonschema
import pytest
from prefect.utilities.callables import parameter_schema

from flows import benchmarks, harness, leaderboard, pipeline, seeds, stages, study
from flows.recipes import NAMED, Overrides, any_journey
from flows.recipes.trees import walk
from rpt_core.artifacts.placement import Placement

STAGE_FLOWS = {
    "ingest-corpus": stages.ingest_corpus,
    "prepare-corpus": stages.prepare_corpus,
    "score-difficulty": stages.score_difficulty,
    "score-pass-rate": stages.score_pass_rate,
    "train-base": stages.cold_start,
    "train-rpt": stages.train_rpt,
    "train-rlpt": stages.train_rlpt,
    "train-judge": stages.train_judge,
    "sft": stages.sft,
    "finetune-rlvr": stages.finetune_rlvr,
    "evaluate": stages.evaluate,
    "evaluate-judged": stages.evaluate_judged,
    "fit-scaling": stages.fit_scaling,
}
WHOLE = (pipeline.pipeline, seeds.seeds, study.study, stages.score_quality)
OTHERS = (benchmarks.evaluate_benchmark, harness.evaluate_harness, leaderboard.leaderboard)


def form(flow) -> dict:
    return parameter_schema(flow).model_dump_for_openapi()


def accepts(flow, **given) -> bool:
    """Whether Prefect's server takes a run with these parameters, which it holds against the schema."""
    return jsonschema.Draft202012Validator(form(flow)).is_valid(given)


@pytest.fixture(scope="module")
def with_stage() -> dict[str, list[str]]:
    """Stage -> names of the recipes whose journey has it."""
    found: dict[str, list[str]] = {}
    for name in NAMED:
        overrides = Overrides(data="somewhere") if name in ("tiny_real", "rlvr_small") else Overrides()
        for stage in {recipe.stage for recipe in walk(any_journey(name, overrides))}:
            found.setdefault(stage, []).append(name)
    return found


@pytest.mark.parametrize("stage", STAGE_FLOWS)
def test_a_flow_offers_the_recipes_whose_journey_has_its_stage(stage, with_stage):
    parameter = form(STAGE_FLOWS[stage])["properties"]["recipe"]
    offered = parameter.get("enum") or [parameter["const"]]
    assert sorted(offered) == sorted(with_stage[stage])
    assert parameter["default"] in offered


@pytest.mark.parametrize("flow", WHOLE, ids=lambda flow: flow.name)
def test_a_whole_journey_or_one_with_a_stage_of_the_readers_own_may_be_any(flow):
    assert sorted(form(flow)["properties"]["recipe"]["enum"]) == sorted(NAMED)


@pytest.mark.parametrize("flow", [*STAGE_FLOWS.values(), *WHOLE, *OTHERS], ids=lambda flow: flow.name)
def test_every_field_of_a_form_is_described_and_no_number_is_shown_as_unchangeable(flow):
    schema = form(flow)
    objects = [schema, *(schema["definitions"][name] for name in schema.get("definitions", {}))]
    for one in objects:
        for name, field in one.get("properties", {}).items():
            assert field.get("description"), f"{flow.name}: {name} is not described"
            assert not [way for way in field.get("anyOf", ()) if "const" in way], name


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"recipe": "tiny_rpt"}, True),
        ({"recipe": "tiny_rpt", "placement": None, "overrides": {"seed": 3}}, True),
        ({"recipe": "tiny_rpt", "placement": {"gpus": 1, "engine": "vllm", "threads": "auto"}}, True),
        ({"recipe": "tiny_rtp"}, False),
        ({"recipe": "tiny_rlpt"}, False),
        ({"recipe": 5}, False),
        ({"recipe": "tiny_rpt", "overrides": {"seed": -1}}, False),
        ({"recipe": "tiny_rpt", "overrides": {"sed": 1}}, False),
        ({"recipe": "tiny_rpt", "placement": {"workers": 0}}, False),
        ({"recipe": "tiny_rpt", "placement": {"gpus": -1}}, False),
        ({"recipe": "tiny_rpt", "placement": {"threads": 0}}, False),
        ({"recipe": "tiny_rpt", "placement": {"engine": "tgi"}}, False),
        ({"recipe": "tiny_rpt", "placement": {"deadline_hours": 0}}, False),
    ],
)
def test_wrong_values_are_refused_before_a_run_exists(given, taken):
    assert accepts(stages.train_rpt, **given) is taken


@pytest.mark.parametrize(
    ("field", "value"), [("gpus", -1), ("ranks", 0), ("threads", 0), ("stages_at_once", 0)]
)
def test_a_placement_refuses_what_its_form_refuses(field, value):
    with pytest.raises(ValueError, match=field):
        Placement.model_validate({field: value})
