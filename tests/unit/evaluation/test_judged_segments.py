"""Predicted segments beside the world's truth: places, paraphrases, wrong answers that a judge would take."""

import lzma
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.evaluation.kept.arm import FAULTS, HELD_ROWS
from rpt_core.evaluation.kept.file import from_bytes, read_outcomes, to_bytes
from rpt_core.evaluation.kept.judged import ERRING, PARTS, Fooled, JudgedAnswers, Reached, fooled_over
from rpt_core.evaluation.kept.measures import measure_of, mode_of
from rpt_core.evaluation.kept.second_world_segments import stated
from rpt_core.objectives.next_segment.judge import errs
from rpt_core.objectives.next_segment.prompts import segment_prompt
from rpt_core.objectives.next_segment.question import AskedSegment
from rpt_core.objectives.next_segment.targets import Targets
from rpt_core.policy.codec import Codec
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.sample.second.holdout import row_of
from rpt_core.sample.second.wordings import SECOND
from tests.unit.corpus.second_corpus import second_documents, write_second_corpus
from tests.unit.report.outcomes.simulated import simulated

OUTCOMES = Path(__file__).resolve().parents[3] / "docs" / "study" / "outcomes"
SETTINGS = RlptObjective(
    prompt="compact", min_before=1, min_chars=8, min_tokens=3, reference_segments=2, segment_tokens_max=64,
    audit="second-world",
)  # fmt: skip
NUM = 60


