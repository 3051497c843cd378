"""The report over arms: claims by planted truth, tokens to reach the reference, and honest ends."""

import json
from pathlib import Path

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.pages.words import flops_of
from rpt_core.recipes.reports.report import START, ArmsRecipe, StudyModel
from rpt_core.report.arms import milestones
from rpt_core.report.models import Evaluated, TrainingLog
from rpt_core.report.rmt import PAPER
from rpt_core.report.sources import charged
from rpt_core.report.study import write_report
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.report.test_report import NOWHERE, Page

ARMS = {
    "RPT": {"thinking": 1.0, "right_thinking": 0.7},
    "RMT": {"thinking": 0.3, "right_thinking": 0.72, "right_direct": 0.72},
    "RMT without budget": {"thinking": 1.0, "right_thinking": 0.72},
    "RMT without NTP": {"thinking": 0.3, "right_thinking": 0.4, "right_direct": 0.4},
    "NTP alone": {"thinking": 0.0, "right_direct": 0.1},
}
STEPS = 8


def write_training(folder: Path, tokens_per_step: int) -> Path:
    folder.mkdir(parents=True)
    rows = [{"step": 0, "eval/accuracy": 0.1}]
    rows += [
        {"step": n, "tokens_total": n * tokens_per_step, "gflops_total": 2.0 * n * tokens_per_step}
        for n in range(1, STEPS + 1)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def inputs_of(root: Path, seeds: int = 2, arms=ARMS) -> dict[str, Path]:
    folders = {}
    for seed in range(seeds):
        questions = Planted(30, 4, seed=seed)
        start = {**BEFORE, "right_direct": 0.2}
        folders[f"models.{START}.evaluations.{seed}"] = write_evaluation(
            root / f"start{seed}", start, planted=questions, seed=seed
        )
        for number, (name, changes) in enumerate(arms.items()):
            index = number * seeds + seed
            milestones = {2: 0.3, 4: 0.9} if name in ("RPT", "RMT") else None
            folders[f"models.{name}.evaluations.{seed}"] = write_evaluation(
                root / f"arm{index}", {**AFTER, **changes}, planted=questions, seed=10 + index,
                milestones=milestones,
            )  # fmt: skip
            training = write_training(root / f"training{index}", 1000 + number)
            folders[f"models.{name}.trainings.{seed}"] = training
    return folders


def recipe_of(seeds: int = 2, arms=ARMS, **changes) -> ArmsRecipe:
    one = (NOWHERE,) * seeds
    trained = [StudyModel(name=name, evaluations=one, trainings=one) for name in arms]
    models = (StudyModel(name=START, evaluations=one), *trained)
    return ArmsRecipe(seeds=tuple(range(100, 100 + seeds)), models=models, **changes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("arms")
    build = LocalBuild(inputs_of(root), root / "out", root / "scratch")
    return write_report(recipe_of(), build), build.out


def test_claims_end_by_the_planted_truth(written):
    summary = written[0].summary
    ends = {name.removeprefix("claim: "): end for name, end in summary.items() if name.startswith("claim")}
    assert ends == {
        "RMT loses less than 5 points on RPT": "holds",
        "RMT is more accurate than RPT": "undecided",
        "RMT thinks less than 50 % as long as RPT": "holds",
        "RMT is more accurate than RMT without budget": "undecided",
        "RMT is more accurate than RMT without NTP": "holds",
        "RMT is more accurate than NTP alone": "holds",
        "the budget shortens RMT's thoughts": "holds",
        "the next-token loss keeps plain prediction better": "holds",
    }
    assert summary["length_ratio"] == pytest.approx(0.3, abs=0.03)
    assert summary["accuracy: NTP alone"] == pytest.approx(0.1, abs=0.05)


def test_the_page_links_what_it_says(written):
    page = Page((written[1] / "report.html").read_text())
    assert page.open == []
    assert {link[1:] for link in page.links} <= set(page.ids)
    text = (written[1] / "report.md").read_text()
    assert "| NTP alone |" in text
    assert "not run" in text  # the paper has no such arm
    for name in ("RMT without budget", "RMT without NTP"):
        assert f"{PAPER[name]:.1f}" in text


def test_where_the_paper_is_not_borne_out_is_said(written):
    text = (written[1] / "report.md").read_text()
    assert "RMT is not clearly above RMT without budget here; in the paper it is by 6.6 points." in text
    assert "RMT is not clearly above RMT without NTP" not in text


def test_tokens_to_reach_the_reference_are_read_off_the_checkpoints(written):
    text = (written[1] / "report.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| 100 |"))
    assert row.split("|")[3].strip() == "8\u2009000"  # RPT's own whole training: 8 steps of 1000
    assert row.split("|")[5].strip() == "2\u2009002"  # the first checkpoint that gets there: step 2 of RMT


def test_a_run_knows_its_tokens_step_by_step(tmp_path):
    folders = inputs_of(tmp_path, seeds=1)
    judged = Evaluated.read("RMT", folders["models.RMT.evaluations.0"])
    trained = TrainingLog.read(folders["models.RMT.trainings.0"], {})
    assert (len(trained.steps), *trained.used()) == (8, 8008, 16016.0)
    assert [tokens for _, tokens, _ in milestones(judged, trained)] == [2002, 4004]


def write_manifest(path: Path, kind: str, recipe, *, flops=0.0, parents=None, summary=None) -> Artifact:
    manifest = Manifest(
        kind=kind, fingerprint=kind[0] * 64, digest="0" * 64, recipe=recipe, placement=Placement(),
        parents=parents or {}, files=(), outcome=Outcome(flops=flops, summary=summary or {}), code="c",
        environment={}, created="2026-11-20T10:00:00+00:00", attempts=(),
    )  # fmt: skip
    path.write_text(manifest.model_dump_json())
    return manifest.artifact


def write_charged(root: Path, training: Path, objective, judge_gflops=None) -> Path:
    """A training's manifest, and a lineage folder with that of the difficulty it stands on."""
    lineage = root / "lineage"
    lineage.mkdir()
    scored = write_manifest(lineage / "d.json", "difficulty", {}, flops=4.2e11)
    write_manifest(lineage / "c.json", "corpus", {}, flops=7.0)
    summary = {"judge_gflops": judge_gflops} if judge_gflops else {}
    about = {"parents": {"difficulty": scored}, "summary": summary}
    write_manifest(training / "manifest.json", "policy", {"objective": objective}, **about)
    return lineage


@pytest.mark.parametrize(
    ("objective", "judge_gflops", "expected"),
    [
        ({"name": "rpt"}, None, 4.2e11),
        ({"name": "rpt", "choose": "floor"}, 2.0, 4.2e11 + 2e9),
        ({"name": "rpt", "choose": "random"}, None, 0.0),
        ({"name": "ntp"}, None, 0.0),
    ],
)
def test_proxy_and_judge_are_charged_to_who_needs_them(tmp_path, objective, judge_gflops, expected):
    training = write_training(tmp_path / "training", 1000)
    assert charged(training, {}) == 0.0
    known = {"lineage": write_charged(tmp_path, training, objective, judge_gflops)}
    assert charged(training, known) == pytest.approx(expected)


def test_what_is_charged_stands_beside_the_arms_own_compute(tmp_path):
    folders = inputs_of(tmp_path, seeds=1)
    folders["lineage"] = write_charged(tmp_path, folders["models.RMT.trainings.0"], {"name": "rmt"})
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "scratch")
    write_report(recipe_of(1), build)
    rows = [line.split("|") for line in (build.out / "report.md").read_text().splitlines()]
    last = {cells[1].strip(): cells[11].strip() for cells in rows if len(cells) > 12}
    assert last["RMT"] == flops_of(4.2e11) != last["RPT"] == flops_of(0.0)
    html = (build.out / "report.html").read_text()
    assert f'<td class="r" data-key="420000000000">{flops_of(4.2e11)}</td></tr>' in html


def test_arms_that_answered_other_questions_are_refused(tmp_path):
    folders = inputs_of(tmp_path, seeds=1)
    folders["models.RMT without budget.evaluations.0"] = write_evaluation(
        tmp_path / "other", AFTER, planted=Planted(29, 4, seed=7), seed=1
    )
    with pytest.raises(RecipeError, match="seed 100, RMT without budget answered"):
        write_report(recipe_of(1), LocalBuild(folders, tmp_path / "out", tmp_path / "s"))


def test_a_missing_arm_is_refused():
    whole = recipe_of()
    start, first, *rest = whole.models
    one_short = first.model_copy(update={"trainings": first.trainings[:1]})
    for models, why in (
        ((start, one_short, *rest), "RPT has 2 evaluations and 1 trainings"),
        ((start, first), "1 of them with trainings"),
        ((first, *rest), "give a start model first"),
        ((start, first, first), "a name of its own"),
    ):
        with pytest.raises(RecipeError, match=why):
            ArmsRecipe.parse({**dict(whole), "models": models})
