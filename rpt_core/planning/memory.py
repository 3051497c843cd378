"""The memory of one GPU, or of one process on a CPU: every equation, and where it is from.

Letters: P parameters, E hidden size, F feed-forward width, V vocabulary, L layers, H query heads, C width of
a head, K key/value heads; N ranks; n tokens of a micro-batch, T of a trunk, A answers of R tokens; b bytes of
a product's numbers (4 in float32, 2 in bfloat16).

**States.** Plain torch keeps 16 bytes a parameter on every rank: weights, gradients and AdamW's two moments
in float32; products in bfloat16 add their cast weights, 2 bytes a parameter and pass, until the backward
pass is through. DeepSpeed keeps bfloat16 weights and gradients (2 + 2) and, in float32, master weights,
moments and the gradient that the update reads (4 + 8 + 4), divided over the ranks by stage: 1 the float32
part, 2 also the gradients, 3 also the weights (ZeRO, arXiv 1910.02054, section 3.1 and figure 1, whose K is
12; the 4 bytes of the update's own gradient come on top). Muon keeps one moment of the layers' matrices.
Offload keeps the float32 part in main memory. Stage 3 gathers whole layers to compute with them: two at a
time, and the head.

**Activations.** What autograd keeps of one layer of a Qwen3-like decoder, counted from the operations of
transformers 5.23 and held against torch's own storages in ``tests/unit/planning/test_memory.py``:

    norms       2 E (x, x scaled, and the product's input)
    queries     H C (as projected, scaled, rotated), keys and values K C likewise; norms where there are any
    attention   H C (output);  FlexAttention and flash attention keep no probabilities
    feed-forward 4 F (gate, its activation, up, their product)

The two-pass layout attends twice from every token of a branch, over its trunk and over its own row, and keeps
the probabilities of both: b H n T and b H A R (suffix + R) bytes a layer, and seven H C in place of two. On a
CPU the packed layout keeps a mask of b n^2 bytes a layer. Checkpointed layers keep their input alone, E; one
layer at a time is computed again in full.

**Logits** are never held whole (:mod:`rpt_core.policy.head`): three to five chunks of float32, and two or
three V E of the head's gradient.

**Rollouts.** A token's keys and values are 2 L K C numbers, divided by the tensor-parallel size as far as
there are key/value heads. The torch engine holds all answers it decodes together, in rooms that double. vLLM
takes its pool from what is free; asked here is the least, eight answers at their longest. While the update
runs, vLLM is asleep: its weights and pool are released.

What is not counted: fragmentation of the allocator, buffers of collectives, CUDA graphs. The share of the
framework (:data:`FRAMEWORK_BYTES`) is an allowance for those.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.planning.load import Load, MicroBatch, micro_batch, shared_out
from rpt_core.planning.shape import Shape

Phase = Literal["always", "rollout", "update", "step"]
FRAMEWORK_BYTES = {True: 2 * 10**9, False: 10**9}
"""On a GPU: context, libraries, workspaces, an allowance that was not measured. On a CPU: a process with
torch."""
REDUCE_BUCKET_BYTES = 2 * 500_000_000
"""DeepSpeed's default ``reduce_bucket_size``, 5e8 numbers, in bfloat16."""
CHUNK_ELEMENTS = {True: 1 << 26, False: 1 << 22}
"""Logits held at a time, by device (:data:`rpt_core.policy.head.CHUNK_ELEMENTS`)."""
SCORING_ELEMENTS = {True: 1 << 26, False: 1 << 24}
"""The same where documents are scored without gradient (:data:`rpt_core.policy.head.SCORING_ELEMENTS`)."""
CANDIDATES = 16 * 64
"""Logits of a token among which the 16 likeliest are found: the blocks with the largest maxima
(:func:`rpt_core.policy.head.top_logits`), gathered and then joined with the rest of the vocabulary."""
CHUNK_TOKENS_LEAST = 128
ANSWERS_AT_ONCE = 4096
"""Of the torch engine."""
ANSWERS_LEAST = 8
"""Of one document, at their longest, that vLLM's pool must hold; what is free beyond that makes it faster."""
FIRST_ROOM = 32
"""Tokens an answer has room for at first there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a stage is laid over devices: plain numbers, as a placement resolves to them."""

    gpu: bool = True
    """Whether it runs on GPUs, or in processes on a CPU."""
    ranks: int = 1
    zero_stage: int = 0
    """0 is plain torch, whole states on every rank; 1 to 3 are DeepSpeed's."""
    offload: bool = False
    """Keep the update's float32 states in main memory (DeepSpeed)."""
    tensor_parallel: int = 1
    """GPUs one engine spans."""
    engine: Literal["torch", "vllm"] = "torch"
    layout: Literal["two-pass", "packed"] = "two-pass"
    dtype: Literal["float32", "bfloat16"] = "float32"
    micro_batch_tokens: int = 16_384
    checkpointed: bool = False
    """Compute activations again in the backward pass."""

    @property
    def product_bytes(self) -> int:
        """b: of a number that a product makes."""
        return 4 if self.dtype == "float32" else 2

    @property
    def whole_precision(self) -> bool:
        """Whether parameters are float32 and only products are shorter, as under torch's autocast."""
        return self.zero_stage == 0

    def over(self, from_stage: int) -> int:
        """Among how many ranks DeepSpeed divides what it divides from this stage on."""
        return self.ranks if self.zero_stage >= from_stage else 1


