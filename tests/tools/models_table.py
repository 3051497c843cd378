"""docs/models.md: what becomes of every causal language model type of the installed transformers.

Each type is made small (rpt_core/policy/loading/miniature.py), saved with a tokenizer, and given to
``load_policy`` in a child process with a time limit. What loads is compared, token by token, with
transformers' own eager forward pass on whole rows, from a model of its own read from the same folder.

    python -m tests.tools.models_table [--types llama,gpt2] [--results FILE] [--page docs/models.md]

Results are added to FILE one by one; what stands there is not done again.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from rpt_core.errors import RptError
from rpt_core.policy.codec import Codec
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.load import load_policy
from rpt_core.policy.loading.miniature import enlarge, miniature_config
from rpt_core.policy.trunk import Cut, Trunk

LIMIT_SECONDS = 30.0
ROW = 180
"""Tokens of the compared document; windows, chunks and switches of the small models are at 16."""
NATS_MAX = 1e-3
EQUAL_MEANS = (
    f"within {NATS_MAX:g} nats of transformers' own eager pass on whole rows of {ROW} tokens, float32"
)
PAGE = Path("docs/models.md")

ASSISTANT = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0, "num_kv_shared_layers": 30}
MADE_WITH: dict[str, dict[str, Any]] = {
    "qwen4_exp": {"text_config": {"num_hidden_layers": 2, "layer_types": ["linear_attention"] * 2}},
    "gemma4_assistant": {"text_config": ASSISTANT},
    "gemma4_unified_assistant": {"text_config": ASSISTANT},
}
"""What a type's own defaults lack, given to its class."""
MAMBA_HEADS = {"mamba_n_heads": 8, "mamba_d_head": 16}
QSA = {"layer_types": ["linear_attention", "linear_attention"]}
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "bamba": MAMBA_HEADS,
    "blt": {"encoder_hash_byte_group_vocab": 500},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
    },
    "codegen": {"rotary_dim": 8},
    "gptj": {"rotary_dim": 8},
    "xmod": {"default_language": "en_XX", "languages": ["en_XX"], "is_decoder": True},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "granitemoehybrid": MAMBA_HEADS,
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 16},
    "xlnet": {"d_head": 16},
    "reformer": {"is_decoder": True, "axial_pos_shape": [16, 32], "axial_pos_embds_dim": [32, 32]},
    "qwen4_exp_text": QSA,
    "nemotron": {"num_key_value_heads": 2},
}
"""What a type needs beside the general recipe once it is small."""


@dataclass(frozen=True)
class Row:
    """One type's outcome."""

    type: str
    model_class: str
    outcome: str
    """``equal``, ``refused``, ``different``, ``error`` (raw or out of time), or ``not made``."""
    reason: str
    plain: str = ""
    """Outcome with every setting off that :func:`plain` knows, where the type's defaults are refused."""
    seconds: float = 0.0


