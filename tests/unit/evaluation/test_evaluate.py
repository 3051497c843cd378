"""The evaluation stage on a model that knows nothing: what is asked, counted and written."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import IntegrityError, RecipeError, StarvedError, Stopped
from rpt_core.evaluation.answers import draw_thinking, next_token_guesses
from rpt_core.evaluation.benchmarks.next_token import NextTokens
from rpt_core.evaluation.benchmarks.protocol import Setting
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.evaluation.items import read_items, tier_of
from rpt_core.objectives.outcomes import VERDICTS
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.recipes.evaluation import EvaluationRecipe, ProblemSampling
from rpt_core.recipes.objectives import RlvrObjective, RptObjective
from tests.unit.evaluation.folders import write_corpus, write_model

NOWHERE = Ref(ref="x@1")
RECIPE = EvaluationRecipe(
    corpus=NOWHERE, difficulty=NOWHERE, model=NOWHERE, objective=RptObjective(prompt="compact"),
    problems=RlvrObjective(prompt="compact"), num_positions=40, num_problems=2, samples=3, temperature=1.0,
    reasoning_tokens=12, context_tokens=128,
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("evaluation")
    codec = write_model(root / "first" / "model")
    write_model(root / "second" / "model", seed=1)
    write_corpus(root / "corpus", codec)
    return {"root": root, "corpus": root / "corpus", "first": root / "first", "second": root / "second"}


def inputs(folders, model="first", **more):
    return {"corpus": folders["corpus"], "difficulty": folders["corpus"], "model": folders[model], **more}


def run(folders, tmp_path, recipe=RECIPE, name="out", **more):
    build = LocalBuild(inputs(folders, **more), tmp_path / name, tmp_path / "scratch")
    return evaluate(recipe, build), build


@pytest.fixture(scope="module")
def done(folders, tmp_path_factory):
    outcome, build = run(folders, tmp_path_factory.mktemp("done"))
    return (
        outcome,
        build,
        read_items(build.out).to_pylist(),
        json.loads((build.out / "scores.json").read_text()),
    )


def test_every_answer_is_a_row_and_every_token_is_accounted_for(done):
    outcome, _, items, scores = done
    by_mode = {mode: [i for i in items if i["mode"] == mode] for mode in {i["mode"] for i in items}}
    assert {mode: len(rows) for mode, rows in by_mode.items()} == {
        "plain": 40, "plain-instructed": 40, "reasoning": 120, "forced": 120, "problems": 6,
    }  # fmt: skip
    assert outcome.rows.kept == 42
    assert outcome.rows.rows_in == 42 + sum(outcome.rows.dropped.values())
    assert outcome.rows.dropped["problem-not-drawn"] == 1
    assert sum(scores["modes"]["reasoning"]["verdicts"].values()) == 120
    assert set(scores["modes"]["reasoning"]["verdicts"]) == set(VERDICTS)
    assert outcome.flops > 0
    assert outcome.summary["reasoning_easy"] == scores["modes"]["reasoning"]["accuracy"]["easy"]["value"]


def test_only_held_out_documents_are_asked(done):
    _, _, items, _ = done
    held_out = {f"doc{i:02d}" for i in range(0, 24, 3)}
    asked = {i["doc_id"] for i in items if i["mode"] != "problems"}
    assert asked <= held_out
    assert {i["doc_id"] for i in items if i["mode"] == "problems"} <= {"problem1", "problem3", "problem5"}


def test_tiers_follow_entropies(done):
    _, _, items, scores = done
    places = {i["item_id"]: i for i in items if i["mode"] == "plain"}
    assert all(i["tier"] == tier_of(i["entropy_nats"], RECIPE.tiers_nats) for i in places.values())
    assert all(i["entropy_nats"] >= 0.5 for i in places.values())
    found = scores["modes"]["plain"]
    for tier, floor in scores["thresholds_nats"].items():
        above = [i["score"] for i in places.values() if i["entropy_nats"] >= floor]
        assert found["accuracy"][tier]["num_items"] == len(above)
        assert found["accuracy"][tier]["value"] == pytest.approx(np.mean(above))
    assert sum(e["num_items"] for e in found["bins"].values()) == 40


def test_scores_are_what_the_rows_say(done):
    _, _, items, scores = done
    rows = [i for i in items if i["mode"] == "reasoning"]
    found = scores["modes"]["reasoning"]
    assert found["think_share"]["easy"]["value"] == pytest.approx(np.mean([r["thinks"] for r in rows]))
    assert found["thought_tokens"]["easy"]["value"] == pytest.approx(
        np.mean([r["thought_tokens"] for r in rows])
    )
    assert found["pass_at"].keys() == {"1", "2"}
    assert found["pass_at"]["1"]["easy"]["value"] == pytest.approx(found["accuracy"]["easy"]["value"])


def test_forced_answers_think(done):
    _, _, items, scores = done
    assert all(i["thinks"] for i in items if i["mode"] == "forced")
    assert scores["modes"]["forced"]["think_share"]["easy"]["value"] == 1.0


def test_the_same_recipe_gives_the_same_rows(done, folders, tmp_path):
    _, _, items, scores = done
    _, build = run(folders, tmp_path)
    assert read_items(build.out).to_pylist() == items
    assert json.loads((build.out / "scores.json").read_text()) == scores


def test_another_model_is_asked_the_same_questions(done, folders, tmp_path):
    _, _, items, _ = done
    _, build = run(folders, tmp_path, RECIPE.model_copy(update={"modes": ("plain",)}), model="second")
    others = read_items(build.out).to_pylist()
    assert [i["item_id"] for i in others] == [i["item_id"] for i in items if i["mode"].startswith("plain")]
    assert [i["prediction"] for i in others] != [
        i["prediction"] for i in items if i["mode"].startswith("plain")
    ]


def test_plain_is_the_argmax_of_a_separate_row(folders):
    policy = load_policy(folders["first"] / "model")
    places = NextTokens.open(Setting(RECIPE, inputs(folders), policy.codec))
    for instructed in (False, True):
        guesses = next_token_guesses(policy, places.asked, instructed=instructed, tokens_per_batch=200)
        for one, tokens in zip(places.asked, guesses, strict=True):
            for cut, token in zip(one.trunk.cuts, tokens, strict=True):
                ids = [
                    *(one.trunk.instruction_ids if instructed else ()),
                    *one.trunk.document_ids[: cut.position],
                ]
                with torch.no_grad(), policy.attending("sdpa"):
                    logits = policy.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
                assert int(logits.argmax()) == token


def test_a_given_first_token_follows_the_policys_own_odds(folders):
    policy = load_policy(folders["first"] / "model")
    codec, engine = policy.codec, TorchEngine(policy)
    suffix = codec.control("predict") + codec.control("think")
    trunk = Trunk("doc", codec.control("rpt"), tuple(codec.encode("the clock shows")), (Cut(2, suffix),))
    sampling = Sampling(1.0, 4, codec.end_ids, group_size=4000, seed=3)
    answers = draw_thinking(policy, engine, [trunk], sampling)[0][0]
    path = torch.tensor([[*trunk.instruction_ids, *trunk.document_ids[:2], *suffix]])
    with torch.no_grad(), policy.attending("sdpa"):
        logits = policy.model(input_ids=path, use_cache=False).logits[0, -1]
    out = [codec.control("end_think")[0], codec.control("box_open")[0], *codec.end_ids]
    logits[out] = -torch.inf
    wanted = logits.double().softmax(0).numpy()
    seen = np.bincount([a.token_ids[0] for a in answers], minlength=len(wanted))
    assert seen[out].sum() == 0
    common = wanted * len(answers) >= 5
    expected = [*(wanted[common] * len(answers)), wanted[~common].sum() * len(answers)]
    observed = [*seen[common], seen[~common].sum()]
    assert stats.chisquare(observed, np.array(expected) * sum(observed) / sum(expected)).pvalue > 0.001
    assert answers[0].logprobs[0] == pytest.approx(np.log(wanted[answers[0].token_ids[0]]), abs=1e-4)


def test_what_follows_a_given_token_is_the_policys_answer(folders):
    policy = load_policy(folders["first"] / "model")
    codec, engine = policy.codec, TorchEngine(policy)
    suffix = codec.control("predict") + codec.control("think")
    trunk = Trunk(
        "doc",
        codec.control("rpt"),
        tuple(codec.encode("it moves back on then")),
        (Cut(3, suffix), Cut(4, suffix)),
    )
    sampling = Sampling(1.0, 6, codec.end_ids, group_size=2, seed=3)
    answers = draw_thinking(policy, engine, [trunk], sampling)[0]
    assert [len(of_cut) for of_cut in answers] == [2, 2]
    for cut, of_cut in zip(trunk.cuts, answers, strict=True):
        for answer in of_cut:
            assert len(answer.token_ids) <= 6
            path = [*trunk.instruction_ids, *trunk.document_ids[: cut.position], *suffix, *answer.token_ids]
            with torch.no_grad(), policy.attending("sdpa"):
                logits = policy.model(input_ids=torch.tensor([path]), use_cache=False).logits[0]
            logp = logits.log_softmax(1)[-len(answer.token_ids) - 1 : -1]
            ids = torch.tensor(answer.token_ids)
            expected = logp.gather(1, ids[:, None]).squeeze(1)
            assert answer.logprobs[1:] == pytest.approx(expected[1:].tolist(), abs=1e-4)


def test_milestones_are_judged_by_their_own_weights(folders, tmp_path):
    checkpoint = folders["root"] / "checkpoint"
    if not checkpoint.exists():
        checkpoint.mkdir()
        (checkpoint / "model").symlink_to(folders["second"] / "model")
        (checkpoint / "milestone.json").write_text('{"step": 7, "gflops_total": 12.5}')
    recipe = RECIPE.model_copy(update={"modes": ("reasoning",), "milestones": True})
    _, build = run(folders, tmp_path, recipe, **{"milestones.7": checkpoint})
    items = read_items(build.out).to_pylist()
    mine = [i for i in items if i["checkpoint"] == "000007"]
    assert len(mine) == 120
    assert {(i["step"], i["gflops"], i["thought"]) for i in mine} == {(7, 12.5, None)}
    _, other = run(folders, tmp_path, recipe, name="other", model="second")
    alone = read_items(other.out).to_pylist()
    assert [i["prediction"] for i in mine] == [i["prediction"] for i in alone]
    scores = json.loads((build.out / "scores.json").read_text())
    assert [(m["step"], m["gflops_total"]) for m in scores["milestones"]] == [(7, 12.5)]
    (folders["root"] / "nameless" / "model").mkdir(parents=True, exist_ok=True)
    with pytest.raises(IntegrityError, match=r"milestone\.json"):
        run(folders, tmp_path, recipe, name="bad", **{"milestones.8": folders["root"] / "nameless"})


def test_milestones_are_asked_in_the_modes_that_are_named(folders, tmp_path):
    """Plain guesses of a checkpoint are those of its model asked alone, whether or not it also thinks."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "model").symlink_to(folders["second"] / "model")
    (checkpoint / "milestone.json").write_text('{"step": 7, "gflops_total": 12.5}')
    _, other = run(folders, tmp_path, name="other", model="second")
    alone = [i for i in read_items(other.out).to_pylist() if i["mode"] == "plain"]
    asked = {"modes": ("plain", "reasoning"), "milestones": True}
    for modes, name in ((("plain",), "plain"), (("plain", "reasoning"), "both")):
        recipe = RECIPE.model_copy(update={**asked, "milestone_modes": modes})
        _, build = run(folders, tmp_path, recipe, name=name, **{"milestones.7": checkpoint})
        mine = [i for i in read_items(build.out).to_pylist() if i["checkpoint"] == "000007"]
        assert {i["mode"] for i in mine} - {"plain-instructed"} == set(modes)
        guesses = [(i["item_id"], i["prediction"]) for i in mine if i["mode"] == "plain"]
        assert guesses == [(i["item_id"], i["prediction"]) for i in alone]
        (summed,) = json.loads((build.out / "scores.json").read_text())["milestones"]
        assert (summed["step"], "accuracy" in summed) == (7, True)


