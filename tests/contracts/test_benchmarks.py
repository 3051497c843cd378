"""What every benchmark of the registry promises, on a model that knows nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.tables import BENCHMARKS as BENCHMARK_COLUMNS
from rpt_core.corpus.tables import TableWriter
from rpt_core.errors import RecipeError
from rpt_core.evaluation import answers as drawing
from rpt_core.evaluation.answers import ModelUnderTest, draw_thinking
from rpt_core.evaluation.benchmarks import registry, segments
from rpt_core.evaluation.benchmarks.known import KnownBenchmarks
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Setting
from rpt_core.evaluation.benchmarks.registry import BENCHMARKS, open_benchmarks, table_modes
from rpt_core.evaluation.benchmarks.segments import Segments
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.evaluation.items import read_items
from rpt_core.objectives.next_segment.judge import CachedJudge
from rpt_core.objectives.next_segment.prompts import wrapped
from rpt_core.objectives.next_token.prefix import Reading
from rpt_core.objectives.objective import Asked, Question
from rpt_core.objectives.outcomes import VERDICTS
from rpt_core.objectives.prompts import boxed
from rpt_core.objectives.verdicts import verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut, Sample, Sampling, Trunk
from rpt_core.recipes.evaluation import EvaluationFields, EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import RlvrObjective, RptObjective
from rpt_core.recipes.rlpt_objective import RlptObjective
from tests.unit.evaluation.folders import write_corpus, write_model

NOWHERE = Ref(ref="x@1")
FEW = {"num_problems": 3, "samples": 3, "reasoning_tokens": 12, "problems": RlvrObjective(prompt="compact")}
TEXT = EvaluationRecipe(
    corpus=NOWHERE, difficulty=NOWHERE, model=NOWHERE, objective=RptObjective(prompt="compact"),
    num_positions=20, context_tokens=128, **FEW,
)  # fmt: skip
JUDGED = JudgedEvaluationRecipe(
    corpus=NOWHERE, model=NOWHERE, judge=NOWHERE, num_targets=8, context_tokens=256, unread_share_max=1.0,
    objective=RlptObjective(prompt="compact", min_before=1, min_chars=5, min_tokens=2), **FEW,
)  # fmt: skip
TWO = ("aime24", "math-500")
SENTENCES = "Ann came home {0} times. She ate {0} loaves. It rained hard. Then she slept well. Morning came."


class Strict:
    """A judge that takes nothing but the reference's own beginning."""

    name = "strict"

    def ask(self, pairs):
        return ["yes" if pair.reference.startswith(pair.predicted) else "no" for pair in pairs]

    def close(self):
        pass


def recipe_of(benchmark: type[Benchmark]) -> EvaluationFields:
    """A small recipe that asks all modes of one benchmark."""
    recipe = TEXT if set(benchmark.modes) <= set(modes_of(EvaluationRecipe)) else JUDGED
    return recipe.model_copy(update={"modes": tuple(benchmark.modes)})


def modes_of(recipe: type[EvaluationFields]) -> tuple[str, ...]:
    return get_args(get_args(recipe.model_fields["modes"].annotation)[0])


def write_sentences(folder: Path) -> None:
    """Segmented documents, every third held out."""
    texts = [SENTENCES.format(number) for number in range(30)]
    splitter = Splitter.train({"en": texts})
    documents = [
        {"doc_id": f"{n:032x}", "text": text, "split": "train" if n % 3 else "eval"}
        for n, text in enumerate(texts)
    ]
    spans = [
        {"doc_id": row["doc_id"], "ordinal": ordinal, "start": start, "end": end}
        for row in documents
        for ordinal, (start, end) in enumerate(splitter.split(row["text"], "en", 4))
    ]
    pq.write_table(pa.Table.from_pylist(documents), folder / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(spans), folder / "segments.parquet")


def write_benchmarks(folder: Path) -> None:
    """Items of two known benchmarks, as a prepared corpus passes them on; one of them twice."""
    rows = [
        {"problem_id": f"{name}{number}", "problem": f"it moves {number}. then?", "solution": None,
         "answer": str(number), "benchmark": name}
        for name in ("aime24", "math-500") for number in range(6)
    ]  # fmt: skip
    rows += [
        {"problem_id": f"arc{number}", "problem": f"it shows {number}?\nA. the clock\nB. noon\nC. it",
         "solution": None, "answer": "ABC"[number % 3], "benchmark": "arc"}
        for number in range(6)
    ]  # fmt: skip
    with TableWriter(folder / "benchmarks.parquet", BENCHMARK_COLUMNS) as writer:
        for row in [*rows, rows[0]]:
            writer.add(row)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("benchmarks")
    codec = write_model(folder / "first" / "model")
    write_model(folder / "second" / "model", seed=1)
    for name in ("corpus", "sentences"):
        write_corpus(folder / name, codec, num_problems=20)
    write_sentences(folder / "sentences")
    write_benchmarks(folder / "corpus")
    return folder


