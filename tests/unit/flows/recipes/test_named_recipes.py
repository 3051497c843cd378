"""A walk over every named recipe: what any journey must keep to, whatever its method or size."""

import re
from pathlib import Path

import pytest
import yaml

from flows.agreement import check_journey
from flows.recipes import NAMED, Overrides, any_journey
from flows.recipes.schedules import counts_in_steps
from flows.recipes.trees import rewritten, stage, walk
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.policy.loading.families import PARAMETERS, PROXIES, VOCABULARIES, parameters_of, vocabulary_of
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import RmtObjective
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.stages import STAGES, Stage
from rpt_core.recipes.supervised import BaseRecipe
from tasks.dispatch import BUILD_STAGE, CHECK_POOL
from tasks.inputs.given_models import base_of

ROOT = Path(__file__).parents[4]
OWN = Overrides(data="book.txt")
ONE_WAY = {"tiny_real": OWN, "tiny_teacher": Overrides()}
"""Needs a text, and takes none."""
EVERY = [(name, given) for name in NAMED for given in (Overrides(), OWN) if given == ONE_WAY.get(name, given)]
IDS = [f"{name}{' with own text' if given is OWN else ''}" for name, given in EVERY]


def trainings(journey: Recipe) -> list[Recipe]:
    return [node for node in walk(journey) if isinstance(node, PolicyRecipe | RlptRecipe | RlvrRecipe)]


@pytest.fixture(params=EVERY, ids=IDS, scope="module")
def journey(request) -> Recipe:
    return any_journey(*request.param)


def test_a_journey_fits_itself(journey: Recipe):
    check_journey(journey)


def test_it_comes_back_from_json(journey: Recipe):
    assert type(journey).model_validate_json(journey.model_dump_json()) == journey


def test_schedules_lie_inside_the_steps(journey: Recipe):
    for node in walk(journey):
        steps = getattr(node, "steps", None)
        assert all(1 <= step <= steps for _, step in counts_in_steps(node)) if steps else True
    for node in trainings(journey):
        assert node.selection.drop_equal_from_step <= node.steps  # dynamic sampling comes to begin
        assert node.optimiser.warmup_steps < node.steps
        assert node.evaluate_every <= node.steps


def test_milestones_are_in_order_end_with_the_training_and_are_evaluated(journey: Recipe):
    for node in trainings(journey):
        marks = list(getattr(node, "milestones", ()))
        if not marks:
            continue
        assert marks == sorted(set(marks))
        assert marks[-1] == node.steps
        evaluations = [
            each
            for each in walk(journey)
            if isinstance(each, EvaluationRecipe | JudgedEvaluationRecipe) and each.model == node
        ]
        assert any(each.milestones for each in evaluations)


def test_schedules_of_the_objective_end_with_the_training_or_before(journey: Recipe):
    for node in trainings(journey):
        if isinstance(node, PolicyRecipe) and isinstance(node.objective, RmtObjective):
            for part in (node.objective.budget, node.objective.curriculum):
                assert part is not None
                assert part.schedule_steps <= node.steps
            assert node.objective.curriculum.turns[1] <= 1


def test_proxies_cut_text_as_the_policy_does(journey: Recipe):
    for node in walk(journey):
        if not isinstance(getattr(node, "difficulty", None), DifficultyRecipe):
            continue
        own, proxy = base_of(node), base_of(node.difficulty.proxy)
        if isinstance(own.model, GivenModel):
            assert isinstance(proxy.model, GivenModel)
            assert vocabulary_of(own.model.name) is not None
            assert vocabulary_of(own.model.name) == vocabulary_of(proxy.model.name)
        else:
            assert proxy == own


def test_evaluations_have_a_judge_of_their_own(journey: Recipe):
    judged = [node for node in walk(journey) if isinstance(node, JudgedEvaluationRecipe)]
    for node in judged:
        for training in walk(node):
            if isinstance(training, RlptRecipe):
                assert training.judge != node.judge
    assert bool(judged) == (journey.kind == "rlpt-report")