def types() -> list[str]:
    """The causal language model types of this version of transformers."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def small_config(kind: str) -> PretrainedConfig:
    """The defaults of a type, made small."""
    return miniature_config(CONFIG_MAPPING[kind](**MADE_WITH.get(kind, {})), **EXCEPTIONS.get(kind, {}))


def plain(config: PretrainedConfig) -> list[str]:
    """Turn off, in place, dropout, windows, kinds of layers, caps and scales; the names of what was on."""
    off: list[str] = []
    text = config.get_text_config()
    for name, value in list(vars(text).items()):
        number = isinstance(value, int | float) and not isinstance(value, bool) and bool(value)
        if number and ("drop" in name or "jitter" in name):
            other: Any = 0.0
        elif number and (name == "sliding_window" or "softcapping" in name):
            other = None
        elif number and value != 1 and name in {"logits_scaling", "logit_scale"}:
            other = 1.0
        elif name == "layer_types" and value and set(value) <= {"full_attention", "sliding_attention"}:
            other = ["full_attention"] * len(value)
        else:
            continue
        try:
            setattr(text, name, other)
        except Exception:  # (a class that checks its types has no such model)
            continue
        off.append(name)
    return off


def outcome_of(kind: str, tokens: Path) -> Row:
    """Make, save, load and compare one type."""
    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]
    model_class = names if isinstance(names, str) else ", ".join(names)
    started = time.monotonic()
    try:
        config = small_config(kind)
        outcome, reason, seconds = tried(config, tokens)
    except NotMade as error:
        return Row(kind, model_class, "not made", str(error))
    except Exception as error:
        return Row(kind, model_class, "not made", f"no small configuration: {said(error)}")
    beside = ""
    if outcome == "refused":
        beside = without_settings(kind, tokens)
    return Row(kind, model_class, outcome, reason, beside, round(seconds or time.monotonic() - started, 1))


def without_settings(kind: str, tokens: Path) -> str:
    """The outcome of a type whose defaults are refused, with those settings off."""
    config = small_config(kind)
    off = plain(config)
    if not off:
        return ""
    try:
        outcome, reason, _ = tried(config, tokens)
    except NotMade:
        return ""
    return outcome if outcome in {"equal", "refused"} else f"{outcome}: {reason}"


class NotMade(Exception):
    """The small model could not be made or run by transformers itself."""


def tried(config: PretrainedConfig, tokens: Path) -> tuple[str, str, float]:
    """Outcome, reason and seconds of loading one configuration."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made(config, tokens, folder)
        started = time.monotonic()
        try:
            policy = load_policy(folder)
        except RptError as error:
            return "refused", str(error).replace(str(folder), "FOLDER"), time.monotonic() - started
        except Exception as error:
            return "error", said(error), time.monotonic() - started
        seconds = time.monotonic() - started
        try:
            gap = largest_gap(policy, folder)
        except Exception as error:
            return "error", f"after loading: {said(error)}", seconds
    return ("equal" if gap <= NATS_MAX else "different"), f"{gap:.1e} nats", seconds


def made(config: PretrainedConfig, tokens: Path, folder: Path) -> None:
    """Write a small model of random weights, with a tokenizer, as an ordinary folder."""
    try:
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        if sum(p.numel() for p in model.parameters()) > 30_000_000:
            raise ValueError(f"{sum(p.numel() for p in model.parameters()):,} parameters are not small")
        enlarge(model)
        with torch.no_grad():
            model.eval()(input_ids=torch.arange(2, 26)[None], use_cache=False)
        model.generation_config = transformers.GenerationConfig()
        model.save_pretrained(folder)
    except Exception as error:
        raise NotMade(f"transformers makes or runs no small model: {said(error)}") from None
    for file in tokens.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


@torch.no_grad()
def largest_gap(policy: Any, folder: Path) -> float:
    """Largest difference in nats between our passes and a model of transformers' own, on whole rows."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(2, len(policy.codec), (ROW,), generator=generator).tolist()
    document, answers = ids[:150], [ids[150:165], ids[165:172]]
    cuts = (Cut(20, tuple(ids[172:175])), Cut(150))

    def whole(row: Sequence[int]) -> torch.Tensor:
        row_1T = torch.tensor([list(row)])
        logp = torch.log_softmax(model(input_ids=row_1T).logits[0].float(), -1)
        return logp[:-1].gather(1, row_1T[0, 1:, None]).squeeze(1)

    gaps = [(-document_scores(policy, [Trunk("d", (), tuple(ids))]).nll_M - whole(ids)).abs().max()]
    found = branch_logprobs(policy, [Trunk("d", (), tuple(document), cuts)], [[answers, answers]])
    paths = [[*document[: cut.position], *cut.suffix_ids, *answer] for cut in cuts for answer in answers]
    lengths = [len(answer) for _ in cuts for answer in answers]
    expected = torch.cat([whole(path)[-n:] for path, n in zip(paths, lengths, strict=True)])
    gaps.append((found.logprobs_N - expected).abs().max())
    gap = float(torch.stack(gaps).max())
    return gap if gap == gap else float("inf")


def said(error: BaseException) -> str:
    """A foreign error's class and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": ")