@pytest.fixture(params=BENCHMARKS, ids=lambda benchmark: benchmark.__name__)
def benchmark(request, monkeypatch) -> type[Benchmark]:
    monkeypatch.setattr(segments, "open_judge", lambda *_: CachedJudge(Strict(), 1.0, pauses_seconds=()))
    return request.param


def inputs(root: Path, benchmark: type[Benchmark], model: str = "first") -> dict[str, Path]:
    corpus = root / ("sentences" if benchmark is Segments else "corpus")
    found = {"corpus": corpus, "difficulty": root / "corpus", "model": root / model}
    return {name: folder for name, folder in found.items() if name != "difficulty" or corpus == folder}


def opened(root: Path, benchmark: type[Benchmark], model: str = "first", **changed) -> Benchmark:
    codec = load_policy(root / model / "model").codec
    recipe = recipe_of(benchmark).model_copy(update=changed)
    (one,) = {id(b): b for b in open_benchmarks(
        Setting(recipe, inputs(root, benchmark, model), codec), recipe.modes
    ).values()}.values()  # fmt: skip
    return one


def trunks_of(one: Benchmark) -> list[object]:
    return [asked.trunk for asked in one.asked]


def test_every_mode_of_a_recipe_is_served_by_one_row():
    modes = [mode for benchmark in BENCHMARKS for mode in benchmark.modes]
    assert len(modes) == len(set(modes))
    assert set(modes) == {*modes_of(EvaluationRecipe), *modes_of(JudgedEvaluationRecipe)}
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS)
    tables = [mode for benchmark in BENCHMARKS for mode in table_modes(benchmark.modes)]
    assert len(tables) == len(set(tables))


def test_items_are_drawn_by_seed_and_never_by_the_model(root, benchmark):
    first = trunks_of(opened(root, benchmark))
    assert first
    assert first == trunks_of(opened(root, benchmark)) == trunks_of(opened(root, benchmark, "second"))
    assert first != trunks_of(opened(root, benchmark, seed=1))


def test_what_was_looked_at_was_asked_or_left_out_for_a_reason(root, benchmark):
    one = opened(root, benchmark)
    assert one.balance.rows_in == one.balance.kept + sum(one.balance.dropped.values())
    items = {(q.document, q.position) for asked in one.asked for q in asked.questions}
    assert one.balance.kept == len(items) > 0
    assert sum(one.balance.dropped.values()) > 0


def test_answers_are_as_many_as_announced_and_graded(root, benchmark, monkeypatch):
    one, policy = opened(root, benchmark), load_policy(root / "first" / "model")
    made_to_think: list[int] = []

    def thinking(policy, engine, trunks, sampling):
        made_to_think.append(len(trunks))
        return draw_thinking(policy, engine, trunks, sampling)

    monkeypatch.setattr(drawing, "draw_thinking", thinking)
    for mode in table_modes(benchmark.modes):
        made_to_think.clear()
        model = ModelUnderTest(policy, TorchEngine(policy))
        answers = [answer for some in one.answers(mode, model) for answer in some]
        assert len(answers) == one.num_answers(mode) > 0
        assert {answer.verdict.verdict for answer in answers} <= set(VERDICTS)
        keys = [(one.key(answer).item_id, answer.sample) for answer in answers]
        assert len(set(keys)) == len(keys)
        questions = {question for asked in one.asked for question in asked.questions}
        assert {answer.question for answer in answers} == questions
        assert model.num_forwarded + model.engine.num_forwarded > 0
        assert bool(made_to_think) == mode.endswith("forced")
        assert not made_to_think or all(answer.verdict.thought_tokens > 0 for answer in answers)


def test_unread_is_not_wrong_and_the_truth_is_right(root, benchmark):
    one, codec = opened(root, benchmark), load_policy(root / "first" / "model").codec
    close = wrapped if benchmark is Segments else boxed
    said = tuple(codec.encode("so it shows"))

    def graded(reply) -> set[tuple[str, float]]:
        drawn = [[[reply(question)] for question in asked.questions] for asked in one.asked]
        verdicts = one.grade(one.asked, drawn)
        assert len(verdicts) == sum(len(asked.questions) for asked in one.asked)
        return {(verdict.verdict, verdict.score) for verdict in verdicts}

    def answer(ids, finish="stop") -> Sample:
        return Sample(tuple(ids), (-0.5,) * len(ids), finish)

    truth = {asked.questions[0].truth for asked in one.asked}
    assert truth
    assert graded(lambda _: answer((*said, codec.end_id))) == {("unparsed", 0.0)}
    assert graded(lambda _: answer(said, "length")) == {("truncated", 0.0)}
    right = graded(lambda q: answer(close(codec, q.truth_ids[:1] or tuple(codec.encode(q.truth)))))
    assert right == {("correct", 1.0)}


