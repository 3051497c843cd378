"""Stage ``evaluate-harness``: one model, one task of lm-evaluation-harness, by our engine.

Writes ``items.parquet`` and ``scores.json`` as every evaluation does, and ``records.jsonl``: what the harness
itself keeps of each item, its prompt and the row of data included. The harness runs in a process of its own
environment. Its answers are kept as they come; a stage that is ended resumes from them.
"""

import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError, Stopped
from rpt_core.evaluation.benchmarks.suite.scores import headline
from rpt_core.evaluation.benchmarks.suite.stage import engine_version, given_folder
from rpt_core.evaluation.benchmarks.suite.table import as_outcomes, write_outcomes
from rpt_core.evaluation.harness.jobs import run_job
from rpt_core.evaluation.harness.local import LocalSplits, data_folder, local_splits, write_splits
from rpt_core.evaluation.harness.table import item_ids, question_of, rows_of_record, scores_of
from rpt_core.evaluation.harness.worker import RECORDS_FILE, Ask
from rpt_core.evaluation.touched import write_questions
from rpt_core.policy.device import device_of
from rpt_core.recipes.harness_evaluation import HarnessRecipe, HarnessTask

SCORES_FILE = "scores.json"


def evaluate_harness(recipe: HarnessRecipe, build: Build) -> Outcome:
    """Ask a model a task of the harness.

    Raises:
        CapacityError: the harness's environment is not here.
        SourceError: the data are not there, or not as they were.
        EngineError: the harness failed.
        Stopped: somebody asked it to; the answers so far are kept.
    """
    found = {task.name: _local(recipe, task) for task in recipe.tasks}
    job = _job(recipe, build, found)
    build.progress(0, 1, recipe.benchmark)
    answer = _answered(job, build)
    if answer["version"] != recipe.harness:
        raise RecipeError(
            f"the evaluation is planned with lm-evaluation-harness {recipe.harness}, and {answer['version']} "
            "is installed now: its tasks may be others. Run the same command again."
        )
    shutil.copyfile(job.out / RECORDS_FILE, build.out / RECORDS_FILE)
    with (build.out / RECORDS_FILE).open(encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    names = item_ids(records)
    rows = [row for one in records for row in rows_of_record(one, names[one["task"], one["doc_id"]])]
    table = write_outcomes([as_outcomes(rows, (recipe.engine, engine_version(build)))], build.out)
    asked = {(one["task"], one["doc_id"]): one for one in records}
    write_questions((question_of(one, names[place]) for place, one in asked.items()), build.out)
    seen = any(one.is_training_file for one in found.values())
    balance = _balance(recipe.tasks, found, len(asked))
    scores = scores_of(recipe.benchmark, table, balance, answer, is_training_file=seen)
    (build.out / SCORES_FILE).write_text(json.dumps(scores, indent=1, allow_nan=False))
    summary = headline(scores)
    build.log(0, {k: float(v) for k, v in summary.items() if isinstance(v, int | float)})
    build.progress(1, 1, recipe.benchmark)
    work = answer["work"]
    return Outcome(rows=balance, flops=work["flops"], tokens=int(work["tokens"]), summary=summary)


def _local(recipe: HarnessRecipe, task: HarnessTask) -> LocalSplits:
    folder = data_folder(Path(recipe.data), task.dataset)
    assert folder is not None, "looked for when the evaluation was planned"
    return local_splits(folder, task)


def _job(recipe: HarnessRecipe, build: Build, found: dict[str, LocalSplits]) -> Ask:
    work, options = build.scratch / "harness", recipe.options
    answers = work / "answers"
    answers.mkdir(parents=True)
    if saved := build.resume():
        shutil.copytree(saved.folder, answers, dirs_exist_ok=True)
    return Ask(
        tasks=tuple(
            (task, write_splits(found[task.name], work / "data" / task.name)) for task in recipe.tasks
        ),
        model=given_folder(recipe.model, build),
        name=build.scratch.name,
        engine=recipe.engine,
        dtype=recipe.dtype,
        device=str(device_of(build)),
        shots=options.shots,
        max_new_tokens=options.max_new_tokens,
        limit=options.limit,
        chat=options.chat,
        seed=options.seed,
        out=work / "out",
        cache=answers / "answers",
    )


def _balance(tasks: Sequence[HarnessTask], found: dict[str, LocalSplits], asked: int) -> RowCounts:
    refused = sum((Counter(one.refused) for one in found.values()), Counter[str]())
    readable = sum(len(found[task.name].rows[task.asked]) for task in tasks)
    dropped = {**refused, **({"not-drawn": readable - asked} if readable > asked else {})}
    return RowCounts(rows_in=readable + refused.total(), kept=asked, dropped=dict(sorted(dropped.items())))


def _answered(job: Ask, build: Build) -> dict[str, Any]:
    """Run the harness; its answers are saved every ``checkpoint_seconds``, and when somebody asks to stop."""
    saved = [0, time.monotonic()]

    def look() -> None:
        stop = build.stopping()
        assert job.cache is not None
        late = time.monotonic() - saved[1] > build.placement.checkpoint_seconds
        if (stop or late) and any(job.cache.parent.iterdir()):
            saved[0], saved[1] = saved[0] + 1, time.monotonic()
            build.save(int(saved[0]), kept_answers(job.cache.parent, build.scratch / "harness" / "kept"))
        if stop:
            raise Stopped("stopped while the harness asked; rerun to resume from the answers it has.")

    return run_job(job, build.scratch / "harness", look)


def kept_answers(answers: Path, into: Path) -> Path:
    """A copy of the answers so far that is whole, though the harness may be writing the next one."""
    into.mkdir(exist_ok=True)
    for path in answers.glob("*.db"):
        with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(into / path.name)) as copy:
            live.backup(copy)
    for path in answers.glob("*.json"):
        shutil.copyfile(path, into / path.name)
    return into
