r"""The reward of exported questions, for a trainer that calls a function: 1 for a right answer, else 0.

``rpt export`` copies this file beside the questions. It stands by itself: next-token questions need nothing
but Python; problems are graded by rpt-plain-text, which must be installed. With TRL:

    from datasets import load_dataset
    from trl import GRPOConfig, GRPOTrainer
    from reward import reward

    questions = load_dataset("parquet", data_files="questions/train.parquet", split="train")
    GRPOTrainer("model", reward_funcs=reward, train_dataset=questions, args=GRPOConfig(...)).train()

Every column of the questions reaches the function by its name. Answers are read from their token ids, for
text that leaves control tokens out has lost where the thought ends.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

END_OF_THOUGHT = b"</think>"
BOX = b"\\boxed{"
SETTINGS = "reward.json"
"""Beside this file: the tokens that end an answer."""
HERE = Path(__file__).parent


def reward(
    completions: list[Any],
    kind: list[str],
    truth: list[str],
    boundaries: list[list[int]],
    newline_escapes: list[bool],
    completion_ids: list[list[int]] | None = None,
    **_: Any,
) -> list[float]:
    """1 where an answer is right.

    Args:
        completions: Texts, or conversations whose last message is the answer.
        kind: ``next-token`` or ``problem``, by answer.
        truth: The true continuation, or the known answer.
        boundaries: Bytes of the continuation after which a prediction may end.
        newline_escapes: Whether backslash and n in a box also mean a line break.
        completion_ids: Token ids; an answer without a token that ends it was cut off and earns nothing.
    """
    if completion_ids is None:
        texts: list[str | None] = [_text(one) for one in completions]
    else:
        texts = [_decoded(ids) for ids in completion_ids]
    rows = zip(texts, kind, truth, boundaries, newline_escapes, strict=True)
    return [
        float(text is not None and is_right(text, of, known, ends, escapes))
        for text, of, known, ends, escapes in rows
    ]


def is_right(text: str, kind: str, truth: str, boundaries: list[int], newline_escapes: bool) -> bool:
    """Whether one whole answer is right."""
    if kind == "problem":
        from rpt_core.objectives.problems.answer import grade_completion

        return grade_completion(text, truth) == "correct"
    content = truth.encode()
    return any(
        len(found) in boundaries and content.startswith(found)
        for found in predictions(text.encode(), newline_escapes)
    )


def predictions(answer: bytes, newline_escapes: bool = False) -> list[bytes]:
    """Ways to read the last box after the end of the thought: braces in balance, then to the last brace."""
    _, ended, rest = answer.partition(END_OF_THOUGHT)
    at = rest.rfind(BOX)
    if not ended or at < 0:
        return []
    inside = rest[at + len(BOX) :]
    found = [inside[:end] for end in (_balanced(inside), inside.rfind(b"}")) if end >= 0]
    return [*found, *(one.replace(b"\\n", b"\n") for one in found if newline_escapes)]


def _balanced(inside: bytes) -> int:
    depth = 1
    for at, byte in enumerate(inside):
        depth += (byte == 0x7B) - (byte == 0x7D)
        if depth == 0:
            return at
    return -1


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def _decoded(ids: list[int]) -> str | None:
    """An answer with its control tokens spelled out, without the token that ends it; None where none does."""
    tokenizer, ends = _tokenizer()
    if not ids or ids[-1] not in ends:
        return None
    return str(tokenizer.decode(ids[:-1], skip_special_tokens=False, clean_up_tokenization_spaces=False))


@cache
def _tokenizer() -> tuple[Any, frozenset[int]]:
    from transformers import AutoTokenizer

    settings = json.loads((HERE / SETTINGS).read_text())
    return AutoTokenizer.from_pretrained(HERE / "model"), frozenset(settings["end_ids"])