def test_every_model_of_a_paper_has_a_known_size_and_vocabulary(journey: Recipe):
    for node in walk(journey):
        if isinstance(node, BaseRecipe) and isinstance(node.model, GivenModel):
            assert node.model.num_parameters == PARAMETERS[node.model.name]
            assert vocabulary_of(node.model.name)


def test_problems_are_trained_on_and_evaluated_in_one_corpus(journey: Recipe):
    """Web text holds no problems: reinforcement on them, or their evaluation, would starve at the end."""
    rlvr = stage(journey, "finetune-rlvr")
    for node in walk(journey):
        if isinstance(node, EvaluationRecipe | JudgedEvaluationRecipe):
            assert (node.problem_corpus or node.corpus) == rlvr.corpus


def test_proxies_of_the_table_are_of_the_vocabulary_they_stand_for():
    assert set(PROXIES) <= set(VOCABULARIES.values())
    for vocabulary, name in PROXIES.items():
        assert vocabulary_of(name) == vocabulary
        assert 1e9 <= parameters_of(name) <= 2e9


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qwen/Qwen3-0.6B-Base", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"),  # what rpt_small once did
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2-7B"),
        ("meta-llama/Llama-3.2-3B", "meta-llama/Meta-Llama-3-8B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "meta-llama/Llama-3.1-8B"),
    ],
)
def test_families_that_share_merges_alone_are_told_apart(one, other):
    assert None not in (vocabulary_of(one), vocabulary_of(other))
    assert vocabulary_of(one) != vocabulary_of(other)


@pytest.mark.parametrize("name", ["rpt_14b", "rmt_14b", "rpt_small", "rmt_small"])
@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "Qwen/Qwen2.5-14B", "my/Model-13B", "models/folder"])
def test_the_proxy_follows_another_model(name, model):
    journey = any_journey(name, Overrides(model=model))
    check_journey(journey)
    policy = stage(journey, "train-rpt")
    assert base_of(policy).model.name == model
    proxy = base_of(policy.difficulty.proxy).model
    assert vocabulary_of(proxy.name) == vocabulary_of(model)
    assert proxy.name == model or vocabulary_of(model)
    assert base_of(policy).model.num_parameters == parameters_of(model)  # not the named recipe's


def test_a_proxy_of_another_vocabulary_is_refused_in_one_sentence():
    journey = any_journey("rpt_small")
    other = GivenModel(name="deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B")
    proxy = base_of(stage(journey, "train-rpt").difficulty.proxy).model_copy(update={"model": other})
    wrong = rewritten(
        journey,
        "policy",
        {"difficulty": stage(journey, "train-rpt").difficulty.model_copy(update={"proxy": proxy})},
    )
    with pytest.raises(RecipeError, match=r"vocabularies differ \(qwen3 and r1-distill-qwen\)"):
        check_journey(wrong)


def test_one_judge_for_training_and_evaluation_is_refused():
    """``-p judge.seed=5`` reaches both judges of the sample world, and makes them one."""
    same = any_journey("tiny_rlpt", Overrides(fields={"judge.seed": 5}))
    with pytest.raises(RecipeError, match="the judge of the evaluation is the one that the training pleases"):
        check_journey(same)
    journey = any_journey("rlpt_4b")
    judge = stage(journey, "train-rlpt").judge
    with pytest.raises(RecipeError, match=r"Qwen2\.5-7B-Instruct"):
        check_journey(rewritten(journey, "judged-evaluation", {"judge": judge}))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"policy.optimiser.warmup_steps": 49}, "warmup_steps is 49, and the training has 48 steps"),
        ({"policy.selection.drop_equal_from_step": 600}, "drop_equal_from_step is 600"),
        ({"base.optimiser.warmup_steps": 101}, "base.optimiser.warmup_steps is 101"),
        ({"rlvr.evaluate_every": 25}, "rlvr.evaluate_every is 25"),
        ({"policy.objective.prompt": "v6"}, "asks in the words 'v6', and its model learnt .* 'compact'"),
        ({"rlvr.objective.prompt": "plain"}, "finetune-rlvr stage asks in the words 'plain'"),
        ({"cold-start.prompt": "v0"}, "learnt to answer to 'v0' in cold-start"),
        ({"base.model.context_tokens": 64}, "rows of 512 tokens .* made for 128"),
        ({"difficulty.context_tokens": 2048}, "rows of 2048 tokens"),
    ],
)  # fmt: skip
def test_stages_that_do_not_fit_are_refused_in_the_plan(fields, says):
    with pytest.raises(RecipeError, match=says):
        check_journey(any_journey("tiny_rpt", Overrides(fields=fields)))


