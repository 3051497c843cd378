"""Words as token ids: what a model is given before its answer."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.pack import Form, Message
from rpt_core.objectives.prompts import Prompt, begins_in_thought, compact, worded
from rpt_core.policy.codec import Codec
from rpt_core.policy.message import around_document, opening_ids, under_headings
from rpt_core.policy.trunk import Cut, Trunk

THOUGHT = "<think>"


@dataclass(frozen=True, slots=True)
class Prompted:
    """An item as a model is asked it."""

    item: Item
    trunk: Trunk
    stops: tuple[str, ...] = ()
    """Words that end an answer in plain text."""
    in_thought: bool = False
    """Whether the answer begins inside a thought."""

    @property
    def ids(self) -> tuple[int, ...]:
        """All tokens before the answer."""
        (cut,) = self.trunk.cuts
        return (*self.trunk.token_ids, *cut.suffix_ids)

    @property
    def digest(self) -> str:
        """SHA-256 over the token ids, hex: what the model really read."""
        return ids_digest(self.ids)


def ids_digest(ids: tuple[int, ...]) -> str:
    """SHA-256 over token ids, hex."""
    return hashlib.sha256(np.array(ids, "<i4").tobytes()).hexdigest()


@dataclass
class Prompter:
    """Puts messages into the form of one model."""

    codec: Codec
    benchmark: str
    form: Form
    """As in the recipe."""
    _around: dict[tuple[str, str], Prompt] = field(default_factory=dict)

    def __call__(self, item: Item, message: Message) -> Prompted:
        """An item's prompt, with a cut where the answer begins.

        Raises:
            RecipeError: the model cannot be asked in this form.
        """
        key = f"{self.benchmark}/{item.item_id}"
        if message.raw:
            return Prompted(
                item, self.plain(key, message.before + message.text + message.after), message.stops
            )
        around = self._prompt(message.before, message.after)
        ids = tuple(self.codec.encode(message.text))
        trunk = Trunk(key, around.instruction_ids, ids, (Cut(len(ids), around.suffix_ids),))
        return Prompted(item, trunk, in_thought=self._opens_thought(around))

    def plain(self, key: str, text: str) -> Trunk:
        """A text that is gone on with, nothing but BOS before it; encoded as one, as it would be read."""
        ids = tuple(self.codec.encode(text))
        return Trunk(key, self.codec.begin_ids, ids, (Cut(len(ids)),))

    def _opens_thought(self, around: Prompt) -> bool:
        """Whether an answer begins inside a thought; some chat templates open one by themselves."""
        return self.form == "think" or self.codec.decode(around.suffix_ids).rstrip().endswith(THOUGHT)

    def _prompt(self, before: str, after: str) -> Prompt:
        if (before, after) not in self._around:
            self._around[before, after] = self._made(before, after)
        return self._around[before, after]

    def _made(self, before: str, after: str) -> Prompt:
        codec = self.codec
        if self.form == "think":
            return compact("rlvr", codec) if codec.is_compact else worded(before, after, codec)
        if self.form == "plain":
            head, tail = under_headings(before, after)
            return Prompt(tuple(codec.opening(head)), tuple(codec.encode_template(tail)))
        if codec.chat_template is None:
            raise RecipeError(
                "the form chat stands for a model's chat template, and this model has none. Ask it with "
                "--prompt plain, or put chat_template into its tokenizer_config.json."
            )
        head, tail = around_document(before, after, codec)
        return Prompt(opening_ids(head, codec), tuple(codec.encode_template(tail)))


def usual_form(codec: Codec) -> Form:
    """The form in which a model is asked that nobody says anything else of."""
    if begins_in_thought("auto", codec):
        return "think"
    return "plain" if codec.chat_template is None else "chat"


def stop_ids(codec: Codec, stops: tuple[str, ...]) -> frozenset[int]:
    """Tokens that end an answer: the model's own, and those within which stopping words begin and end.

    Words that are spread over several tokens are looked for in the answer's text instead.
    """
    wanted = [stop.encode() for stop in stops]
    held = (
        token for token in range(len(codec) if wanted else 0)
        if any(stop in codec.token_bytes(token) for stop in wanted)
    )  # fmt: skip
    return codec.end_ids | frozenset(held)
