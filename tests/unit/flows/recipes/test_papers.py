"""Named recipes beside the papers' tables: every value and every departure stands in ``docs/methods.md``."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flows.recipes import NAMED, any_journey
from flows.recipes.trees import stage, walk
from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe
from rpt_core.recipes.supervised import SftRecipe
from tasks.inputs.given_models import base_of

PAGE = Path(__file__).parents[4] / "docs" / "methods.md"
NOT_GIVEN = "not given"
PARENTS = {
    "rmt_qwen3_14b": "rmt_14b", "rlpt_3b": "rlpt_4b", "rlpt_8b": "rlpt_4b", "rpt_small": "rpt_14b",
    "rmt_small": "rmt_14b", "rlpt_small": "rlpt_4b",
    "rlvr_small_sft": "rlvr_small",
}  # fmt: skip
NO_PAPER = ("smollm2_gsm8k",)
"""Of a study of our own, whose sizes stand in ``docs/study/real-text-protocol.md``."""
WHOLE = [name for name in NAMED if not name.startswith("tiny") and name not in {*PARENTS, *NO_PAPER}]


def words(text: str) -> list[str]:
    """A list of names, written as prose."""
    return text.split()


SHARED = words("""
    start.model.name training.prompts_per_step training.group_size training.temperature training.loss
    training.reasoning_tokens training.context_tokens training.steps training.kl_weight training.milestones
    training.selection.drop_equal_from_step training.optimiser.learning_rate training.optimiser.warmup_steps
    training.objective.entropy_floor_nats rlvr.prompts_per_step rlvr.steps rlvr.temperature
    rlvr.reasoning_tokens rlvr.optimiser.learning_rate problems.documents.data corpus.documents.data
    evaluation.temperature evaluation.samples evaluation.reasoning_tokens evaluation.milestones
    evaluation.problem_sampling.samples evaluation.problem_sampling.temperature
    evaluation.problem_sampling.top_p evaluation.problem_sampling.reasoning_tokens
""")
OF_TEXT = words("""
    proxy.model.name tiers.model.name difficulty.top_k training.objective.prompt training.objective.reward
    training.optimiser.betas training.optimiser.weight_decay training.optimiser.grad_clip
    evaluation.tiers_nats
""")
REQUIRED = {
    "rpt_14b": [*SHARED, *OF_TEXT],
    "rmt_14b": [
        *SHARED, *OF_TEXT, "training.ntp_weight", "training.ntp_text", "training.objective.budget.first",
        "training.objective.budget.decay", "training.objective.budget.least",
        "training.objective.curriculum.turns", "training.objective.curriculum.early",
        "training.objective.curriculum.late",
    ],
    "rlpt_4b": [
        *SHARED, "cold.conversations_per_step", "cold.epochs", "cold.optimiser.learning_rate",
        "cold.optimiser.schedule", "judge.model.name", "examiner.model.name", "training.objective.rule",
        "training.objective.msr_share", "evaluation.top_p", "training.optimiser.schedule",
    ],
    "rlvr_small": words("""
        start.model.name problems.documents.data rates.samples rlvr.loss rlvr.prompts_per_step rlvr.group_size
        rlvr.temperature rlvr.reasoning_tokens rlvr.kl_weight rlvr.steps rlvr.pass_rate_min rlvr.pass_rate_max
        rlvr.overlong_tokens rlvr.selection.mask_truncated rlvr.optimiser.learning_rate
    """),
}  # fmt: skip
"""Fields of the papers' tables; a table on the page that leaves one out fails."""


@dataclass(frozen=True)
class Row:
    """One field of one recipe on the page."""

    field: str
    paper: str
    here: str
    why: str

    @property
    def value(self) -> Any:
        """What the recipe must have."""
        return read(self.here or self.paper)


def read(cell: str) -> Any:
    """The value a cell stands for."""
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


@cache
def page() -> dict[str, dict[str, Row]]:
    """Recipe -> field -> row."""
    found: dict[str, dict[str, Row]] = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        name = part.split("\n", 1)[0].strip("`")
        if name in ("Rules", "Fields"):
            continue
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in part.split("\n")
            if line[:1] == "|"
        ]
        assert rows[0] == ["field", "paper", "source", "here", "why"]
        found[name] = {}
        for field, paper, _, here, why in rows[2:]:
            assert field not in found[name], f"{name}: {field} has two rows"
            found[name][field] = Row(field, paper, here, why)
    return found


def parts_of(name: str) -> dict[str, Recipe]:
    """The recipes the page speaks of, by its words for them."""
    journey = any_journey(name)
    rlvr = stage(journey, "finetune-rlvr")
    if isinstance(journey, RlvrReportRecipe):
        cold = {"cold": rlvr.start} if isinstance(rlvr.start, SftRecipe) else {}
        return {
            "problems": rlvr.corpus, "start": base_of(rlvr), "rates": rlvr.pass_rates, "rlvr": rlvr,
            "evaluation": journey.arms[0].evaluations[0], **cold,
        }  # fmt: skip
    training = stage(journey, "train-rlpt" if isinstance(journey, RlptReportRecipe) else "train-rpt")
    parts: dict[str, Any] = {
        "corpus": training.corpus, "problems": rlvr.corpus, "start": base_of(training.start),
        "training": training, "rlvr": rlvr,
    }  # fmt: skip
    if isinstance(journey, RlptReportRecipe):
        evaluation = journey.arms[0].evaluations[0]
        parts |= {"cold": training.start, "judge": training.judge, "examiner": evaluation.judge}
    else:
        assert isinstance(journey, ReportRecipe)
        evaluation = journey.after
        difficulty = training.difficulty
        parts |= {
            "difficulty": difficulty,
            "proxy": base_of(difficulty.proxy),
            "tiers": base_of(evaluation.difficulty.proxy),
        }
    return {**parts, "evaluation": evaluation}


