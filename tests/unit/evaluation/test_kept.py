"""Outcomes in files: the same back again, equal bytes for equal outcomes, and damage refused by name."""

import base64
import gzip
import json
import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.errors import IntegrityError
from rpt_core.evaluation.kept.arm import (
    FAULTS,
    Answers,
    ArmOutcomes,
    Questions,
    Shown,
    accuracy,
    fault_shares,
    pass_rates,
    process_accuracy,
    think_share,
    thought_tokens,
)
from rpt_core.evaluation.kept.course import Course, Point, votes
from rpt_core.evaluation.kept.file import (
    as_it_lies,
    file_name,
    from_bytes,
    read_folder,
    read_outcomes,
    to_bytes,
)
from rpt_core.evaluation.kept.measures import first_world
from rpt_core.evaluation.statistics.passk import pass_at_k
from rpt_core.sample.world import documents

OUTCOMES = Path(__file__).resolve().parents[3] / "docs" / "study" / "outcomes"


def drawn(num: int, samples: int, seed: int, *, whole: bool) -> ArmOutcomes:
    rng = np.random.default_rng(seed)
    right = rng.random((num, samples)) < 0.4
    steps = rng.integers(0, 7, num)
    return ArmOutcomes(
        study="s", arm="RPT", seed=seed, design="d" * 64,
        questions=Questions(
            digest="0123456789abcdef", rows_I=rng.choice(["new sentence", "seen", ""], num).astype(str),
            steps_I=steps, kinds_I=rng.choice(["clock", "月"], num).astype(str),
            documents_I=rng.integers(0, num, num),
        ),
        answers=Answers(
            right_IS=right, thinks_I=rng.integers(0, samples + 1, num),
            thought_tokens_I=rng.integers(0, 500, num),
            verified_IS=right & (rng.random(right.shape) < 0.5) if whole else None,
            hits_I=rng.integers(0, steps * samples + 1) if whole else None,
            thought_nats_I=rng.integers(0, 416, num) / 100 if whole else None,
            faults_IS=rng.integers(0, len(FAULTS), right.shape).astype(np.uint8) if whole else None,
        ),
        gflops={"base": 1.5, "training": 2.25, "proxy": 0.5}, steps=48, tokens=1234,
        text_nats=0.614 if whole else None,
        plain_I=rng.random(num) < 0.3 if whole else None, at_updates=32 if whole else 0,
        updated_IS=rng.random(right.shape) < 0.5 if whole else None,
        setting={"optimiser.learning_rate": 2e-4}, course=course(rng, right) if whole else None,
    )  # fmt: skip


def course(rng, right) -> Course:
    """A checkpoint asked in both ways, and one asked for its likeliest tokens alone."""
    num = len(right)
    both = Point(
        step=3, gflops=1.25, plain_I=rng.random(num) < 0.3, right_IS=right,
        voted_IS=rng.random(right.shape) < 0.5, answer_tokens_I=rng.integers(0, 99, num),
    )  # fmt: skip
    plain = Point(step=6, gflops=2.5, plain_I=rng.random(num) < 0.3)
    return Course(parameters=640_000, context_I=rng.integers(1, 400, num), points=(both, plain))


def as_plain(outcomes: ArmOutcomes):
    def value(one):
        if isinstance(one, np.ndarray):
            return one.tolist()
        if isinstance(one, dict | tuple):
            pairs = one.items() if isinstance(one, dict) else enumerate(one)
            return {name: value(part) for name, part in pairs}
        names = getattr(one, "__dataclass_fields__", None)
        return {name: value(getattr(one, name)) for name in names} if names else one

    return value(outcomes)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 1000), st.booleans())
def test_what_is_written_is_read_again(num, samples, seed, whole):
    outcomes = drawn(num, samples, seed, whole=whole)
    content = to_bytes(outcomes)
    assert as_plain(from_bytes(content, "x")) == as_plain(outcomes)
    assert to_bytes(from_bytes(content, "x")) == content


def test_all_models_under_eight_seeds_and_their_tuning_take_less_than_five_megabytes():
    whole, tuning = (
        len(to_bytes(replace(drawn(400, samples, 1, whole=True), course=None))) for samples in (64, 8)
    )
    assert 21 * 8 * whole + 15 * 7 * tuning < 5_000_000


@pytest.mark.parametrize("name", ["100-rpt.json.xz", "100-start.json.xz", "tuning/10-rpt-1.json.xz"])
def test_a_file_without_checkpoints_keeps_its_text(name):
    content = (OUTCOMES / name).read_bytes()
    assert from_bytes(content, name).course is None
    written = to_bytes(from_bytes(content, name))
    assert lzma.decompress(written) == lzma.decompress(content)  # another liblzma may pack it otherwise


def test_a_file_of_an_earlier_version_is_read_where_there_is_no_newer_one(tmp_path):
    older, newer = (drawn(12, 4, seed, whole=True) for seed in (3, 4))
    path = tmp_path / file_name("RPT", 100)
    path.with_suffix(".gz").write_bytes(gzip.compress(lzma.decompress(to_bytes(older))))
    assert as_plain(read_outcomes(as_it_lies(path))) == as_plain(older)
    assert as_plain(read_folder(tmp_path)[0]) == as_plain(older)
    path.write_bytes(to_bytes(newer))
    assert [as_plain(one) for one in read_folder(tmp_path)] == [as_plain(newer)]
    assert as_plain(read_outcomes(as_it_lies(path))) == as_plain(newer)


