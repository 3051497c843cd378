"""Languages and sources: what the corpus steps find, beside gold treebanks and labels made by hand.

Prints one table with precision, recall and F1: sentences and clauses, the language, near-duplicates across
both forms of Chinese, and the quality filter by kind of source. ``docs/corpus.md`` holds it; the tests of
``tests/realdata/test_languages.py`` guard it.

    python -m tests.benchmarks.corpus.languages --data FOLDER
"""

import argparse
import bz2
import gzip
import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from rpt_core.artifacts.digest import stable_id
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.clean.language import detect_language
from rpt_core.corpus.dedup.decontaminate import Contamination
from rpt_core.corpus.dedup.duplicates import DuplicateFinder
from rpt_core.corpus.dedup.sketch import sketch
from rpt_core.corpus.document_shards import clean
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.ingest import as_record
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.text.han import simplified
from rpt_core.corpus.text.words import split_words
from rpt_core.recipes.corpus import PrepareRecipe

LABELS = Path(__file__).parents[2] / "realdata" / "quality.json"
EWT, GSD, KYOTO = (
    "sentences/en_ewt-ud-dev.conllu.gz",
    "sentences-chinese/zh_gsdsimp-ud-dev.conllu.gz",
    "sentences-chinese/lzh_kyoto-ud-dev.conllu.gz",
)
GSD_SENTENCES = 10
"""To a text: the treebank has no documents."""


@dataclass(frozen=True, slots=True)
class Score:
    """What was right, found and wanted."""

    right: int
    found: int
    gold: int

    @property
    def precision(self) -> float:
        """Of what was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Of what was wanted."""
        return self.right / self.gold if self.gold else 1.0

    @property
    def f1(self) -> float:
        """Of both."""
        return 2 * self.right / (self.found + self.gold) if self.found + self.gold else 1.0