def test_modes_of_milestones_without_milestones_are_refused():
    with pytest.raises(RecipeError, match="milestone_modes plain without milestones"):
        EvaluationRecipe.parse({**dict(RECIPE), "milestone_modes": ("plain",)})


def test_a_milestone_with_the_final_weights_is_not_asked_again(folders, tmp_path):
    last = folders["root"] / "last"
    if not last.exists():
        last.mkdir()
        (last / "model").symlink_to(folders["first"] / "model")
        (last / "milestone.json").write_text('{"step": 9, "gflops_total": 20.0}')
    recipe = RECIPE.model_copy(update={"modes": ("reasoning",), "milestones": True})
    alone, _ = run(folders, tmp_path, recipe)
    outcome, build = run(folders, tmp_path, recipe, name="both", **{"milestones.9": last})
    assert outcome.tokens == alone.tokens
    items = read_items(build.out).to_pylist()
    final, repeated = ([i for i in items if i["checkpoint"] == name] for name in ("final", "000009"))
    assert len(repeated) == 120
    assert [(i["item_id"], i["sample"], i["verdict"], i["prediction"]) for i in repeated] == [
        (i["item_id"], i["sample"], i["verdict"], i["prediction"]) for i in final
    ]
    assert {(i["step"], i["gflops"], i["tail"], i["thought"]) for i in repeated} == {(9, 20.0, None, None)}