@dataclass(frozen=True, slots=True)
class Row:
    """One part, in bytes, and the phase of a step in which it is held."""

    name: str
    bytes: float
    phase: Phase = "always"


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one device holds."""

    rows: tuple[Row, ...]
    host_bytes: float = 0.0
    """Of main memory, by each rank, for what is offloaded."""

    @property
    def always(self) -> float:
        """Held in every phase."""
        return sum(row.bytes for row in self.rows if row.phase == "always")

    @property
    def peak(self) -> float:
        """Of the phase that needs most."""
        phases: tuple[Phase, ...] = ("rollout", "update", "step")
        extra = [sum(row.bytes for row in self.rows if row.phase == phase) for phase in phases]
        return self.always + max(extra)

    def part(self, name: str) -> float:
        """Bytes of a part; 0 where there is none of that name."""
        return sum(row.bytes for row in self.rows if row.name == name)


def memory(shape: Shape, load: Load, spread: Spread) -> MemoryPlan:
    """What one device holds for a stage.

    Args:
        shape: The stage's model.
        load: What it puts through it in a step, over all ranks.
        spread: Over which devices.

    Example:
        >>> shape = Shape(hidden=64, layers=2, heads=4, kv_heads=2, head_width=16, feed_forward=128,
        ...     vocab=1000, tied=True)
        >>> found = memory(shape, Load(trunk=128), Spread(gpu=False))
        >>> found.part("weights") == found.part("gradients") == 4 * shape.parameters
        True
    """
    own = shared_out(load, spread.ranks)
    rows = [*_states(shape, own, spread), *_others(shape, own, spread)]
    if own.draws:
        rows += _rollouts(shape, own, spread)
    if own.trains:
        rows += _update(shape, own, spread)
    elif not own.draws:
        rows += _scoring(shape, own, spread)
    rows.append(Row("framework", FRAMEWORK_BYTES[spread.gpu]))
    kept = tuple(row for row in rows if row.bytes)
    host = _float32_states(shape, own, spread) if spread.offload and own.trains else 0.0
    return MemoryPlan(kept, host)


def _states(shape: Shape, load: Load, spread: Spread) -> list[Row]:
    count = shape.parameters
    if not load.trains:
        return [Row("weights", count * (4 if spread.dtype == "float32" else 2) / spread.tensor_parallel)]
    if spread.whole_precision:
        temporary = 4 * count if spread.gpu else 8 * max(shape.head_matrix, shape.hidden * shape.feed_forward)
        return [
            Row("weights", 4 * count),
            Row("gradients", 4 * count),
            Row("moments", 4 * _moments(shape, load)),
            Row("optimiser's step", temporary, "step"),  # AdamW's square roots: all at once on a GPU
        ]
    whole = 2 * (2 * shape.layer_matrices + shape.head_matrix * (1 if shape.tied else 2))
    return [
        Row("weights", 2 * count / spread.over(3)),
        Row("gathered weights", whole if spread.zero_stage == 3 and spread.ranks > 1 else 0, "update"),
        Row("gradients", 2 * count / spread.over(2)),
        Row("master, moments", 0 if spread.offload else _float32_states(shape, load, spread)),
        Row("reduction bucket", REDUCE_BUCKET_BYTES if spread.ranks > 1 else 0, "update"),
    ]


def _moments(shape: Shape, load: Load) -> int:
    """Numbers the update rule remembers."""
    return 2 * shape.parameters - load.muon * shape.layers * shape.layer_matrices


def _float32_states(shape: Shape, load: Load, spread: Spread) -> float:
    """DeepSpeed's master weights, moments and the gradient its update reads."""
    return 4 * (2 * shape.parameters + _moments(shape, load)) / spread.over(1)


