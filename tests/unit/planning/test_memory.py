"""The model of memory beside the storages torch really keeps, and what must hold for any size."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from rpt_core.planning import memory as memory_module
from rpt_core.planning.load import Load, MicroBatch, micro_batch
from rpt_core.planning.memory import FRAMEWORK_BYTES, MemoryPlan, Spread, memory
from rpt_core.planning.shape import Shape
from rpt_core.policy import head
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import document_scores
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import micro_batches
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.rl.lessons import PolicyExample, scales_of
from rpt_core.train.rl.state import Trainer
from rpt_core.train.rl.step import accumulate
from rpt_core.train.supervised.loop import learn_answers
from tests.live_bytes import LiveBytes
from tests.toys import NO_CODEC, ToyObjective, tiny_config
from tests.unit.train.rl.test_step import RECIPE

WITHIN = 0.10
STATES = ("weights", "gradients", "master, moments")
GPU = Spread(engine="vllm", layout="packed", dtype="bfloat16")
SMALL = Shape(
    hidden=256, layers=4, heads=8, kv_heads=4, head_width=32, feed_forward=512, vocab=4000, tied=False
)
TREE = Load(documents=16, trunk=512, cuts=4, suffix=8, group=8, answer=256, draws=True, scores_document=True)


def make_policy(kind: str, *, tied: bool, **sizes: int) -> Policy:
    torch.manual_seed(0)
    config = tiny_config(kind, tied=tied, **sizes)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    return Policy(model, NO_CODEC, config)


def make_tree(load: Load) -> tuple[list[Trunk], list[list[list[tuple[int, ...]]]]]:
    """Trunks and answers of a load, every one at its full length."""
    cuts = tuple(
        Cut(load.trunk * (number + 1) // load.cuts, (2,) * load.suffix) for number in range(load.cuts)
    )
    trunks = [Trunk(str(i), (), (3,) * load.trunk, cuts) for i in range(load.documents)]
    return trunks, [[[(5,) * load.answer] * load.group for _ in cuts] for _ in trunks]


def lessons_of(load: Load) -> list[PolicyExample]:
    trunks, answers = make_tree(load)
    drawn = [[(-1.0,) * load.answer] * load.group for _ in range(load.cuts)]
    gains = [[float(number % 2) - 0.5 for number in range(load.group)] for _ in range(load.cuts)]
    counts = [[True] * load.group for _ in range(load.cuts)]
    return [
        PolicyExample(trunk, given, drawn, gains, counts, len(given), frozenset())
        for trunk, given in zip(trunks, answers, strict=True)
    ]


def peak_of(policy: Policy, backend: TorchBackend, learn: Any) -> tuple[float, float]:
    """Largest number of live bytes in the second step, moments being there, and those between steps."""
    with LiveBytes() as live:
        for parameter in policy.model.parameters():
            live.add(parameter)
        learn()
        backend.step(1)
        between = live.now
        live.restart()
        learn()
        backend.step(2)
    return float(live.peak), float(between)


def without_framework(found: MemoryPlan, spread: Spread) -> float:
    return found.peak - FRAMEWORK_BYTES[spread.gpu]


@pytest.mark.parametrize(
    ("name", "kind", "tied", "sizes", "load", "spread"),
    [
        (
            "two-pass update",
            "qwen3",
            True,
            {"vocab": 2000, "hidden_size": 64, "num_hidden_layers": 4, "head_dim": 16,
             "intermediate_size": 160},
            Load(documents=4, trunk=200, cuts=2, suffix=4, group=4, answer=30, scores_document=True),
            Spread(gpu=False, micro_batch_tokens=1000),
        ),
        (
            "packed update, checkpointed",
            "llama",
            False,
            {"vocab": 300, "hidden_size": 96, "num_hidden_layers": 6, "head_dim": 24,
             "intermediate_size": 256},
            Load(documents=2, trunk=150, cuts=1, suffix=6, group=6, answer=60),
            Spread(gpu=False, layout="packed", checkpointed=True, micro_batch_tokens=600),
        ),
        (
            "two-pass update, documents alone",
            "llama",
            True,
            {"vocab": 400, "hidden_size": 64, "num_hidden_layers": 4, "head_dim": 16,
             "intermediate_size": 160},
            Load(documents=2, trunk=160, cuts=2, suffix=4, group=3, answer=20, raw_documents=True),
            Spread(gpu=False, micro_batch_tokens=1000),
        ),
        (
            "supervised step",
            "qwen2",
            False,
            {"vocab": 5000, "hidden_size": 48, "num_hidden_layers": 3, "head_dim": 12,
             "intermediate_size": 200},
            Load(documents=6, trunk=120, group=1, answer=80),
            Spread(gpu=False, micro_batch_tokens=700),
        ),
    ],
)  # fmt: skip
def test_within_a_tenth_of_what_torch_keeps(name, kind, tied, sizes, load, spread):
    policy = make_policy(kind, tied=tied, **sizes)
    backend = TorchBackend(policy, Optimiser(learning_rate=1e-3), 4)
    if spread.checkpointed:
        policy.checkpoint_activations()
    if name == "supervised step":
        trunks, answers = make_tree(load)
        ones = [[[[1.0] * len(ids) for ids in cut] for cut in tree] for tree in answers]
        numerics = SimpleNamespace(tokens_per_micro_batch=spread.micro_batch_tokens, layout=spread.layout)
        build = cast(Any, SimpleNamespace(numerics=numerics))
        theirs, between = peak_of(
            policy, backend, lambda: learn_answers(backend, trunks, answers, ones, build)
        )
    else:
        watched = load.scores_document or load.raw_documents
        text = "raw" if load.raw_documents else "instructed"
        recipe = RECIPE.model_copy(update={"ntp_weight": 0.1 * watched, "ntp_text": text})
        trainer = Trainer(
            recipe, policy, TorchEngine(policy), ToyObjective(64), backend, spread.layout,
            spread.micro_batch_tokens,
        )  # fmt: skip
        lessons = lessons_of(load)
        scales = scales_of(trainer, lessons)
        theirs, between = peak_of(policy, backend, lambda: accumulate(trainer, lessons, scales))
    shape = Shape.of_config(policy.config.to_dict(), kind)
    ours = memory(shape, load, spread)
    print(f"{name}: ours {without_framework(ours, spread) / theirs:.3f} of {theirs / 1e6:.1f} MB")
    assert shape.parameters == policy.num_parameters
    assert between == pytest.approx(ours.part("weights") + ours.part("moments"), rel=0.02)
    assert without_framework(ours, spread) == pytest.approx(theirs, rel=WITHIN)
    assert theirs > 2 * between  # else the states alone would hide wrong activations


def test_keys_and_values_of_answers_that_are_drawn():
    """Nearly all of a small model's memory while it draws, with a vocabulary of a few tokens."""
    sizes = {"vocab": 64, "hidden_size": 32, "num_hidden_layers": 2, "head_dim": 64, "intermediate_size": 48}
    policy = make_policy("qwen3", tied=True, **sizes)
    load = Load(documents=2, trunk=100, cuts=2, suffix=4, group=8, answer=60, trains=False, draws=True)
    trunks, _ = make_tree(load)
    sampling = Sampling(
        temperature=1.0, max_new_tokens=load.answer, stop_ids=frozenset(), group_size=load.group, seed=0
    )
    with LiveBytes() as live:
        for parameter in policy.model.parameters():
            live.add(parameter)
        TorchEngine(policy).generate(trunks, sampling, 1)
    spread = Spread(gpu=False)
    found = memory(Shape.of_config(policy.config.to_dict(), "toy"), load, spread)
    assert without_framework(found, spread) == pytest.approx(live.peak, rel=WITHIN)
    assert found.part("keys and values") > 0.8 * live.peak


