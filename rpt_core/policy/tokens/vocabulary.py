"""Tokenizers as files: train one, read one, and make the copy of it that cannot lose a byte."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from rpt_core.errors import RecipeError, first_line
from rpt_core.policy.foreign_code import read_json_object
from rpt_core.policy.tokens.sentencepiece import SPACE, read_sentencepiece

CONTROL_TEXT: dict[str, str] = {
    "pad": "<|pad|>",
    "end": "<|end|>",
    "rpt": "<|rpt|>",
    "rlvr": "<|rlvr|>",
    "predict": "<|predict|>",
    "think": "<think>",
    "end_think": "</think>",
    "box_open": "\\boxed{",
}
"""Control tokens of a tokenizer trained here, by name. ``}`` closes a box and stays an ordinary byte."""

MARK_TEXT: dict[str, str] = {
    "start_prediction": "<|startofprediction|>",
    "end_prediction": "<|endofprediction|>",
    "mask": "<|mask|>",
}
"""Control words of next-segment reasoning (RLPT, section 3.2). A tokenizer trained here has them where its
recipe asks for them; any other spells them out."""

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "tokenizer.model", "chat_template.jinja", "generation_config.json",
)  # fmt: skip
"""What makes up a tokenizer in a Hugging Face folder; copied byte by byte from start model to result."""

MOST_IDS = 1 << 24
"""No vocabulary is this large; tables are made for every id up to the highest."""


def train_bpe(texts: Iterable[str], vocab_size: int, *, marks: bool = False) -> Tokenizer:
    """Train a byte-level BPE with the control tokens first.

    Args:
        texts: Training documents; streamed.
        vocab_size: Asked for, control tokens and the 256 bytes included; fewer come out when pairs run out.
        marks: Whether the words of :data:`MARK_TEXT` become tokens too.
    """
    controls = [*CONTROL_TEXT.values(), *(MARK_TEXT.values() if marks else ())]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[AddedToken(t, normalized=False, special=True) for t in controls],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, folder: Path, context_tokens: int) -> None:
    """Write a trained tokenizer so that ``AutoTokenizer`` reads the very same one."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": CONTROL_TEXT["end"],
        "pad_token": CONTROL_TEXT["pad"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_tokens,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def read_tokenizer(folder: Path, settings: dict[str, Any] | None = None) -> Tokenizer:
    """The folder's own tokenizer, control tokens included: what ``AutoTokenizer`` encodes with.

    The class that ``tokenizer_config.json`` or the model type names may read ``tokenizer.json`` in its own
    way (another pre-tokenizer, another rule for the first blank), so the file alone does not say which ids
    the model was trained with. Truncation and padding saved with a tokenizer are switched off. A folder
    with nothing but ``tokenizer.model`` is read here, without the SentencePiece library.

    Args:
        folder: A Hugging Face folder.
        settings: What ``tokenizer_config.json`` says.

    Raises:
        RecipeError: the folder has no tokenizer, or one that cannot be read.
    """
    has = {name: (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")}
    if not (has["tokenizer.json"] or _vocabulary_file(folder)):
        if has["tokenizer.model"]:
            return read_sentencepiece(folder / "tokenizer.model", settings or {})
        raise RecipeError(
            f"the model folder {folder} has no tokenizer to read: neither tokenizer.json, nor "
            "tokenizer.model, nor vocab.json with merges.txt. Copy its tokenizer files beside the weights."
        )
    # before it is loaded: the library makes room for every id up to the highest
    most = max(_ids_in_files(folder), default=0)
    if most >= MOST_IDS:
        raise RecipeError(
            f"the tokenizer in {folder} gives a token the id {most}, and no vocabulary is larger than "
            f"{MOST_IDS}: its files are damaged. Fetch them again."
        )
    tokenizer = _own_tokenizer(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _ids_in_files(folder: Path) -> Iterator[int]:
    """Every id that one of the tokenizer's files gives a token, in whatever layout."""
    names = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json")
    found = {name: read_json_object(folder / name) for name in names if (folder / name).is_file()}
    whole = found.get("tokenizer.json", {})
    model = whole.get("model")
    added = whole.get("added_tokens")
    listed = (
        [token.get("id") for token in added if isinstance(token, dict)] if isinstance(added, list) else []
    )
    tables = [model.get("vocab") if isinstance(model, dict) else None, found.get("vocab.json"),
              found.get("added_tokens.json")]  # fmt: skip
    for table in tables:
        listed += table.values() if isinstance(table, dict) else []
    decoder = found.get("tokenizer_config.json", {}).get("added_tokens_decoder")
    listed += [int(key) for key in decoder if key.isdecimal()] if isinstance(decoder, dict) else []
    return (number for number in listed if isinstance(number, int))


def _vocabulary_file(folder: Path) -> bool:
    return (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()


def _own_tokenizer(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        own = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        backend = getattr(own, "backend_tokenizer", None)
        if isinstance(backend, Tokenizer):
            # a copy: transformers keeps changing its own
            return Tokenizer.from_str(backend.to_str())
        reason = f"{type(own).__name__} has no fast form"
    except Exception as error:  # noqa: BLE001  (tokenizers raises bare Exceptions)
        reason = first_line(error) or type(error).__name__
    raise RecipeError(
        f"the tokenizer in {folder} cannot be read: {reason}. Copy the model's own tokenizer files (a whole "
        "tokenizer.json) into its folder, or take another model."
    )


def plain_copy(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that spells text byte for byte and knows no control token.

    Text from data must neither turn into control tokens (a literal ``</think>`` on a web page) nor lose
    anything (Unicode normalisation, a space put in front of the first word): targets, rewards and cuts
    are all counted in bytes. White-space tokens that were added after training stay.
    """
    state = json.loads(tokenizer.to_str())
    controls = {
        t["content"] for t in state["added_tokens"] if t["special"] or _looks_like_control(t["content"])
    }
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] not in controls]
    state["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE} if (
        _spells_with_spaces(state) and not _has_metaspace(state["pre_tokenizer"])
    ) else None  # fmt: skip
    state["post_processor"] = None
    state["truncation"] = state["padding"] = None
    _forbid_prefix_space(state["pre_tokenizer"])
    if "merges" in state["model"]:
        # a control token that also stands in the model's own table must not be reachable by merging
        state["model"]["merges"] = [m for m in state["model"]["merges"] if "".join(m) not in controls]
    return Tokenizer.from_str(json.dumps(state))


def continuing_copy(tokenizer: Tokenizer) -> Tokenizer | None:
    """The tokenizer without the blank it puts before a text's first word; None where it puts none.

    SentencePiece has one (``add_dummy_prefix``): a ``Prepend`` normaliser, ``Metaspace`` with the scheme
    ``first`` or ``always``; GPT-2's kind calls it ``add_prefix_space``. Words that go on after a document
    must not get it.
    """
    state = json.loads(tokenizer.to_str())
    _forbid_prefix_space(state["pre_tokenizer"])
    state["normalizer"] = _without_prepend(state["normalizer"])
    copy = Tokenizer.from_str(json.dumps(state))
    same = (
        tokenizer.encode("a", add_special_tokens=False).ids == copy.encode("a", add_special_tokens=False).ids
    )
    return None if same else copy


def begin_ids(tokenizer: Tokenizer) -> tuple[int, ...]:
    """What the tokenizer's post-processor puts before a text: BOS, or nothing.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> begin_ids(Tokenizer(models.BPE({"a": 0}, [])))
        ()
    """
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    starts = (i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return tuple(whole[: next(starts, 0)])


def swallows_blanks(tokenizer: Tokenizer) -> bool:
    """Whether an added token takes the blanks beside it (``lstrip``, ``rstrip``): they do not come back."""
    return any(t.lstrip or t.rstrip for t in tokenizer.get_added_tokens_decoder().values())


def byte_table(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes every token id stands for; ids without a token stand for none."""
    state = json.loads(tokenizer.to_str())
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    added = {t["id"]: t["content"].encode() for t in state["added_tokens"]}
    to_byte = {} if _spells_with_spaces(state) else _byte_letters()
    table = [b""] * (max(vocab.values(), default=-1) + 1)
    for text, token in vocab.items():
        table[token] = added[token] if token in added else _spelled(text, to_byte)
    return table


def byte_ids(tokenizer: Tokenizer) -> dict[int, int] | None:
    """Id of every single-byte piece of a SentencePiece vocabulary; None for other tokenizers."""
    if not _spells_with_spaces(json.loads(tokenizer.to_str())):
        return None
    vocab = tokenizer.get_vocab(with_added_tokens=False)
    ids = {byte: vocab.get(f"<0x{byte:02X}>") for byte in range(256)}
    found = {byte: token for byte, token in ids.items() if token is not None}
    return found if len(found) == 256 else None


def _spelled(text: str, to_byte: dict[str, int]) -> bytes:
    if not to_byte:
        one_byte = re.fullmatch(r"<0x([0-9A-F]{2})>", text)
        return bytes.fromhex(one_byte[1]) if one_byte else text.replace(SPACE, " ").encode()
    if all(letter in to_byte for letter in text):
        return bytes(to_byte[letter] for letter in text)
    return text.encode()


def _byte_letters() -> dict[str, int]:
    """GPT-2's table: printable Latin-1 stands for itself, the other bytes for letters from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


def _looks_like_control(content: str) -> bool:
    return bool(content.strip()) and content[0] in "<[\\" and content[-1] in ">]{"


def _parts(node: Any) -> list[dict[str, Any]]:
    """A pipeline's parts, nested sequences spread out."""
    if node is None:
        return []
    inner = node.get("pretokenizers") or node.get("decoders") or node.get("normalizers")
    return [part for child in inner for part in _parts(child)] if inner else [node]


def _has_metaspace(node: Any) -> bool:
    return any(part["type"] == "Metaspace" for part in _parts(node))


def _spells_with_spaces(state: dict[str, Any]) -> bool:
    """SentencePiece's way of spelling (a letter for the space, byte pieces), not GPT-2's byte letters."""
    byte_level = [*_parts(state["pre_tokenizer"]), *_parts(state["decoder"])]
    return not any(part["type"] == "ByteLevel" for part in byte_level)


def _without_prepend(node: Any) -> Any:
    """A normaliser without its ``Prepend`` parts."""
    if node is None or node["type"] == "Prepend":
        return None
    if node["type"] != "Sequence":
        return node
    kept = [part for part in map(_without_prepend, node["normalizers"]) if part is not None]
    return {**node, "normalizers": kept}


def _forbid_prefix_space(node: Any) -> None:
    for part in _parts(node):
        if "add_prefix_space" in part:
            part["add_prefix_space"] = False
        if "prepend_scheme" in part:
            part["prepend_scheme"] = "never"