def _others(shape: Shape, load: Load, spread: Spread) -> list[Row]:
    """Models beside the stage's own."""
    reference = 4 if spread.whole_precision else 2
    rows = [Row("reference models", load.references * reference * shape.parameters / spread.over(3))]
    if load.judge is not None:
        of_number = 2 if spread.gpu else 4
        rows.append(
            Row("judge", of_number * load.judge.parameters / spread.tensor_parallel, _while_drawing(spread))
        )
    return rows


def _while_drawing(spread: Spread) -> Phase:
    """When models of the engine are there: vLLM's sleep while the update runs."""
    return "rollout" if spread.engine == "vllm" else "always"


def cache_bytes_per_token(shape: Shape, spread: Spread) -> float:
    """Keys and values of a token on one device of an engine."""
    return shape.cache_bytes(spread.product_bytes) / min(spread.tensor_parallel, shape.kv_heads)


def _rollouts(shape: Shape, load: Load, spread: Spread) -> list[Row]:
    token = cache_bytes_per_token(shape, spread)
    if spread.engine == "vllm":
        weights = shape.parameters * spread.product_bytes / spread.tensor_parallel if load.trains else 0
        least = load.trunk + min(load.group, ANSWERS_LEAST) * (load.suffix + load.answer)
        return [Row("engine's weights", weights, "rollout"), Row("keys and values", token * least, "rollout")]
    answers = min(load.answers, ANSWERS_AT_ONCE)
    documents = max(1, answers // max(load.cuts * load.group, 1))
    room = _room(load)
    # while the values' room doubles, the keys have grown already and the old values are still there
    growing = 1.25 if room > load.suffix + FIRST_ROOM else 1.0
    chunk = _chunk_tokens(shape, spread, answers) * shape.vocab
    apart = load.trains and spread.zero_stage == 3 and spread.ranks > 1
    return [
        Row("engine's weights", 2 * shape.parameters if apart else 0, "rollout"),
        Row("keys and values", token * (documents * load.trunk + answers * room * growing), "rollout"),
        Row("logits", 4 * 3 * chunk, "rollout"),
        # a model that is only read is loaded in the type it computes in
        *(_cast_weights(shape, spread, 1, "rollout") if load.trains else ()),
    ]


def _room(load: Load) -> int:
    """Tokens the torch engine has room for in each answer: doubled until the answer fits."""
    room = load.suffix + FIRST_ROOM
    while room < load.suffix + load.answer:
        room *= 2
    return room


def _chunk_tokens(shape: Shape, spread: Spread, scored: int, elements: dict[bool, int] | None = None) -> int:
    """Tokens whose logits are held at a time."""
    return min(scored, max(CHUNK_TOKENS_LEAST, (elements or CHUNK_ELEMENTS)[spread.gpu] // shape.vocab))


def _scoring(shape: Shape, load: Load, spread: Spread) -> list[Row]:
    """A pass without gradient: one layer's numbers at a time, the states of all tokens, a chunk of logits.

    All chunks share one tensor, which the normaliser uses up.
    """
    part = micro_batch(load, spread.micro_batch_tokens)
    wide = 2 * shape.feed_forward + 3 * shape.hidden + 2 * (shape.query_width + shape.key_width)
    scored = part.documents * part.trunk if load.scores_document else 0
    chunk = _chunk_tokens(shape, spread, scored, SCORING_ELEMENTS)
    return [
        Row("activations", part.tokens * wide * spread.product_bytes, "update"),
        Row("logits", 4 * chunk * (shape.vocab + min(shape.vocab, 2 * CANDIDATES)), "update"),
    ]


def _update(shape: Shape, load: Load, spread: Spread) -> list[Row]:
    """The passes of one micro-batch, forward and backward."""
    part = micro_batch(load, spread.micro_batch_tokens)
    layer, kept = _kept_by_a_layer(shape, part, spread), _kept(shape, part, spread)
    scored, calls = _scored(load, part)
    passes = 2 if spread.layout == "two-pass" and part.branch_tokens else 1
    activations = shape.layers * kept + _ends(shape, part, sum(scored), spread)
    if load.raw_documents:  # kept beside the branches' until both go backward
        alone = MicroBatch(part.documents, part.trunk, 0, 0, 0, 0)
        activations += shape.layers * _kept(shape, alone, spread)
        activations += _ends(shape, alone, alone.tokens, spread)
        scored, calls, passes = (*scored, alone.tokens), calls + 1, passes + 1
    passing = _passing(shape, part, spread) + (layer - kept)
    if shape.tied:
        passing += 4 * shape.head_matrix  # the head's share of the gradient waits for the embedding's
    chunk = _chunk_tokens(shape, spread, max(scored))
    # the backward pass still holds three tensors of a chunk while it makes two of the next one
    logits = 4 * (3 * chunk + 2 * min(chunk, max(scored) - chunk)) * shape.vocab
    head = logits + 4 * shape.head_matrix * (1 + calls) + 4 * shape.hidden * max(scored)
    return [
        Row("activations", activations, "update"),
        Row("logits", head, "update"),
        Row("passing gradients", max(0.0, passing - head), "update"),  # never both at their largest
        *_cast_weights(shape, spread, passes, "update"),
    ]


def _kept(shape: Shape, part: MicroBatch, spread: Spread) -> float:
    """Bytes of one layer that are kept until the backward pass: its input alone, where checkpointed."""
    return (
        _layer_input(shape, spread) * part.tokens
        if spread.checkpointed
        else _kept_by_a_layer(shape, part, spread)
    )


def _cast_weights(shape: Shape, spread: Spread, passes: int, phase: Phase) -> list[Row]:
    """Weights that autocast has cast, until the backward pass is through; one layer's where checkpointed."""
    if spread.dtype == "float32" or not spread.whole_precision:
        return []
    layers = 1 if spread.checkpointed else shape.layers
    return [Row("cast weights", 2 * passes * layers * shape.layer_matrices, phase)]


def _layer_input(shape: Shape, spread: Spread) -> int:
    """Bytes a token that enters a layer takes."""
    return shape.hidden * (4 if spread.whole_precision else spread.product_bytes)


def _normed(width: int, spread: Spread, *, residual: bool) -> int:
    """Bytes of a token that a norm keeps: what came in, in float32, and the same scaled."""
    if spread.dtype == "float32" or (residual and spread.whole_precision):
        return 8 * width
    return 6 * width


def _kept_by_a_layer(shape: Shape, part: MicroBatch, spread: Spread) -> float:
    """Bytes autograd keeps of one layer."""
    small = spread.product_bytes
    queries, keys = shape.query_width, shape.key_width
    both = 2 * (_normed(shape.hidden, spread, residual=True) + shape.hidden * small)
    both += 4 * shape.feed_forward * small
    if shape.norm_of_heads != "none":
        both += _normed(queries + keys, spread, residual=False)
    attended = (2 * queries + 2 * keys) * small  # queries, keys, values and output
    if spread.layout == "packed" or not part.branch_tokens:
        mask = 0 if spread.gpu or not part.branch_tokens else small * part.tokens**2
        return part.tokens * (both + attended) + mask
    own_row = part.answers * (part.suffix + part.answer)
    branches = part.branch_tokens * (both + 7 * queries * small) + own_row * 2 * keys * small
    probabilities = shape.heads * small * (_trunk_pairs(part) + _own_pairs(part))
    return part.trunk_tokens * (both + attended) + branches + probabilities


def _trunk_pairs(part: MicroBatch) -> int:
    return part.branch_tokens * part.trunk


def _own_pairs(part: MicroBatch) -> int:
    return part.answers * part.answer * (part.suffix + part.answer) + part.cuts * part.suffix**2


def _passing(shape: Shape, part: MicroBatch, spread: Spread) -> float:
    """Bytes of gradients on their way through one layer, at most."""
    widest = part.tokens
    if spread.layout == "two-pass" and part.branch_tokens:
        widest = max(part.trunk_tokens, part.branch_tokens)
    feed_forward = (2 * shape.feed_forward + 2 * shape.hidden) * widest * spread.product_bytes
    if spread.layout == "packed" or not part.branch_tokens:
        return feed_forward
    # scores in float32 twice, when of the layer's own feed-forward part nothing is held any more, or yet
    scores = 8 * shape.heads * _trunk_pairs(part)
    without = (4 * shape.feed_forward + 3 * shape.hidden) * part.branch_tokens * spread.product_bytes
    return max(feed_forward, scores - without)


def _scored(load: Load, part: MicroBatch) -> tuple[tuple[int, ...], int]:
    """Scored tokens of answers and of documents, and how often the head is asked."""
    answers = part.answers * part.answer
    documents = part.documents * part.trunk if load.scores_document or not load.group else 0
    return (answers, documents), (answers > 0) + (documents > 0)


def _ends(shape: Shape, part: MicroBatch, scored: int, spread: Spread) -> float:
    """Bytes beside the layers: the last norm, the states that are scored, sight and places."""
    slots = _normed(shape.hidden, spread, residual=True) + 4 * shape.hidden
    ends = part.tokens * slots + scored * 4 * shape.hidden + part.tokens * 8 * shape.head_width
    if spread.layout == "two-pass" and part.branch_tokens:
        ends += 4 * part.tokens * shape.hidden  # both passes' states, side by side
        return ends + 4 * (_trunk_pairs(part) + _own_pairs(part))
    return ends + (0 if spread.gpu or not part.branch_tokens else part.tokens**2)