@cache
def written() -> dict[str, str]:
    """The texts of all documents by id."""
    return {name: one.text for name, one in second_documents(NUM).items()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = write_second_corpus(tmp_path_factory.mktemp("corpus"), NUM)
    texts = written()
    splitter = Splitter.train({"en": list(texts.values())})
    spans = [
        {"doc_id": name, "ordinal": ordinal, "start": start, "end": end}
        for name, text in texts.items()
        for ordinal, (start, end) in enumerate(splitter.split(text, "en", 8))
    ]
    pq.write_table(pa.Table.from_pylist(spans), folder / "segments.parquet")
    return folder


@pytest.fixture(scope="module")
def questions(corpus, tmp_path_factory):
    """What an evaluation would ask about the held-out documents, with the text's own segment."""
    codec = Codec.train(list(written().values()), 512, tmp_path_factory.mktemp("codec"), marks=True)
    asking = AskedSegment(SETTINGS, codec, segment_prompt(SETTINGS.prompt, codec))
    targets = Targets(corpus, None, codec, SETTINGS, 400, "eval")
    pages = [targets.read(index) for index in range(len(targets.counts))]
    return [
        question
        for page in pages
        for question in asking.ask(
            page, [(one, task) for one in page.targets for task in ("asr", "msr")]
        ).questions
    ]


def table(questions, said, *, thought="", verdict="wrong"):
    rows = [
        {
            "doc_id": one.document, "char_offset": one.char_offset, "thought": thought, "verdict": verdict,
            "prediction": said(one),
        }
        for one in questions
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def marked(corpus, items):
    return measure_of("second-world-segments")(corpus, items)


def test_values_alone_are_counted_and_the_text_itself_is_right_in_any_wording(corpus, questions):
    rng = Random(0)
    found = marked(corpus, table(questions, lambda one: SECOND.reworded(one.truth, rng) or one.truth))
    is_value = np.array([(SECOND.facts(one.truth) or [None])[0].name == "value" for one in questions])
    assert is_value.sum() > 30
    assert (~is_value).sum() > 30
    assert ((found.steps > 0) == is_value).all()
    assert found.right[is_value].all()
    assert not found.right[~is_value].any()
    assert set(found.rows[~is_value].tolist()) == {""}
    assert set(found.rows[is_value].tolist()) <= {*HELD_ROWS, "one step", "seen"}
    places = {name: stated(name, text) for name, text in written().items()}
    for one, row, steps in zip(questions, found.rows, found.steps, strict=True):
        question = places[one.document].get((one.document, one.char_offset))
        if question is not None:
            assert (row, steps) == (row_of(question.sentence), question.num_steps)
            assert question.truth in one.truth


def test_the_first_sentence_alone_is_judged_and_only_where_the_answer_was_read(corpus, questions):
    goes_on = marked(corpus, table(questions, lambda one: f"{one.truth} It is a lie."))
    assert (goes_on.right == (goes_on.steps > 0)).all()
    unread = marked(corpus, table(questions, lambda one: "", verdict="unparsed"))
    assert not unread.right.any()
    assert set(unread.faults[unread.steps > 0].tolist()) == {FAULTS.index("unread")}
    of_judge = marked(corpus, table(questions, lambda one: one.truth, verdict="unparsed"))
    assert (of_judge.right == goes_on.right).all()  # it is the judge that was not understood
    first_wrong = marked(corpus, table(questions, lambda one: f"It is a lie. {one.truth}"))
    assert not first_wrong.right.any()


def test_a_true_chain_is_read_in_the_thought_whatever_was_predicted(corpus, questions):
    places = {name: stated(name, text) for name, text in written().items()}
    known = [one for one in questions if (one.document, one.char_offset) in places[one.document]]
    chains = [places[one.document][one.document, one.char_offset].thought for one in known]
    items = table(known, lambda one: "It is a lie.")
    found = marked(corpus, items.set_column(2, "thought", pa.array([f" {chain}" for chain in chains])))
    assert found.verified.all()
    assert (found.hits == found.steps).all()
    assert not found.right.any()


def test_wrong_answers_that_an_erring_judge_takes_are_those_that_the_training_pays(corpus, questions):
    said = [f"It now shows {number}." for number in range(1, 200)]
    items = table(questions[:1] * len(said), lambda one: "").set_column(4, "prediction", pa.array(said))
    value = next(one for one in questions if SECOND.facts(one.truth)[0].name == "value")
    items = items.set_column(0, "doc_id", pa.array([value.document] * len(said)))
    items = items.set_column(1, "char_offset", pa.array([value.char_offset] * len(said)))
    found = marked(corpus, items)
    for share in ERRING:
        wanted = [errs(text, share) and not right for text, right in zip(said, found.right, strict=True)]
        assert found.fooling[share].tolist() == wanted
    assert 0 < found.fooling[0.05].sum() < found.fooling[0.2].sum() < len(said) / 2


def test_answers_of_segments_are_kept_in_the_mode_of_a_judge():
    assert mode_of("second-world-segments") == "judged"
    assert mode_of("second-world") == mode_of("first-world") == "reasoning"


def judged(outcomes, seed=0, checkpoints=2) -> JudgedAnswers:
    shape, rng = outcomes.answers.right_IS.shape, np.random.default_rng(seed)
    bits = [rng.random(shape) < 0.3 for _ in range(3 + checkpoints)]
    return JudgedAnswers(
        bits[0], dict(zip(ERRING, bits[1:3], strict=True)),
        tuple(Reached(8 * n, 1000 * n, bits[2 + n]) for n in range(1, checkpoints + 1)),
        Fooled((10, 20), (5, 6), (1, 2), (0, 1)),
    )  # fmt: skip


def test_what_judges_said_is_written_and_read_again_and_changes_no_file_without_it():
    plain = simulated("RPT", 100, 0.4)
    whole = replace(plain, judged=judged(plain))
    found = from_bytes(to_bytes(whole), "x")
    assert to_bytes(found) == to_bytes(whole)
    assert found.judged.fooled == whole.judged.fooled
    assert (found.judged.accepted_IS == whole.judged.accepted_IS).all()
    assert [one.tokens for one in found.judged.checkpoints] == [1000, 2000]
    assert (found.judged.fooling_IS[0.2] == whole.judged.fooling_IS[0.2]).all()
    kept = sorted(OUTCOMES.glob("100-*.json.xz"))[:3]
    assert kept
    for path in kept:
        assert read_outcomes(path).judged is None
        assert lzma.decompress(to_bytes(read_outcomes(path))) == lzma.decompress(path.read_bytes())


def test_the_trainings_judge_is_followed_by_parts_of_its_steps():
    steps = [
        {"step": n, "verdict/correct": 3.0, "verdict/wrong": 1.0, "audit/wrong": 1.0,
         "audit/false_accepts": float(n > 8), "judge/erred_on_purpose": float(n > 12)}
        for n in range(1, 17)
    ]  # fmt: skip
    found = fooled_over([{"step": 0, "eval/accuracy": 0.5}, *steps])
    assert found.answers == (8,) * PARTS
    assert found.shares() == [0.0] * 4 + [0.25] * 4
    assert found.on_purpose == (0,) * 6 + (2, 2)
    assert fooled_over(steps[:3]).answers == (4, 4, 4)
    assert fooled_over([{"step": 1, "verdict/scored": 8.0}]) is None
    assert fooled_over([]) is None
