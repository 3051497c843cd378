"""Datatrove's reader, filters and sentence splitter over a folder of JSON lines, in one process.

    .venv-peers/bin/python tests/benchmarks/corpus/datatrove_filters_side.py FOLDER

Its own defaults, in the order of its published recipes: language, Gopher repetition, Gopher quality, C4. The
language model is made by the first run (see tests/benchmarks/corpus/filters.py) and kept beside FOLDER.
Prints what ``tests.benchmarks.corpus.filters.Told`` holds.
"""

import json
import sys
import time
from pathlib import Path

import fasttext
from datatrove.pipeline.filters import (
    C4QualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.text import split_into_sentences

LABELS = ("en", "xx")
"""A language model needs two labels at least; the second gets the documents' words spelled backwards."""


class Dropped:
    """Stands in for a writer of what a filter drops, and notes the reason."""

    def __init__(self, step):
        self.step, self.reasons = step, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def write(self, document, rank=0, **_):
        """Note why a document goes."""
        why = document.metadata.get("filter_reason", "")
        self.reasons[document.id] = f"{self.step} {why}".strip()


def language_model(folder):
    """The path of a fastText model of the public one's size, trained on these documents."""
    path = folder.with_name("language.bin")
    if not path.exists():
        lines = folder.with_name("language.txt")
        with lines.open("w") as stream:
            for line in (folder / "documents.jsonl").open():
                words = json.loads(line)["text"].replace("\n", " ").split()
                for start in range(0, len(words), 50):
                    some = words[start : start + 50]
                    stream.write(f"__label__{LABELS[0]} {' '.join(some)}\n")
                    stream.write(f"__label__{LABELS[1]} {' '.join(word[::-1] for word in some)}\n")
        model = fasttext.train_supervised(
            str(lines), dim=16, bucket=2_000_000, minn=2, maxn=4, epoch=1, loss="hs", thread=1, verbose=0
        )
        model.save_model(str(path))
    return path


def main() -> None:
    """Run the steps over every document."""
    folder = Path(sys.argv[1])
    path = language_model(folder)
    dropped = [Dropped(name) for name in ("language", "gopher-repetition", "gopher-quality", "c4")]
    language = LanguageFilter(exclusion_writer=dropped[0])
    language.model._model = fasttext.FastText._FastText(str(path))
    steps = [
        language,
        GopherRepetitionFilter(exclusion_writer=dropped[1]),
        GopherQualityFilter(exclusion_writer=dropped[2]),
        C4QualityFilter(exclusion_writer=dropped[3]),
    ]
    split_into_sentences("Its tokeniser is loaded. Nothing of that is charged.")
    started = time.process_time()
    num_chars = 0

    def counted(documents):
        nonlocal num_chars
        for document in documents:
            num_chars += len(document.text)
            yield document

    documents = counted(JsonlReader(str(folder)).run(None))
    for step in steps:
        documents = step.run(documents)
    kept = {document.id: len(split_into_sentences(document.text)) for document in documents}
    seconds = time.process_time() - started
    gone = {name: why for some in dropped for name, why in some.reasons.items()}
    print(json.dumps({"seconds": seconds, "num_chars": num_chars, "kept": kept, "dropped": gone}))


if __name__ == "__main__":
    main()