def test_the_words_a_refusal_names_mend_it():
    """What the sentence says to type is complete: typed, the plan goes through."""
    fields: dict[str, object] = {"policy.objective.prompt": "v6"}
    with pytest.raises(RecipeError) as refused:
        check_journey(any_journey("tiny_rpt", Overrides(fields=fields)))
    words = str(refused.value).split("follow the model: ")[1].split()
    named = dict(word.split("=") for word in words if word != "-p")
    check_journey(any_journey("tiny_rpt", Overrides(fields={**fields, **named})))
    fields = {"difficulty.context_tokens": 2048}
    with pytest.raises(RecipeError) as refused:
        check_journey(any_journey("tiny_rpt", Overrides(fields=fields)))
    words = str(refused.value).split("shorter: ")[1].split()
    named = {name: int(value) for name, value in (word.split("=") for word in words if word != "-p")}
    check_journey(any_journey("tiny_rpt", Overrides(fields={**fields, **named})))


ON_POOL = {BUILD_STAGE, CHECK_POOL}
"""What a journey has run on the pool its placement names."""
READERS_OWN = {"score-quality/local"}
"""Deployments whose stage the reader adds to the recipe by fields of their own."""


def file_and_function(entrypoint: str) -> tuple[str, str]:
    """Of a module path, which Prefect imports once; of a file it would run the code for every deployment."""
    module, _, function = entrypoint.rpartition(".")
    return f"{module.replace('.', '/')}.py", function


def test_deployments_and_flows_name_recipes_that_have_their_stage():
    """A deployment that fails at once, however it is started, would be one in name only."""
    page = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in page["deployments"]:
        file, function = file_and_function(deployment["entrypoint"])
        stage_name = function.replace("_", "-")
        if stage_name == "evaluate-benchmark":  # asks a model by its own name, without a recipe
            asked = deployment["parameters"]
            assert asked.get("model", "tiny_rpt-base").partition("-")[0] in NAMED
            assert set(asked.get("benchmarks", [])) <= set(PACKS)
            continue
        if stage_name in ON_POOL:  # given its recipe by a journey
            assert deployment["parameters"] == {}
            continue
        if stage_name == "evaluate-harness":
            assert set(deployment["parameters"]) <= {"model", "benchmarks"}
            continue
        if stage_name in ("pipeline", "seeds", "study"):
            assert deployment["parameters"]["recipe"] in NAMED
            continue
        if stage_name == "leaderboard":  # of what the store holds, whichever recipes made it
            assert deployment["parameters"] == {}
            continue
        if deployment["parameters"].get("kind") == "base":
            stage_name = "train-base"
        if f"{stage_name}/{deployment['name']}" not in READERS_OWN:
            stage(any_journey(deployment["parameters"]["recipe"]), stage_name)
        default = re.search(rf'def {function}\(\s+recipe: \w+ = "(\w+)"', (ROOT / file).read_text())
        assert default
        stage(any_journey(default[1]), function.replace("_", "-"))


def flows_in(file: str) -> dict[str, str]:
    """Function -> Prefect's name of every flow in a file."""
    found = re.findall(r'@flow\(name="([\w-]+)".*?\)\n(?:@\w+\n)?def (\w+)\(', (ROOT / file).read_text())
    return {function: name for name, function in found}


