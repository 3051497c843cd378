"""What a cold start is shown: documents and problems with answers in the asked form.

Thoughts come from three places. Where the corpus has traces, a thought stands at a place of a document
and leads to its next words. Where a problem has a solution, the solution is the thought. A document
without traces teaches the form alone: a thought that repeats the words before the cut, then the truth.

A *direct* answer closes its thought at once and boxes the same truth. All thoughts teach how to think;
whether to think at all is decided by the answer's first token, which
:mod:`rpt_core.train.supervised.cold_start` weights.
"""

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import RecipeError
from rpt_core.objectives.problems.question import Problem
from rpt_core.objectives.prompts import Prompt, boxed
from rpt_core.objectives.windows import stride, window_of
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.train.supervised.conclusions import BoxedIds, boxed_ids, read_conclusions
from rpt_core.train.supervised.windows import Windows, tokenised

Ids = tuple[int, ...]

FORMAT_CUTS = 5
"""Cuts of a document that teaches the form alone."""
RESTATED_TOKENS = 6
"""Words repeated by a thought that teaches the form alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One supervised answer below a cut."""

    ids: Ids
    thinks: bool
    """Whether it begins with a thought."""


@dataclass(frozen=True, slots=True)
class SupervisedExample:
    """A trunk with supervised answers: ``answers[i]`` below ``trunk.cuts[i]``."""

    trunk: Trunk
    answers: tuple[tuple[Answer, ...], ...]


class Lessons(Protocol):
    """A numbered pool of lessons; details such as the cut of the direct answer are drawn per visit."""

    def __len__(self) -> int: ...

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """The lesson at ``index``, its free choices drawn from ``rng``."""


@dataclass(frozen=True, slots=True)
class _Traced:
    """A window of a document and its thoughts."""

    key: str
    document: NDArray[np.int32]
    cuts: tuple[int, ...]
    thoughts: tuple[Ids, ...]
    start: int = 0
    """Document tokens before the window."""
    boxes: Mapping[int, BoxedIds] = field(default_factory=dict)
    """What thoughts conclude, by cut of the document, where the corpus says more than the truth."""

    def boxed(self, cut: int, num: int) -> Ids:
        """What the answer at a cut boxes: ``num`` true tokens, or the thought's own conclusion."""
        if box := self.boxes.get(self.start + cut):
            return box.shown(self.document.tolist(), self.start, num - 1)
        return tuple(self.document[cut : cut + num].tolist())


@dataclass(frozen=True, slots=True)
class ThoughtStyle:
    """How documents are shown: thoughts that go over their steps more than once, words about a budget."""

    share: float = 0.0
    passes: tuple[int, int] = (2, 6)
    budgeted: tuple[Prompt, ...] = ()
    """Prompts with a budget; every second document is shown with one of them."""

    def prompt(self, usual: Prompt, rng: np.random.Generator) -> Prompt:
        """The words round a document; no number is drawn where there is no choice."""
        if not self.budgeted or rng.random() < 0.5:
            return usual
        return self.budgeted[int(rng.integers(len(self.budgeted)))]

    def thought(self, thought: Ids, rng: np.random.Generator) -> Ids:
        """The thought, or the thought several times over; no number is drawn where none takes a detour."""
        if not self.share or rng.random() >= self.share:
            return thought
        return thought * int(rng.integers(self.passes[0], self.passes[1] + 1))


