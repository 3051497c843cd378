"""`rpt leaderboard` and `rpt compare` of many: what of a store is ranked, and what is refused."""

import json
from contextlib import nullcontext

import pytest

from flows.cli.commands.show import console
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RecipeError
from rpt_core.recipes.given import GivenModel
from rpt_core.report.study import write_report
from tasks.commands.leaderboard import leaderboard_recipe
from tasks.inputs.resolve import model_digest
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.evaluation.test_contamination import QUESTIONS, corpus
from tests.unit.flows.cli.test_copy_and_compare import put, run, said
from tests.unit.infra.storage.test_store import write


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, planted = tmp_path_factory.mktemp("evaluated"), Planted(20, 3)
    for name, model, seed in (("start", BEFORE, 0), ("trained", AFTER, 1), ("more", AFTER, 2)):
        write_evaluation(root / name, model, seed=seed, planted=planted, manifest=False)
    corpus(root / "corpus", {"d": "Some words about rivers and about what lives in them."}, QUESTIONS)
    return root


@pytest.fixture
def study(store, folders, tmp_path):
    """Two evaluated models over one corpus, in a report; and one that nobody evaluated."""
    text = put(store, folders / "corpus", "corpus", "c")
    made = {}
    for name, letter in (("start", "5"), ("trained", "e"), ("alone", "6")):
        made[name] = put(
            store, write(tmp_path / letter, w=name), "policy", letter, parents={"corpus": text.artifact}
        )  # fmt: skip
        store.add_ref(f"mine-{name}", made[name].artifact)
    evaluations = {
        name: put(
            store, folders / name, "evaluation", letter,
            recipe={"stage": "evaluate", "samples": 8},
            parents={"model": made[name].artifact, "corpus": text.artifact},
        )
        for name, letter in (("start", "a"), ("trained", "b"))
    }  # fmt: skip
    parents = {f"models.{name}.evaluations.0": one.artifact for name, one in evaluations.items()}
    put(store, write(tmp_path / "r", report="x"), "arms-report", "f", parents=parents)
    return evaluations


def test_the_whole_store_is_ranked_with_what_each_model_read(store, study):
    recipe = leaderboard_recipe((), store)
    assert [entry.name for entry in recipe.entries] == ["mine-start@1", "mine-trained@1"]
    for entry in recipe.entries:
        assert [one.kind for one in (*entry.trained_on, *entry.asked_from)] == ["corpus", "corpus"]
        assert len(entry.evaluations) == 1
    assert leaderboard_recipe((), store).fingerprint() == recipe.fingerprint()


@pytest.mark.parametrize(
    ("refs", "names"),
    [
        (("mine-start",), ["mine-start@1"]),
        (("evaluation/bbbbbb",), ["mine-trained@1"]),
        (("arms-report/ffffff",), ["mine-start@1", "mine-trained@1"]),
        (("mine-start", "bbbbbb", "mine-trained"), ["mine-start@1", "mine-trained@1"]),
    ],
)
def test_names_stand_for_evaluations_models_and_studies(store, study, refs, names):
    assert [entry.name for entry in leaderboard_recipe(refs, store).entries] == names


def test_a_model_from_elsewhere_is_ranked_by_its_folder_or_hub_id(store, study, folders, tmp_path):
    """By what is in a folder, wherever it lies; by a hub id's name, whatever commit was evaluated."""
    here = tmp_path / "here"
    write(here, w="x")
    (here / "config.json").write_text("{}")
    digest = model_digest(GivenModel(name=str(here)))
    for letter, stated in (("1", ("elsewhere/mine", digest)), ("2", ("org/theirs", "0" * 40))):
        model = dict(zip(("name", "digest"), stated, strict=True))
        put(store, folders / "more", "evaluation", letter, recipe={"stage": "evaluate", "model": model})
    for ref, name in ((str(here), "mine"), ("org/theirs", "theirs")):
        (entry,) = leaderboard_recipe((ref,), store).entries
        assert entry.name == name
    (here / "config.json").write_text('{"changed": 1}')
    for ref in (str(here), "org/nobody"):
        with pytest.raises(RecipeError, match="was never evaluated"):
            leaderboard_recipe((ref,), store)