def test_checkpoints_of_other_questions_are_refused():
    data = json.loads(lzma.decompress(to_bytes(drawn(10, 4, 3, whole=True))))
    data["course"]["context"] = [1, 2]
    with pytest.raises(IntegrityError, match="do not fit each other"):
        from_bytes(lzma.compress(json.dumps(data).encode()), "x")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("abb", [False, False, True]),  # of two equally common ones the earlier counts
        ("bab", [True, True, True]),
        ("", []),
        ("-b-", [False, True, True]),  # what could not be read has no vote beside another
        ("--", [False, False]),
    ],
)
def test_the_commonest_prediction_counts(said, wanted):
    predictions = ["" if one == "-" else one for one in said]
    assert votes(predictions, [one == "b" for one in said]) == wanted


def test_names_tell_arms_seeds_and_tuning_runs_apart():
    names = {
        file_name(arm, seed, run) for arm in ("RPT", "RLP") for seed in (10, 100) for run in (None, 1, 2)
    }
    assert len(names) == 12


def changed(**fields):
    data = json.loads(lzma.decompress(to_bytes(drawn(10, 4, 3, whole=True))))
    data.update(fields)
    return lzma.compress(json.dumps(data).encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged or another file"),
        (b"no archive", "damaged or another file"),
        (gzip.compress(b"[]", mtime=0), "damaged or another file"),
        (lzma.compress(b"[]"), "damaged or another file"),
        (
            gzip.compress(lzma.decompress(to_bytes(drawn(10, 4, 3, whole=True))))[:-9],
            "damaged or another file",
        ),
        (to_bytes(drawn(10, 4, 3, whole=True))[:-9], "damaged or another file"),
        (changed(format=2), "of format 2, and this version reads format 1"),
        (changed(right=base64.b64encode(b"123").decode()), "do not fit each other"),
        (changed(thinks=[1, 2]), "do not fit each other"),
        (changed(faults=base64.b64encode(bytes([255] * 20)).decode()), "do not fit each other"),
        (changed(fault_names=["right"]), "do not fit each other"),
    ],
    ids=[
        "empty",
        "no archive",
        "a list by gzip",
        "a list",
        "by gzip, cut off",
        "cut off",
        "format",
        "lengths",
        "counts",
        "fault numbers",
        "fault names",
    ],
)
def test_a_file_that_is_none_is_refused_by_its_name(content, said):
    with pytest.raises(IntegrityError, match=said) as caught:
        from_bytes(content, "100-rpt.json.xz")
    assert "100-rpt.json.xz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scores_are_those_counted_by_hand():
    outcomes = drawn(30, 16, 5, whole=True)
    given, keep = outcomes.answers, outcomes.questions.steps_I > 1
    rows = np.flatnonzero(keep)
    assert accuracy(given.right_IS, keep) == pytest.approx(
        np.mean([given.right_IS[i, :8].mean() for i in rows])
    )
    wanted = [pass_at_k(16, int(given.right_IS[i].sum()), 4) for i in rows]
    assert pass_rates(given.right_IS[keep], 4) == pytest.approx(np.ravel(wanted))
    hits = [given.hits_I[i] / outcomes.questions.steps_I[i] / 16 for i in rows]
    assert process_accuracy(outcomes, keep) == pytest.approx(np.mean(hits))
    shares = fault_shares(outcomes, keep)
    assert shares["hasty"] == pytest.approx(np.mean(given.faults_IS[rows] == FAULTS.index("hasty")))
    assert sum(shares.values()) == pytest.approx(1)
    assert think_share(outcomes, keep) == pytest.approx(given.thinks_I[rows].mean() / 16)
    assert thought_tokens(outcomes, keep) == pytest.approx(given.thought_tokens_I[rows].mean() / 16)
    assert np.isnan(accuracy(given.right_IS, keep & False))
    assert outcomes.own_gflops == 2.75


def test_the_first_worlds_thoughts_are_held_against_its_traces(tmp_path):
    """A real trace: its chain, one that stops early, one wrong in its last step, none, and another place."""
    document = next(one for one in documents(0, 5) if one.traces and len(one.traces[0].thought.split()) > 5)
    trace = document.traces[0]
    row = {"doc_id": "d", "char_offset": 7, "thought": trace.thought, "kind": document.kind}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "traces.parquet")
    words = trace.thought.split()
    thoughts = [trace.thought, " ".join(words[:-3]), " ".join([*words[:-1], "nowhere"]), "", trace.thought]
    items = pa.table({"doc_id": ["d"] * 4 + ["e"], "char_offset": [7] * 5, "thought": thoughts})
    found = first_world(tmp_path, items)
    steps = int(found.steps[0])
    assert found.verified.tolist() == [True, False, False, False, False]
    assert found.hits.tolist() == [steps, steps - 1, steps - 1, 0, 0]
    assert [FAULTS[code] for code in found.faults] == ["right", "other", "other", "unread", "other"]
    assert found.rows.tolist() == ["seen"] * 4 + [""]


def test_checks_and_texts_are_kept_and_a_file_without_them_has_no_such_keys():
    plain = drawn(12, 4, 5, whole=True)
    rng = np.random.default_rng(0)
    checks = {name: rng.random((12, 4)) < 0.5 for name in ("evaluates", "operands")}
    shown = (Shown(3, "48/2 = ", "24", "48/2=24", "24", "correct"),)
    more = replace(plain, answers=replace(plain.answers, checks_IS=checks), shown=shown)
    assert as_plain(from_bytes(to_bytes(more), "x")) == as_plain(more)
    keys = set(json.loads(lzma.decompress(to_bytes(more)))) - set(
        json.loads(lzma.decompress(to_bytes(plain)))
    )
    assert keys == {"checks", "shown"}
    cut = json.loads(lzma.decompress(to_bytes(more)))
    cut["checks"]["operands"] = None
    with pytest.raises(IntegrityError, match="do not fit each other"):
        from_bytes(lzma.compress(json.dumps(cut).encode()), "x")
