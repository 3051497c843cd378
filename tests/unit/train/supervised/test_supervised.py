"""Base model and cold start: they learn, stop, go on with the same bytes, and say what they left out."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import EngineError, RecipeError, ResumeError, StarvedError, Stopped
from rpt_core.objectives.problems.question import Problem
from rpt_core.objectives.prompts import problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, ModelShape, Optimiser
from rpt_core.train.backends.muon import Muon, orthogonalised
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.supervised.base import train_base
from rpt_core.train.supervised.cold_start import train_cold_start
from rpt_core.train.supervised.lessons import PlainDocuments, SolvedProblems, TracedDocuments, _placed
from rpt_core.train.supervised.loop import learn_answers
from rpt_core.train.supervised.windows import Windows, shuffled
from tests.toys import gradients, random_tree, relative_error, tiny_policy
from tests.unit.corpus.small_corpus import write_corpus

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
SHAPE = ModelShape(
    hidden_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, intermediate_size=64,
    vocab_size=640, context_tokens=160,
)  # fmt: skip
MUON = Optimiser(name="muon", learning_rate=6e-3, betas=(0.9, 0.95), warmup_steps=2)


def base_recipe(**changes) -> BaseRecipe:
    given = {"model": SHAPE, "steps": 6, "documents_per_step": 3, "optimiser": MUON, **changes}
    return BaseRecipe(corpus=NOWHERE, **given)


def cold_recipe(**changes) -> ColdStartRecipe:
    given = {"steps": 4, "documents_per_step": 2, "problems_per_step": 2, "optimiser": MUON, **changes}
    return ColdStartRecipe(corpus=NOWHERE, base=NOWHERE, **given)


def build_in(folder: Path, **inputs: Path) -> LocalBuild:
    return LocalBuild(inputs, folder / "out", folder / "scratch")


class StopsAt(LocalBuild):
    """Asks to stop once ``at`` steps were logged."""

    at = 0

    def stopping(self) -> bool:
        path = self.out / "metrics.jsonl"
        return self.at > 0 and path.exists() and len(path.read_text().splitlines()) >= self.at


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), 60, extra=("x", "word " * 400))


@pytest.fixture(scope="module")
def base(corpus: Path, tmp_path_factory) -> LocalBuild:
    build = build_in(tmp_path_factory.mktemp("base"), corpus=corpus)
    build.outcome = train_base(base_recipe(steps=30), build)  # type: ignore[attr-defined]
    return build


def losses(build: LocalBuild, name: str = "loss") -> list[float]:
    return [json.loads(line)[name] for line in (build.out / "metrics.jsonl").read_text().splitlines()]


def same_weights(left: Path, right: Path) -> bool:
    a, b = (load_file(folder / "model" / "model.safetensors") for folder in (left, right))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_base_learns_and_counts_what_it_read(base: LocalBuild):
    outcome = base.outcome  # type: ignore[attr-defined]
    found = losses(base)
    assert np.mean(found[-5:]) < 0.6 * found[0]
    assert outcome.rows.dropped == {"too-short": 1}
    assert outcome.summary["long_documents"] == 1
    assert outcome.summary["held_out_nll_nats"] < found[0]
    assert outcome.flops > 0


def test_the_base_is_an_ordinary_hugging_face_folder(base: LocalBuild):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base.out / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == len(Codec.load(folder))
    assert model.config.model_type == "qwen3"


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_stopped_base_goes_on_to_the_same_bytes(corpus: Path, tmp_path: Path, stop_at: int):
    whole = build_in(tmp_path / "whole", corpus=corpus)
    train_base(base_recipe(), whole)
    parted = StopsAt({"corpus": corpus}, tmp_path / "parted" / "out", tmp_path / "parted" / "scratch")
    parted.at = stop_at
    with pytest.raises(Stopped, match=f"after step {stop_at} of 6"):
        train_base(base_recipe(), parted)
    parted.at = 0
    train_base(base_recipe(), parted)
    assert same_weights(whole.out, parted.out)
    assert losses(whole) == losses(parted)


def test_a_stopped_cold_start_goes_on_to_the_same_bytes(corpus: Path, base: LocalBuild, tmp_path: Path):
    inputs = {"corpus": corpus, "base": base.out}
    whole = build_in(tmp_path / "whole", **inputs)
    train_cold_start(cold_recipe(), whole)
    parted = StopsAt(inputs, tmp_path / "parted" / "out", tmp_path / "parted" / "scratch")
    parted.at = 2
    with pytest.raises(Stopped):
        train_cold_start(cold_recipe(), parted)
    parted.at = 0
    train_cold_start(cold_recipe(), parted)
    assert same_weights(whole.out, parted.out)
    assert losses(whole) == losses(parted)


def test_the_update_does_not_depend_on_the_micro_batch(corpus: Path, base: LocalBuild, tmp_path: Path):
    inputs = {"corpus": corpus, "base": base.out}
    found = []
    for budget in (16_384, 120):
        build = build_in(tmp_path / str(budget), **inputs)
        build.numerics = build.numerics.model_copy(update={"tokens_per_micro_batch": budget})
        train_cold_start(cold_recipe(steps=1), build)
        found.append(
            [losses(build, name)[0] for name in ("loss", "nll_nats", "answer_nll_nats", "gradient_norm")]
        )
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def format_rate(model: Path, corpus: Path) -> float:
    """Share of answers with a box after a thought, at held-out places."""
    from rpt_core.objectives.next_token.prefix import read
    from rpt_core.objectives.next_token.prompts import next_token_prompt
    from rpt_core.objectives.verdicts import answer_bytes

    policy = load_policy(model)
    prompt = next_token_prompt("auto", policy.codec)
    held_out = TracedDocuments.open(
        corpus, "eval", policy.codec, prompt, window_tokens=160, thought_tokens_max=64
    )
    trunks = [held_out.lesson(i, np.random.default_rng(0)).trunk for i in range(len(held_out))]
    drawn = TorchEngine(policy).generate(trunks, Sampling(1.0, 40, policy.codec.end_ids, 4, 0), 0)
    samples = [sample for trunk in drawn for cut in trunk for sample in cut]
    return float(
        np.mean([s.finish == "stop" and read(answer_bytes(s, policy.codec)) is not None for s in samples])
    )


@pytest.mark.slow
def test_the_cold_start_teaches_the_form(corpus: Path, base: LocalBuild, tmp_path: Path):
    build = build_in(tmp_path, corpus=corpus, base=base.out)
    outcome = train_cold_start(cold_recipe(steps=120, documents_per_step=4), build)
    assert outcome.summary["traced"] is True
    assert outcome.rows.rows_in == outcome.rows.kept + sum(outcome.rows.dropped.values())
    assert losses(build, "answer_nll_nats")[-1] < losses(build, "answer_nll_nats")[0] / 2
    before, after = (format_rate(folder / "model", corpus) for folder in (base.out, build.out))
    assert before < 0.05
    assert after > 0.5


def test_without_traces_the_form_is_taught_by_the_text_itself(base: LocalBuild, tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", 20, 1, traces=False)
    build = build_in(tmp_path, corpus=corpus, base=base.out)
    outcome = train_cold_start(cold_recipe(think_share=1.0, ntp_weight=0.5), build)
    documents, answers = (losses(build, name) for name in ("nll_nats", "answer_nll_nats"))
    assert min(documents) > 0
    assert min(answers) > 0
    assert answers != documents
    assert outcome.summary["final_nll_nats"] == documents[-1]
    assert outcome.summary["final_answer_nll_nats"] == answers[-1]
    assert outcome.summary["traced"] is False
    assert outcome.summary["problems"] == 0
    assert outcome.rows.by_source["windows"].kept >= 18


def test_only_the_wanted_kinds_of_traces_are_shown(corpus: Path, base: LocalBuild, tmp_path: Path):
    shown = {}
    for kinds in ((), ("*-1",), ("clock-*",)):
        build = build_in(tmp_path / str(len(shown)), corpus=corpus, base=base.out)
        recipe = cold_recipe(steps=1, trace_kinds=kinds)
        shown[kinds] = train_cold_start(recipe, build).rows.by_source["traces"].kept
    assert 0 < shown[("clock-*",)] < shown[("*-1",)] < shown[()]


@pytest.mark.parametrize("form", ["next-token", "segments"])
@pytest.mark.parametrize("kinds", [("clokc-*",), ("clock-*", "clokc-*")])
def test_a_pattern_of_traces_that_matches_nothing_is_refused(
    corpus: Path, base: LocalBuild, tmp_path: Path, form, kinds
):
    """It used to fall back to lessons of the form alone without a word."""
    build = build_in(tmp_path, corpus=corpus, base=base.out)
    with pytest.raises(RecipeError, match=r"trace_kinds clokc-\* match no trace .* which has .*clock-"):
        train_cold_start(cold_recipe(steps=1, trace_kinds=kinds, form=form), build)


def test_patterns_of_traces_are_refused_where_there_are_none(base: LocalBuild, tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", 20, 1, traces=False)
    build = build_in(tmp_path, corpus=corpus, base=base.out)
    with pytest.raises(RecipeError, match="no trace at all"):
        train_cold_start(cold_recipe(trace_kinds=("*",)), build)


def test_a_thought_leads_to_the_truth_after_it(corpus: Path, base: LocalBuild):
    from rpt_core.objectives.next_token.prompts import next_token_prompt

    codec = Codec.load(base.out / "model")
    prompt = next_token_prompt("auto", codec)
    found = TracedDocuments.open(corpus, "train", codec, prompt, window_tokens=64, thought_tokens_max=64)
    assert found.balance.kept == 54 * 5
    for index in range(0, len(found), 7):
        lesson = found.lesson(index, np.random.default_rng(index))
        assert sum(not answer.thinks for at in lesson.answers for answer in at) == 1
        for cut, at in zip(lesson.trunk.cuts, lesson.answers, strict=True):
            rest = codec.decode(lesson.trunk.document_ids[cut.position :])
            for answer in at:
                thought, _, box = codec.decode(answer.ids).partition("</think>\\boxed{")
                assert rest.startswith(box.removesuffix("}<|end|>"))
                assert bool(thought) == answer.thinks
                assert not thought or thought.endswith(
                    codec.decode(lesson.trunk.document_ids[cut.position :][:1])
                )


def test_form_lessons_cut_between_characters(base: LocalBuild, tmp_path: Path):
    from rpt_core.objectives.next_token.prompts import next_token_prompt

    corpus = write_corpus(tmp_path, 1, 1, traces=False, extra=("数学は言葉であり、言葉は数学ではない。" * 3,))
    codec = Codec.load(base.out / "model")
    windows = Windows.build(corpus, "train", codec, 80, tmp_path / "tokens")
    plain = PlainDocuments(windows, next_token_prompt("auto", codec), codec)
    for index in range(len(plain)):
        lesson = plain.lesson(index, np.random.default_rng(0))
        offsets = codec.char_offsets(lesson.trunk.document_ids)
        assert all(offsets[cut.position] >= 0 for cut in lesson.trunk.cuts)


def test_nothing_to_learn_from_is_a_named_end(base: LocalBuild, tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", 1, 1)
    with pytest.raises(StarvedError, match="nothing to train on"):
        train_base(base_recipe(), build_in(tmp_path / "a", corpus=corpus))
    with pytest.raises(StarvedError, match="nothing to learn from"):
        train_cold_start(cold_recipe(), build_in(tmp_path / "b", corpus=corpus, base=base.out))


def test_a_loss_that_is_not_finite_publishes_nothing(corpus: Path, tmp_path: Path):
    wild = MUON.model_copy(update={"name": "adamw", "learning_rate": 1e30, "warmup_steps": 0})
    build = build_in(tmp_path, corpus=corpus)
    with pytest.raises(EngineError, match="last good step was"):
        train_base(base_recipe(optimiser=wild), build)
    assert not (build.out / "model").exists()


def test_a_checkpoint_of_another_model_is_refused(corpus: Path, tmp_path: Path):
    build = StopsAt({"corpus": corpus}, tmp_path / "out", tmp_path / "scratch")
    build.at = 1
    with pytest.raises(Stopped):
        train_base(base_recipe(), build)
    build.at = 0
    other = SHAPE.model_copy(update={"hidden_size": 48})
    with pytest.raises(ResumeError, match="another model"):
        train_base(base_recipe(model=other), build)


def test_a_checkpoint_of_an_earlier_version_is_refused(corpus: Path, tmp_path: Path):
    build = StopsAt({"corpus": corpus}, tmp_path / "out", tmp_path / "scratch")
    build.at = 1
    with pytest.raises(Stopped):
        train_base(base_recipe(), build)
    build.at = 0
    shutil.rmtree(build.saves[1] / "model")  # which held weights.safetensors instead
    with pytest.raises(ResumeError, match=r"checkpoint of step 1 was written by an earlier version"):
        train_base(base_recipe(), build)


def test_a_given_model_is_taken_as_it_is(base: LocalBuild, tmp_path: Path):
    source = base.out / "model"
    build = build_in(tmp_path)
    outcome = train_base(base_recipe(model=GivenModel(name=str(source))), build)
    assert same_weights(base.out, build.out)
    assert outcome.summary["trained"] is False
    assert outcome.summary["parameters"] == load_policy(source).num_parameters


def test_pickled_weights_are_refused_by_name(base: LocalBuild, tmp_path: Path):
    shutil.copytree(base.out / "model", tmp_path / "given")
    (tmp_path / "given" / "model.safetensors").rename(tmp_path / "given" / "pytorch_model.bin")
    with pytest.raises(RecipeError, match="a pickle may run any code"):
        train_base(base_recipe(model=GivenModel(name=str(tmp_path / "given"))), build_in(tmp_path))


def test_every_epoch_draws_each_once():
    for num, per_step in ((10, 3), (4, 6), (1, 3)):
        drawn = np.concatenate([shuffled(num, per_step, step, seed=1) for step in range(1, 2 * num + 1)])
        for epoch in range(len(drawn) // num):
            assert sorted(drawn[epoch * num : (epoch + 1) * num]) == list(range(num))


def test_muon_is_torchs_muon():
    torch.manual_seed(0)
    shapes = ((24, 8), (8, 24), (8, 24), (16, 16))
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    mine = Muon(ours, 1e-2, momentum=0.9, weight_decay=0.05)
    torchs = torch.optim.Muon(theirs, 1e-2, 0.05, 0.9, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        mine.step()
        torchs.step()
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).detach().norm() / b.detach().norm()) < 1e-3  # torch's products are bfloat16


def test_orthogonalised_matrices_have_singular_values_near_one():
    values = torch.linalg.svdvals(orthogonalised(torch.randn(3, 16, 40)))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_the_loss_of_given_answers_does_not_depend_on_micro_batches(tmp_path: Path):
    """Answers of unlike length, in one pass and in several: one mean over the whole batch's tokens."""
    trunks, answers = random_tree(3, [[(0, 2), (6, 1)], [(4, 3)], [(9, 0)]], group=1, longest=9)
    lengths = [len(answer) for of_trunk in answers for of_cut in of_trunk for answer in of_cut]
    assert len(set(lengths)) > 2
    rng = np.random.default_rng(0)
    weights = [
        [[rng.integers(0, 3, len(answer)).astype(float).tolist() for answer in of_cut] for of_cut in of_trunk]
        for of_trunk in answers
    ]
    found = {}
    for budget in (1, 30, 10_000):
        build = build_in(tmp_path / str(budget))
        build.numerics = build.numerics.model_copy(update={"tokens_per_micro_batch": budget})
        policy = tiny_policy(sharpness=1.5)
        learned = learn_answers(TorchBackend(policy, Optimiser(), 1), trunks, answers, weights, build)
        found[budget] = learned.loss, gradients(policy)
        assert learned.metrics == {"answer_nll_nats": learned.loss}
    scores = branch_logprobs(tiny_policy(sharpness=1.5), trunks, answers, "rows", with_document=False)
    flat = np.concatenate([w for of_trunk in weights for of_cut in of_trunk for w in of_cut])
    expected = -(flat * scores.logprobs_N.detach().numpy()).sum() / flat.sum()
    for loss, gradient in found.values():
        assert loss == pytest.approx(expected, rel=1e-5)
        assert relative_error(gradient, found[10_000][1]) < 1e-4


