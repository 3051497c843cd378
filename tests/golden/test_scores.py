"""Every number of both evaluations on answers given by hand: no model decides, so all machines agree.

``RPT_UPDATE_GOLDEN=1 pytest tests/golden`` writes the files anew; read the difference before committing it.
"""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.evaluation import answers
from rpt_core.evaluation.benchmarks import segments
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.objectives.next_segment.judge import CachedJudge
from rpt_core.objectives.next_segment.prompts import wrapped
from rpt_core.objectives.prompts import boxed
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.trunk import Sample, Sampling, Trunk
from rpt_core.recipes.evaluation import ProblemSampling
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.rlpt_objective import RlptObjective
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.evaluation.test_evaluate import NOWHERE, RECIPE

DIGITS = 9
KINDS = ("right", "wrong", "right", "unboxed", "right", "cut off", "right", "wrong", "empty")
SEGMENTS = "Ann came home {0} times. She ate {0} loaves. It rained hard. Then she slept well. Morning came."


def rounded(value):
    """Numbers with as many digits as every machine agrees on."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def compare(name: str, folder: Path) -> None:
    """What a stage wrote, beside what is on record."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    items = pq.read_table(folder / "items.parquet")
    found = rounded({
        "scores": json.loads((folder / "scores.json").read_text()),
        "metrics": [{key: row[key] for key in row if not key.startswith("seconds")} for row in logged],
        "columns": items.schema.names,
        "some rows": items.slice(0, 400).to_pylist()[::23],
    })  # fmt: skip
    path = Path(__file__).with_name(name)
    if os.environ.get("RPT_UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(path.read_text())


class Script:
    """Stands in for the engine: answers of every kind, turn by turn, right ones from the document itself."""

    def __init__(self, codec: Codec, close) -> None:
        self.codec, self.close, self.turn = codec, close, 0

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int):
        return [
            [[self._sample(trunk, cut.position) for _ in range(sampling.group_size)] for cut in trunk.cuts]
            for trunk in trunks
        ]

    def _sample(self, trunk: Trunk, position: int) -> Sample:
        self.turn += 1
        kind = KINDS[self.turn % len(KINDS)]
        thought = tuple(self.codec.encode(" so" * (self.turn % 4)))
        if kind == "unboxed":
            return self._of((*thought, *self.codec.encode("nothing")), "stop")
        if kind == "cut off":
            return self._of(thought or tuple(self.codec.encode("and")), "length")
        is_problem = position == len(trunk.document_ids)
        wrong = " never" if is_problem or self.close is boxed else f" It never rained {self.turn} times."
        said = {"right": self._truth(trunk, position), "wrong": wrong, "empty": ""}[kind]
        close = boxed if is_problem else self.close
        return self._of((*thought, *close(self.codec, tuple(self.codec.encode(said)))), "stop")

    def _truth(self, trunk: Trunk, position: int) -> str:
        if position == len(trunk.document_ids):  # a problem, whose number is its answer
            return trunk.key.removeprefix("problem")
        after = self.codec.decode(trunk.document_ids[position:])
        return after if self.close is boxed and len(after) < 6 else self._cut(after)

    def _cut(self, after: str) -> str:
        sizes = (len(self.codec.decode(self.codec.encode(after)[: 1 + self.turn % 3])), after.find(".") + 1)
        return after[: sizes[self.close is not boxed]]

    @staticmethod
    def _of(ids, finish) -> Sample:
        return Sample(tuple(ids), (-0.5,) * len(ids), finish)


def scripted(monkeypatch, codec: Codec, close) -> None:
    script = Script(codec, close)
    monkeypatch.setattr(TorchEngine, "generate", lambda self, *given: script.generate(*given))
    monkeypatch.setattr(
        answers, "draw_thinking", lambda policy, engine, trunks, how: script.generate(trunks, how, 0)
    )


@pytest.fixture
def folders(tmp_path):
    codec = write_model(tmp_path / "model" / "model")
    write_corpus(tmp_path / "corpus", codec)
    for step in (1, 2):
        write_model(tmp_path / f"milestone{step}" / "model", seed=step)
        note = {"step": step, "gflops_total": 10.0 * step}
        (tmp_path / f"milestone{step}" / "milestone.json").write_text(json.dumps(note))
    milestones = {f"milestones.{step}": tmp_path / f"milestone{step}" for step in (2, 1)}
    return codec, {"corpus": tmp_path / "corpus", "model": tmp_path / "model", **milestones}


def test_the_scores_of_next_tokens(folders, tmp_path, monkeypatch):
    codec, inputs = folders
    scripted(monkeypatch, codec, boxed)
    recipe = RECIPE.model_copy(update={
        "modes": ("reasoning", "forced", "problems"), "milestones": True, "num_problems": 3,
        "problem_sampling": ProblemSampling(samples=4, temperature=0.5, top_p=0.9, reasoning_tokens=7),
    })  # fmt: skip
    build = LocalBuild({**inputs, "difficulty": inputs["corpus"]}, tmp_path / "out", tmp_path / "scratch")
    evaluate(recipe, build)
    compare("scores.json", build.out)


class ByRule:
    """A judge that takes every second answer that begins as the reference does, and some that do not."""

    name = "by-rule"

    def __init__(self) -> None:
        self.num = 0

    def ask(self, pairs):
        self.num += len(pairs)
        return ["yes" if (len(pair.predicted) + len(pair.reference)) % 3 else "no" for pair in pairs]

    def close(self):
        pass


def test_the_scores_of_next_segments(folders, tmp_path, monkeypatch):
    codec, inputs = folders
    texts = [SEGMENTS.format(number) for number in range(30)]
    splitter = Splitter.train({"en": texts})
    rows = [
        {"doc_id": f"{n:032x}", "text": text, "split": "eval" if n % 3 == 0 else "train"}
        for n, text in enumerate(texts)
    ]
    spans = [
        {"doc_id": row["doc_id"], "ordinal": ordinal, "start": start, "end": end}
        for row in rows
        for ordinal, (start, end) in enumerate(splitter.split(row["text"], "en", 4))
    ]
    pq.write_table(pa.Table.from_pylist(rows), inputs["corpus"] / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(spans), inputs["corpus"] / "segments.parquet")
    scripted(monkeypatch, codec, wrapped)
    monkeypatch.setattr(segments, "open_judge", lambda *_: CachedJudge(ByRule(), 1.0, pauses_seconds=()))
    objective = RlptObjective(
        prompt="compact", min_before=1, min_chars=5, min_tokens=2, audit="sample-world", reference_segments=3,
        segment_tokens_max=64,
    )  # fmt: skip
    recipe = JudgedEvaluationRecipe(
        corpus=NOWHERE, model=NOWHERE, judge=NOWHERE, num_targets=20, num_problems=3, samples=3,
        objective=objective, problems=RlvrObjective(prompt="compact"), context_tokens=256,
        reasoning_tokens=40, milestones=True, unread_share_max=1.0,
    )  # fmt: skip
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    evaluate(recipe, build)
    compare("judged_scores.json", build.out)
