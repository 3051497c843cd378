"""What the stages of one journey must agree on, told in a plan: before hours have gone into the first ones.

Every stage checks what it reads; but a policy that asks in other words than its cold start taught, a proxy
that cuts text otherwise, or a schedule that begins after the last step costs the stages before it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from flows.recipes.schedules import counts_in_steps
from flows.recipes.trees import walk
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import PromptName
from rpt_core.recipes.reinforce import PassRateRecipe, PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, ModelShape
from tasks.inputs.given_models import base_of, has_control_tokens, longest_row, vocabulary

PROMPTS = {
    "cold-start": ("prompt",),
    "policy": ("objective.prompt",),
    "rlpt": ("objective.prompt",),
    "rlvr": ("objective.prompt",),
    "pass-rates": ("objective.prompt",),
    "evaluation": ("objective.prompt", "problems.prompt"),
    "judged-evaluation": ("objective.prompt", "problems.prompt"),
}
"""By kind of artifact, the fields that say in which words a model is asked."""
SOLVED = {"problems", "benchmarks", "choice-boxed"}
"""Modes of an evaluation whose answers are solutions of problems."""
PLAIN = {"text": "v6", "problems": "plain", "segments": "worded"}
"""What ``auto`` stands for where a tokenizer has no control tokens."""


def check_journey(journey: Recipe) -> None:
    """Refuse a journey whose stages do not fit each other.

    Raises:
        RecipeError: what disagrees, with both values and the words of ``-p`` that fix it.
    """
    nodes = walk(journey)
    for check in (_schedules, _vocabularies, _words, _thoughts, _judges, _rows, _held):
        for node in nodes:
            check(node, nodes)


def _held(node: Recipe, nodes: list[Recipe]) -> None:
    documents = node.documents if isinstance(node, PrepareRecipe) else None
    sample = documents.sample if isinstance(documents, IngestRecipe) else None
    if sample is None or sample.second is None:
        return
    assert isinstance(node, PrepareRecipe)
    if node.held_questions != sample.second.salt:
        raise RecipeError(
            f"corpus.held_questions is {node.held_questions!r}, and the world's questions are held out "
            f"under {sample.second.salt!r}: rows written to be held out would be trained on. Give -p "
            f"corpus.held_questions={sample.second.salt}"
        )


def _schedules(node: Recipe, nodes: list[Recipe]) -> None:
    steps: int = getattr(node, "steps", 0)
    for name, step in counts_in_steps(node) if steps else ():
        if step > steps:
            raise RecipeError(
                f"{node.kind}.{name} is {step}, and the training has {steps} steps: it would never come to "
                f"that. Give at most {steps}, or change -p {node.kind}.steps, which {name} follows."
            )


def _vocabularies(node: Recipe, nodes: list[Recipe]) -> None:
    difficulty = getattr(node, "difficulty", None)
    if not isinstance(difficulty, DifficultyRecipe):
        return
    asked, proxy = base_of(node), base_of(difficulty.proxy)
    if asked is None or proxy is None or asked == proxy:
        return
    own, other = vocabulary(asked), vocabulary(proxy)
    # of a folder and a hub id nothing is known until both are read
    if own and other and own != other and (own[0] == other[0] or "trained here" in (own[0], other[0])):
        raise RecipeError(
            f"the {node.stage} stage asks {_name(asked)} about tokens that {_name(proxy)} scored, and their "
            f"vocabularies differ ({_vocabulary(own)} and {_vocabulary(other)}): a token of the one is none "
            "of the other. Take a proxy of the model's own family; -p base.model.name=MODEL makes one model "
            "both."
        )


def _words(node: Recipe, nodes: list[Recipe]) -> None:
    base = base_of(node)
    compact = None if base is None else has_control_tokens(base)
    for topic, asked in _asked(node):
        if compact is False and asked.startswith("compact"):
            assert base is not None
            raise RecipeError(
                f"the {node.stage} stage asks in the words {asked!r}, which are control tokens of models "
                f"trained here, and the tokenizer of {_name(base)} has none. Name the model by "
                f"-p model={_name(base)}, which words and rates follow, or let all stages ask in words that "
                f"follow the model: {_all_auto(nodes)}"
            )
        taught = _taught(node, topic)
        if taught and _meant(asked, topic, compact) != _meant(taught[1], topic, compact):
            raise RecipeError(
                f"the {node.stage} stage asks in the words {_meant(asked, topic, compact)!r}, and its model "
                f"learnt to answer to {_meant(taught[1], topic, compact)!r} in {taught[0]}: what was learnt "
                f"would not be asked for. Name the same words in all stages, or let all follow the model: "
                f"{_all_auto(nodes)}"
            )


def _thoughts(node: Recipe, nodes: list[Recipe]) -> None:
    if isinstance(node, RlvrRecipe) and isinstance(node.pass_rates, PassRateRecipe):
        training, other, field = node, node.pass_rates.objective, "rlvr.pass_rates.objective.thought"
    elif isinstance(node, EvaluationRecipe | JudgedEvaluationRecipe) and SOLVED & set(node.modes):
        if not isinstance(node.model, RlvrRecipe):
            return
        training, other, field = node.model, node.problems, f"{node.kind}.problems.thought"
    else:
        return
    own = training.objective.thought
    if own != other.thought:
        raise RecipeError(
            f"-p {field} is {other.thought!r} and -p rlvr.objective.thought is {own!r}: answers would be "
            "asked for and read in two forms, so their shares of right ones could not be compared. Make the "
            f"two equal: -p {field}={own}"
        )


def _asked(node: Recipe) -> Iterator[tuple[str, str]]:
    """Topics a stage asks its model about, and in which words."""
    if isinstance(node, ColdStartRecipe):
        yield from _taught_by_lessons(node)
    if isinstance(node, PolicyRecipe | EvaluationRecipe):
        yield "text", node.objective.prompt
    if isinstance(node, RlptRecipe | JudgedEvaluationRecipe):
        yield "segments", node.objective.prompt
    if isinstance(node, RlvrRecipe | PassRateRecipe):
        yield "problems", node.objective.prompt
    if isinstance(node, EvaluationRecipe | JudgedEvaluationRecipe) and SOLVED & set(node.modes):
        yield "problems", node.problems.prompt


def _taught(node: Recipe, topic: str) -> tuple[str, str] | None:
    """The last stage before this one that taught its model to answer on a topic, and in which words."""
    model: object = node
    while isinstance(model, Recipe):
        inputs = model.inputs()
        model = next((inputs[name] for name in ("model", "start", "base") if name in inputs), None)
        if isinstance(model, PolicyRecipe | RlptRecipe | RlvrRecipe | ColdStartRecipe):
            for known, words in _asked(model):
                if known == topic:
                    return model.stage, words
    return None


def _taught_by_lessons(cold: ColdStartRecipe) -> Iterator[tuple[str, str]]:
    simple = "compact" if cold.prompt == "compact" else "auto"
    yield ("segments", simple) if cold.form == "segments" else ("text", cold.prompt)
    if cold.problems_per_step:
        yield "problems", simple


def _meant(words: PromptName | str, topic: str, compact: bool | None) -> str:
    """What ``auto`` stands for; itself where the tokenizer is not known."""
    if words != "auto" or compact is None:
        return words
    return "compact" if compact else PLAIN[topic]


def _all_auto(nodes: list[Recipe]) -> str:
    kinds = dict.fromkeys(node.kind for node in nodes)
    return " ".join(f"-p {kind}.{field}=auto" for kind in kinds for field in PROMPTS.get(kind, ()))


def _judges(node: Recipe, nodes: list[Recipe]) -> None:
    if not isinstance(node, JudgedEvaluationRecipe):
        return
    for training in walk(node):
        if isinstance(training, RlptRecipe) and _judge(training) == _judge(node):
            raise RecipeError(
                f"the judge of the evaluation is the one that the training pleases ({_judge_name(node)}): "
                "what the policy learnt to fool it with would count as right. Give "
                "-p judged-evaluation.judge another model or seed, or change judge_model."
            )


def _judge(node: RlptRecipe | JudgedEvaluationRecipe) -> Any:
    """What makes a judge: its recipe, or the model's name behind an address; of a given model, its name."""
    judge = node.judge
    if isinstance(judge, BaseRecipe) and not isinstance(judge.model, ModelShape):
        return judge.model.name, judge.model.hub_revision
    return judge if judge is not None else node.judge_model