def test_problems_have_their_own_corpus_and_draws(folders, tmp_path):
    """Another corpus's held-out problems, drawn in their own way; answers about text stay as they were."""
    problems = folders["root"] / "problems"
    if not problems.exists():
        problems.mkdir()
        rows = pq.read_table(folders["corpus"] / "problems.parquet").to_pylist()
        for row in rows:
            row["problem_id"] = f"other-{row['problem_id']}"
        pq.write_table(pa.Table.from_pylist(rows), problems / "problems.parquet")
    how = ProblemSampling(samples=5, temperature=0.5, top_p=0.9, reasoning_tokens=7)
    recipe = RECIPE.model_copy(update={"modes": ("reasoning", "problems"), "problem_sampling": how})
    _, build = run(folders, tmp_path, recipe, problem_corpus=problems)
    items = read_items(build.out).to_pylist()
    solved = [item for item in items if item["mode"] == "problems"]
    assert {item["item_id"][:6] for item in solved} == {"other-"}
    assert len(solved) == 5 * len({item["item_id"] for item in solved})
    assert max(item["answer_tokens"] for item in solved) <= 7
    _, usual = run(folders, tmp_path, RECIPE.model_copy(update={"modes": ("reasoning",)}), name="usual")
    text = [item["prediction"] for item in items if item["mode"] == "reasoning"]
    assert text == [item["prediction"] for item in read_items(usual.out).to_pylist()]
    scores = json.loads((build.out / "scores.json").read_text())
    assert scores["problem_sampling"] == how.model_dump()
    boxed = sum(item["verdict"] in ("correct", "wrong") for item in solved)
    assert boxed <= scores["grading"]["grading/answers"] <= len(solved)
    logged = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    assert logged[0]["grading/timed_out"] == scores["grading"]["grading/timed_out"] == 0
    assert "grading" not in json.loads((usual.out / "scores.json").read_text())


