"""Stage ``sft``: supervised fine-tuning on conversations, the cold start of RLPT's paper (section 3.4).

A conversation is a trunk with a cut before each of the assistant's turns; each turn hangs below its cut as
an answer. So the loss lies on answers alone, every answer sees what came before it and nothing else, and
many conversations share a pass packed by a token budget, without seeing each other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError, SourceError, StarvedError
from rpt_core.policy.codec import Codec
from rpt_core.policy.device import device_of
from rpt_core.policy.load import load_policy
from rpt_core.policy.message import PLACE
from rpt_core.policy.tokens.chat import Message, render
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.supervised import SftRecipe
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.supervised.loop import Learned, learn_answers, train_supervised
from rpt_core.train.supervised.windows import shuffled

ROLES = ("system", "user", "assistant")
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns as tokens: what stands before each answer, and the answers."""

    trunk: Trunk
    answers: tuple[Ids, ...]
    """Below ``trunk.cuts``, one each, the end of the turn included."""

    @property
    def num_tokens(self) -> int:
        """Of the whole conversation."""
        return self.trunk.num_tokens + len(self.answers[-1])


def train_sft(recipe: SftRecipe, build: Build) -> Outcome:
    """Write ``model/``: the base model after ``epochs`` passes over the conversations.

    Raises:
        SourceError: the data holds no file of JSON lines.
        StarvedError: no conversation can be learnt from.
    """
    policy = load_policy(build.inputs["base"] / "model", device=device_of(build), for_training=True)
    found, rows = read_conversations(Path(recipe.data), policy.codec, recipe.max_tokens)
    if not found:
        reasons = ", ".join(f"{num} {reason}" for reason, num in rows.dropped.items())
        raise StarvedError(
            f"none of {rows.rows_in} conversations can be learnt from ({reasons or 'the files are empty'}). "
            'Give lines such as {"messages": [{"role": "user", "content": ...}, {"role": "assistant"...}]}, '
            "or raise max_tokens."
        )
    per_step = min(recipe.conversations_per_step, len(found))
    steps = max(1, recipe.epochs * len(found) // per_step)
    backend = open_backend(build.numerics, policy, recipe.optimiser, steps)
    trained = train_supervised(
        build, policy, backend, steps,
        lambda step: learn(
            backend, [found[int(i)] for i in shuffled(len(found), per_step, step, recipe.seed)], build
        ),
    )  # fmt: skip
    backend.export(build.out / "model")
    return Outcome(
        rows=rows,
        flops=trained.flops,
        tokens=trained.num_tokens,
        summary={
            "conversations": len(found),
            "steps": steps,
            "final_answer_nll_nats": trained.last.get("answer_nll_nats"),
        },
    )


def learn(backend: TrainerBackend, conversations: Sequence[Conversation], build: Build) -> Learned:
    """Leave the gradient of one step: the mean over the answers' tokens."""
    trunks = [one.trunk for one in conversations]
    answers = [[[ids] for ids in one.answers] for one in conversations]
    weights = [[[[1.0] * len(ids)] for ids in one.answers] for one in conversations]
    return learn_answers(backend, trunks, answers, weights, build)


def read_conversations(data: Path, codec: Codec, max_tokens: int) -> tuple[list[Conversation], RowCounts]:
    """Conversations of every ``.jsonl`` file, in order of file name and line.

    Raises:
        SourceError: there is no such file.
    """
    files = [data] if data.is_file() else sorted(data.rglob("*.jsonl"))
    if not files:
        raise SourceError(
            f"the conversations {str(data)!r} hold no .jsonl file; name a file or folder of them."
        )
    found: list[Conversation] = []
    dropped: dict[str, int] = {}
    num = 0
    for file in files:
        for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines()):
            if not line.strip():
                continue
            num += 1
            read = _read(line, f"{file.name}:{number}", codec, max_tokens)
            if isinstance(read, str):
                dropped[read] = dropped.get(read, 0) + 1
            else:
                found.append(read)
    return found, RowCounts(rows_in=num, kept=len(found), dropped=dict(sorted(dropped.items())))


def _read(line: str, key: str, codec: Codec, max_tokens: int) -> Conversation | str:
    """A line's conversation, or why there is none."""
    turns = _turns(line)
    if isinstance(turns, str):
        return turns
    while turns and turns[-1][0] != "assistant":
        turns.pop()  # nothing is learnt from a question nobody answered
    if not turns:
        return "no-answer"
    found = tokenised(key, turns, codec)
    return "too-long" if found.num_tokens > max_tokens else found


def _turns(line: str) -> list[tuple[str, str]] | str:
    try:
        messages = json.loads(line)["messages"]
        turns = [(str(message["role"]), message["content"]) for message in messages]
    except (ValueError, LookupError, TypeError):
        return "not-a-conversation"
    if any(role not in ROLES or not isinstance(content, str) for role, content in turns):
        return "unknown-role-or-content"
    return turns


def tokenised(key: str, turns: Sequence[tuple[str, str]], codec: Codec) -> Conversation:
    """Turns as tokens: contents are data, what the chat template puts around them is ours.

    Raises:
        RecipeError: the model's chat template leaves a turn out or changes its order.
    """
    words = _words_between(turns, codec)
    ids: list[int] = []
    cuts, answers = [], []
    for number, (role, content) in enumerate(turns):
        is_first, is_template = not number, codec.chat_template is not None
        ids += (
            codec.opening(words[number], of_template=is_template)
            if is_first
            else codec.encode_template(words[number])
        )
        if role == "assistant":
            closing = codec.encode_template(words[number + 1])
            ends = [i for i, token in enumerate(closing) if token in codec.end_ids]
            end = closing[: ends[0] + 1] if ends else [codec.end_id]
            cuts.append(Cut(len(ids)))
            answers.append((*codec.encode(content), *end))
        ids += codec.encode(content)
    document = tuple(ids[: cuts[-1].position])
    return Conversation(Trunk(key, (), document, tuple(cuts)), tuple(answers))


def _words_between(turns: Sequence[tuple[str, str]], codec: Codec) -> list[str]:
    """What stands before, between and after the contents: of the chat template, or plain headings."""
    if codec.chat_template is None:
        return [
            f"{'' if not i else chr(10) * 2}### {role.title()}\n" for i, (role, _) in enumerate(turns)
        ] + [""]
    marked: list[Message] = [{"role": role, "content": PLACE} for role, _ in turns]
    words = render(codec.chat_template, marked, codec.special_names(), answer=False).split(PLACE)
    if len(words) != len(turns) + 1:
        raise RecipeError(
            f"the model's chat template shows {len(words) - 1} of {len(turns)} turns ("
            f"{', '.join(role for role, _ in turns)}): a turn would not be seen. Fix chat_template in its "
            "tokenizer_config.json, or leave system turns out of the data."
        )
    return words
