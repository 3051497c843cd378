"""The process that runs lm-evaluation-harness under its own interpreter: one job, answered by files.

    python -m rpt_core.evaluation.harness.worker JOB.json

A job either describes tasks, so that their data can be looked for, or asks a model one of them. What the
harness says of itself goes to the error stream; a job that fails leaves ``error.json`` and an exit code.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from rpt_core.errors import RecipeError, RptError
from rpt_core.recipes.harness_evaluation import HarnessTask

ANSWER_FILE, RECORDS_FILE, ERROR_FILE = "answer.json", "records.jsonl", "error.json"
NOTE_FILE = "work.json"
"""Beside the answers that are kept: what they took."""


class Describe(BaseModel):
    """Which data some tasks read."""

    what: Literal["describe"] = "describe"
    names: tuple[str, ...]
    out: Path


class Ask(BaseModel):
    """One model asked one task or group."""

    what: Literal["ask"] = "ask"
    tasks: tuple[tuple[HarnessTask, dict[str, str]], ...]
    """Each with its files by split."""
    model: Path
    """A Hugging Face folder."""
    scored_by: Literal["rpt", "hf"] = "rpt"
    """``hf``: the harness's own model of Transformers, to compare with."""
    batch_size: int = 1
    """Rows that ``hf`` computes at once."""
    name: str = "model"
    engine: str = "torch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"
    shots: int | None = None
    max_new_tokens: int = 0
    limit: int = 0
    chat: bool = False
    seed: int = 0
    out: Path
    cache: Path | None = None
    """Where answers are kept as they come, so that the job can be resumed."""


def main(path: Path) -> int:
    """Carry a job out; the exit code."""
    given = json.loads(path.read_text("utf-8"))
    job = Ask.model_validate(given) if given["what"] == "ask" else Describe.model_validate(given)
    job.out.mkdir(parents=True, exist_ok=True)
    try:
        answer = ask(job) if isinstance(job, Ask) else describe(job.names)
    except RptError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
        (job.out / ERROR_FILE).write_text(json.dumps(said), "utf-8")
        return error.exit_code
    (job.out / ANSWER_FILE).write_text(json.dumps(answer, default=str), "utf-8")
    return 0


def describe(names: Sequence[str]) -> dict[str, Any]:
    """Version of the harness, and for each name the tasks it consists of with their data.

    Raises:
        RecipeError: the harness has no such task, or it brings code of its own in place of data.
    """
    import lm_eval
    from lm_eval.tasks import TaskManager

    index = TaskManager().task_index
    found = {name: [_described(index[one]) for one in _leaves(name, index)] for name in names}
    return {"version": lm_eval.__version__, "tasks": found}


def _leaves(name: str, index: Mapping[str, Any]) -> list[str]:
    """The tasks below a name: its own, a group's or a tag's."""
    if name not in index:
        near = sorted(one for one in index if name[:4] in one or fnmatchcase(one, name))[:6]
        raise RecipeError(
            f"lm-evaluation-harness has no task {name!r}"
            + (f"; near it are {', '.join(near)}." if near else ".")
            + " Its command `lm_eval ls tasks` lists all."
        )
    entry = index[name]
    if entry.kind.name == "TAG":
        return sorted(entry.tags)
    if entry.kind.name != "GROUP":
        return [name]
    below = entry.cfg["task"]
    children = [one if isinstance(one, str) else one.get("task") or one.get("group") for one in below]
    return list(dict.fromkeys(leaf for child in children for leaf in _leaves(child, index)))


def _described(entry: Any) -> dict[str, Any]:
    cfg: dict[str, Any] = entry.cfg
    asked = cfg.get("test_split") or cfg.get("validation_split")
    if entry.kind.name != "TASK" or cfg.get("custom_dataset") or not (cfg.get("dataset_path") and asked):
        raise RecipeError(
            f"the task {entry.name} of lm-evaluation-harness makes its data by code of its own, and only "
            "tasks that read a data set can be pointed at local files. Take another task."
        )
    examples = cfg.get("fewshot_config") or {}
    own = bool(examples.get("samples")) if isinstance(examples, dict) else False
    named = [cfg.get(f"{name}_split") for name in ("test", "validation", "training", "fewshot")]
    given_by = cfg.get("fewshot_split") or cfg.get("training_split") or cfg.get("validation_split") or asked
    return HarnessTask(
        name=entry.name,
        definition=entry.yaml_path.relative_to(_package()).as_posix(),
        dataset=cfg["dataset_path"],
        config=cfg.get("dataset_name") or "",
        asked=asked,
        examples="" if own else given_by,
        splits=tuple(dict.fromkeys(one for one in named if one)),
    ).model_dump()