def treebank(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences by document and by paragraph, as far as the file tells either."""
    documents: list[list[str]] = [[]]
    paragraphs: list[list[str]] = [[]]
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line.startswith("# newdoc"):
            documents.append([])
        if line.startswith("# newpar"):
            paragraphs.append([])
        if line.startswith("# text = "):
            documents[-1].append(line.removeprefix("# text = ").strip())
            paragraphs[-1].append(documents[-1][-1])
    return [one for one in documents if one], [one for one in paragraphs if one]


def boundaries(
    splitter: Splitter, texts: Iterable[list[str]], lang: str, between: str, last: bool = False
) -> Score:
    """Ends of sentences in texts joined of gold ones; the end of a text counts only when asked for."""
    right = found = gold = 0
    for sentences in texts:
        ends, place = set(), 0
        for sentence in sentences:
            place += len(sentence)
            ends.add(place)
            place += len(between)
        text = between.join(sentences)
        got = {len(text[:end].rstrip()) for _, end in splitter.split(text, lang)}
        if not last:
            got, ends = got - {len(text)}, ends - {len(text)}
        right, found, gold = right + len(got & ends), found + len(got), gold + len(ends)
    return Score(right, found, gold)


def sentences_and_clauses(data: Path) -> dict[str, Score]:
    """Boundaries of the three treebanks; Punkt has learnt from the English and the Chinese dump alone."""
    splitter = Splitter.train(
        {
            "en": [text[:100_000] for text in _articles(data, "enwiki-latest")[:40]],
            "zh": _articles(data, "zhwiki"),
        }
    )
    english, _ = treebank(data / EWT)
    _, (chinese,) = treebank(data / GSD)
    _, classical = treebank(data / KYOTO)
    runs = [chinese[i : i + GSD_SENTENCES] for i in range(0, len(chinese), GSD_SENTENCES)]
    return {
        "sentences, English web (EWT dev)": boundaries(splitter, english, "en", " ", last=True),
        "sentences, Chinese (GSDSimp dev, ten to a text)": boundaries(splitter, runs, "zh", ""),
        "clauses, classical Chinese without punctuation (Kyoto dev)": boundaries(
            splitter, classical, "zh", ""
        ),
    }


def _articles(data: Path, name: str) -> list[str]:
    return [row.text for row in _documents(data, f"wikipedia/{name}")]


@cache
def _documents(data: Path, prefix: str) -> tuple[Document, ...]:
    """All documents of the files whose path begins so."""
    folder, _, name = prefix.partition("/")
    sources = [source for source in find_sources(data / folder) if source.name.startswith(name)]
    return tuple(
        row
        for source in sources
        for row in read_source(source, How(4_000_000, ALL_COLUMNS))
        if isinstance(row, Document)
    )


def languages(data: Path) -> dict[str, Score]:
    """How many of the texts of a language are told as it, and how many told as it are none."""
    _, (chinese,) = treebank(data / GSD)
    _, classical = treebank(data / KYOTO)
    texts: dict[str, list[tuple[str, str]]] = {
        "Chinese sentences (GSDSimp dev)": [("zh", text) for text in chinese],
        "classical Chinese paragraphs of 8 characters or more (Kyoto dev)": [
            ("zh", text) for text in map("".join, classical) if len(text) >= 8
        ],
        "classical Chinese documents (Analects, Great Learning, Tang poems)": [
            ("zh", row.text) for row in _documents(data, "classical-chinese/")
        ],
        "English web documents (EWT)": [("en", row.text) for row in _web(data)],
        "Wikipedia articles of 11 languages": [
            (row.native_id.split("wiki:")[0].replace("simple", "en"), row.text)
            for row in _documents(data, "wikipedia/")
        ],
    }
    told = {name: [(lang, detect_language(text)[0]) for lang, text in rows] for name, rows in texts.items()}
    every = [pair for pairs in told.values() for pair in pairs]
    out = {}
    for name, pairs in told.items():
        wanted = {lang for lang, _ in pairs}
        right = sum(lang == found for lang, found in pairs)
        false = sum(found in wanted and lang != found for lang, found in every)
        out[f"language, {name}"] = Score(right, right + false, len(pairs))
    return out


def _web(data: Path) -> tuple[Document, ...]:
    (path,) = (data / "text").glob("ewt-web-documents*")
    return _documents(data, f"text/{path.name}")


def near_duplicates(data: Path, folder: Path) -> dict[str, Score]:
    """Chapters and poems beside copies in simplified characters with one character in a hundred changed."""
    rng = random.Random(0)
    texts = [row.text for row in _documents(data, "classical-chinese/") if len(row.text) >= 60]
    texts = list(dict.fromkeys(texts))
    copies = [
        "".join(rng.choice(text) if rng.random() < 0.01 else one for one in simplified(text))
        for text in texts
    ]
    rows = [*texts, *copies]
    sets = [_five_grams(simplified(text)) for text in rows]
    alike = {
        (a, b)
        for a, b in combinations(range(len(rows)), 2)
        if (shared := len(sets[a] & sets[b])) and shared / len(sets[a] | sets[b]) >= 0.8
    }
    finder = DuplicateFinder(folder, 112, 0.8)
    ids = [stable_id(str(number)) for number in range(len(rows))]
    finder.add(sketch(ids, [0] * len(rows), rows, split_words(rows), 112))
    members: dict[int, list[int]] = {}
    for row, root in enumerate(finder.resolve().cluster.tolist()):
        members.setdefault(root, []).append(row)
    got = {pair for group in members.values() for pair in combinations(sorted(group), 2)}
    return {"near-duplicates, classical Chinese in both forms": Score(len(alike & got), len(got), len(alike))}


def _five_grams(text: str) -> set[str]:
    kept = "".join(filter(str.isalnum, text))
    return {kept[i : i + 5] for i in range(len(kept) - 4)}


@dataclass(frozen=True, slots=True)
class Label:
    """A document and whether a reader would keep it (``tests/realdata/quality.md``)."""

    file: str
    id: str
    kind: str
    start: int
    end: int
    digest: str
    keep: bool

    @property
    def half(self) -> str:
        """``open`` to whoever sets thresholds, or ``held out``."""
        return "held out" if int(self.digest[-1], 16) % 2 else "open"


def labels() -> list[Label]:
    """The hundred documents."""
    return [Label(**row) for row in json.loads(LABELS.read_text())]


def changed_labels(data: Path) -> list[str]:
    """Ids of labelled documents whose source is no longer what was read."""
    return [
        label.id
        for label in labels()
        if hashlib.sha256(_unpacked(data / label.file)[label.start : label.end]).hexdigest()[:16]
        != label.digest
    ]


@cache
def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    unpack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress}
    return unpack[path.suffix](content) if path.suffix in unpack else content


def decided(data: Path, min_words: int = 20) -> Iterator[tuple[Label, str]]:
    """Every label with the filter's reason to drop the document, empty where it stays."""
    recipe = PrepareRecipe(documents=Ref(ref="x"), min_words=min_words)
    rows, chosen = [], labels()
    for label in chosen:
        found = _documents(data, label.file)
        row = (
            found[int(label.id[1:])]
            if label.id.startswith("#")
            else next(row for row in found if row.native_id == label.id)
        )
        rows.append(as_record(row))
    refused = {
        end.row["doc_id"]: end.reason for end in clean(recipe, Contamination.index([], 13), rows).refused
    }
    for label, row in zip(chosen, rows, strict=True):
        yield label, refused.get(row["doc_id"], "")


def quality(data: Path) -> dict[str, Score]:
    """The filter beside the labels: of what it keeps, by kind and half; and of what it drops."""
    pairs = [(label, not reason) for label, reason in decided(data)]
    groups: dict[str, list[tuple[bool, bool]]] = {}
    for label, kept in pairs:
        for group in (label.kind, f"all, {label.half} half", "all"):
            groups.setdefault(group, []).append((label.keep, kept))
    kinds = sorted(groups, key=lambda group: (group.startswith("all"), group))
    scores = {f"quality, kept: {kind}": _agreement(groups[kind]) for kind in kinds}
    dropped = [(not keep, not kept) for keep, kept in groups["all"]]
    return {**scores, "quality, dropped: all": _agreement(dropped)}


def _agreement(pairs: list[tuple[bool, bool]]) -> Score:
    counts = Counter(pairs)
    right = counts[True, True]
    return Score(right, right + counts[False, True], right + counts[True, False])


def table(data: Path) -> dict[str, Score]:
    """Everything, in the order of the table."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            **sentences_and_clauses(data),
            **languages(data),
            **near_duplicates(data, Path(folder)),
            **quality(data),
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data (RPT_TEST_DATA)")
    options = parser.parse_args()
    print("| what | gold | precision | recall | F1 |\n|---|---|---|---|---|")
    for name, score in table(options.data).items():
        print(f"| {name} | {score.gold} | {score.precision:.3f} | {score.recall:.3f} | {score.f1:.3f} |")
    for label, reason in decided(options.data):
        if label.keep == bool(reason):
            print(f"{reason or 'kept'}: {label.file} {label.id}, {label.half}")


if __name__ == "__main__":
    main()