def _judge_name(node: JudgedEvaluationRecipe) -> str:
    if isinstance(node.judge, BaseRecipe):
        return _name(node.judge)
    return node.judge_model or f"seed {getattr(node.judge, 'seed', '')} of {node.judge.__class__.__name__}"


def _rows(node: Recipe, nodes: list[Recipe]) -> None:
    found = _too_long(node)
    if found is None:
        return
    base, tokens, most, counted = found
    others = ((each, _too_long(each)) for each in nodes)
    words = dict.fromkeys(
        f"-p {each.kind}.{word}" for each, long in others if long for word in _shorter(each, long[2])
    )
    raise RecipeError(
        f"the {node.stage} stage puts rows of {tokens} tokens ({counted}) to {_name(base)}, which was made "
        f"for {most}. Make them shorter: {' '.join(words)}"
    )


def _too_long(node: Recipe) -> tuple[BaseRecipe, int, int, str] | None:
    """The model, the tokens of a stage's longest row, how many the model was made for, and what they are."""
    base = base_of(node.proxy) if isinstance(node, DifficultyRecipe) else base_of(node)
    known = None if base is None or isinstance(node, BaseRecipe) else longest_row(base)
    if base is None or known is None:
        return None
    most, is_hard = known
    rules: dict[type, Callable[[Any], tuple[int, str]]] = {
        DifficultyRecipe: _difficulty_row,
        ColdStartRecipe: _cold_row,
    }
    rule = rules.get(type(node)) or (_answer_row if is_hard and hasattr(node, "reasoning_tokens") else None)
    if rule is None:
        return None
    tokens, counted = rule(node)
    return (base, tokens, most, counted) if tokens > most else None


def _difficulty_row(node: DifficultyRecipe) -> tuple[int, str]:
    return node.context_tokens, "context_tokens"


def _cold_row(node: ColdStartRecipe) -> tuple[int, str]:
    # the document's window is cut to what the thought leaves; a thought alone must leave something
    return 2 * node.thought_tokens_max, "twice thought_tokens_max"


def _answer_row(node: Any) -> tuple[int, str]:
    return node.context_tokens + node.reasoning_tokens, "context_tokens and reasoning_tokens"


def _shorter(node: Recipe, tokens: int) -> tuple[str, ...]:
    if isinstance(node, DifficultyRecipe):
        return f"context_tokens={tokens}", f"stride_tokens={tokens // 2}"
    if isinstance(node, ColdStartRecipe):
        return (f"thought_tokens_max={tokens // 4}",)
    return f"context_tokens={tokens // 2}", f"reasoning_tokens={tokens - tokens // 2}"


def _name(base: BaseRecipe) -> str:
    return "a model trained here" if isinstance(base.model, ModelShape) else base.model.name


def _vocabulary(found: tuple[str, str]) -> str:
    return {"hub": found[1], "folder": f"tokenizer {found[1][:12]}"}.get(found[0], "the recipe's own")
