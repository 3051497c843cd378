"""The base model: a tokenizer and next-token training from scratch, or a given model taken as it is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import StarvedError
from rpt_core.policy.codec import Codec
from rpt_core.policy.device import device_of
from rpt_core.policy.load import load_policy, model_folder
from rpt_core.policy.loading.faithful import refuse_unfaithful
from rpt_core.policy.loading.stored import num_numbers
from rpt_core.policy.loading.weights import (
    INDEX,
    read_config,
    refuse_more_than_stored,
    stored_shapes,
    weight_files,
)
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.tokens.vocabulary import TOKENIZER_FILES
from rpt_core.policy.trunk import Trunk
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.supervised import BaseRecipe, ModelShape
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.ranks import init_ranks
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.backends.shares import in_step, own_share
from rpt_core.train.supervised.held_out import held_out_nll
from rpt_core.train.supervised.loop import Learned, train_supervised
from rpt_core.train.supervised.windows import Windows, shuffled, texts_of

LOADED_SHARE = 0.5
"""A given model is loaded as a check where it takes at most this share of the free memory."""


def train_base(recipe: BaseRecipe, build: Build) -> Outcome:
    """Write ``model/``, an ordinary Hugging Face folder.

    Raises:
        RecipeError: a given model cannot be read, or holds pickled weights only.
        StarvedError: the corpus has no document to train on.
    """
    if isinstance(recipe.model, GivenModel):
        return _take(recipe.model, build)
    return _from_scratch(recipe, recipe.model, build)


def _take(given: GivenModel, build: Build) -> Outcome:
    """Copy the files of a model, once it is known to be whole and to be computed rightly."""
    if init_ranks(build.numerics.world_size).rank > 0:
        return Outcome()  # nothing is trained: rank 0 copies
    source = model_folder(given.name, given.hub_revision)
    config, shapes = read_config(source), stored_shapes(source)
    target = build.out / "model"
    target.mkdir(parents=True)
    others = ("config.json", INDEX, *TOKENIZER_FILES)
    for path in [*weight_files(source), *(source / name for name in others)]:
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    refuse_unfaithful(config, given.name)
    parameters = num_numbers(shapes)
    if 4 * parameters < psutil.virtual_memory().available * LOADED_SHARE:
        codec = load_policy(target).codec
    else:  # whoever trains it needs a machine on which it loads; headers are checked here
        refuse_more_than_stored(target, config, shapes)
        codec = Codec.load(target)
    return Outcome(summary={"parameters": parameters, "vocabulary": len(codec), "trained": False})


def _from_scratch(recipe: BaseRecipe, shape: ModelShape, build: Build) -> Outcome:
    corpus = build.inputs["corpus"]
    start = by_rank_0(build, lambda folder: _write_start(shape, corpus, recipe.seed, folder))
    policy = load_policy(start, device=device_of(build), for_training=True)
    codec = policy.codec
    windows = Windows.build(corpus, "train", codec, shape.context_tokens, build.scratch / "train.tokens")
    if not len(windows):
        raise StarvedError(
            f"there is nothing to train on: the corpus has {windows.num_documents} training documents, none "
            "of two tokens or more. Look at what prepare-corpus dropped, or give more text."
        )
    backend = open_backend(build.numerics, policy, recipe.optimiser, recipe.steps)
    trained = train_supervised(
        build,
        policy,
        backend,
        recipe.steps,
        lambda step: _learn(backend, policy, windows, recipe, build, step),
    )
    backend.export(build.out / "model")
    held_out = Windows.build(corpus, "eval", codec, shape.context_tokens, build.scratch / "eval.tokens")
    before = policy.work.flops
    with backend.whole():
        nll = held_out_nll(policy, held_out)
    dropped = {"too-short": windows.num_too_short} if windows.num_too_short else {}
    return Outcome(
        rows=RowCounts(
            rows_in=windows.num_documents, kept=windows.num_documents - windows.num_too_short, dropped=dropped
        ),
        flops=trained.flops + policy.work.flops - before,
        tokens=trained.num_tokens,
        summary={
            "parameters": policy.num_parameters,
            "vocabulary": len(codec),
            "windows": len(windows),
            "long_documents": windows.num_long_documents,
            "final_nll_nats": trained.last.get("nll_nats"),
            "held_out_nll_nats": nll,
            "trained": True,
        },
    )


def _write_start(shape: ModelShape, corpus: Path, seed: int, folder: Path) -> None:
    """A tokenizer of the corpus, and a random model over what it really has."""
    texts = texts_of(corpus, "train")
    codec = Codec.train(texts, shape.vocab_size, folder, shape.context_tokens, marks=shape.prediction_marks)
    initialise(shape, len(codec), codec, seed, folder)


def by_rank_0(build: Build, write: Callable[[Path], None]) -> Path:
    """A folder of scratch that rank 0 alone writes, and all read once it is whole.

    transformers saves a model on rank 0 only, wherever there is a process group.
    """
    ranks = init_ranks(build.numerics.world_size)
    folder = Path(ranks.all_gather(str(build.scratch / "start"))[0])
    if ranks.rank == 0:
        write(folder)
    ranks.all_gather(None)  # written
    return folder


def initialise(shape: ModelShape, vocab_size: int, codec: Codec, seed: int, folder: Path) -> None:
    """Write a randomly initialised model; its vocabulary is what the tokenizer really has."""
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=2 * shape.context_tokens,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=shape.tie_embeddings,
        eos_token_id=codec.end_id,
        pad_token_id=codec.pad_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)


def _learn(
    backend: TrainerBackend, policy: Policy, windows: Windows, recipe: BaseRecipe, build: Build, step: int
) -> Learned:
    """Mean next-token loss of the step's windows, split by the token budget."""
    chosen = shuffled(len(windows), recipe.documents_per_step, step, recipe.seed)
    trunks = [Trunk(str(index), policy.begin_ids, windows[index]) for index in chosen.tolist()]
    num_targets = sum(trunk.num_tokens - 1 for trunk in trunks)
    total = forwarded = 0.0
    lengths = [trunk.num_tokens for trunk in trunks]
    mine = own_share(lengths, backend)
    own = padded_batches([lengths[index] for index in mine], build.numerics.tokens_per_micro_batch)
    batches = [[trunks[mine[index]] for index in batch] for batch in own]
    for part, counts in in_step(batches, lambda _: 0, lambda _: [min(trunks, key=_length)], backend):
        loss = backend.score_documents(part).nll_M.sum() / num_targets * float(counts)
        backend.backward(loss)
        total += float(loss.detach())
        forwarded += len(part) * max(trunk.num_tokens for trunk in part)
    return Learned(total, {"nll_nats": total}, int(forwarded))


def _length(trunk: Trunk) -> int:
    return trunk.num_tokens
