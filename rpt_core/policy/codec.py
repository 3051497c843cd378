"""Text to token ids and back, byte for byte; control tokens only by name."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rpt_core.errors import RecipeError
from rpt_core.policy.foreign_code import read_json_object, refuse_foreign_code
from rpt_core.policy.tokens.chat import template_source
from rpt_core.policy.tokens.check import check_template, check_texts, words_come_back
from rpt_core.policy.tokens.sentencepiece import SPACE
from rpt_core.policy.tokens.vocabulary import (
    CONTROL_TEXT,
    MARK_TEXT,
    TOKENIZER_FILES,
    begin_ids,
    byte_ids,
    byte_table,
    continuing_copy,
    plain_copy,
    read_tokenizer,
    swallows_blanks,
    train_bpe,
    write_tokenizer,
)

SETTINGS_FILES = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


class Codec:
    """A tokenizer for reinforcement learning on text.

    ``encode`` treats its text as data: whatever stands in it, no control token comes out, and the tokens'
    bytes joined are the text's bytes. Control tokens enter by name (:meth:`control`) or through
    :meth:`opening` and :meth:`encode_template`, which are only for words of our own and for chat templates.

    Every row a model reads begins with :attr:`begin_ids`: a prompt by :meth:`opening`, raw text by a trunk
    whose instruction they are. A window from the middle of a document begins with them too: a model
    trained with BOS attends to its first token as a sink, and a row without one is text it has never seen
    (Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", section 3).
    """

    def __init__(self, whole: Tokenizer, files: dict[str, bytes]) -> None:
        """Take the folder's own tokenizer (:func:`read_tokenizer`) and the files it came from.

        Raises:
            RecipeError: see :meth:`load`.
        """
        self._whole = whole
        self._plain = plain_copy(whole)
        self._continuing = continuing_copy(whole)
        self._swallows_blanks = swallows_blanks(whole)
        self._bytes = byte_table(whole)
        self._known = frozenset(whole.get_vocab(with_added_tokens=True).values())
        self._files = files
        self._ids_of_byte = byte_ids(whole)
        self._settings = _settings(files)
        self.begin_ids: tuple[int, ...] = begin_ids(whole)
        """What the folder's own tokenizer puts before every text: BOS, or nothing. Never predicted."""
        self.chat_template: str | None = template_source(
            self._settings.get("chat_template"), files.get("chat_template.jinja")
        )
        """Jinja source of the model's chat template, where it has one."""
        self.end_ids: frozenset[int] = self._end_ids()
        """Every id that ends an answer."""
        check_texts(self, whole)
        check_template(self, whole)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int, folder: Path, context_tokens: int = 512, *,
        marks: bool = False,
    ) -> Self:  # fmt: skip
        """Train a byte-level BPE, write it into ``folder`` and load it from there."""
        write_tokenizer(train_bpe(texts, vocab_size, marks=marks), folder, context_tokens)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the tokenizer of a Hugging Face folder and check it.

        Raises:
            RecipeError: there is no tokenizer or it cannot be read; its folder asks for Python code of its
                own; a probe text does not come back unchanged, or gets other ids than from the folder's own
                tokenizer; or its chat template cannot write a conversation.
        """
        refuse_foreign_code(folder)
        present = [name for name in SETTINGS_FILES if (folder / name).is_file()]
        settings = {name: read_json_object(folder / name) for name in present}
        files = {name: (folder / name).read_bytes() for name in TOKENIZER_FILES if (folder / name).is_file()}
        return cls(read_tokenizer(folder, settings.get("tokenizer_config.json")), files)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files as they were read, so that nothing is lost on the way."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            (folder / name).write_bytes(content)
        if not {"tokenizer.json", "tokenizer.model"} & self._files.keys():
            self._whole.save(str(folder / "tokenizer.json"))

    def __len__(self) -> int:
        """Rows the model needs: the highest id, plus one."""
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """Token ids of a piece of data, every special token in it spelled out as plain text."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """:meth:`encode` for many texts at once, by several threads."""
        if self._ids_of_byte is not None and any(SPACE in text for text in texts):
            return [self._spell_out(text) for text in texts]
        batch = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in batch]

    def encode_template(self, text: str) -> list[int]:
        """Token ids of words of our own or of a chat template that go on after other tokens.

        Control tokens in them are control tokens. They are what the folder's own tokenizer gives for the
        words, without the blank some put before a text's first word.

        Raises:
            RecipeError: the words do not come back from the ids.
        """
        ids: list[int] = self._whole.encode(text, add_special_tokens=False).ids
        if self._continuing is not None:  # the blank is a matter of what stands before the first control
            going_on: list[int] = self._continuing.encode(text, add_special_tokens=False).ids
            ids = going_on[: self._first_control(going_on)] + ids[self._first_control(ids) :]
        return words_come_back(self, text, ids, loosely=self._is_loose)

    def opening(self, text: str, *, of_template: bool = False) -> list[int]:
        """Token ids of the words a row begins with: :attr:`begin_ids`, exactly once, and the words.

        Args:
            text: Words, which may begin with BOS themselves.
            of_template: They are a chat template's, not ours: a blank that the folder's own tokenizer puts
                before a text's first word is then the model's own form, and stays.
        """
        if of_template:
            ids: list[int] = self._whole.encode(text, add_special_tokens=False).ids
            words_come_back(self, text, ids, loosely=self._is_loose)
        else:
            ids = self.encode_template(text)
        begin = list(self.begin_ids)
        return ids if ids[: len(begin)] == begin else begin + ids

    def token_bytes(self, token: int) -> bytes:
        """The bytes one token stands for; control tokens stand for their name."""
        return self._bytes[token] if 0 <= token < len(self._bytes) else b""

    def to_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes a row of tokens stands for."""
        return b"".join(self.token_bytes(token) for token in ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text for people: bytes that are no UTF-8 come out as replacement characters."""
        return self.to_bytes(ids).decode("utf-8", errors="replace")

    def words(self, ids: Iterable[int]) -> str:
        """Text as the folder's own tokenizer gives it back, control tokens left out."""
        text: str = self._whole.decode(list(ids), skip_special_tokens=True)
        return text

    def byte_starts(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Byte offset at which each token begins, and the total length: shape ``(tokens + 1,)``."""
        lengths = np.fromiter((len(self.token_bytes(token)) for token in ids), np.int64, len(ids))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def char_offsets(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Where each token begins in the text, in code points; -1 inside a character. Shape ``(tokens,)``.

        A tokenizer that knows only bytes cuts ``aéb`` into four tokens that begin at 0, 1, -1 and 2.
        """
        data = np.frombuffer(self.to_bytes(ids), np.uint8)
        begins = np.append((data & 0xC0) != 0x80, True)
        starts = self.byte_starts(ids)[:-1]
        code_points = np.cumsum(begins) - 1
        return np.where(begins[starts], code_points[starts], -1)

    def control(self, name: str) -> tuple[int, ...]:
        """The ids of a control word, by its name in ``CONTROL_TEXT`` or ``MARK_TEXT``.

        One id where the tokenizer has such a token. A model from elsewhere without one gets the word
        spelled out: its embedding table is not ours to grow.
        """
        if name == "end":
            return (self.end_id,)
        text = CONTROL_TEXT[name] if name in CONTROL_TEXT else MARK_TEXT[name]
        token = self._whole.token_to_id(text)
        return (token,) if token is not None else tuple(self.encode(text))

    @property
    def is_compact(self) -> bool:
        """Whether the tokenizer has the control tokens of our own tiny models."""
        return all(self._whole.token_to_id(CONTROL_TEXT[name]) is not None for name in ("rpt", "predict"))

    @property
    def end_id(self) -> int:
        """The id that ends a supervised answer."""
        token = self._whole.token_to_id(str(self._settings.get("eos_token", "")))
        return token if token is not None else min(self.end_ids)

    @property
    def pad_id(self) -> int:
        """An id to fill rows with; never attended to."""
        token = self._whole.token_to_id(str(self._settings.get("pad_token", "")))
        return token if token is not None else self.end_id

    def unknown_ids(self, num_rows: int) -> list[int]:
        """Rows of logits no text ends up at: padding of the vocabulary, and holes in it.

        Ids that end an answer are never among them.
        """
        return [i for i in range(num_rows) if i not in self._known and i not in self.end_ids]

    def special_names(self) -> dict[str, str]:
        """The named special tokens (``bos_token`` ...) as chat templates expect them."""
        return {k: v for k, v in self._settings.items() if k.endswith("_token") and isinstance(v, str)}

    def fingerprint(self) -> str:
        """SHA-256 over what ids mean: two codecs with the same one tokenise alike."""
        import hashlib

        return hashlib.sha256(self._plain.to_str().encode() + b"\0".join(self._bytes)).hexdigest()

    @property
    def _is_loose(self) -> bool:
        return self._swallows_blanks or self._continuing is not None

    def _first_control(self, ids: Sequence[int]) -> int:
        """Index of the first added token, or the number of tokens."""
        added = self._whole.get_added_tokens_decoder()
        return next((i for i, token in enumerate(ids) if token in added), len(ids))

    def _spell_out(self, text: str) -> list[int]:
        # SentencePiece writes a space as U+2581; a U+2581 of the text itself goes by its three bytes
        assert self._ids_of_byte is not None
        ids: list[int] = []
        for i, part in enumerate(text.split(SPACE)):
            ids += [self._ids_of_byte[byte] for byte in SPACE.encode()] if i else []
            ids += self._plain.encode(part, add_special_tokens=False).ids if part else []
        return ids

    def _end_ids(self) -> frozenset[int]:
        given = json.loads(self._files.get("generation_config.json", b"{}")).get("eos_token_id")
        named = self._whole.token_to_id(str(self._settings.get("eos_token", "")))
        listed = given if isinstance(given, list) else [given]
        ids = {token for token in (*listed, named) if isinstance(token, int) and token >= 0}
        if not ids:
            raise RecipeError(
                "the tokenizer names no token that ends an answer (eos_token in tokenizer_config.json, or "
                "eos_token_id in generation_config.json): no answer could ever end. Add one of the two."
            )
        return frozenset(ids)


def _settings(files: dict[str, bytes]) -> dict[str, Any]:
    config = json.loads(files.get("tokenizer_config.json", b"{}"))
    named = json.loads(files.get("special_tokens_map.json", b"{}"))
    merged = {**config, **{k: v for k, v in named.items() if config.get(k) is None}}
    return {k: v.get("content") if isinstance(v, dict) and "content" in v else v for k, v in merged.items()}
