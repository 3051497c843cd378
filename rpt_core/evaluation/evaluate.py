"""Stage ``evaluate``: what a model knows of held-out text and problems, with and without thinking."""

import filecmp
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from rpt_core.artifacts.build import FLOPS, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.corpus.dedup.overlap import check_held_out
from rpt_core.errors import IntegrityError, StarvedError, Stopped
from rpt_core.evaluation.answers import (
    Draw,
    Judge,
    draw_thinking,
    judged_answers,
    next_token_guesses,
    one_by_one,
    sampling_of,
    sampling_told,
)
from rpt_core.evaluation.compare import compare
from rpt_core.evaluation.items import (
    FINAL,
    FORCED,
    INSTRUCTED,
    PLAIN,
    PROBLEMS,
    REASONING,
    Item,
    as_table,
    from_table,
    tier_names,
    tier_of,
    write_items,
)
from rpt_core.evaluation.questions import Places, Tasks, draw_places, draw_problems, item_id
from rpt_core.evaluation.scores import mode_scores, outcomes, paired, tiers_of
from rpt_core.objectives.next_token.prefix import is_first_token
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked, Question, Verdict, VerdictName
from rpt_core.objectives.problems.question import Solve
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.train.supervised.loop import device_of

SCORES_FILE = "scores.json"
MILESTONE_FILE = "milestone.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model to be judged: the one asked for, or one on the way to it."""

    name: str
    folder: Path
    step: int | None = None
    gflops: float | None = None


@dataclass
class Evaluation:
    """One model and the questions it is asked; gathers tables of outcomes."""

    recipe: EvaluationRecipe
    build: Build
    policy: Policy
    places: Places
    tasks: Tasks
    total: int
    """Answers there will be, for progress."""
    tables: list[pa.Table] = field(default_factory=list)
    done: int = 0
    num_forwarded: int = 0

    def __post_init__(self) -> None:
        self.engine = open_engine(self.build.numerics.engine, self.policy, inside(self.build.inputs["model"]))
        self.next_token = NextToken.of(self.recipe.objective, self.policy.codec)
        self.solve = Solve.of(self.recipe.problems, self.policy.codec)
        self.sampling = sampling_of(self.recipe, self.policy)
        self.problem_sampling = sampling_of(self.recipe, self.policy, problems=True)

    def run(self, mode: str, checkpoint: Checkpoint) -> None:
        """Evaluate one mode; its outcomes are added to :attr:`tables`."""
        if mode == PLAIN:
            self._plain(checkpoint, PLAIN, instructed=False)
            if self.next_token.prompt.instruction_ids:
                self._plain(checkpoint, INSTRUCTED, instructed=True)
        elif mode == PROBLEMS:
            self._sampled(checkpoint, mode, self.tasks.asked, self._solving, self.solve.judge_all)
        else:
            draw = self._thinking if mode == FORCED else self._free
            judge = one_by_one(self.next_token.judge)
            self._sampled(checkpoint, mode, self.places.asked, draw, judge)

    def repeat(self, mode: str, checkpoint: Checkpoint) -> None:
        """Give a checkpoint with the final model's weights the final model's answers."""
        for table in list(self.tables):
            items = [
                replace(item, checkpoint=checkpoint.name, step=checkpoint.step, gflops=checkpoint.gflops)
                for item in from_table(table)
                if item.mode == mode and item.checkpoint == FINAL
            ]
            if items:
                self._add([replace(item, tail=None, thought=None) for item in items], f"{mode}, repeated")

    def _plain(self, checkpoint: Checkpoint, mode: str, *, instructed: bool) -> None:
        asked, codec = self.places.asked, self.policy.codec
        guesses = next_token_guesses(self.policy, asked, instructed=instructed)
        items = []
        for one, tokens in zip(asked, guesses, strict=True):
            self.num_forwarded += max(cut.position for cut in one.trunk.cuts)
            for question, token in zip(one.questions, tokens, strict=True):
                right = token == question.truth_ids[0]
                name: VerdictName = "correct" if right else "wrong"
                verdict = Verdict(float(right), name, 0, 1, "", codec.decode([token]), 1)
                items.append(self._item(checkpoint, mode, question, 0, verdict))
        self._add(items, mode)

    def _sampled(
        self, checkpoint: Checkpoint, mode: str, asked: list[Asked], draw: Draw, judge: Judge
    ) -> None:
        size = (self.problem_sampling if mode == PROBLEMS else self.sampling).group_size
        for judged in judged_answers(asked, draw, judge, size):
            self._add(
                [self._item(checkpoint, mode, one.question, one.sample, one.verdict) for one in judged],
                f"{mode}, {checkpoint.name}",
            )

    def _free(self, trunks: list[Trunk]) -> Drawn:
        return self.engine.generate(trunks, self.sampling, 0)

    def _solving(self, trunks: list[Trunk]) -> Drawn:
        return self.engine.generate(trunks, self.problem_sampling, 0)

    def _thinking(self, trunks: list[Trunk]) -> Drawn:
        return draw_thinking(self.policy, self.engine, trunks, self.sampling)

    def _add(self, items: list[Item], note: str) -> None:
        self.tables.append(as_table(items))
        self.done += len(items)
        self.build.progress(self.done, self.total, note)
        if self.build.stopping():
            raise Stopped(
                f"stopped after {self.done} of {self.total} answers; the same command starts again."
            )

    def _item(
        self, checkpoint: Checkpoint, mode: str, question: Question, sample: int, verdict: Verdict
    ) -> Item:
        is_place = mode != PROBLEMS
        name = item_id(question.document, question.position) if is_place else question.document
        nats = self.places.entropies_nats[name] if is_place else None
        shown = checkpoint.name == FINAL
        return Item(
            checkpoint=checkpoint.name,
            step=checkpoint.step,
            gflops=checkpoint.gflops,
            mode=mode,
            item_id=name,
            doc_id=question.document,
            position=question.position if is_place else None,
            entropy_nats=nats,
            tier="" if nats is None else tier_of(nats, self.recipe.tiers_nats),
            sample=sample,
            verdict=verdict.verdict,
            score=verdict.score,
            thinks=verdict.thought_tokens > 0,
            thought_tokens=verdict.thought_tokens,
            answer_tokens=verdict.answer_tokens,
            first_token=self._first_token(question, verdict) if is_place else None,
            prediction=verdict.prediction,
            truth=question.truth,
            tail=question.tail if shown and sample == 0 else None,
            thought=verdict.thought if shown else None,
            prediction_tokens=verdict.prediction_tokens,
            char_offset=self.places.char_offsets.get(name) if is_place else None,
        )

    def _first_token(self, question: Question, verdict: Verdict) -> bool:
        if verdict.verdict not in ("correct", "wrong"):
            return False
        return is_first_token(verdict.prediction.encode(), question.truth_ids[0], self.policy.codec)


