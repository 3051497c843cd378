"""docs/extending.md: every block runs as printed, every row fits its file, and what they add works.

A block becomes the module the page names. A diff is applied to the file it names, and the outcome is run in
the place of that file; recipes are run beside it, since classes of recipes are compared by identity.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType

import pyarrow.parquet as pq
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file

from flows.recipes.named import NAMED
from flows.recipes.overrides import overridden
from flows.recipes.trees import walk
from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus import readers
from rpt_core.corpus.ingest import ingest
from rpt_core.errors import EngineError
from rpt_core.objectives.evidence import Evidence
from rpt_core.objectives.objective import Verdict
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.objectives import RlpObjective
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.rl.reinforce import train_policy
from tests.conftest import ROOT
from tests.contracts import test_backends, test_benchmarks, test_engines
from tests.contracts.test_benchmarks import TEXT, root  # noqa: F401  (fixture)
from tests.toys import judge_group, tiny_policy
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.objectives.test_objectives import answer, policy_recipe
from tests.unit.train.rl.test_reinforce import _metrics
from tests.unit.train.rl.test_step import RECIPE

LINES_MAX = 39
"""Of a block, blank ones not counted."""
PAGE = (ROOT / "docs/extending.md").read_text()
PARTS = re.split(r"^## ", PAGE, flags=re.M)[1:]


@dataclass(frozen=True)
class Guide:
    """One section: a new file, and what it changes elsewhere."""

    title: str
    path: str
    block: str
    diffs: tuple[str, ...]

    @classmethod
    def of(cls, part: str) -> "Guide":
        (path,) = re.findall(r"^New file `(\S+)`:$", part, re.M)
        (block,) = re.findall(r"^```python\n(.*?)^```$", part, re.M | re.S)
        diffs = re.findall(r"^```diff\n(.*?)^```$", part, re.M | re.S)
        return cls(part.partition("\n")[0], path, block, tuple(diffs))


GUIDES = {guide.title: guide for guide in map(Guide.of, PARTS)}
each_guide = pytest.mark.parametrize("guide", GUIDES.values(), ids=list(GUIDES))


def patched(diff: str) -> tuple[str, str]:
    """The file a diff is for, and its text with it."""
    first, _, rest = diff.partition("\n")
    path = first.removeprefix("--- ")
    text = (ROOT / path).read_text()
    for hunk in rest.split("@@\n"):
        rows = hunk.splitlines(keepends=True)
        before = "".join(row[1:] for row in rows if row[0] in " -")
        after = "".join(row[1:] for row in rows if row[0] in " +")
        assert text.count(before) == 1, f"{path} has not this once:\n{before}"
        text = text.replace(before, after)
    return path, text


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def last_name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".py")


@pytest.fixture
def added(monkeypatch, tmp_path_factory) -> Callable[[str], dict[str, ModuleType]]:
    """Add what a section adds, for the length of a test: the modules as they are then, by last name."""

    folder = tmp_path_factory.mktemp("added")

    def run(path: str, text: str, module: ModuleType) -> ModuleType:
        file = folder / path.replace("/", "-")  # for pydantic, which reads fields' docstrings in the source
        file.write_text(text)
        exec(compile(text, str(file), "exec"), vars(module))
        return module

    def add(title: str) -> dict[str, ModuleType]:
        guide = GUIDES[title]
        new = ModuleType(module_name(guide.path))
        monkeypatch.setitem(sys.modules, new.__name__, new)
        found: dict[str, ModuleType] = {}
        changed = dict(map(patched, guide.diffs))
        beside = [path for path in changed if "recipes" in path or "artifacts" in path]
        for path in beside:
            module = import_module(module_name(path))
            copy = found[last_name(path)] = run(path, changed.pop(path), ModuleType(module.__name__))
            for name in vars(copy).keys() - vars(module).keys():
                monkeypatch.setattr(module, name, getattr(copy, name), raising=False)
        found["new"] = run(guide.path, guide.block, new)
        for path, text in changed.items():
            module = import_module(module_name(path))
            undo.append((module, dict(vars(module))))
            found[last_name(path)] = run(path, text, module)
        return found

    undo: list[tuple[ModuleType, dict[str, object]]] = []
    yield add
    for module, saved in reversed(undo):
        for name in vars(module).keys() - saved.keys():
            delattr(module, name)
        vars(module).update(saved)


def test_there_are_six_guides():
    assert list(GUIDES) == [
        "A source", "A reward", "A reward with a setting", "A benchmark", "An engine", "A back end",
    ]  # fmt: skip


@each_guide
def test_a_block_is_short_and_every_diff_fits_its_file(guide):
    assert len([row for row in guide.block.splitlines() if row.strip()]) <= LINES_MAX
    assert max(map(len, guide.block.splitlines())) <= 110
    assert guide.diffs
    for diff in guide.diffs:
        path, text = patched(diff)
        compile(text, path, "exec")


@pytest.mark.parametrize("name", ["extending.md", "glossary.md", "architecture.md"])
def test_what_a_page_names_exists(name):
    page = (ROOT / "docs" / name).read_text()
    paths = set(re.findall(r"`((?:rpt_core|tests|docs|flows|infra|tasks)/[\w./]+)`", page))
    links = set(re.findall(r"\]\((\S+\.md)\)", page))
    new = {guide.path for guide in GUIDES.values()}
    assert len(paths) > 20
    assert new <= paths or name != "extending.md"
    assert [path for path in sorted(paths - new) if not (ROOT / path).exists()] == []
    assert [path for path in sorted(new) if (ROOT / path).exists()] == []
    assert [link for link in sorted(links) if not (ROOT / "docs" / link).exists()] == []


def test_a_source_is_ingested(added, tmp_path):
    added("A source")
    (tmp_path / "data").mkdir()
    film = "1\n00:00:01,000 --> 00:00:02,500\nIt is <i>noon</i>.\n\n"
    film += "2\n00:00:03,000 --> 00:00:04,000\nWho\nrang?\n"
    (tmp_path / "data/film.srt").write_bytes("\ufeff".encode() + film.replace("\n", "\r\n").encode())
    (tmp_path / "data/empty.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\n\n")
    (tmp_path / "data/broken.srt").write_bytes(b"1\n\xff\xff")
    (tmp_path / "data/other.txt").write_text("Plain text is read as before.")
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    outcome = ingest(IngestRecipe(data=str(tmp_path / "data")), build)
    documents = pq.read_table(build.out / "documents.parquet").to_pylist()
    assert {row["source"]: row["text"] for row in documents} == {
        "subtitles": "It is noon. Who rang?",
        "text": "Plain text is read as before.",
    }
    dropped = pq.read_table(build.out / "dropped.parquet").to_pylist()
    assert {row["native_id"]: row["reason"] for row in dropped} == {
        "broken.srt": "not-utf-8",
        "empty.srt": "no-prose",
    }
    assert (outcome.rows.rows_in, outcome.rows.kept) == (4, 2)
    assert "3 subtitle files" in outcome.summary["found"]
    assert readers.origin_of("subtitles").priority == 35


def novelty(modules):
    return TypeAdapter(modules["objectives"].TextObjective).validate_python(
        {"name": "novelty", "prompt": "compact", "entropy_floor_nats": 1.0}
    )


def test_a_reward_is_one_minus_what_was_known(added, codec, inputs):
    recipe = policy_recipe().model_copy(update={"objective": novelty(added("A reward"))})
    objective = open_objective(recipe, inputs, codec)
    assert objective.name == "novelty"
    (asked, *_), _ = objective.draw(1, 0, 1)
    truth = asked.questions[0].truth_ids[0]
    drawn = [[[answer(codec, " so", codec.decode([truth])), answer(codec, " so", "?!")]]]
    assert objective.wanted([asked], drawn).plain == [[[truth, truth]]]
    (((right, wrong),),) = objective.verdicts([asked], drawn, Evidence(plain=[[[0.75, 0.75]]]))
    assert [(v.verdict, v.score) for v in (right, wrong)] == [("correct", 0.25), ("wrong", 0.0)]


def test_a_reward_trains_a_tiny_model(added, tmp_path, monkeypatch):
    modules = added("A reward")
    settings = novelty(modules)
    write_corpus(tmp_path / "in", write_model(tmp_path / "in/model"))
    recipe = RECIPE.model_copy(
        update={"objective": settings, "loss": "dr_grpo", "steps": 2, "prompts_per_step": 4, "group_size": 4,
                "context_tokens": 128, "reasoning_tokens": 8,
                "selection": RECIPE.selection.model_copy(update={"drop_equal_from_step": 99})}
    )  # fmt: skip
    chances = []
    settled = modules["new"].Novelty.settled

    def noted(self, verdicts, evidence):
        chances.extend(chance for of_one in evidence.plain for group in of_one for chance in group)
        return settled(self, verdicts, evidence)

    def judged(self, question, sample):  # a model that has learned nothing is never right
        right = sample.token_ids[0] % 2
        return Verdict(float(right), "correct" if right else "wrong", 0, len(sample.token_ids))

    monkeypatch.setattr(modules["new"].Novelty, "settled", noted)
    monkeypatch.setattr(modules["new"].Novelty, "judge", judged)
    build = LocalBuild(dict.fromkeys(("start", "corpus", "difficulty"), tmp_path / "in"), tmp_path / "out",
                       tmp_path / "scratch")  # fmt: skip
    outcome = train_policy(recipe, build)
    assert outcome.summary["steps"] == 2
    assert len(chances) == 2 * 4 * 4
    assert all(0 < chance < 1 for chance in chances)
    rows = [row for row in _metrics(build) if "reward_mean" in row]
    assert all(0 < row["reward_mean"] < 1 and row["policy_loss"] for row in rows)
    start, trained = (
        load_file(folder / "model/model.safetensors") for folder in (tmp_path / "in", build.out)
    )
    assert any(not torch.equal(start[name], trained[name]) for name in start)


def thrift(modules, **settings):
    given = {"name": "thrift", "prompt": "compact", "entropy_floor_nats": 1.0, **settings}
    return TypeAdapter(modules["objectives"].TextObjective).validate_python(given)


def test_a_reward_with_a_setting_charges_for_the_thought(added, codec, inputs):
    modules = added("A reward with a setting")
    with pytest.raises(ValidationError, match="token_price"):
        thrift(modules, token_price=-1)
    recipe = policy_recipe()
    assert thrift(modules).token_price == 0.005
    for price, score in ((0.01, lambda n: 1 - 0.01 * n), (1.0, lambda n: 0.0), (0.0, lambda n: 1.0)):
        settings = thrift(modules, token_price=price)
        objective = open_objective(recipe.model_copy(update={"objective": settings}), inputs, codec)
        assert objective.name == "thrift"
        (asked, *_), _ = objective.draw(1, 0, 1)
        truth = codec.decode([asked.questions[0].truth_ids[0]])
        samples = [answer(codec, " so", truth), answer(codec, " so it is", truth), answer(codec, " so", "?!")]
        short, long, wrong = judge_group(objective, asked, 0, samples)
        assert 0 < short.thought_tokens < long.thought_tokens
        assert short.score == pytest.approx(score(short.thought_tokens))
        assert long.score == pytest.approx(score(long.thought_tokens))
        assert (wrong.verdict, wrong.score) == ("wrong", 0.0)
        assert {short.verdict, long.verdict} == {"correct"}


@pytest.fixture
def last_words(added, monkeypatch):
    modules = added("A benchmark")
    recipe = modules["evaluation"].EvaluationRecipe
    mode = TypeAdapter(recipe).validate_python({**dict(TEXT), "modes": ("last-word",)}).modes
    assert mode == ("last-word",)
    monkeypatch.setattr(test_benchmarks, "EvaluationRecipe", recipe)
    monkeypatch.setattr(test_benchmarks, "BENCHMARKS", modules["registry"].BENCHMARKS)
    return modules["new"].LastWords


def test_a_benchmark_keeps_the_contract(last_words, root, tmp_path, monkeypatch):  # noqa: F811
    test_benchmarks.test_every_mode_of_a_recipe_is_served_by_one_row()
    test_benchmarks.test_items_are_drawn_by_seed_and_never_by_the_model(root, last_words)
    test_benchmarks.test_what_was_looked_at_was_asked_or_left_out_for_a_reason(root, last_words)
    test_benchmarks.test_unread_is_not_wrong_and_the_truth_is_right(root, last_words)
    test_benchmarks.test_answers_are_as_many_as_announced_and_graded(root, last_words, monkeypatch)
    test_benchmarks.test_rows_scores_and_counts_add_up_and_a_second_run_is_equal(root, last_words, tmp_path)


def test_a_benchmark_asks_for_the_word_that_was_taken_off(last_words, root):  # noqa: F811
    one = test_benchmarks.opened(root, last_words)
    texts = {
        row["doc_id"]: row["text"] for row in pq.read_table(root / "corpus/documents.parquet").to_pylist()
    }
    for asked in one.asked:
        shown = one.solve.codec.decode(asked.trunk.document_ids)
        (question,) = asked.questions
        assert f"{shown} {question.truth}." == f"Which word comes next? {texts[question.document]}"


@pytest.fixture
def one_by_one(added):
    modules = added("An engine")
    assert modules["placement"].Placement(engine="one-by-one").engine == "one-by-one"
    assert tuple(modules["registry"].ENGINES) == modules["placement"].ENGINES

    def opened():
        policy = tiny_policy(sharpness=1.5)
        return open_engine("one-by-one", policy), policy

    return opened


def test_an_engine_keeps_the_contract(one_by_one, tmp_path):
    test_engines.test_answers_come_by_trunk_cut_and_number_with_their_probabilities_and_version(one_by_one())
    test_engines.test_work_is_counted(one_by_one())
    test_engines.test_answers_can_be_drawn_again_where_an_engine_says_so(one_by_one())
    for number, of_folders in enumerate(
        (
            test_engines.test_new_weights_are_served_at_once_and_nothing_is_kept_of_old_ones,
            test_engines.test_weights_of_another_model_are_refused_and_the_old_ones_stay,
        )
    ):
        (tmp_path / str(number)).mkdir()
        of_folders(one_by_one(), tmp_path / str(number))
    test_engines.test_only_an_engine_that_shares_the_weights_follows_them_by_itself(one_by_one())
    with pytest.raises(EngineError, match="one-by-one"):
        open_engine("sglang", tiny_policy())


def test_an_engine_draws_the_tokens_of_torch(one_by_one):
    engine, policy = one_by_one()
    trunks = test_engines.TRUNKS
    for sampling in (
        test_engines.SAMPLING,
        replace(test_engines.SAMPLING, forced_ids=(1, 9), top_p=0.7),
    ):
        ours, theirs = engine.generate(trunks, sampling, 3), TorchEngine(policy).generate(trunks, sampling, 3)
        for of_ours, of_theirs in zip(ours, theirs, strict=True):
            for left, right in zip(of_ours, of_theirs, strict=True):
                assert [(s.token_ids, s.finish) for s in left] == [(s.token_ids, s.finish) for s in right]


@pytest.fixture
def offload(added):
    modules = added("A back end")
    assert modules["placement"].Placement(backend="torch-offload").backend == "torch-offload"
    assert tuple(modules["registry"].BACKENDS) == modules["placement"].BACKENDS
    numerics = test_backends.NUMERICS.model_copy(update={"backend": "torch-offload"})
    return lambda policy, recipe=test_backends.ADAMW, steps=10: open_backend(numerics, policy, recipe, steps)


def test_a_back_end_keeps_the_contract(offload, tmp_path):
    test_backends.test_it_scores_what_the_policy_says(offload)
    test_backends.test_a_step_adds_gradients_clips_them_and_forgets_them(offload)
    test_backends.test_a_gradient_that_is_not_finite_changes_no_weight(offload)
    test_backends.test_one_rank_gathers_its_own_value_and_reads_whole_parameters(offload)
    for number, of_folders in enumerate(
        (
            test_backends.test_weights_and_moments_travel_by_folder_and_training_goes_on_the_same,
            test_backends.test_weights_and_moments_of_another_model_are_refused,
        )
    ):
        (tmp_path / str(number)).mkdir()
        of_folders(offload, tmp_path / str(number))


def test_a_back_end_moves_moments_and_steps_as_torch_does(offload, monkeypatch):
    moves = []
    first, second = tiny_policy(sharpness=1.5), tiny_policy(sharpness=1.5)
    ours, theirs = offload(first), test_backends._opened("torch", second)
    move = type(ours)._move
    monkeypatch.setattr(type(ours), "_move", lambda self, to: (moves.append(to), move(self, to)))
    for number in (1, 2):
        for backend in (ours, theirs):
            backend.backward(test_backends._loss(backend))
            backend.step(number)
    assert moves == 2 * [first.device, torch.device("cpu")]
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_objective_is_named_on_the_command_line_and_begins_at_its_defaults():
    """The printed command; an optimiser's name is a field of one class, whose other fields stay."""
    assert "-p policy.objective.name=novelty -p policy.objective.prompt=auto -p policy.loss=dr_grpo" in PAGE
    fields = {"policy.objective.name": "rlp", "policy.objective.prompt": "auto", "policy.loss": "dr_grpo"}
    changed = overridden(NAMED["tiny_rpt"](), {**fields, "policy.optimiser.name": "adamw"})
    (policy,) = (recipe for recipe in walk(changed) if isinstance(recipe, PolicyRecipe))
    (before,) = (recipe for recipe in walk(NAMED["tiny_rpt"]()) if isinstance(recipe, PolicyRecipe))
    assert policy.objective == RlpObjective(prompt="auto")
    assert policy.loss == "dr_grpo"
    assert policy.optimiser == before.optimiser.model_copy(update={"name": "adamw"})


def test_nothing_is_left_behind():
    assert not {module_name(guide.path) for guide in GUIDES.values()} & set(sys.modules)
    assert "subtitles" not in {reader.form for reader in readers.READERS}
