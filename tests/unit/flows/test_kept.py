"""A study that goes on from a folder of outcomes: what is there is done, what is another's is refused."""

import gzip
import hashlib
import lzma
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flows import kept
from flows.kept import keeper, laid_out, read_studies
from flows.recipes import Overrides, over_arms
from flows.recipes.trees import walk
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, SourceError
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, file_name, read_folder, read_outcomes, to_bytes
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER
from rpt_core.report.outcomes.take import take_outcomes
from tests.unit.report.outcomes.simulated import simulated

ARMS, SEEDS = ("more SFT", "RPT"), (100, 101)


def page(seeds=SEEDS, arms=ARMS, fields=None):
    return over_arms("tiny_rpt", seeds, arms, Overrides(fields=fields or {}), IMPERFECT_TEACHER)


def listed(laid):
    return {(one.arm, one.seed): one for arm in laid.arms for one in arm.outcomes}


def leave(folder, recipe, number=None):
    """The file that a run of this recipe would have left."""
    path = folder / file_name(recipe.arm, recipe.seed, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(replace(simulated(recipe.arm, recipe.seed, 0.4), design=recipe.design)))
    return path


def test_what_the_folder_holds_is_done_and_costs_nothing(tmp_path):
    first = listed(laid_out(page()))
    assert len({one.design for one in first.values()}) == len(first) == 6
    leave(tmp_path, first["start", 100])
    leave(tmp_path, first["RPT", 100])
    found = listed(laid_out(page(), str(tmp_path)))
    done = {key for key, one in found.items() if isinstance(one, KeptOutcomesRecipe)}
    assert done == {("start", 100), ("RPT", 100)}
    assert not found["RPT", 100].inputs()  # nothing is trained for it
    assert {one.design for one in found.values()} == {one.design for one in first.values()}


def test_an_arm_or_a_seed_more_leaves_the_others_as_they_are():
    before, after = listed(laid_out(page())), listed(laid_out(page((*SEEDS, 102), (*ARMS, "RLP"))))
    assert {key: after[key].design for key in before} == {key: one.design for key, one in before.items()}


def test_a_file_of_another_recipe_is_refused_in_one_sentence(tmp_path):
    path = leave(tmp_path, listed(laid_out(page()))["RPT", 100])
    with pytest.raises(IntegrityError, match="its training or its evaluation is another one") as caught:
        laid_out(page(fields={"policy.prompts_per_step": 16}), str(tmp_path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    path.rename(tmp_path / file_name("RPT", 101))
    with pytest.raises(IntegrityError, match=r"of RPT under seed 100.*those of RPT under seed 101"):
        laid_out(page(), str(tmp_path))


@pytest.mark.parametrize("earlier", [False, True], ids=["this version's", "an earlier version's"])
def test_outcomes_are_kept_as_soon_as_they_are_made(tmp_path, monkeypatch, earlier):
    made, folder = tmp_path / "made", tmp_path / "outcomes"
    laid = laid_out(page())
    wanted = listed(laid)["RPT", 101]
    made.mkdir()
    content = to_bytes(simulated("RPT", 101, 0.4))
    if earlier:
        (made / "outcomes.json.gz").write_bytes(gzip.compress(lzma.decompress(content)))
    else:
        (made / OUTCOMES_FILE).write_bytes(content)
    monkeypatch.setattr(kept, "open_store", lambda: SimpleNamespace(materialise=lambda artifact: made))
    artifact = Artifact(kind="outcomes", fingerprint="0" * 64, digest="1" * 64)
    keep = keeper(laid, str(folder))
    keep(wanted, artifact)
    keep(next(one for one in walk(wanted) if one.kind == "policy"), artifact)  # no outcomes: not kept
    assert [path.name for path in folder.iterdir()] == ["101-rpt.json.xz"]
    assert (folder / "101-rpt.json.xz").read_bytes() == content
    assert [one.seed for one in read_studies(folder)] == [101]
    assert read_folder(tmp_path) == []
    with pytest.raises(SourceError, match="is no folder"):
        read_studies(tmp_path / "nowhere")


def test_a_taken_file_is_held_against_what_was_asked_for(tmp_path):
    wanted = listed(laid_out(page()))["RPT", 100]
    path = leave(tmp_path, wanted)
    recipe = listed(laid_out(page(), str(tmp_path)))["RPT", 100]
    assert recipe.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    assert take_outcomes(recipe, build).summary["questions"] == 240
    assert (build.out / OUTCOMES_FILE).read_bytes() == path.read_bytes()
    assert read_outcomes(path).design == wanted.design
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="gone or was changed"):
        take_outcomes(recipe, build)


def test_where_a_file_lies_is_not_what_it_is(tmp_path):
    wanted = listed(laid_out(page()))["RPT", 100]
    for name in ("a", "b"):
        leave(tmp_path / name, wanted)
    one, other = (listed(laid_out(page(), str(tmp_path / name)))["RPT", 100] for name in ("a", "b"))
    assert one.file != other.file
    assert one.fingerprint() == other.fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", one.design)
    assert isinstance(wanted, OutcomesRecipe)