@dataclass(frozen=True)
class TracedDocuments:
    """Documents with supervised thoughts at some of their places."""

    windows: tuple[_Traced, ...]
    prompt: Prompt
    codec: Codec
    balance: RowCounts
    """Traces in, shown, and left out by reason."""
    style: ThoughtStyle = ThoughtStyle()
    whole_answers: bool = False
    """Whether a conclusion is boxed alone, never with a token that follows it."""

    @classmethod
    def open(
        cls, corpus: Path, split: Literal["train", "eval"], codec: Codec, prompt: Prompt, *,
        window_tokens: int, thought_tokens_max: int, kinds: Sequence[str] = (),
        style: ThoughtStyle = ThoughtStyle(), whole_answers: bool = False,
    ) -> "TracedDocuments":  # fmt: skip
        """Read the traces of a split and find their tokens.

        A trace is left out when its place is not a token's beginning: its truth could not be boxed.
        """
        by_document, num = read_traces(corpus, kinds)
        conclusions = read_conclusions(corpus, whole=whole_answers)
        dropped: dict[str, int] = defaultdict(int)
        windows: list[_Traced] = []
        shown = 0
        for doc_id, ids in tokenised(corpus, split, codec):
            found = _placed(by_document.pop(doc_id, ()), ids, codec, thought_tokens_max, dropped)
            boxes = boxed_ids(conclusions.get(doc_id, {}), ids, codec)
            owners = window_of(np.array([cut for cut, _ in found], np.int64), window_tokens)
            for owner in np.unique(owners).tolist():
                here = [pair for pair, of in zip(found, owners, strict=True) if of == owner]
                start = owner * stride(window_tokens)
                document = np.asarray(ids[start : start + window_tokens], np.int32)
                cuts = tuple(cut - start for cut, _ in here)
                thoughts = tuple(thought for _, thought in here)
                windows.append(_Traced(f"{doc_id}@{start}", document, cuts, thoughts, start, boxes))
                shown += len(here)
        dropped["other-split"] += sum(len(rows) for rows in by_document.values())
        left_out = {reason: n for reason, n in sorted(dropped.items()) if n}
        balance = RowCounts(rows_in=num, kept=shown, dropped=left_out)
        return cls(tuple(windows), prompt, codec, balance, style, whole_answers)

    def __len__(self) -> int:
        return len(self.windows)

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """All thoughts of the window, and one direct answer at one of its cuts."""
        window = self.windows[index]
        direct = int(rng.integers(len(window.cuts)))
        answers = []
        for place, (cut, thought) in enumerate(zip(window.cuts, window.thoughts, strict=True)):
            truth = window.boxed(cut, 1 if self.whole_answers else int(rng.integers(1, 3)))
            thought_ids = self.style.thought(thought, rng)
            answers.append(_answers(thought_ids, truth, self.codec, direct=place == direct))
        prompt = self.style.prompt(self.prompt, rng)
        return _document_lesson(window.key, window.document, window.cuts, answers, prompt)


@dataclass(frozen=True)
class PlainDocuments:
    """Documents that teach the form alone."""

    windows: Windows
    prompt: Prompt
    codec: Codec

    def __len__(self) -> int:
        return len(self.windows)

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """Thoughts that repeat what was last read, at random cuts, and one direct answer."""
        document = np.asarray(self.windows[index], np.int32)
        whole = np.flatnonzero(self.codec.char_offsets(document.tolist()) >= 0)
        room = whole[whole > 0]
        cuts = np.sort(rng.choice(room, min(FORMAT_CUTS, len(room)), replace=False)).tolist() or [1]
        direct = int(rng.integers(len(cuts)))
        answers = [
            _answers(
                tuple(document[max(0, cut - RESTATED_TOKENS) : cut].tolist()),
                tuple(document[cut : cut + 1].tolist()),
                self.codec,
                direct=place == direct,
            )
            for place, cut in enumerate(cuts)
        ]
        return _document_lesson(str(index), document, tuple(cuts), answers, self.prompt)


@dataclass(frozen=True)
class PlainText:
    """Documents as they are, without instruction or answer."""

    windows: Windows
    begin_ids: Ids
    """What begins every row (BOS, where the model has one)."""

    def __len__(self) -> int:
        return len(self.windows)

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """A window without a cut; nothing is drawn."""
        return SupervisedExample(Trunk(f"plain {index}", self.begin_ids, self.windows[index]), ())


