"""The file of an arm's outcomes under a seed: compressed JSON, the same bytes for the same outcomes.

One JSON object, compressed by xz, which holds no date. Answers are bits (``right``, ``verified``,
``updated``, ``plain``) or half bytes (``faults``), packed question by question with the highest bit first and
written as base64; whatever is counted by question is a list of whole numbers.
``docs/study/outcomes/README.md`` lists the keys. Files of earlier versions are compressed by gzip, a fifth
larger; they are read, and none is written.
"""

import gzip
import hashlib
import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rpt_core.errors import IntegrityError
from rpt_core.evaluation.kept.arm import FAULTS, Answers, ArmOutcomes, Questions, Shown
from rpt_core.evaluation.kept.bits import bits, halves, hundredths, ints, known_bits, of_bits, of_halves
from rpt_core.evaluation.kept.course import Course, Point
from rpt_core.evaluation.kept.judged import read_judged, written_judged
from rpt_core.pages.words import slug

FORMAT = 1
ENDING, EARLIER_ENDING = ".json.xz", ".json.gz"
OUTCOMES_FILE = f"outcomes{ENDING}"
"""In an artifact of the kind ``outcomes``."""
_FILTERS = [
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20, "lc": 2, "pb": 0}
]
"""Base64 and whole numbers have no period of two or four bytes: 1 % smaller than the preset's own. Setting up
its window of 64 MiB takes four times as long as packing a file of 40 kB."""
_XZ_STARTS = b"\xfd7zXZ\x00"
TUNING = "tuning"
"""Folder of the tuning runs, beside the files of the reported seeds."""


def file_name(arm: str, seed: int, number: int | None = None) -> str:
    """Where an arm's outcomes under a seed lie below the folder of a study's outcomes.

    Args:
        arm: Its name.
        seed: The seed.
        number: Of a tuning run; None for a reported one.

    Example:
        >>> file_name("more SFT, then RPT", 100), file_name("RPT", 10, 3)
        ('100-more-sft-then-rpt.json.xz', 'tuning/10-rpt-3.json.xz')
    """
    if number is None:
        return f"{seed}-{slug(arm)}{ENDING}"
    return f"{TUNING}/{seed}-{slug(arm)}-{number}{ENDING}"


def as_it_lies(path: Path) -> Path:
    """The file of this name, or where there is none, the one that an earlier version wrote in its place."""
    earlier = path.with_name(path.name.removesuffix(ENDING) + EARLIER_ENDING)
    return earlier if earlier.is_file() and not path.is_file() else path


def question_digest(item_ids: Sequence[str]) -> str:
    """Of the ids of questions in their order, hex."""
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()[:16]


def to_bytes(outcomes: ArmOutcomes) -> bytes:
    """The file of some outcomes."""
    asked, given = outcomes.questions, outcomes.answers
    rows, row_I = np.unique(asked.rows_I, return_inverse=True)
    kinds, kind_I = np.unique(asked.kinds_I, return_inverse=True)
    data: dict[str, Any] = {
        "format": FORMAT,
        "study": outcomes.study,
        "arm": outcomes.arm,
        "seed": outcomes.seed,
        "design": outcomes.design,
        "setting": dict(outcomes.setting),
        "gflops": {name: round(value, 3) for name, value in outcomes.gflops.items()},
        "steps": outcomes.steps,
        "tokens": outcomes.tokens,
        "samples": given.num_samples,
        "questions": {
            "digest": asked.digest,
            "rows": rows.tolist(),
            "row": row_I.tolist(),
            "kinds": kinds.tolist(),
            "kind": kind_I.tolist(),
            "steps": asked.steps_I.tolist(),
            "document": asked.documents_I.tolist(),
        },
        "right": bits(given.right_IS),
        "verified": bits(given.verified_IS),
        "hits": None if given.hits_I is None else given.hits_I.tolist(),
        "fault_names": list(FAULTS),
        "faults": halves(given.faults_IS),
        "thinks": given.thinks_I.tolist(),
        "thought_tokens": given.thought_tokens_I.tolist(),
        "thought_centinats": None if given.thought_nats_I is None else hundredths(given.thought_nats_I),
        "plain": bits(outcomes.plain_I),
        "text_nats": None if outcomes.text_nats is None else round(outcomes.text_nats, 6),
        "at_updates": outcomes.at_updates,
        "updated": bits(outcomes.updated_IS),
        **({} if outcomes.judged is None else {"judged": written_judged(outcomes.judged)}),
    }
    if given.checks_IS:  # keys that came later stand in files that have use for them alone
        data["checks"] = {name: bits(values) for name, values in given.checks_IS.items()}
    if outcomes.shown:
        data["shown"] = [asdict(one) for one in outcomes.shown]
    if outcomes.course is not None:
        data["course"] = _of_course(outcomes.course)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return lzma.compress(text.encode(), filters=_FILTERS)


