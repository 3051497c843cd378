"""The hold-out's proof obligations, held by the finished artifacts and not by the generator."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import chi2_contingency

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.holdout import check_holdout, first_edition_share
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.errors import IntegrityError, SourceError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from rpt_core.recipes.world import SALT, SecondEdition
from rpt_core.sample.files import write_sample
from rpt_core.sample.second.holdout import held_pairs, is_held, is_reserved
from rpt_core.sample.second.questions import Sentence
from rpt_core.sample.second.reading import claims, read_thought, shows_reserved

P_MIN = 0.01
CHANCE_MAX = 1 / 7 + 0.03
"""Of a guess that takes no step."""
TRIGRAM_MARGIN = 0.05


class Written:
    """A corpus on disk: its folders, and its tables."""

    def __init__(self, folder: Path, sample: SampleWorld) -> None:
        self.folder = folder
        ingest(IngestRecipe(sample=sample), LocalBuild({}, folder / "documents", folder / "scratch1"))
        build = LocalBuild({"documents": folder / "documents"}, folder / "corpus", folder / "scratch2")
        recipe = PrepareRecipe(documents=Ref(ref="x"), held_questions=SALT, eval_share=0.02, seed=sample.seed)
        prepare(recipe, build)

    def rows(self, table: str, split: str) -> list[dict]:
        rows = pq.read_table(self.folder / "corpus" / f"{table}.parquet").to_pylist()
        return [row for row in rows if row["split"] == split]

    def questions(self, split: str) -> list:
        return [claim.question for row in self.rows("documents", split) for claim in claims(row["text"])]


@pytest.fixture(
    scope="module",
    params=[
        SampleWorld(num_documents=160, num_problems=60, second=SecondEdition(held_share=0.2)),
        SampleWorld(
            num_documents=200,
            num_problems=60,
            second=SecondEdition(held_share=0.2, kinds=("week", "compass"), planted=True),
        ),
        pytest.param(
            SampleWorld(second=SecondEdition()), marks=[pytest.mark.long, pytest.mark.timeout(1800)]
        ),
        pytest.param(
            SampleWorld(num_documents=160, num_problems=60, second=SecondEdition(languages=("zh",))),
            marks=pytest.mark.long,
        ),
    ],
    ids=["small", "two kinds, with faults", "full", "chinese"],
)
def written(request, tmp_path_factory) -> Written:
    return Written(tmp_path_factory.mktemp("written"), request.param)


def is_full(written: Written) -> bool:
    return len(written.rows("documents", "train")) > 3000


def test_nothing_held_out_stands_in_what_trains(written):
    told = [row["text"] for row in written.rows("documents", "train")]
    told += [row["problem"] for row in written.rows("problems", "train")]
    sentences = [claim.sentence for text in told for claim in claims(text)]
    assert len(sentences) > 300
    assert not [one for one in sentences if is_reserved(one)]
    for one in sentences:
        assert held_pairs(one.kind).isdisjoint(pairwise(one.phrases))


def test_no_trace_shows_a_held_sentence_and_all_stand_at_their_place(written):
    traces = written.rows("traces", "train")
    held = {row["doc_id"] for row in written.rows("documents", "eval") if shows_reserved(row["text"], SALT)}
    assert held.isdisjoint(row["doc_id"] for row in written.rows("traces", "eval"))
    texts = {row["doc_id"]: row["text"] for row in written.rows("documents", "train")}
    for row in traces:
        kind = row["kind"].rpartition("-")[0]
        read = read_thought(kind, row["thought"])
        assert not is_reserved(Sentence(kind, read.phrases))
        assert texts[row["doc_id"]][row["char_offset"] :].startswith(row["answer"])
        assert row["boxed"].strip() == read.left
    assert len(traces) > 200
    assert {row["kind"].rpartition("-")[2] for row in traces} == {"1", "2", "3", "4"}
    right = sum(row["boxed"] == row["answer"] for row in traces) / len(traces)
    assert right == pytest.approx(0.32, abs=0.06)  # hasty thoughts are right by luck now and then


def test_documents_written_to_be_held_out_are(written):
    held = written.rows("documents", "eval")
    assert [row for row in held if shows_reserved(row["text"], SALT)]
    steps = Counter(one.num_steps for one in written.questions("eval") if is_reserved(one.sentence))
    assert set(steps) == {2, 3, 4, 5, 6}
    assert [row for row in written.rows("problems", "eval") if shows_reserved(row["problem"], SALT)]


@pytest.mark.parametrize("what", [lambda q: q.kind, lambda q: (q.kind, q.start), lambda q: (q.kind, q.truth)])
def test_kinds_starts_and_truths_are_distributed_alike(written, what):
    train, held = (Counter(map(what, written.questions(split))) for split in ("train", "eval"))
    cells = sorted({*train, *held})
    if not is_full(written):  # of few documents, cells that both have
        cells = [cell for cell in cells if train[cell] >= 5 and held[cell] >= 5]
    assert chi2_contingency([[train[cell] for cell in cells], [held[cell] for cell in cells]]).pvalue > P_MIN


def test_guesses_without_steps_are_worth_nothing(written):
    held = [one for one in written.questions("eval") if is_held(one.sentence)]
    by_kind: dict[str, Counter] = {}
    for one in held:
        by_kind.setdefault(one.kind, Counter())[one.truth] += 1
    constant = sum(counts.most_common(1)[0][1] for counts in by_kind.values()) / len(held)
    last = sum(one.truth == one.start for one in held) / len(held)
    margin = 0 if is_full(written) else 0.15  # the best of many guesses at few questions
    assert constant < CHANCE_MAX + margin
    assert last < CHANCE_MAX + margin


WORD = re.compile(r"\w+|[^\w\s]")


def test_a_trigram_model_of_the_training_text_knows_no_more_than_a_constant_guess(written):
    seen: dict[tuple[str, ...], Counter] = {}
    for row in written.rows("documents", "train"):
        words = WORD.findall(row["text"])
        for at in range(2, len(words)):
            seen.setdefault((words[at - 2], words[at - 1]), Counter())[words[at]] += 1
    truths: dict[str, Counter] = {}
    right = num = 0
    for row in written.rows("documents", "eval"):
        for claim in claims(row["text"]):
            if claim.question.num_steps >= 3 and is_held(claim.sentence):
                before = tuple(WORD.findall(row["text"][: claim.char_offset])[-2:])
                right += before in seen and seen[before].most_common(1)[0][0] == claim.value
                truths.setdefault(claim.kind, Counter())[claim.value] += 1
                num += 1
    constant = sum(counts.most_common(1)[0][1] for counts in truths.values()) / num
    assert right / num <= constant + TRIGRAM_MARGIN


def test_the_check_reads_the_same_files_and_says_so(written):
    rollouts = [
        {
            "step": 1,
            "doc_id": "x",
            "prompt_tail": "The hand moves 1 on. It now shows",
            "verdict": "wrong",
        }
    ]
    (written.folder / "policy").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rollouts), written.folder / "policy" / "rollouts.parquet")
    check = check_holdout({"here": written.folder}, SALT)
    by_path = {(file.path.removeprefix("here/"), file.side): file.tally for file in check.files}
    trained, asked = (by_path["corpus/documents.parquet", side] for side in ("training", "held out"))
    assert trained.num_texts == len(written.rows("documents", "train"))
    assert trained.num_sentences == len(written.questions("train"))
    assert trained.num_silent == trained.num_reserved == trained.num_pairs == 0
    assert asked.num_held == sum(is_held(one.sentence) for one in written.questions("eval"))
    assert by_path["corpus/traces.parquet", "training"].num_texts == len(written.rows("traces", "train"))
    assert by_path["policy/rollouts.parquet", "training"].num_sentences == 1
    assert check.is_clean
    broken = written.folder.glob("scratch1/**/rows.jsonl")
    assert set(check.unread) == {f"here/{path.relative_to(written.folder).as_posix()}" for path in broken}
    assert check.seen is not None
    assert check.seen < 0.25  # of the seen row alone: an eighth of the documents that are held out


@pytest.mark.parametrize(
    ("name", "rest"),
    [("documents", {"split": "train"}), ("rollouts", {"verdict": "wrong"}), ("lessons", {})],
)
def test_one_held_sentence_in_what_trains_is_found(name, rest, tmp_path):
    text = "The hand moves 1 on, 1 on. It now shows"
    column, value = {
        "documents": ("text", text),
        "rollouts": ("prompt_tail", text),
        "lessons": ("messages", [{"role": "user", "content": text}]),
    }[name]
    pq.write_table(pa.Table.from_pylist([{column: value, **rest}]), tmp_path / f"{name}.parquet")
    [found] = check_holdout({"mine": tmp_path}, SALT).files
    assert (found.path, found.side, found.is_clean) == (f"mine/{name}.parquet", "training", False)
    assert (found.tally.num_held, found.tally.num_pairs) == (1, 1)


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b'{"text": "One', b"[1, 2]", b"7"], ids=["no UTF-8", "cut off", "list", "number"]
)
def test_lines_that_are_no_rows_are_counted_and_those_beside_them_judged(line, tmp_path):
    text = json.dumps({"text": "The hand moves 1 on, 1 on. It now shows", "split": "train"}).encode()
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join((line, text, b"", line)))
    check = check_holdout({"mine": tmp_path}, SALT)
    assert check.unread == {"mine/rows.jsonl": 2}
    assert [file.tally.num_held for file in check.files] == [1]


@pytest.mark.parametrize("kept", [0, 4, 40, None], ids=["empty", "cut at once", "cut", "a page lost"])
def test_a_damaged_table_is_refused_by_its_name(kept, tmp_path):
    text = {"text": "The hand moves 1 on. It now shows 3.", "split": "train"}
    pq.write_table(pa.Table.from_pylist([text]), tmp_path / "documents.parquet")
    whole = (tmp_path / "documents.parquet").read_bytes()
    lost = whole[:4] + bytes(60) + whole[64:]  # columns and sizes stand at the end
    (tmp_path / "traces.parquet").write_bytes(lost if kept is None else whole[:kept])
    with pytest.raises(IntegrityError, match=r"mine/traces.parquet is a damaged table"):
        check_holdout({"mine": tmp_path}, SALT)


def test_a_held_thought_in_a_trace_is_found_and_a_held_out_document_is_none(tmp_path):
    thought = {"thought": " 3 1 on 4 1 on 5", "kind": "clock-3", "char_offset": 9, "split": "train"}
    pq.write_table(pa.Table.from_pylist([thought]), tmp_path / "traces.parquet")
    assert not check_holdout({"mine": tmp_path}, SALT).is_clean
    text = {"text": "The hand moves 1 on, 1 on. It now shows", "split": "eval"}
    pq.write_table(pa.Table.from_pylist([text]), tmp_path / "traces.parquet")
    assert check_holdout({"mine": tmp_path}, SALT).is_clean


def test_text_of_no_world_is_refused(tmp_path):
    pq.write_table(pa.table({"text": ["Nothing of it."], "split": ["train"]}), tmp_path / "documents.parquet")
    with pytest.raises(SourceError, match="none holds a sentence"):
        check_holdout({"mine": tmp_path}, SALT)


@pytest.mark.slow
def test_the_first_edition_shows_most_of_its_held_out_questions_in_training():
    assert 0.5 < first_edition_share(0, 4000) < 1


def test_the_same_world_is_the_same_bytes(tmp_path):
    sample = SampleWorld(num_documents=30, num_problems=10, second=SecondEdition(languages=("en", "zh")))
    folders = [write_sample(sample, tmp_path / name) for name in ("a", "b")]
    first, second = ({p.name: p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert first == second
    assert len(first) > 4
