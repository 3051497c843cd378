"""Which questions the text a model was trained on gives away, and which rows of it do.

Preparing a corpus removes rows that leak what it holds out, by the same rule
(:mod:`rpt_core.corpus.dedup.decontaminate`). Here the rule is held against the finished corpus, for questions
it may never have heard of: benchmarks put into the evaluation later, and next tokens of held-out documents.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.corpus.batches import by_size
from rpt_core.corpus.dedup.decontaminate import Contamination, HeldOutItem, Hit, Leaks, canonical
from rpt_core.corpus.tables import read_rows
from rpt_core.corpus.text.words import Words, split_words
from rpt_core.objectives.problems.question import read_problems

NGRAM_WORDS = 13
"""As ``prepare-corpus`` has it by default, and GPT-3's appendix C."""
QUESTIONS_FILE = "questions.parquet"
"""In an evaluation that brings its questions along: ``item_id``, ``benchmark``, ``question``, ``answer``."""
TOUCHED_FILE = "touched.parquet"
PLACES = "next tokens"
_BEFORE_CHARS, _AFTER_CHARS = 800, 60
"""Code points around a cut among which its last words are looked for."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One question met in one training row."""

    item_id: str
    benchmark: str
    row_id: str
    """The training document or problem."""
    source: str
    num_shared: int
    """Runs of words the two share."""
    coverage: float
    """The same as a share of the question's runs."""
    shared: str
    """The first run, as the row has it."""


@dataclass(frozen=True, slots=True)
class Touches:
    """What was found of some questions in some corpora."""

    found: tuple[Touch, ...]
    covered: frozenset[str]
    """Items that could have been met. Of the others, too short or all template, nothing is known."""

    @property
    def by_item(self) -> dict[str, list[Touch]]:
        """The rows that give an item away, the closest first."""
        rows: dict[str, list[Touch]] = {}
        for touch in sorted(self.found, key=lambda one: (-one.coverage, one.row_id)):
            rows.setdefault(touch.item_id, []).append(touch)
        return rows


TOUCHED = pa.schema(
    [
        ("item_id", pa.string()),
        ("benchmark", pa.string()),
        ("row_id", pa.string()),
        ("source", pa.string()),
        ("num_shared", pa.int32()),
        ("coverage", pa.float64()),
        ("shared", pa.large_string()),
    ]
)
QUESTIONS = pa.schema(
    [
        ("item_id", pa.string()),
        ("benchmark", pa.string()),
        ("question", pa.large_string()),
        ("answer", pa.large_string()),
    ]
)
assert TOUCHED.names == [field.name for field in fields(Touch)]


def write_touched(touches: Touches, folder: Path) -> None:
    """Write ``touched.parquet``, a row for each pair of question and training row."""
    rows = sorted(touches.found, key=lambda one: (one.item_id, one.row_id))
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=TOUCHED), folder / TOUCHED_FILE)


def touched_by(corpora: Iterable[Path], items: Sequence[HeldOutItem], n: int = NGRAM_WORDS) -> Touches:
    """Hold questions against the training rows of corpora.

    Args:
        corpora: Folders of prepared corpora; a row's text is read as it was trained on.
        items: The questions; equal ids are one question.
        n: Words of a run.

    Returns:
        By the rule of decontamination: a shared run that neither many items nor many rows hold, or half of an
        item's runs.
    """
    unique = list({item.item_id: item for item in items}.values())
    index = Contamination.index(unique, n)
    covered = frozenset(item.item_id for i, item in enumerate(unique) if index.is_covered(i))
    found: list[Touch] = []
    for corpus in corpora:
        found += _in_corpus(corpus, index)
    return Touches(tuple(found), covered)


def _in_corpus(corpus: Path, index: Contamination) -> Iterator[Touch]:
    leaks, rows, shared = Leaks(), list[tuple[str, str]](), dict[tuple[int, int], str]()
    for batch in by_size(_training_rows(corpus), "text"):
        texts = [canonical(row["text"]) for row in batch]
        words = split_words(texts)
        hits = index.scan(words)
        numbers = range(len(rows), len(rows) + len(batch))
        leaks.take(hits, numbers)
        for hit in hits:
            place = words, hit.row, hit.starts[0]
            shared[numbers[hit.row], hit.item] = _run(texts[hit.row], *place, index.run_words(hit.item))
        rows += [(row["row_id"], row["source"]) for row in batch]
    for number, met in sorted(leaks.by_row().items()):
        for hit in met:
            yield _touch(index.items[hit.item], hit, *rows[number], shared[number, hit.item])


def _run(text: str, words: Words, row: int, start: int, num_words: int) -> str:
    """The words of a run as they stand in their text."""
    first = int(words.offsets[row]) + start
    return text[int(words.starts_W[first]) : int(words.ends_W[first + num_words - 1])]


