"""Our numbers beside lm-evaluation-harness's, item by item, under the same prompts; `make bench-harness`.

Three ways to the same items of one checkpoint: the harness with its own model of Transformers (``hf``), the
harness with our engine behind its interface (``rpt``), and our own evaluation (``rpt eval``).

    python -m tests.benchmarks.harness --model FOLDER --data FOLDER --out FOLDER
"""

import argparse
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.evaluation.benchmarks.packs.files import rows_in
from rpt_core.evaluation.benchmarks.suite.stage import evaluate_benchmark
from rpt_core.evaluation.harness.jobs import run_job
from rpt_core.evaluation.harness.local import LocalSplits, data_folder, local_splits, write_splits
from rpt_core.evaluation.harness.worker import RECORDS_FILE, Ask, Describe
from rpt_core.evaluation.items import ITEMS_FILE
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.harness_evaluation import HarnessTask


@dataclass(frozen=True)
class Comparison:
    """Two answers to the same items."""

    items: int
    nats_max: float
    """Largest difference of a log-probability."""
    same_choice: int
    same_text: int
    same_metrics: int
    others: tuple[str, ...]
    """What differs, each with its cause."""


def described(names, scratch: Path) -> dict[str, HarnessTask]:
    """The tasks of some names, none of them a group."""
    found = run_job(Describe(names=tuple(names), out=scratch / "describe"), scratch / "describe")
    return {name: HarnessTask.model_validate(found["tasks"][name][0]) for name in names}


def ask(model: Path, tasks: list[tuple[HarnessTask, LocalSplits]], out: Path, scored_by: str, **how) -> dict:
    """The harness's records by task, item and filter, and its own results and seconds."""
    files = tuple((task, write_splits(splits, out / "data" / task.name)) for task, splits in tasks)
    began = time.monotonic()
    answer = run_job(Ask(tasks=files, model=model, scored_by=scored_by, out=out / "out", **how), out)
    lines = (out / "out" / RECORDS_FILE).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return {
        "records": {(one["task"], one["doc_id"], one["filter"]): one for one in records},
        "results": answer["results"],
        "seconds": time.monotonic() - began,
    }


def compare(ours: dict, theirs: dict) -> dict[str, Comparison]:
    """By task and filter: how two answers of the harness agree."""
    assert ours.keys() == theirs.keys(), "the same items were asked"
    by_mode: dict[str, list] = {}
    for key, one in ours.items():
        by_mode.setdefault(f"{key[0]}, {key[2]}", []).append((one, theirs[key]))
    return {mode: _compared(pairs) for mode, pairs in by_mode.items()}


def _compared(pairs) -> Comparison:
    nats, choices, texts, metrics, others = [0.0], 0, 0, 0, []
    for one, other in pairs:
        assert (one["prompt_digest"], one["doc"]) == (other["prompt_digest"], other["doc"])
        if one["continuations"]:
            left, right = ([said[0][0] for said in two["resps"]] for two in (one, other))
            nats += [abs(a - b) for a, b in zip(left, right, strict=True)]
            same = left.index(max(left)) == right.index(max(right))
            choices += same
            if not same:
                others.append(f"item {one['doc_id']}: {left} and {right}")
        elif isinstance(one["resps"][0][0], str):
            left, right = one["resps"][0][0], other["resps"][0][0]
            texts += left == right
            if left != right:
                others.append(f"item {one['doc_id']}: {_where(left, right)}")
        else:
            nats.append(abs(one["resps"][0][0] - other["resps"][0][0]))
        metrics += one["metrics"] == other["metrics"]
    return Comparison(len(pairs), max(nats), choices, texts, metrics, tuple(others))