def test_the_counter_counts_what_is_alive():
    with LiveBytes() as live:
        one = torch.zeros(1000)
        view = one[:10]
        assert live.now == 4000
        two = one + 1
        assert live.now == 8000
        del one
        assert live.now == 8000, "a view keeps the storage"
        del view, two
    assert (live.now, live.peak) == (0, 8000)
    weight = torch.ones(500, requires_grad=True)
    with LiveBytes() as live:
        live.add(weight)
        live.add(weight)
        weight.pow(2).sum().backward()
        assert live.now == 4000  # the parameter and its gradient
        assert live.peak >= 6000


@pytest.mark.parametrize("budget", [1, 700, 2_500, 9_000, 100_000])
def test_micro_batches_are_cut_as_the_trainer_cuts_them(budget):
    load = Load(documents=3, trunk=300, cuts=2, suffix=5, group=4, answer=50)
    cut = micro_batches(*make_tree(load), budget)
    largest = max(cut, key=lambda parts: sum(part.num_tokens for part in parts))
    found = micro_batch(load, budget)
    assert found.documents == len(largest)
    assert found.answers == pytest.approx(sum(len(part.branches) for part in largest), abs=1)


@given(
    stage=st.integers(0, 3), ranks=st.sampled_from([1, 2, 8]), layers=st.integers(1, 40),
    hidden=st.sampled_from([64, 512, 4096]), again=st.booleans(),
    layout=st.sampled_from(["two-pass", "packed"]), gpu=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_more_of_anything_takes_more(stage, ranks, layers, hidden, again, layout, gpu):
    def need(load: Load = TREE, **changes: Any) -> float:
        sizes = {name: getattr(SMALL, name) for name in Shape.__dataclass_fields__}
        shape = Shape(**{**sizes, "layers": layers, "hidden": hidden, **changes})
        spread = Spread(
            gpu=gpu, ranks=ranks, zero_stage=stage, engine="vllm", layout=layout, dtype="bfloat16",
            checkpointed=again and layout == "packed", micro_batch_tokens=10**6,
        )  # fmt: skip
        return memory(shape, load, spread).peak

    least = need()
    assert need(layers=layers + 1) > least
    assert need(hidden=2 * hidden) > least
    assert need(vocab=8000) > least
    assert need(load_with(trunk=1024)) >= least
    assert need(load_with(references=1)) > least
    assert need(load_with(judge=SMALL)) >= least


def load_with(**changes: Any) -> Load:
    return Load(**{**{name: getattr(TREE, name) for name in Load.__dataclass_fields__}, **changes})


def test_a_longer_micro_batch_takes_more():
    peaks = [memory(SMALL, TREE, spread_with(micro_batch_tokens=n)).peak for n in (1_000, 4_000, 16_000)]
    assert peaks == sorted(set(peaks))
    again = memory(SMALL, TREE, spread_with(micro_batch_tokens=16_000, checkpointed=True))
    assert again.part("activations") < memory(SMALL, TREE, spread_with()).part("activations") / 2


def spread_with(**changes: Any) -> Spread:
    return Spread(**{**{name: getattr(GPU, name) for name in Spread.__dataclass_fields__}, **changes})


@pytest.mark.parametrize(
    ("stage", "divided"),
    [(1, ["master, moments"]), (2, ["master, moments", "gradients"]), (3, [*STATES])],
)
def test_a_stage_divides_what_it_should(stage, divided):
    one, eight = (memory(SMALL, TREE, spread_with(zero_stage=stage, ranks=n)) for n in (1, 8))
    for part in STATES:
        assert one.part(part) == pytest.approx(eight.part(part) * (8 if part in divided else 1))


def test_states_of_plain_torch_and_of_zero():
    """16 bytes a parameter with AdamW in float32; 2 + 2 + 16 in DeepSpeed's bfloat16, one rank."""
    count = SMALL.parameters
    plain = memory(SMALL, TREE, spread_with())
    assert sum(plain.part(name) for name in ("weights", "gradients", "moments")) == 16 * count
    zero = memory(SMALL, TREE, spread_with(zero_stage=1))
    assert sum(zero.part(name) for name in ("weights", "gradients", "master, moments")) == 20 * count
    away = memory(SMALL, TREE, spread_with(zero_stage=1, offload=True))
    assert away.part("master, moments") == 0
    assert away.host_bytes == 16 * count
    muon = memory(SMALL, load_with(muon=True), spread_with())
    assert plain.part("moments") - muon.part("moments") == 4 * SMALL.layers * SMALL.layer_matrices


def test_an_engine_over_several_gpus_divides_weights_and_cache():
    one, four = (memory(SMALL, TREE, spread_with(ranks=4, tensor_parallel=n)) for n in (1, 4))
    for part in ("engine's weights", "keys and values"):
        assert one.part(part) == 4 * four.part(part)
    eight = memory(SMALL, TREE, spread_with(ranks=8, tensor_parallel=8))
    assert eight.part("keys and values") == four.part("keys and values")  # there are four key heads


def test_logits_are_held_by_the_heads_own_constants():
    assert {
        True: head.CHUNK_ELEMENTS["cuda"],
        False: head.CHUNK_ELEMENTS["cpu"],
    } == memory_module.CHUNK_ELEMENTS
    assert memory_module.SCORING_ELEMENTS[False] == head.SCORING_ELEMENTS
    assert memory_module.SCORING_ELEMENTS[True] == head.CHUNK_ELEMENTS["cuda"]
    assert memory_module.CHUNK_TOKENS_LEAST == head.FEWEST_TOKENS


def test_a_scoring_pass_is_within_a_tenth_of_what_torch_keeps():
    sizes = {
        "vocab": 9000,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "head_dim": 16,
        "intermediate_size": 160,
    }
    policy = make_policy("qwen3", tied=True, **sizes)
    load = Load(documents=8, trunk=250, trains=False, scores_document=True)
    trunks = [Trunk(str(i), (), (3,) * load.trunk) for i in range(load.documents)]
    with LiveBytes() as live, torch.no_grad():
        for parameter in policy.model.parameters():
            live.add(parameter)
        document_scores(policy, trunks, top_k=16)
    spread = Spread(gpu=False)
    found = memory(Shape.of_config(policy.config.to_dict(), "toy"), load, spread)
    assert without_framework(found, spread) == pytest.approx(live.peak, rel=WITHIN)
    assert found.part("logits") > 0.7 * live.peak


def test_a_sharded_trainer_draws_from_a_whole_copy_and_a_read_model_is_cast_by_nobody():
    torch_engine = spread_with(engine="torch", zero_stage=3, ranks=8, tensor_parallel=1)
    assert memory(SMALL, TREE, torch_engine).part("engine's weights") == 2 * SMALL.parameters
    reads = load_with(trains=False)
    assert memory(SMALL, reads, spread_with(engine="torch")).part("cast weights") == 0
    assert memory(SMALL, TREE, spread_with(engine="torch")).part("cast weights") > 0


def test_phases_do_not_add_up():
    """While the update runs, the engine sleeps."""
    found = memory(SMALL, TREE, GPU)
    rollout = sum(row.bytes for row in found.rows if row.phase == "rollout")
    update = sum(row.bytes for row in found.rows if row.phase == "update")
    assert rollout > 0
    assert update > 0
    assert found.peak == found.always + max(rollout, update, found.part("optimiser's step"))
    assert isinstance(micro_batch(TREE, 1), MicroBatch)
