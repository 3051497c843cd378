# ruff: noqa: SIM905  (word lists read better as text)
r"""Problem sets of any shape: which column holds what, and which sets are benchmarks.

Omni-MATH, MATH, AIME, GSM8K, DeepScaleR, MMLU, verl-style chat rows ... differ in names only. A column
map names, for each of our fields, the columns to look in; the first that holds something wins.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from rpt_core.corpus.files.choices import NUM_MAX, letter_of, options_of, with_options
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.rows import SourceProblem
from rpt_core.corpus.text.arithmetic import NOTE, without_notes
from rpt_core.corpus.text.boxes import last_box

COLUMNS: dict[str, tuple[str, ...]] = {
    "problem": (
        "problem", "question", "messages", "conversations", "prompt", "query", "input",
        "extra_info.question", "extra_info.problem",
    ),
    "answer": (
        "answer", "final_answer", "ground_truth", "reward_model.ground_truth", "expected_answer", "target",
        "label", "extra_info.answer", "extra_info.ground_truth",
    ),
    "solution": ("solution", "rationale", "cot", "explanation", "solution_1"),
    "difficulty": ("difficulty", "level", "difficulty_level"),
    "domain": ("domain", "subject", "subfield", "type", "category", "ability", "topic"),
    "context": ("context", "passage"),
    "options": ("options", "choices"),
}  # fmt: skip
"""Our field -> columns to look in, in order; a dot reaches into a nested row."""

Columns = Mapping[str, tuple[str, ...]]


def with_columns(defaults: Columns, given: Mapping[str, str]) -> Columns:
    """The columns to look in, a user's own before the usual ones.

    Example:
        >>> with_columns({"answer": ("answer",)}, {"answer": "reply.final"})["answer"]
        ('reply.final', 'answer')
    """
    return {name: (*([given[name]] if name in given else []), *usual) for name, usual in defaults.items()}


BENCHMARKS = (
    "aime24", "aime25", "aime2024", "aime2025", "amc23", "math500", "math-500", "mmlu-pro", "mmlu", "gpqa",
    "supergpqa",
    "olympiadbench", "kor-bench", "korbench", "minerva", "hendrycks", "livebench", "bbh", "arc", "hellaswag",
    "humaneval", "mbpp", "gsm8k", "omni-math", "math", "agieval", "ceval", "cmmlu", "theoremqa",
)  # fmt: skip
"""Names of benchmarks, as they stand in file and folder names; longer ones first where one holds another."""
TEST_ONLY = frozenset(
    "aime24 aime25 aime2024 aime2025 amc23 math500 math-500 gpqa supergpqa olympiadbench kor-bench "
    "korbench minerva livebench "
    "bbh humaneval mmlu mmlu-pro agieval theoremqa".split()
)
"""Benchmarks that nobody trains on, whatever their file is called."""
_HELD_OUT = re.compile(
    r"(?<![a-z])(test|tests|testing|eval|evaluation|val|valid|validation|dev|heldout|held[-_]out|"
    r"benchmark)(?![a-z])",
    re.I,
)
_TRAIN = re.compile(r"(?<![a-z])(train|training|sft|rl|rlvr)(?![a-z])", re.I)

_BOILERPLATE = re.compile(
    r"(?<!\s)\s*+(Let's think step by step and output the final answer (within|after) [^.]{0,30}\.?|"
    r"Please reason step by step, and put your final answer within \\boxed\{\}\.?)\s*+$"
)
_GSM = "####"
"""What stands before the answer in a solution of GSM8K."""


def benchmark_of(name: str, records_split: str = "") -> str:
    """The benchmark a file holds held-out items of, by its path; empty for a training set.

    Args:
        name: Path below the data folder.
        records_split: What the row itself says its split is, if anything.

    Example:
        >>> benchmark_of("aime24/test.jsonl"), benchmark_of("gsm8k/train.jsonl.gz")
        ('aime24', '')
    """
    lowered = name.lower().replace("_", "-")
    words = set(re.findall(r"[a-z]+(?:-[a-z]+)*\d*|[a-z]+\d*", lowered)) | set(re.split(r"[/.\-]", lowered))
    found = next((known for known in BENCHMARKS if known in words or f"/{known}/" in f"/{lowered}"), "")
    held_out = bool(_HELD_OUT.search(lowered)) or records_split in (
        "test",
        "validation",
        "dev",
        "val",
        "eval",
    )
    if found in TEST_ONLY or (held_out and not _TRAIN.search(lowered.rsplit("/", 1)[-1])):
        return found or set_name(name)
    return ""


def set_name(name: str) -> str:
    """What a problem set is called: its folder, or its file where that lies alone.

    Example:
        >>> set_name("omni-math/omni_math_rule.sample.jsonl.gz"), set_name("mine.jsonl")
        ('omni-math', 'mine')
    """
    folder, _, file = name.rpartition("/")
    return folder.split("/")[-1] if folder else file.split(".")[0]


def is_problem(record: Mapping[str, Any], columns: Columns = COLUMNS) -> bool:
    """Whether a row has a column for the problem and one for its answer."""
    asked = any(isinstance(look_up(record, column), str | list) for column in columns["problem"])
    return asked and any(look_up(record, column) is not ABSENT for column in columns["answer"])


ABSENT = object()
PROSE = frozenset({"problem", "solution", "context", "text"})
"""Fields whose lists are paragraphs, or solutions one beside the other; of others they are values."""


def look_up(record: Mapping[str, Any], column: str) -> Any:
    """The value of a column, a dot reaching into a nested row; :data:`ABSENT` where there is none."""
    if column in record:
        return record[column]
    value: Any = record
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def _field(record: Mapping[str, Any], field: str, columns: Columns) -> str:
    """Text of one of our fields: the first of its columns that holds something."""
    for column in columns[field]:
        value = look_up(record, column)
        between = "\n\n" if field in PROSE else ", "
        if value is not ABSENT and (text := _as_text(value, between)):
            return text
    return ""


def _as_text(value: Any, between: str = ", ") -> str:  # noqa: PLR0911  (one type a line)
    """Text of a cell: a string, a number, a truth value, a chat (its user's words), a list (its parts)."""
    if isinstance(value, str):
        chat = _chat_in(value)
        return _unquoted(value.strip()) if chat is None else _user_words(chat)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if float(value).is_integer() else str(value)
    if isinstance(value, list):
        if _is_chat(value):
            return _user_words(value)
        return between.join(text for part in value if (text := _as_text(part)))
    return ""


_ROLES, _CONTENTS = ("role", "from"), ("content", "value")
_USERS = frozenset({"user", "human"})


def _is_chat(value: Any) -> bool:
    """Whether a value is a list of turns, each with a role and its words (two spellings of the keys)."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and any(key in turn for key in _CONTENTS) for turn in value)
    )


def _chat_in(text: str) -> list[Any] | None:
    """The turns of a chat written as JSON text, as ROLL's sets carry it; None for any other text."""
    stripped = text.strip()
    if not (
        stripped.startswith("[")
        and stripped.endswith("]")
        and any(f'"{key}"' in stripped for key in _CONTENTS)
    ):
        return None
    try:
        turns = json.loads(stripped)
    except (ValueError, RecursionError):
        return None
    return turns if _is_chat(turns) else None


def _user_words(turns: list[Any]) -> str:
    """The last words of the user; never those of the system or of an assistant."""
    for turn in reversed(turns):
        role = next((str(turn[key]) for key in _ROLES if key in turn), "user")
        if role.casefold() in _USERS:
            return _content(next(turn[key] for key in _CONTENTS if key in turn))
    return ""


def _content(value: Any) -> str:
    """A turn's text; of a list of parts, its text parts."""
    if isinstance(value, list):
        return "\n".join(
            str(part.get("text") or "") if isinstance(part, Mapping) else str(part) for part in value
        ).strip()
    return "" if value is None else str(value).strip()


def _unquoted(text: str) -> str:
    r"""``["3"]`` written as text is the value 3, as some carriers store lists."""
    if text.startswith('["') and text.endswith('"]'):
        try:
            parts = json.loads(text)
        except ValueError:
            return text
        return ", ".join(str(part) for part in parts)
    return text


def parse_problem(
    record: Mapping[str, Any], source: str, origin: str, benchmark: str, columns: Columns = COLUMNS
) -> SourceProblem:
    """One row as a problem.

    Raises:
        Broken: ``missing-column`` when problem or answer is empty, ``retyped-column`` when it is no text.
    """
    if _holds_columns(record, columns):
        raise BrokenInput(
            "retyped-column", "problem and answer are lists of one length: whole columns, no row"
        )
    problem, answer, solution = (_field(record, name, columns) for name in ("problem", "answer", "solution"))
    steps, final = _end_of(answer, boxed=columns["answer"][:1] != COLUMNS["answer"][:1])
    noted = ""
    if final:
        noted = _noted(answer) if not solution else ""
        solution, answer = solution or steps, final
    options = _options(record, columns)
    problem = with_options(_BOILERPLATE.sub("", problem), options)
    if context := _field(record, "context", columns):
        problem = f"{context}\n\n{problem}"
    answer = letter_of(answer, options, _raw_answer(record, columns))
    for name, text in (("problem", problem), ("answer", answer)):
        if not text:
            held = [value for column in columns[name] if (value := look_up(record, column)) is not ABSENT]
            wrong = any(value not in (None, "", []) for value in held)
            raise BrokenInput("retyped-column" if wrong else "missing-column", f"{name}: {str(held)[:100]}")
    return SourceProblem(
        source,
        problem,
        answer,
        origin,
        solution,
        _number(_field(record, "difficulty", columns)),
        _domain(record, columns),
        benchmark,
        noted,
    )


def _end_of(text: str, *, boxed: bool) -> tuple[str, str]:
    r"""The steps of a solution and the answer it ends in, after GSM8K's mark; empty where it ends in none.

    Args:
        text: An answer, or the solution that a reader's own column map names for it.
        boxed: Whether its last box is an end, too.

    Example:
        >>> _end_of("6 * 7 = <<6*7=42>>42\n#### 42", boxed=False)
        ('6 * 7 = 42', '42')
        >>> _end_of("Sevens: $\\boxed{42}$.", boxed=True), _end_of("$\\boxed{42}$", boxed=False)[1]
        (('Sevens: $\\boxed{42}$.', '42'), '')
    """
    steps, _, final = text.partition(_GSM)
    if final.strip():
        return without_notes(steps).strip(), final.strip()
    return text, (last_box(text) or "").strip() if boxed else ""


def _noted(text: str) -> str:
    """The steps of :func:`_end_of` with their calculator notes; empty where they have none."""
    steps = text.partition(_GSM)[0].strip()
    return steps if NOTE.search(steps) else ""


def _options(record: Mapping[str, Any], columns: Columns) -> list[str]:
    for column in columns["options"]:
        if options := options_of(look_up(record, column), _as_text):
            return options
    numbered = [key for key in (f"choice{i}" for i in range(NUM_MAX)) if key in record]
    return [_as_text(record[key]) for key in numbered]


def _holds_columns(record: Mapping[str, Any], columns: Columns) -> bool:
    """Whether a row is a table of its own: a list of problems beside a list of as many answers."""
    problems, answers = (
        next((value for column in columns[name] if (value := look_up(record, column)) is not ABSENT), None)
        for name in ("problem", "answer")
    )
    if not isinstance(problems, list) or not isinstance(answers, list) or _is_chat(problems):
        return False
    return len(problems) == len(answers) > 1 and all(isinstance(problem, str) for problem in problems)


def _raw_answer(record: Mapping[str, Any], columns: Columns) -> Any:
    """The answer's cell as it stands, with its type."""
    for column in columns["answer"]:
        value = look_up(record, column)
        if value is not ABSENT and _as_text(value):
            return value
    return ABSENT


def _number(text: str) -> float | None:
    match = re.search(r"-?\d+(\.\d+)?", text)
    return float(match[0]) if match else None


def _domain(record: Mapping[str, Any], columns: Columns) -> str:
    """The first domain, its parts joined as Omni-MATH writes them."""
    for column in columns["domain"]:
        value = look_up(record, column)
        if isinstance(value, list) and value:
            return _as_text(value[0])
        if value is not ABSENT and (text := _as_text(value)):
            return text
    return ""