def in_child(work: Callable[[], Row], kind: str, limit: float) -> Row:
    """The row that ``work`` gives in a forked child, which is killed after ``limit`` seconds."""
    with tempfile.NamedTemporaryFile() as told:
        pid = os.fork()
        if pid == 0:
            _end_with(work, kind, Path(told.name))
        deadline = time.monotonic() + limit
        while not (done := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        if not done[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return Row(
                kind, str(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]), "error", f"not done in {limit:g} s"
            )
        text = Path(told.name).read_text()
    if not text:
        return Row(kind, str(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]), "error", f"the child ended: {done[1]}")
    return Row(**json.loads(text))


def _end_with(work: Callable[[], Row], kind: str, told: Path) -> None:
    """What a child does: its work, silently, and then the end, whatever happens."""
    try:
        for stream in (0, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        told.write_text(json.dumps(asdict(work())))
    except BaseException as error:  # a child that went on here would be a second parent
        model_class = str(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind])
        told.write_text(json.dumps(asdict(Row(kind, model_class, "error", said(error)))))
    finally:
        os._exit(0)


def tabulate(kinds: Sequence[str], results: Path | None = None) -> Iterator[Row]:
    """Rows of ``kinds``, each written to ``results`` as soon as it is known."""
    known = {row.type: row for row in read(results)} if results and results.exists() else {}
    torch.set_num_threads(1)  # children are forked: they would wait for threads they do not have
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as place:
        tokens = Path(place)
        Codec.train(["The sum of twelve and thirty is forty-two, as everyone knows. " * 30], 600, tokens)
        for kind in kinds:
            row = known.get(kind)
            if row is None:
                row = in_child(lambda kind=kind: outcome_of(kind, tokens), kind, LIMIT_SECONDS)  # type: ignore[misc]
                if results:
                    with results.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
            yield row


def read(results: Path) -> list[Row]:
    """Rows written before; the last of each type counts."""
    rows = {row["type"]: Row(**row) for row in map(json.loads, results.read_text().splitlines())}
    return [rows[kind] for kind in sorted(rows)]


def page(rows: Sequence[Row]) -> str:
    """The Markdown page."""
    counts = Counter(row.outcome for row in rows)
    plain_equal = sum(row.plain == "equal" for row in rows)
    head = f"""# Which models load

Every causal language model type of transformers {transformers.__version__} ({len(rows)} of them), made small
and given to `load_policy`. Written by `make models-table`; nothing here is edited by hand.

| outcome | types | meaning |
|---|---|---|
| equal | {counts["equal"]} | loads; document and answers below two cuts are {EQUAL_MEANS} |
| refused | {counts["refused"]} | one sentence, exit 2; {plain_equal} equal but for it (*plain*) |
| not made | {counts["not made"]} | transformers itself makes or runs no small model of the defaults |
| different | {counts["different"]} | loads, and its numbers are wrong |
| error | {counts["error"]} | a raw error, or not done in {LIMIT_SECONDS:g} s |

Settings that act only beyond some length (windows, chunks, switches of rotary embeddings) are at 16 tokens
here, so that a row of {ROW} tokens shows them. Types that read images or sound are refused: take their
text model.

| type | class | outcome | plain | seconds | reason |
|---|---|---|---|---|---|
"""
    lines = [
        f"| {row.type} | {row.model_class} | {row.outcome} | {cell(row.plain)} | {row.seconds:.1f} "
        f"| {cell(row.reason)} |"
        for row in rows
    ]
    return head + "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A reason without its advice, which is the same for all, as a table's cell."""
    return text.partition(". Take ")[0].replace("|", "\\|").replace("\n", " ")


def main(arguments: Sequence[str]) -> int:
    """Tabulate, write the page, and say how many went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--types", default="")
    parser.add_argument("--results", type=Path, default=Path("build/models_table.jsonl"))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    options = parser.parse_args(arguments)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        options.results.unlink(missing_ok=True)
    kinds = options.types.split(",") if options.types else types()
    rows = []
    for row in tabulate(kinds, options.results):
        rows.append(row)
        told = f"{row.type:28} {row.outcome:10} {row.plain[:20]:10} {row.seconds:5.1f} s  {row.reason[:150]}"
        print(told, flush=True)
    if not options.types:
        options.page.write_text(page(rows))
    wrong = sum(
        row.outcome in {"different", "error"} or row.plain.startswith(("different", "error")) for row in rows
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