def evaluate(recipe: EvaluationRecipe, build: Build) -> Outcome:
    """Next-token accuracy on held-out documents and exact answers on held-out problems.

    Every model asked with the same corpus, difficulty, thresholds and seed answers the same questions
    with the same random numbers, so two evaluations can be compared item by item.

    Writes ``items.parquet`` (one row per answer) and ``scores.json`` (what follows from it).

    Raises:
        RecipeError: the model was trained on what the corpus holds out.
        StarvedError: there is nothing to ask: no eligible held-out position, or only problems were
            wanted and none is held out.
    """
    check_held_out(build)
    final = Checkpoint(FINAL, inside(build.inputs["model"]))
    policy = load_policy(final.folder, cast(Precision, build.numerics.dtype), device_of(build))
    before = policy.work.flops
    places, tasks = _questions(recipe, build, policy)
    milestones = published(build) if recipe.milestones else []
    evaluation = Evaluation(
        recipe, build, policy, places, tasks, total=_num_answers(recipe, places, tasks, len(milestones))
    )
    for mode in recipe.modes:
        evaluation.run(mode, final)
    for checkpoint in milestones:
        if REASONING in recipe.modes and same_weights(checkpoint, final):
            evaluation.repeat(REASONING, checkpoint)
            continue
        evaluation.engine.load_weights(checkpoint.folder, checkpoint.step or 0)
        evaluation.run(REASONING, checkpoint)
    evaluation.engine.close()
    items = write_items(evaluation.tables, build.out)
    scores = summarise(recipe, items, milestones, places, tasks)
    grading = evaluation.solve.report()
    if grading:
        scores["grading"] = grading
    (build.out / SCORES_FILE).write_text(json.dumps(scores, indent=1, allow_nan=False))
    _log(build, scores)
    forwarded = evaluation.engine.num_forwarded + evaluation.num_forwarded
    return Outcome(
        rows=places.balance + tasks.balance,
        flops=policy.work.flops - before,
        tokens=forwarded,
        summary=dict(_headline(scores)),
    )


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints hold the same bytes, as the last milestone and the final model do."""
    first, second = (checkpoint.folder / "model.safetensors" for checkpoint in (one, other))
    return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)


def _questions(recipe: EvaluationRecipe, build: Build, policy: Policy) -> tuple[Places, Tasks]:
    places, tasks = Places([], {}, RowCounts()), Tasks([], RowCounts())
    if any(mode != PROBLEMS for mode in recipe.modes) or recipe.milestones:
        places = draw_places(recipe, build.inputs["corpus"], build.inputs["difficulty"], policy.codec)
    if PROBLEMS in recipe.modes:
        corpus = build.inputs.get("problem_corpus", build.inputs["corpus"])
        tasks = draw_problems(recipe, corpus, policy.codec, "problem-too-long")
    if not places.asked and not tasks.asked:
        raise StarvedError(
            f"there is nothing to evaluate: {tasks.balance.rows_in} held-out problems have an answer and "
            f"{tasks.balance.dropped.get('problem-too-long', 0)} of them do not fit into "
            f"{recipe.context_tokens} tokens. Add a problem set to the corpus, or raise context_tokens."
        )
    return places, tasks


def published(build: Build) -> list[Checkpoint]:
    """The checkpoints of the model's training among the inputs, by step.

    Raises:
        IntegrityError: one does not say which it is.
    """
    return sorted(_milestones(build), key=lambda one: one.step or 0)


def _milestones(build: Build) -> Iterator[Checkpoint]:
    for name, folder in build.inputs.items():
        if name.startswith("milestones."):
            path = folder / MILESTONE_FILE
            if not path.exists():
                raise IntegrityError(
                    f"the checkpoint {name} has no {MILESTONE_FILE}, so nobody knows its step and compute. "
                    "Train again, so that it is published anew."
                )
            note = json.loads(path.read_text())
            step = int(note["step"])
            yield Checkpoint(f"{step:06d}", inside(folder), step, float(note[FLOPS]))


def _num_answers(recipe: EvaluationRecipe, places: Places, tasks: Tasks, num_milestones: int) -> int:
    asked = sum(len(one.questions) for one in places.asked)
    sampled = sum(mode in (REASONING, FORCED) for mode in recipe.modes) + num_milestones
    plain = 2 * asked * (PLAIN in recipe.modes)
    tries = (recipe.problem_sampling or recipe).samples
    return plain + recipe.samples * asked * sampled + tries * len(tasks.asked)


def summarise(
    recipe: EvaluationRecipe, items: pa.Table, milestones: list[Checkpoint], places: Places, tasks: Tasks
) -> dict[str, Any]:
    """What ``scores.json`` says: every number follows from the table of outcomes."""
    nats = recipe.tiers_nats
    scores: dict[str, Any] = {
        "thresholds_nats": dict(zip(tier_names(nats), nats, strict=True)),
        "floor_nats": recipe.objective.entropy_floor_nats,
        "places": places.balance.model_dump(),
        "problems": tasks.balance.model_dump(),
        "samples": recipe.samples,
        "temperature": recipe.temperature,
        **sampling_told(recipe),
        "modes": {mode: mode_scores(items, mode, FINAL, nats) for mode in recipe.modes},
    }
    if PLAIN in recipe.modes:
        scores["modes"][INSTRUCTED] = mode_scores(items, INSTRUCTED, FINAL, nats)
        scores["instructed_minus_plain"] = _instructed_minus_plain(items, nats)
    scores["milestones"] = [
        {"step": one.step, FLOPS: one.gflops, **mode_scores(items, REASONING, one.name, nats)}
        for one in milestones
    ]
    return scores


def _instructed_minus_plain(items: pa.Table, thresholds_nats: tuple[float, ...]) -> dict[str, Any]:
    """How much the instruction before the document changes plain prediction, by tier."""
    raw, instructed = outcomes(items, PLAIN), outcomes(items, INSTRUCTED)
    if not len(instructed):
        return {}
    parts = tiers_of(raw, thresholds_nats), tiers_of(instructed, thresholds_nats)
    return {tier: compare(paired(parts[0][tier], parts[1][tier])).difference.as_json() for tier in parts[0]}


def _log(build: Build, scores: dict[str, Any]) -> None:
    """The same numbers as metrics: milestones by step, the final model at step 0."""
    build.log(0, {**dict(_headline(scores)), **scores.get("grading", {})})
    for one in scores["milestones"]:
        values = {f"accuracy_{tier}": e["value"] for tier, e in one["accuracy"].items()}
        build.log(one["step"], {**values, FLOPS: one[FLOPS]})


def _headline(scores: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for mode, found in scores["modes"].items():
        for tier, estimate in found.get("accuracy", {}).items():
            yield f"{mode}_{tier}", estimate["value"]
        for tier, estimate in found.get("think_share", {}).items():
            yield f"{mode}_{tier}_think_share", estimate["value"]