def _where(left: str, right: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    return f"from character {at}: {left[at - 20 : at + 20]!r} and {right[at - 20 : at + 20]!r}"


def own_evaluation(model: Path, data: Path, benchmark: str, scratch: Path, **how) -> dict[str, dict]:
    """The rows of ``rpt eval``'s first mode, by digest of the prompt's token ids."""
    recipe = BenchmarkRecipe(
        benchmark=benchmark, model=GivenModel(name=str(model)), data=str(data / benchmark), top_p=1.0,
        temperature=0.0, **how,
    )  # fmt: skip
    build = LocalBuild({}, scratch / benchmark / "out", scratch / benchmark / "scratch")
    evaluate_benchmark(recipe, build)
    rows = pq.read_table(build.out / ITEMS_FILE).to_pylist()
    first = rows[0]["mode"]
    return {row["prompt_digest"]: row for row in rows if row["mode"] == first}


def choices_beside(harness: dict, own: dict[str, dict]) -> Comparison:
    """The harness's choices (our engine) beside those of ``rpt eval``, where the prompt is the same."""
    shared = [one for one in harness.values() if one["prompt_digest"] in own]
    nats, same, metrics, others = [0.0], 0, 0, []
    for one in shared:
        row = own[one["prompt_digest"]]
        left, right = [said[0][0] for said in one["resps"]], list(row["option_nats"])
        nats += [abs(a - b) for a, b in zip(left, right, strict=True)]
        same += left.index(max(left)) == right.index(max(right))
        metrics += one["metrics"]["acc"] == row["score"]
    asked = {one["prompt_digest"] for one in harness.values()}
    others += [f"{len(asked) - len(shared)} prompts differ"] if len(shared) < len(asked) else []
    return Comparison(len(shared), max(nats), same, 0, metrics, tuple(others))


def answers_beside(harness: dict, own: dict[str, dict], stops: tuple[str, ...]) -> dict:
    """The harness's texts (our engine) beside those of ``rpt eval`` under the same prompt."""
    causes, others, same = Counter(), [], 0
    for one in harness.values():
        row = own.get(one["prompt_digest"])
        if row is None:
            causes["another prompt"] += 1
            continue
        text = one["resps"][0][0]
        cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
        same += text[:cut] == row["answer"]
        verdicts = bool(one["metrics"]["exact_match"]), row["verdict"]
        causes["the same verdict" if verdicts[0] == (verdicts[1] == "correct") else "another verdict"] += 1
        if verdicts[0] != (verdicts[1] == "correct"):
            others.append({"harness": one["filtered"], "rpt eval": [row["verdict"], row["prediction"]],
                           "truth": row["truth"], "text": text[-160:]})  # fmt: skip
    return {"items": len(harness), "same_text": same, "verdicts": dict(causes), "others": others}


def small_data(data: Path, out: Path, problems: int, subject: str) -> Path:
    """GSM8K's first problems behind 64 that give examples, and one MMLU subject, from real files."""
    (out / "gsm8k").mkdir(parents=True, exist_ok=True)
    rows = [row.record for row in islice(rows_in(data / "gsm8k"), 64 + problems)]
    for name, some in (("train", rows[:64]), ("test", rows[64:])):
        (out / "gsm8k" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    task = HarnessTask(
        name=subject, definition="", dataset="cais/mmlu", config=subject, asked="test", examples="dev",
        splits=("test", "dev"),
    )  # fmt: skip
    for split, some in local_splits(data / "mmlu", task).rows.items():
        (out / "mmlu").mkdir(exist_ok=True)
        lines = (json.dumps({**row, "subject": subject}) + "\n" for row in some)
        (out / "mmlu" / f"{subject}_{split}.jsonl").write_text("".join(lines))
    return out


def main() -> None:
    """Ask all three, and print what agrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("RPT_TEST_DATA"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--subject", default="abstract_algebra")
    parser.add_argument("--shots", type=int, help="before a question of MMLU (0) or GSM8K (8)")
    parser.add_argument("--tokens", type=int, default=96, help="of an answer to GSM8K")
    parser.add_argument("--parts", default="ranked,drawn")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    data = small_data(given.data, given.out / "data", given.problems, given.subject)
    names = {"ranked": f"mmlu_{given.subject}", "drawn": "gsm8k_cot"}
    tasks = described(names.values(), given.out)
    splits = {
        name: (task, local_splits(data_folder(data, task.dataset), task)) for name, task in tasks.items()
    }
    found = Found(given.out, given.model, data)
    if "ranked" in given.parts:
        found.ranked(splits[names["ranked"]], 0 if given.shots is None else given.shots)
    if "drawn" in given.parts:
        found.drawn(splits[names["drawn"]], 8 if given.shots is None else given.shots, given.tokens)
    print(json.dumps(found.told, indent=1))


class Found:
    """What was measured, written after every part."""

    def __init__(self, out: Path, model: Path, data: Path) -> None:
        self.out, self.model, self.data = out, model, data
        self.told: dict[str, object] = {}

    def ranked(self, task, shots: int) -> None:
        """One MMLU subject."""
        records = self._both(task, shots=shots)
        own = own_evaluation(self.model, self.data, "mmlu", self.out / "own", mode="likelihood", shots=shots)
        self._tell("mmlu: rpt eval beside the harness", vars(choices_beside(records, own)))

    def drawn(self, task, shots: int, tokens: int) -> None:
        """GSM8K with the paper's examples."""
        records = self._both(task, shots=shots, max_new_tokens=tokens, batch_size=10)
        own = own_evaluation(
            self.model, self.data, "gsm8k", self.out / "own", mode="few-shot", shots=shots, samples=1,
            max_new_tokens=tokens,
        )  # fmt: skip
        for filtered in ("strict-match", "flexible-extract"):
            mine = {key: one for key, one in records.items() if key[2] == filtered}
            told = answers_beside(mine, own, ("\n\n", "Q:"))
            self._tell(f"gsm8k: rpt eval beside the harness's {filtered}", told)

    def _both(self, task, **how) -> dict:
        name = task[0].name
        both = {by: ask(self.model, [task], self.out / name / by, by, **how) for by in ("rpt", "hf")}
        for mode, one in compare(both["rpt"]["records"], both["hf"]["records"]).items():
            self._tell(f"{mode}: our engine beside the harness's own model", vars(one))
        said = {by: {"results": one["results"], "seconds": round(one["seconds"])} for by, one in both.items()}
        self._tell(f"{name}: both", said)
        return both["rpt"]["records"]

    def _tell(self, what: str, said: object) -> None:
        self.told[what] = said
        (self.out / "agreement.json").write_text(json.dumps(self.told, indent=1))


if __name__ == "__main__":
    main()