def test_the_tail_of_a_distribution_can_be_left_out(folders, tmp_path):
    """With a nucleus of one token every sample of a question is the same, made to think or not."""
    recipe = RECIPE.model_copy(update={"modes": ("reasoning", "forced"), "top_p": 1e-6})
    _, build = run(folders, tmp_path, recipe)
    said: dict[tuple[str, str], set[str]] = {}
    for item in read_items(build.out).to_pylist():
        said.setdefault((item["mode"], item["item_id"]), set()).add(f"{item['thought']}{item['prediction']}")
    assert {len(different) for different in said.values()} == {1}
    scores = json.loads((build.out / "scores.json").read_text())
    assert scores["top_p"] == 1e-6


def test_nothing_to_ask_is_said_by_name(folders, tmp_path):
    high = RECIPE.model_copy(update={"tiers_nats": (9.0, 10.0, 11.0)})
    with pytest.raises(StarvedError, match=r"below-the-floor.*9\.0 nats.*Lower the lowest of tiers_nats"):
        run(folders, tmp_path, high)
    empty = tmp_path / "empty"
    write_corpus(empty, load_policy(folders["first"] / "model").codec, num_problems=0)
    only = RECIPE.model_copy(update={"modes": ("problems",)})
    with pytest.raises(StarvedError, match="0 problems were looked at and none can be asked"):
        run(folders, tmp_path, only, corpus=empty)
    with_text = RECIPE.model_copy(update={"modes": ("plain", "problems")})
    _, build = run(folders, tmp_path, with_text, name="text", corpus=empty)
    assert json.loads((build.out / "scores.json").read_text())["modes"]["problems"] == {"num_items": 0}


def test_a_stop_is_heeded(folders, tmp_path):
    build = LocalBuild(inputs(folders), tmp_path / "out", tmp_path / "scratch", stop=True)
    with pytest.raises(Stopped):
        evaluate(RECIPE, build)
    assert not (build.out / "scores.json").exists()