def _package() -> Path:
    import lm_eval

    return Path(lm_eval.__file__).resolve().parent


def ask(job: Ask) -> dict[str, Any]:
    """Ask a model; writes one record an answer, and gives back the harness's own results."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    paths = [_pointed(task, files, job.out) for task, files in job.tasks]
    model = _model(job)
    results = lm_eval.simple_evaluate(
        model=model,
        tasks=[str(path) for path in paths],
        task_manager=TaskManager(include_defaults=False),  # its index of all tasks takes seconds
        num_fewshot=job.shots,
        limit=job.limit or None,
        gen_kwargs={"max_gen_toks": job.max_new_tokens} if job.max_new_tokens else None,
        apply_chat_template=job.chat,
        fewshot_as_multiturn=job.chat,
        use_cache=str(job.cache) if job.cache else None,
        bootstrap_iters=0,
    )
    if job.scored_by == "rpt":
        model.engine.close()
    assert results is not None, "one process, and it is the first"
    with (job.out / RECORDS_FILE).open("w", encoding="utf-8") as stream:
        for task, samples in results["samples"].items():
            for record in _records(task, samples, model):
                stream.write(json.dumps(record, default=str, ensure_ascii=False) + "\n")
    names = ("results", "groups", "versions", "n-shot", "n-samples", "higher_is_better")
    said = {name: results.get(name, {}) for name in names}
    return {**said, "version": lm_eval.__version__, "work": getattr(model, "work", {})}


def _pointed(task: HarnessTask, files: Mapping[str, str], out: Path) -> Path:
    """The harness's own definition of a task with other data: a file of its own that includes it."""
    own = {
        "include": str(_package() / task.definition),
        "task": task.name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict(files)},
    }
    path = out / "tasks" / f"{task.name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(own), "utf-8")  # JSON is YAML
    return path


def _model(job: Ask) -> Any:
    if job.scored_by == "hf":
        from lm_eval.models.huggingface import HFLM

        return HFLM(pretrained=str(job.model), dtype=job.dtype, device=job.device, batch_size=job.batch_size)
    from rpt_core.evaluation.harness._policy_lm import PolicyLM
    from rpt_core.policy.engines.registry import open_engine
    from rpt_core.policy.load import load_policy

    policy = load_policy(job.model, job.dtype, job.device)
    note = job.cache.parent / NOTE_FILE if job.cache else None
    return PolicyLM(policy, open_engine(job.engine, policy, job.model), job.name, job.seed, note)


def _records(task: str, samples: Sequence[Mapping[str, Any]], model: Any) -> Iterator[dict[str, Any]]:
    """What the table of outcomes is made of."""
    from rpt_core.evaluation.benchmarks.suite.prompts import ids_digest

    for one in samples:
        first = one["arguments"][0]
        context = first[0] if len(first) > 1 else ""
        is_ranked = len(first) > 1 and isinstance(first[1], str)
        text = one["resps"][0][0]
        ids = model.tok_encode(context) if context else [model.prefix_token_id]
        yield {
            "task": task,
            "doc_id": one["doc_id"],
            "filter": one["filter"],
            "doc": one["doc"],
            "target": one["target"],
            "prompt": context,
            "prompt_digest": ids_digest(tuple(ids)),
            "continuations": [args[1] for args in one["arguments"]] if is_ranked else None,
            "resps": one["resps"],
            "filtered": one["filtered_resps"],
            "metrics": {name: one[name] for name in one["metrics"]},
            "tokens": len(model.tok_encode(text, add_special_tokens=False)) if isinstance(text, str) else 0,
        }


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