def test_rows_scores_and_counts_add_up_and_a_second_run_is_equal(root, benchmark, tmp_path):
    recipe, found = recipe_of(benchmark), []
    for name in ("one", "two"):
        build = LocalBuild(inputs(root, benchmark), tmp_path / name, tmp_path / f"scratch-{name}")
        outcome = evaluate(recipe, build)
        found.append((read_items(build.out), json.loads((build.out / "scores.json").read_text())))
    (items, scores), (others, again) = found
    assert items.equals(others)
    assert scores == again
    one = opened(root, benchmark)
    assert outcome.rows == one.balance
    assert outcome.summary
    modes = items["mode"].to_pylist()
    assert set(modes) == set(table_modes(recipe.modes)) == set(scores["modes"])
    for mode, told in scores["modes"].items():
        rows = items.filter(pa.compute.equal(items["mode"], mode))
        assert len(rows) == one.num_answers(mode)
        assert told["num_items"] == len(set(rows["item_id"].to_pylist()))
        assert told["num_documents"] == len(set(rows["doc_id"].to_pylist()))
        if "verdicts" in told:
            assert sum(told["verdicts"].values()) == len(rows)
        for estimate in told["accuracy"].values():
            assert 0 <= estimate["value"] <= 1
            assert estimate["num_clusters"] <= told["num_documents"]


def test_known_benchmarks_are_scored_each_by_itself(root, tmp_path):
    recipe = TEXT.model_copy(
        update={"modes": ("problems", "benchmarks"), "num_problems": 4, "benchmarks": TWO}
    )
    build = LocalBuild(inputs(root, KnownBenchmarks), tmp_path / "out", tmp_path / "scratch")
    outcome = evaluate(recipe, build)
    scores = json.loads((build.out / "scores.json").read_text())
    told = scores["modes"]["benchmarks"]
    assert {name: one["num_items"] for name, one in told["by_benchmark"].items()} == {
        "aime24": 4, "math-500": 4,
    }  # fmt: skip
    assert scores["benchmarks"] == {
        "rows_in": 12, "kept": 8, "dropped": {"problem-not-drawn": 4}, "by_source": {},
    }  # fmt: skip
    assert outcome.summary["benchmarks_aime24"] == told["by_benchmark"]["aime24"]["value"]
    rows = [row for row in read_items(build.out).to_pylist() if row["mode"] == "benchmarks"]
    assert {row["doc_id"].partition(":")[0] for row in rows} == {"aime24", "math-500"}
    logged = json.loads((build.out / "metrics.jsonl").read_text().splitlines()[0])
    boxed_answers = scores.get("benchmarks_grading", {}).get("grading/answers", 0)
    assert logged.get("benchmarks/grading/answers", 0) == boxed_answers


def test_a_benchmark_is_drawn_alike_whatever_else_is_asked(root):
    alone = opened(root, KnownBenchmarks, benchmarks=("math-500",))
    among = opened(root, KnownBenchmarks, benchmarks=TWO)
    assert len(alone.asked) == 3
    assert trunks_of(alone) == [trunk for trunk in trunks_of(among) if trunk.key.startswith("math-500:")]


def test_a_benchmark_the_corpus_lacks_is_refused_by_name(root):
    with pytest.raises(RecipeError, match=r"no item of mmlu; it holds aime24, arc, math-500"):
        opened(root, KnownBenchmarks, benchmarks=("aime24", "mmlu"))


def test_a_new_benchmark_says_how_items_are_drawn_and_graded_and_nothing_else(root, tmp_path, monkeypatch):
    @dataclass
    class Echo(Benchmark):
        """Is the first word said again?"""

        name: ClassVar[str] = "words"
        modes: ClassVar[dict[str, tuple[str, ...]]] = {"echo": ("echo",)}
        asked: list[Asked]
        balance: RowCounts
        sampling: Sampling
        codec: Codec

        @classmethod
        def open(cls, setting):
            asked = []
            for word in ("clock", "noon", "it"):
                ids = tuple(setting.codec.encode(word))
                trunk = Trunk(word, setting.codec.begin_ids, ids, (Cut(len(ids)),))
                asked.append(Asked(trunk, (Question(word, len(ids), word),)))
            return cls(asked, RowCounts(rows_in=3, kept=3), setting.sampling(), setting.codec)

        def grade(self, asked, drawn):
            firsts = [one.trunk.document_ids[0] for one in asked]
            return [
                verdict(sample, self.codec, Reading(b"", (b"x",)), first in sample.token_ids)
                for first, ((*group,),) in zip(firsts, drawn, strict=True)
                for sample in group
            ]

    monkeypatch.setattr(registry, "BENCHMARKS", (*BENCHMARKS, Echo))
    build = LocalBuild(inputs(root, Echo), tmp_path / "out", tmp_path / "scratch")
    outcome = evaluate(TEXT.model_copy(update={"modes": ("echo", "problems")}), build)
    scores = json.loads((build.out / "scores.json").read_text())
    assert scores["words"] == {"rows_in": 3, "kept": 3, "dropped": {}, "by_source": {}}
    assert scores["modes"]["echo"]["num_items"] == 3
    assert scores["modes"]["problems"]["num_items"] == 3
    assert outcome.rows.kept == 6
    assert outcome.summary["echo_all"] == scores["modes"]["echo"]["accuracy"]["all"]["value"]