@dataclass(frozen=True)
class SolvedProblems:
    """Problems whose solution serves as the thought."""

    items: tuple[tuple[str, Ids, Ids, Ids], ...]
    """Key, problem, solution, answer."""
    prompt: Prompt
    codec: Codec
    balance: RowCounts

    @classmethod
    def of(
        cls, problems: Sequence[Problem], codec: Codec, prompt: Prompt, *,
        context_tokens: int, thought_tokens_max: int,
    ) -> "SolvedProblems":  # fmt: skip
        """Keep what has a solution and fits."""
        items = []
        dropped: dict[str, int] = defaultdict(int)
        # a model trained here knows a word only with the space before it, and so thinks and answers
        space = " " if codec.is_compact else ""
        for problem in problems:
            question = tuple(codec.encode(problem.problem))
            thought = tuple(codec.encode(space + problem.solution)) if problem.solution else ()
            if not thought:
                dropped["no-solution"] += 1
            elif len(thought) > thought_tokens_max:
                dropped["thought-too-long"] += 1
            elif len(question) + prompt.num_tokens > context_tokens:
                dropped["too-long"] += 1
            else:
                answer = tuple(codec.encode(space + problem.answer))
                items.append((problem.problem_id, question, thought, answer))
        balance = RowCounts(rows_in=len(problems), kept=len(items), dropped=dict(sorted(dropped.items())))
        return cls(tuple(items), prompt, codec, balance)

    def __len__(self) -> int:
        return len(self.items)

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """The solution as a thought, and a direct answer."""
        key, question, thought, answer = self.items[index]
        cut = Cut(len(question), self.prompt.suffix_ids)
        trunk = Trunk(key, self.prompt.instruction_ids, question, (cut,))
        return SupervisedExample(trunk, (_answers(thought, answer, self.codec, direct=True),))


def _answers(thought: Ids, truth: Ids, codec: Codec, *, direct: bool) -> tuple[Answer, ...]:
    end = boxed(codec, truth)
    thinking = Answer(thought + end, thinks=True)
    return (thinking, Answer(end, thinks=False)) if direct else (thinking,)


def _document_lesson(
    key: str, document: NDArray[np.int32], cuts: tuple[int, ...], answers: Sequence[tuple[Answer, ...]],
    prompt: Prompt,
) -> SupervisedExample:  # fmt: skip
    at = tuple(Cut(cut, prompt.suffix_ids) for cut in cuts)
    return SupervisedExample(Trunk(key, prompt.instruction_ids, tuple(document.tolist()), at), tuple(answers))


def read_traces(corpus: Path, kinds: Sequence[str]) -> tuple[dict[str, list[tuple[int, str]]], int]:
    """Place and thought of the traces of the wanted kinds, by document, and how many there are.

    Args:
        corpus: Folder of a corpus artifact.
        kinds: Patterns such as ``clock-*``; empty for all.

    Raises:
        RecipeError: a pattern matches no trace: what it names would silently not be taught.
    """
    by_document: dict[str, list[tuple[int, str]]] = defaultdict(list)
    known: set[str] = set()
    num = 0
    for row in _rows(corpus / "traces.parquet"):
        known.add(row["kind"])
        if not kinds or any(fnmatch.fnmatchcase(row["kind"], pattern) for pattern in kinds):
            by_document[row["doc_id"]].append((row["char_offset"], row["thought"]))
            num += 1
    if unmatched := [pattern for pattern in kinds if not fnmatch.filter(known, pattern)]:
        raise RecipeError(
            f"trace_kinds {', '.join(unmatched)} match no trace of the corpus, which has "
            f"{', '.join(sorted(known)) or 'no trace at all'}. Fix the pattern, or leave it out."
        )
    return by_document, num


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.is_file():
        columns = ["doc_id", "char_offset", "thought", "kind"]
        for batch in pq.ParquetFile(file).iter_batches(columns=columns):
            yield from batch.to_pylist()


def _placed(
    traces: Sequence[tuple[int, str]], ids: list[int], codec: Codec, longest: int, dropped: dict[str, int]
) -> list[tuple[int, Ids]]:
    """Token position and thought of a document's traces, in order of place, each place once."""
    if not traces:
        return []
    token_at = {int(offset): token for token, offset in enumerate(codec.char_offsets(ids)) if offset >= 0}
    found: dict[int, Ids] = {}
    for offset, thought in traces:
        cut, thought_ids = token_at.get(offset, 0), tuple(codec.encode(thought))
        reason = (
            "no-token-starts-there" if cut == 0 else "thought-too-long" if len(thought_ids) > longest else ""
        )
        reason = reason or ("same-place" if cut in found else "")
        if reason:
            dropped[reason] += 1
        else:
            found[cut] = thought_ids
    return sorted(found.items())