def _touch(item: HeldOutItem, hit: Hit, row_id: str, source: str, shared: str) -> Touch:
    return Touch(item.item_id, item.benchmark, row_id, source, len(hit.runs), round(hit.coverage, 4), shared)


def _training_rows(corpus: Path) -> Iterator[dict[str, str]]:
    """Text of documents, and of problems with their solutions and answers, as far as training may read it."""
    for row in _rows(corpus / "documents.parquet", ["doc_id", "source", "text", "split"]):
        if row["split"] == "train":
            yield {"row_id": row["doc_id"], "source": row["source"] or "", "text": row["text"]}
    for row in _rows(
        corpus / "problems.parquet", ["problem_id", "source", "problem", "solution", "answer", "split"]
    ):
        if row["split"] == "train":
            parts = (row[name] or "" for name in ("problem", "solution", "answer"))
            yield {
                "row_id": row["problem_id"],
                "source": row["source"] or "",
                "text": "\n".join(filter(None, parts)),
            }


def _rows(path: Path, columns: list[str]) -> Iterator[dict[str, str]]:
    if path.exists():
        there = [name for name in columns if name in pq.read_schema(path).names]
        for row in read_rows(path, there):
            yield {name: row.get(name, "") for name in columns}


def write_questions(items: Iterable[HeldOutItem], folder: Path) -> None:
    """Write ``questions.parquet``, so that what was asked can be held against any training text."""
    rows = [
        {"item_id": one.item_id, "benchmark": one.benchmark, "question": one.problem, "answer": one.answer}
        for one in sorted(items, key=lambda one: one.item_id)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=QUESTIONS), folder / QUESTIONS_FILE, compression="zstd")


def asked_items(evaluation: Path, items: pa.Table, corpora: Iterable[Path] = ()) -> list[HeldOutItem]:
    """The text of an evaluation's questions, as far as it can be had.

    Args:
        evaluation: The evaluation's folder, which may bring :data:`QUESTIONS_FILE` along.
        items: Its table of outcomes.
        corpora: Those its questions were drawn from.
    """
    path = evaluation / QUESTIONS_FILE
    if path.exists():
        return [HeldOutItem(*(row[name] or "" for name in QUESTIONS.names)) for row in read_rows(path)]
    wanted = set(items["item_id"].to_pylist())
    found: dict[str, HeldOutItem] = {}
    for corpus in corpora:
        for item in (*_problems(corpus), *_places(corpus, items)):
            if item.item_id in wanted:
                found.setdefault(item.item_id, item)
    return list(found.values())


def _problems(corpus: Path) -> Iterator[HeldOutItem]:
    if (corpus / "problems.parquet").exists():
        for one in read_problems(corpus, "eval"):
            for name in (one.problem_id, f"held-out:{one.problem_id}"):
                yield HeldOutItem(name, "problems", one.problem, one.answer)
    for row in _rows(corpus / "benchmarks.parquet", ["benchmark", "problem_id", "problem", "answer"]):
        name = f"{row['benchmark']}:{row['problem_id']}"
        yield HeldOutItem(name, row["benchmark"], row["problem"], row["answer"])


def _places(corpus: Path, items: pa.Table) -> Iterator[HeldOutItem]:
    """Of each next token asked, the last words up to and with the word it belongs to."""
    if "char_offset" not in items.column_names:
        return
    columns = (items[name].to_pylist() for name in ("doc_id", "item_id", "char_offset"))
    asked: dict[str, dict[str, int]] = {}
    for document, item_id, offset in zip(*columns, strict=True):
        if offset is not None and offset >= 0:
            asked.setdefault(document, {})[item_id] = offset
    if not asked:
        return
    for row in _rows(corpus / "documents.parquet", ["doc_id", "text"]):
        for item_id, offset in asked.get(row["doc_id"], {}).items():
            yield HeldOutItem(item_id, PLACES, last_words(row["text"], offset), "")


def last_words(text: str, offset: int, num_words: int = NGRAM_WORDS) -> str:
    """The words of a text up to and with the one that begins at a code point, or goes on from there.

    Example:
        >>> last_words("It shows 3. It moves 2 on. It shows 5. So on.", 35, num_words=4)
        'on. It shows 5'
    """
    start = max(0, offset - _BEFORE_CHARS)
    piece = text[start : offset + _AFTER_CHARS]
    words = split_words([piece])
    beyond = [i for i, end in enumerate(words.ends_W.tolist()) if end > offset - start]
    last = beyond[0] if beyond else len(words.ends_W) - 1
    if last < 0:
        return ""
    first = max(0, last - num_words + 1)
    return piece[int(words.starts_W[first]) : int(words.ends_W[last])]