def flat(value: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted fields; inputs are told apart from, but for where text lies and who scores it."""
    for name, field in value:
        if is_part(name, field):
            yield from flat(field, f"{prefix}{name}.")
        elif not isinstance(field, Recipe | Artifact | Ref):
            yield f"{prefix}{name}", list(field) if isinstance(field, tuple) else field


def is_part(name: str, field: Any) -> bool:
    """Whether a field is told of with its recipe: a nested value, and of inputs the text and its scores."""
    if isinstance(field, Recipe):
        return name in ("documents", "scores")
    return isinstance(field, BaseModel) and not isinstance(field, Artifact | Ref)


def fields_of(name: str) -> dict[str, Any]:
    """Every field of every part."""
    return {
        f"{part}.{field}": value for part, recipe in parts_of(name).items() for field, value in flat(recipe)
    }


IGNORED = re.compile(
    r".*\.(stage|revision|seed|hub_revision|digest|title)$"
    r"|evaluation\.objective\..*"  # the training's, but for its rule: test_recipes
    r"|tiers\.model\.num_parameters|corpus\.scores\.documents\..*"
)


def departures(name: str) -> set[str]:
    """Fields that are not their class's defaults, and so were chosen."""
    found = {f"{part}.{field}" for part, recipe in parts_of(name).items() for field in chosen(recipe)}
    return {field for field in found if not IGNORED.match(field)}


def chosen(value: BaseModel, usual: BaseModel | None = None, prefix: str = "") -> Iterator[str]:
    """Dotted fields that differ from what the class (or the usual value) has."""
    for name, field in value:
        info = type(value).model_fields[name]
        default = getattr(usual, name) if usual else ... if info.is_required() else info.default
        if is_part(name, field):
            same_kind = default if type(default) is type(field) else None
            yield from chosen(field, same_kind, f"{prefix}{name}.")
        elif not isinstance(field, Recipe | Artifact | Ref) and field != default:
            yield f"{prefix}{name}"


def test_every_recipe_with_a_paper_has_its_table():
    assert set(page()) == {*WHOLE, *PARENTS}


@pytest.mark.parametrize("name", page())
def test_recipes_are_what_the_page_says(name: str):
    found = fields_of(name)
    wrong = {
        field: (row.value, found.get(field, "no such field"))
        for field, row in page()[name].items()
        if found.get(field, "no such field") != row.value
    }
    assert not wrong, f"field: (docs/methods.md, recipe): {wrong}"


@pytest.mark.parametrize("name", page())
def test_departures_have_their_value_and_a_reason(name: str):
    for field, row in page()[name].items():
        differs = row.paper == NOT_GIVEN or row.here != ""
        assert not (row.paper == NOT_GIVEN and not row.here), f"{field}: no value of ours"
        assert not row.here or read(row.here) != read(row.paper), f"{field} is no departure"
        if differs and row.paper != NOT_GIVEN and name in WHOLE:
            assert row.why, f"{field} departs from the paper and no reason stands beside it"


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_chosen_without_a_row(name: str):
    """A field that is not its default must stand on the page: an unlisted departure fails here."""
    assert departures(name) <= set(page()[name]), departures(name) - set(page()[name])
    assert set(REQUIRED[name]) <= set(page()[name]), set(REQUIRED[name]) - set(page()[name])


@pytest.mark.parametrize("name", PARENTS)
def test_what_differs_from_the_larger_recipe_has_a_row(name: str):
    own, parent = fields_of(name), fields_of(PARENTS[name])
    more = tuple(f"{part}." for part in parts_of(name).keys() - parts_of(PARENTS[name]).keys())
    differing = {
        field
        for field in own.keys() | parent.keys()
        if own.get(field) != parent.get(field) and not IGNORED.match(field) and not field.startswith(more)
    }
    rows = set(page()[name])
    assert differing == {field for field in rows if not field.startswith(more)}
    assert {field for field in departures(name) if field.startswith(more)} <= rows


def test_the_page_notices_a_change():
    """The guard itself: a recipe with one number changed is no longer what the page says."""
    from flows.recipes.trees import rewritten

    journey = rewritten(any_journey("rpt_14b"), "policy", {"selection": {"drop_equal_from_step": 600}})
    training = stage(journey, "train-rpt")
    value = dict(flat(training))["selection.drop_equal_from_step"]
    assert value != page()["rpt_14b"]["training.selection.drop_equal_from_step"].value


def test_quality_is_scored_for_rlpt_by_an_instruct_model():
    for name in ("rlpt_3b", "rlpt_4b", "rlpt_8b", "rlpt_small"):
        nodes = walk(any_journey(name))
        assert any(isinstance(node, QualityRecipe) for node in nodes)
        assert any(isinstance(node, SftRecipe) for node in nodes)
        after = [node for node in nodes if isinstance(node, JudgedEvaluationRecipe) and node.milestones]
        assert len(after) == 1