def from_bytes(content: bytes, name: str) -> ArmOutcomes:
    """The outcomes of a file.

    Args:
        content: What stands in it.
        name: What an error calls it.

    Raises:
        IntegrityError: it is no such file, or of another format, or its parts do not fit each other.
    """
    try:
        unpacked = lzma.decompress(content) if content.startswith(_XZ_STARTS) else gzip.decompress(content)
        data = json.loads(unpacked)
        number = data["format"]
    except (OSError, EOFError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{name} holds no outcomes of a study ({type(error).__name__}): it is damaged or another file. "
            "Take it anew from where it came, or move it away and the arm runs again."
        ) from None
    if number != FORMAT:
        raise IntegrityError(
            f"{name} is of format {number!r}, and this version reads format {FORMAT}. Read it with the "
            "version that wrote it, or move it away and the arm runs again."
        )
    try:
        return _read(data)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise IntegrityError(
            f"the parts of {name} do not fit each other ({type(error).__name__}: {error}). Take it anew from "
            "where it came, or move it away and the arm runs again."
        ) from None


def read_artifact(folder: Path, arm: str) -> ArmOutcomes:
    """The outcomes of an artifact of the kind ``outcomes``, of this version or an earlier one.

    Args:
        folder: Of the artifact.
        arm: Whose they are, for an error.

    Raises:
        IntegrityError: as :func:`from_bytes`.
    """
    return from_bytes(as_it_lies(folder / OUTCOMES_FILE).read_bytes(), f"{arm}, {folder.name}")


def read_folder(folder: Path) -> list[ArmOutcomes]:
    """The outcomes of all files of a folder but those below it, by name.

    Raises:
        IntegrityError: as :func:`from_bytes`.
    """
    names = {
        path.with_name(path.name.removesuffix(ending) + ENDING)
        for ending in (ENDING, EARLIER_ENDING)
        for path in folder.glob(f"*{ending}")
    }
    return [read_outcomes(as_it_lies(path)) for path in sorted(names)]


def read_outcomes(path: Path) -> ArmOutcomes:
    """The outcomes of a file of a folder.

    Raises:
        IntegrityError: as :func:`from_bytes`.
    """
    return from_bytes(path.read_bytes(), str(path))


def _read(data: dict[str, Any]) -> ArmOutcomes:
    asked, num = data["questions"], len(data["questions"]["row"])
    shape = (num, int(data["samples"]))
    right = known_bits(data["right"], shape)
    if list(data["fault_names"]) != list(FAULTS):
        raise ValueError(f"faults {data['fault_names']}, wanted {list(FAULTS)}")
    questions = Questions(
        digest=str(asked["digest"]),
        rows_I=np.array(asked["rows"], dtype=str)[ints(asked["row"], num)],
        steps_I=ints(asked["steps"], num),
        kinds_I=np.array(asked["kinds"], dtype=str)[ints(asked["kind"], num)],
        documents_I=ints(asked["document"], num),
    )
    centinats = data["thought_centinats"]
    answers = Answers(
        right_IS=right,
        thinks_I=ints(data["thinks"], num),
        thought_tokens_I=ints(data["thought_tokens"], num),
        verified_IS=of_bits(data["verified"], shape),
        hits_I=None if data["hits"] is None else ints(data["hits"], num),
        faults_IS=of_halves(data["faults"], shape, len(FAULTS)),
        thought_nats_I=None if centinats is None else ints(centinats, num) / 100,
        checks_IS={name: known_bits(text, shape) for name, text in data.get("checks", {}).items()},
    )
    updated = data["updated"]
    plain = of_bits(data["plain"], (num, 1))
    return ArmOutcomes(
        study=str(data["study"]), arm=str(data["arm"]), seed=int(data["seed"]), design=str(data["design"]),
        questions=questions, answers=answers, gflops=dict(data["gflops"]), steps=int(data["steps"]),
        tokens=int(data["tokens"]), plain_I=None if plain is None else plain[:, 0],
        text_nats=None if data["text_nats"] is None else float(data["text_nats"]),
        at_updates=int(data["at_updates"]),
        updated_IS=None if updated is None else of_bits(updated, shape), setting=dict(data["setting"]),
        shown=tuple(Shown(**one) for one in data.get("shown", ())),
        course=_course(data["course"], shape) if "course" in data else None,
        judged=read_judged(data["judged"], shape) if "judged" in data else None,
    )  # fmt: skip


def _of_course(course: Course) -> dict[str, Any]:
    return {
        "parameters": course.parameters,
        "context": course.context_I.tolist(),
        "points": [
            {
                "step": one.step,
                "gflops": round(one.gflops, 3),
                "plain": bits(one.plain_I),
                "right": bits(one.right_IS),
                "voted": bits(one.voted_IS),
                "answer_tokens": None if one.answer_tokens_I is None else one.answer_tokens_I.tolist(),
            }
            for one in course.points
        ],
    }


def _course(data: Mapping[str, Any], shape: tuple[int, int]) -> Course:
    return Course(
        parameters=int(data["parameters"]),
        context_I=ints(data["context"], shape[0]),
        points=tuple(_point(one, shape) for one in data["points"]),
    )


def _point(data: Mapping[str, Any], shape: tuple[int, int]) -> Point:
    plain, tokens = of_bits(data["plain"], (shape[0], 1)), data["answer_tokens"]
    return Point(
        step=int(data["step"]),
        gflops=float(data["gflops"]),
        plain_I=None if plain is None else plain[:, 0],
        right_IS=of_bits(data["right"], shape),
        voted_IS=of_bits(data["voted"], shape),
        answer_tokens_I=None if tokens is None else ints(tokens, shape[0]),
    )
