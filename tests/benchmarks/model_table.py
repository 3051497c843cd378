"""One real pretrained model on published benchmarks: the table of docs/benchmarks.md.

    make real-model
    python -m tests.benchmarks.model_table --model FOLDER --data FOLDER --home SCRATCH

Greedy, one answer an item, at most 256 new tokens. All rows are made in one process as `rpt eval` makes them;
it is killed (SIGKILL) once, after the first part of its first row was kept, and started again. Rows that
SCRATCH holds already are told again and not asked again; `--only gsm8k,mmlu` asks some of them.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

SUBJECTS = ("abstract_algebra", "global_facts", "medical_genetics", "us_foreign_policy")
_TITLE = re.compile(r"^ = ([^=].*?) = $", re.MULTILINE)
BEGINNING = 1500
"""Characters of an article of WikiText that are read."""
PLACEMENT = {"gpus": 0, "checkpoint_seconds": 20.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, or several of one evaluation."""

    name: str
    title: str
    benchmark: str
    options: dict[str, Any]
    folder: Callable[[Path, Path], Path] = lambda data, home: data
    """Where its benchmark lies, from the folder of real data and a scratch folder."""


def four_subjects(data: Path, home: Path) -> Path:
    """MMLU with :data:`SUBJECTS` alone."""
    folder = home / "data" / "four"
    for split in ("test", "dev"):
        with tarfile.open(data / "mmlu" / f"mmlu_{split}.tar.gz") as archive:
            for member in archive.getmembers():
                name = PurePosixPath(member.name).name
                if name.removesuffix(f"_{split}.csv") in SUBJECTS and (file := archive.extractfile(member)):
                    place = folder / "mmlu" / split / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(file.read())
    return folder


def articles(data: Path, home: Path) -> Path:
    """WikiText-2's validation text, the beginning of each article a text."""
    text = (data / "text" / "wikitext-2-valid.txt").read_text("utf-8")
    starts = [match.start() for match in _TITLE.finditer(text)]
    parts = [text[a:b].strip()[:BEGINNING] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    place = home / "data" / "wikitext" / "next_token" / "articles.jsonl"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    return place.parent.parent


ANSWERS = {"samples": 1, "temperature": 0, "max_new_tokens": 256}
ROWS = (
    Row("gsm8k", "GSM8K", "gsm8k", {**ANSWERS, "limit": 200}),
    Row("math500", "MATH-500", "math500", {**ANSWERS, "limit": 100}),
    Row("mmlu", "MMLU, four subjects", "mmlu", {"mode": "likelihood"}, four_subjects),
    Row("kor_bench", "KOR-Bench", "kor_bench", {**ANSWERS, "limit": 100}),
    Row("omni_math", "next tokens, Omni-MATH solutions", "next_token", {"limit": 40}),
    Row("wikitext", "next tokens, WikiText-2", "next_token", {"limit": 40}, articles),
)


def make(model: str, data: Path, home: Path, rows: list[Row]) -> Iterator[tuple[Row, Any, dict[str, Any]]]:
    """Each row with its manifest and scores; what was made before is found."""
    from infra.runs.attempt import Job
    from infra.storage.store import Store
    from rpt_core.artifacts.placement import Placement
    from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions
    from tasks import build, train_main
    from tasks.commands.benchmarks import benchmark_recipe, benchmarks_at_hand
    from tasks.inputs.models import find_model

    def in_process(command: list[str], **_: object) -> SimpleNamespace:
        train_main.run(Job.model_validate_json(Path(command[-1]).read_text()), lambda: False)
        return SimpleNamespace(error="", message="", check=lambda: None)

    stand_ins = {"launch": in_process, "track": lambda *_, **__: ""}
    for name, function in stand_ins.items():
        setattr(build, name, function)
    store, placement = Store(str(home / "store"), home / "cache"), Placement(**PLACEMENT)
    for row in rows:
        (held,) = benchmarks_at_hand((row.benchmark,), str(row.folder(data, home)))
        source = find_model(model, store).source
        recipe = benchmark_recipe(source, held, BenchmarkOptions(**row.options), placement, store)
        manifest = store.load(build.build_here(recipe, placement, store))
        scores = json.loads((store.materialise(manifest.artifact) / "scores.json").read_text())
        yield row, manifest, scores


def work(model: str, data: Path, home: Path, rows: list[Row]) -> None:
    """Make all rows, and note the processor seconds of each."""
    began = time.process_time()
    for row, manifest, _ in make(model, data, home, rows):
        print(f"{row.title}: {manifest.artifact.short}", flush=True)
        with (home / "cpu.jsonl").open("a") as stream:
            stream.write(json.dumps([row.name, time.process_time() - began]) + "\n")
        began = time.process_time()


def killed_once(words: list[str], home: Path) -> None:
    """Run the work, kill it when something of an unfinished row is kept, and run it again."""
    child = subprocess.Popen(words, start_new_session=True)
    while child.poll() is None and not list((home / "store" / "progress").glob("*/*")):
        time.sleep(1)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        print("killed; started again", flush=True)
    subprocess.run(words, check=True)


def processor_seconds(home: Path) -> dict[str, float]:
    """Of each row's last process, grading children aside."""
    noted = home / "cpu.jsonl"
    return dict(map(json.loads, noted.read_text().splitlines())) if noted.is_file() else {}


def lines(row: Row, manifest: Any, scores: dict[str, Any], cpu_s: float) -> Iterator[str]:
    """Rows of a Markdown table."""
    title = row.title + (", *training file, seen*" if scores["is_training_file"] else "")
    seconds = sum(attempt.seconds for attempt in manifest.attempts)
    for mode, told in scores["modes"].items():
        shown = f"{mode}, {scores['prompt']}" if mode == "reasoning" else mode
        for tier, one in told["accuracy"].items():
            score = f"{100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
            kind = shown if tier == "all" else f"{shown}, {tier}"
            counts = f"{scores['answered']} | {scores['unread']} | {seconds:.0f} | {cpu_s:.0f}"
            yield f"| {title} | {kind} | {one['num_items']} | {score} | {counts} |"
            title = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=",".join(row.name for row in ROWS))
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--no-kill", action="store_true")
    given = parser.parse_args()
    rows = [row for row in ROWS if row.name in given.only.split(",")]
    os.environ["RPT_HOME"] = str(given.home)
    if given.worker:
        work(given.model, given.data, given.home, rows)
        return
    words = [sys.executable, "-m", "tests.benchmarks.model_table", *sys.argv[1:], "--worker"]
    if given.no_kill:
        subprocess.run(words, check=True)
    else:
        killed_once(words, given.home)
    cpu = processor_seconds(given.home)
    print("| benchmark | asked as | n | % [95 %] | answered | unread | s | CPU-s |\n" + 8 * "|---" + "|")
    for row, manifest, scores in make(given.model, given.data, given.home, rows):
        print("\n".join(lines(row, manifest, scores, cpu.get(row.name, 0.0))))


if __name__ == "__main__":
    main()