def test_every_flow_of_the_table_is_deployed_under_its_name():
    """A stage's flow is said once, in its row: prefect.yaml deploys these flows and no others."""
    page = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployed = set()
    for deployment in page["deployments"]:
        file, function = file_and_function(deployment["entrypoint"])
        deployed.add((flows_in(file)[function], deployment["name"]))
    assert len(deployed) == len(page["deployments"])
    assert {flow for flow, _ in deployed} == {row.flow for row in STAGES.values()} | ON_POOL
    assert ("train-rpt", "prod") in deployed


@pytest.mark.parametrize("row", STAGES.values(), ids=STAGES)
def test_the_function_of_a_row_is_there(row: Stage):
    module, _, function = row.function.partition(":")
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert re.search(rf"^def {function}\(recipe: (\w+), build: Build\) -> Outcome:$", text, re.MULTILINE)


STEPS = [
    (name, kind, steps)
    for name, kind in (
        ("tiny_rpt", "policy"), ("tiny_rmt", "policy"), ("rpt_14b", "policy"), ("rmt_14b", "policy"),
        ("rlpt_4b", "rlpt"), ("tiny_rlpt", "rlpt"), ("tiny_rpt", "rlvr"), ("tiny_rpt", "cold-start"),
        ("tiny_rpt", "base"), ("tiny_rlpt", "judge"),
    )
    for steps in (1, 3, 20, 1000)
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "steps"), STEPS)
def test_other_steps_carry_milestones_and_schedules(name, kind, steps):
    before = next(node for node in walk(any_journey(name)) if node.kind == kind)
    journey = any_journey(name, Overrides(fields={f"{kind}.steps": steps}))
    if steps < 1000:
        check_journey(journey)
    after = next(node for node in walk(journey) if node.kind == kind)
    assert after.steps == steps
    assert all(1 <= step <= steps for _, step in counts_in_steps(after))
    marks = getattr(before, "milestones", ())
    if marks:
        kept = [mark for mark in marks if mark < steps]
        assert after.milestones == (*kept, steps)
    else:
        assert not getattr(after, "milestones", ())


def test_schedules_keep_their_share_of_the_run():
    rmt = stage(any_journey("tiny_rmt", Overrides(fields={"policy.steps": 32})), "train-rpt")
    assert rmt.objective.budget.schedule_steps == 24  # 48 of 64
    assert rmt.objective.curriculum.schedule_steps == 24
    small = stage(any_journey("rpt_14b", Overrides(fields={"policy.steps": 120})), "train-rpt")
    assert small.selection.drop_equal_from_step == 50  # 500 of 1200
    longer = stage(any_journey("tiny_rpt", Overrides(fields={"policy.steps": 480})), "train-rpt")
    assert longer.optimiser.warmup_steps == 5
    assert longer.milestones == (2, 4, 8, 16, 32, 48, 480)


def test_what_the_override_names_itself_is_left_to_it():
    fields = {"policy.steps": 20, "policy.milestones": [7], "policy.optimiser.warmup_steps": 4}
    policy = stage(any_journey("tiny_rpt", Overrides(fields=fields)), "train-rpt")
    assert (policy.milestones, policy.optimiser.warmup_steps) == ((7,), 4)
    with pytest.raises(RecipeError, match=r"milestones \[48\] lie outside the run's 20 steps"):
        any_journey("tiny_rpt", Overrides(fields={"policy.steps": 20, "policy.milestones": [7, 48]}))
    with pytest.raises(RecipeError, match=r"milestones \[999\] lie outside"):
        any_journey("rlpt_4b", Overrides(fields={"rlpt.steps": 20, "rlpt.milestones": [999]}))


@pytest.mark.parametrize("steps", [0, -3, "abc", 2.5, True, None])
def test_steps_that_are_no_number_of_steps_are_refused(steps):
    with pytest.raises(RecipeError, match="steps"):
        any_journey("tiny_rpt", Overrides(fields={"policy.steps": steps}))