def test_what_was_never_evaluated_is_refused(store, study):
    with pytest.raises(RecipeError, match=r"mine-alone is policy/6666.*was never evaluated"):
        leaderboard_recipe(("mine-alone",), store)
    with pytest.raises(RecipeError, match="Near: mine-start"):
        leaderboard_recipe(("mine-strat",), store)


def test_an_empty_store_has_nothing_to_rank(store, monkeypatch, capsys):
    monkeypatch.setattr("infra.local.own_server.prefect_at_hand", lambda _: nullcontext(lambda: None))
    assert run("leaderboard") == 2
    assert "there is nothing to rank" in said(capsys)


def test_a_leaderboard_that_is_made_is_shown_again_without_a_flow(
    store, study, tmp_path, monkeypatch, capsys
):
    recipe = leaderboard_recipe((), store)
    inputs = {name: store.materialise(one) for name, one in recipe.inputs().items()}
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    write_report(recipe, build)
    files = store.objects.put_folder(build.out)
    store.publish(
        Manifest(
            kind="leaderboard", fingerprint=recipe.fingerprint(), digest=artifact_digest(files), files=files,
            recipe=recipe.model_dump(mode="json"), placement=Placement(), parents={}, outcome=Outcome(),
            code="c", environment={}, created="2026-11-29T00:00:00+00:00", attempts=(),
        )
    )  # fmt: skip
    monkeypatch.setattr(
        "infra.local.own_server.prefect_at_hand",
        lambda _: nullcontext(lambda: pytest.fail("a flow is begun")),
    )
    assert run("leaderboard", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["artifact"]["kind"] == "leaderboard"
    monkeypatch.setattr(console, "width", 200)
    assert run("leaderboard") == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines() if line.startswith("problems")]
    assert {line[2] for line in lines} == {"mine-start@1", "mine-trained@1"}
    assert "report.html" in out


def test_several_evaluations_are_each_held_against_the_first(store, folders, capsys):
    for name, letter in (("start", "a"), ("trained", "b"), ("more", "d")):
        put(store, folders / name, "evaluation", letter)
    assert run("compare", "aaaaaa", "bbbbbb", "dddddd", "--json") == 0
    many = json.loads(capsys.readouterr().out)
    assert [one["second"]["fingerprint"][0] for one in many["others"]] == ["b", "d"]
    assert run("compare", "aaaaaa", "bbbbbb", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    for line, by_itself in zip(many["others"][0]["lines"], alone["lines"], strict=True):
        assert line["comparison"] == by_itself["comparison"]
        assert line["adjusted_p_value"] >= by_itself["adjusted_p_value"]  # one error rate for both tables
    plain = next(line["comparison"] for line in alone["lines"] if line["mode"] == "plain")
    assert plain["mcnemar_p_value"] is None  # some right answers of these score less than 1
    assert run("compare", "aaaaaa", "bbbbbb", "dddddd") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the lines of all 2 tables" in out
    assert out.count("second evaluation/") == 2


def test_runs_of_two_methods_are_paired_by_seed(store, tmp_path, capsys):
    letters = {("start", 0): "a", ("start", 1): "b", ("after", 0): "d", ("after", 1): "e"}
    for (name, seed), letter in letters.items():
        folder = tmp_path / f"{name}{seed}"  # a world of its own for each seed
        chances = BEFORE if name == "start" else AFTER
        write_evaluation(folder, chances, seed=seed, planted=Planted(12, 2, seed=seed), manifest=False)
        put(store, folder, "evaluation", letter)
    assert run("compare", "aaaaaa,bbbbbb", "dddddd,eeeeee", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["others"]
    thinking = next(line for line in found["lines"] if line["mode"] == "reasoning")
    difference = thinking["comparison"]["difference"]
    assert difference["num_items"] == 2
    assert difference["value"] == pytest.approx(thinking["after"] - thinking["before"])
    assert difference["low"] < difference["value"] < difference["high"]
    assert run("compare", "aaaaaa,bbbbbb", "dddddd,eeeeee") == 0
    assert "Paired by seed" in capsys.readouterr().out
    assert run("compare", "aaaaaa,bbbbbb", "dddddd") == 2
    assert "the first method has 2 runs and the second 1" in said(capsys)
    put(store, write(tmp_path / "c", text="words"), "corpus", "c")
    assert run("compare", "aaaaaa,cccccc", "dddddd,eeeeee") == 2
    assert "corpus/cccccccccccc is no evaluation" in said(capsys)