def test_traces_that_cannot_be_shown_are_counted_by_reason(base: LocalBuild):
    codec = load_policy(base.out / "model").codec
    text = "The clock shows 3. It is late."
    ids, at = codec.encode(text), [o for o in codec.char_offsets(codec.encode(text)) if o > 0]
    dropped: Counter[str] = Counter()
    traces = [
        (at[1], "first"),
        (at[1], "second"),
        (at[0], "a word " * 30),
        (10**6, "nowhere"),
        (at[2], "last"),
    ]
    found = _placed(traces, ids, codec, 20, dropped)
    assert dropped == {"same-place": 1, "thought-too-long": 1, "no-token-starts-there": 1}
    assert [codec.decode(thought) for _, thought in found] == ["first", "last"]


def test_problems_without_a_fitting_solution_are_counted_by_what_they_lack(base: LocalBuild):
    codec = load_policy(base.out / "model").codec
    problems = [
        Problem("kept", "1 plus 1", "one and one make two", "2"),
        Problem("bare", "2 plus 2", "", "4"),
        Problem("thought", "3 plus 3", "three and three " * 20, "6"),
        Problem("asked", "4 plus 4 " * 40, "eight", "8"),
    ]
    solved = SolvedProblems.of(
        problems, codec, problem_prompt("compact", codec), context_tokens=60, thought_tokens_max=30
    )
    assert [key for key, *_ in solved.items] == ["kept"]
    assert solved.balance.dropped == {"no-solution": 1, "thought-too-long": 1, "too-long": 1}
    assert (solved.balance.rows_in, solved.balance.kept) == (4, 1)
