"""A build on plain folders: what it writes, keeps and goes on from."""

import json
from pathlib import Path

import pytest

from rpt_core.artifacts.build import VOLATILE_FILES, LocalBuild, cut_metrics
from rpt_core.artifacts.placement import Numerics, Placement


@pytest.fixture
def build(tmp_path: Path) -> LocalBuild:
    return LocalBuild({}, tmp_path / "deep" / "out", tmp_path / "deep" / "scratch")


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_a_notebook_need_say_only_where(build: LocalBuild, tmp_path: Path):
    assert build.placement == Placement()
    assert build.numerics == Numerics(
        backend="torch", engine="torch", layout="two-pass", dtype="float32", world_size=1,
        tokens_per_micro_batch=16384, torch="local", device="local", threads=1,
    )  # fmt: skip
    assert (build.saves, build.milestones, build.stopping()) == ({}, {}, False)
    assert list(build.map(lambda n: n * 3, [4, 2, 7])) == [12, 6, 21]
    build.stop = True
    assert build.stopping()
    write(build.out, kept="x")
    again = LocalBuild({}, build.out, build.scratch)
    assert (again.out / "kept").read_text() == "x"
    assert again.saves is not build.saves


def test_a_mapper_takes_the_place_of_map(tmp_path: Path):
    seen = []

    def backwards(function, items):
        seen.extend(items)
        return iter([function(item) for item in reversed(seen)])

    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", mapper=backwards)
    assert list(build.map(str, (3, 5))) == ["5", "3"]


def test_a_step_is_a_line_of_metrics_and_timings_stand_apart(build: LocalBuild):
    build.log(3, {"loss": 0.5})
    build.log(4, {"loss": 0.25}, {})
    assert not (build.out / "timings.jsonl").exists()
    build.log(5, {"loss": 0.125}, {"seconds": 2.5})
    assert (build.out / "metrics.jsonl").read_text().splitlines() == [
        '{"step": 3, "loss": 0.5}', '{"step": 4, "loss": 0.25}', '{"step": 5, "loss": 0.125}',
    ]  # fmt: skip
    assert (build.out / "timings.jsonl").read_text() == '{"step": 5, "seconds": 2.5}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        build.log(6, {"loss": float("nan")})


def test_it_goes_on_from_the_highest_save_as_it_was_saved(build: LocalBuild, tmp_path: Path):
    state = write(tmp_path / "state", w="old", gone="x")
    build.save(12, state)
    (state / "gone").unlink()
    build.save(12, write(state, w="twelve"))  # takes the place of the first, whole
    write(state, w="changed later")
    build.save(7, write(tmp_path / "other", w="seven"))
    for step in (6, 7, 12, 13):
        build.log(step, {"x": float(step)}, {"seconds": 1.5})
    saved = build.resume()
    assert saved is not None
    assert saved.step == 12
    assert {path.name: path.read_text() for path in saved.folder.iterdir()} == {"w": "twelve"}
    for name in ("metrics.jsonl", "timings.jsonl"):
        steps = [json.loads(line)["step"] for line in (build.out / name).read_text().splitlines()]
        assert steps == [6, 7, 12]


def test_without_a_save_nothing_that_was_logged_counts(build: LocalBuild):
    build.log(0, {"x": 1.0}, {"seconds": 1.0})
    build.log(1, {"x": 2.0})
    assert build.resume() is None
    assert (build.out / "metrics.jsonl").read_text() == (build.out / "timings.jsonl").read_text() == ""


def test_a_line_that_was_not_finished_is_forgotten(tmp_path: Path):
    whole = '{"step": 2, "x": 1}\n'
    (tmp_path / "metrics.jsonl").write_text(whole + '{"step": 2, "x"')
    cut_metrics(tmp_path, 5)
    assert (tmp_path / "metrics.jsonl").read_text() == whole
    assert not (tmp_path / "timings.jsonl").exists()


def test_a_milestone_is_a_model_and_perhaps_a_state(build: LocalBuild, tmp_path: Path):
    model, state = write(tmp_path / "model", w="first"), write(tmp_path / "state", m="moments")
    build.milestone(3, model, {})
    build.milestone(9, write(model, w="second"), {}, state)
    build.milestone(9, write(model, w="third"), {}, state)

    def kept(step: int) -> dict[str, str]:
        folder = build.milestones[step]
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}

    assert kept(3) == {"model/w": "first"}
    assert kept(9) == {"model/w": "third", "state/m": "moments"}


def test_views_and_timings_make_no_other_artifact():
    assert {
        "timings.jsonl", "timings.html", "report.html", "environment.json", "log.txt", "card.html",
        "card.json", "page.md",
    } == VOLATILE_FILES  # fmt: skip
