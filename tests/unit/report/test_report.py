"""The report: what it claims and admits, that every number has a source, and that nothing leaves the page."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from rpt_core.artifacts.build import VOLATILE_FILES, LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import RecipeError
from rpt_core.evaluation.statistics.compare import decide
from rpt_core.recipes.reports.report import ReportRecipe, SeedsRecipe
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.report.journey import claims
from rpt_core.report.models import Evaluated, Model
from rpt_core.report.seeds import mean_gain
from rpt_core.report.sources import lineage
from rpt_core.report.study import shortfalls, write_report
from rpt_core.scaling.fit import fit_scaling
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, manifest_of, write_evaluation

NOWHERE = Ref(ref="x@1")
RECIPE = ReportRecipe(title="Planted", before=NOWHERE, after=NOWHERE, finetuned=NOWHERE, scaling=NOWHERE)
MILESTONES = {step: float(1 - 0.7 * step**-0.8) for step in (2, 4, 8, 16, 32, 48)}


def make_inputs(
    root: Path, *, manifest: bool = True, milestones=None, after=AFTER, size=(16, 3)
) -> dict[str, Path]:
    questions = Planted(*size)
    folders = {
        "before": write_evaluation(root / "before", BEFORE, planted=questions, seed=1, manifest=manifest),
        "after": write_evaluation(
            root / "after", after, planted=questions, seed=2, milestones=milestones, manifest=manifest
        ),
        "finetuned": write_evaluation(
            root / "finetuned", after, planted=questions, seed=3, problems=0.7, manifest=manifest
        ),
    }
    build = LocalBuild({"evaluation": folders["after"]}, root / "scaling", root / "scratch")
    fit_scaling(ScalingRecipe(evaluation=NOWHERE, resamples=30), build)
    folders["scaling"] = root / "scaling"
    if manifest:
        (root / "scaling" / "manifest.json").write_text(json.dumps(manifest_of("scaling", "scaling")))
        lineage = folders["lineage"] = root / "lineage"
        lineage.mkdir()
        rows = {"rows_in": 110, "kept": 100, "dropped": {"near-duplicate": 7, "too-short": 3}}
        for kind in ("corpus", "documents", "policy"):
            one = manifest_of(kind, kind, rows=rows, flops=1.5e12, tokens=90_000, summary={"held_out": 8})
            (lineage / f"{one['fingerprint']}.json").write_text(json.dumps(one))
    return folders


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"), milestones=MILESTONES, size=(30, 4))


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    outcome = write_report(RECIPE, LocalBuild(inputs, root / "out", root / "scratch"))
    return outcome, root / "out", (root / "out" / "report.html").read_text()


class Page(HTMLParser):
    """Ids, links, loaded resources and balance of a page."""

    VOID = frozenset({"meta", "br", "img", "link", "path", "use", "rect", "circle"})

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.links, self.loads, self.open, self.text, self.downloads = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" and "download" not in values else []
        self.downloads += [values["href"]] if "download" in values else []
        self.loads += [values[name] for name in ("src", "srcset") if name in values] + (
            [values["href"]] if tag == "link" else []
        )

    def handle_startendtag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_loads_nothing(done):
    _, _, html = done
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert html.count("<script") == 1, "the page's own"
    assert not re.search(r"(?:url\(|@import|href=\")\s*['\"]?(?:https?:)?//", html)
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_every_link_leads_to_an_artifact_of_the_page(done, inputs):
    _, _, html = done
    page = Page(html)
    assert page.links
    assert {link[1:] for link in page.links} <= set(page.ids)
    for name in ("before", "after", "finetuned", "scaling"):
        manifest = json.loads((inputs[name] / "manifest.json").read_text())
        assert f"artifact-{manifest['kind']}-{manifest['fingerprint'][:12]}" in {
            link[1:] for link in page.links
        }


def test_figures_follow_the_theme(done):
    _, _, html = done
    svgs = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(svgs) == 3
    assert all("var(--muted)" in svg and "aria-label" in svg for svg in svgs)
    colours = {c for svg in svgs for c in re.findall(r"#[0-9a-f]{6}", svg)}
    assert colours == set(), "a colour that is no role stays light on a dark page"


def cells(markdown: str) -> dict[str, list[str]]:
    """The rows of all tables of a text: first cell -> the others."""
    rows = [line.strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in rows}


def mean_of(folder: Path, mode: str, column: str) -> float:
    """The mean of a column over the final model's answers in one mode, at the floor and above."""
    rows = pq.read_table(folder / "items.parquet").to_pylist()
    rows = [row for row in rows if row["mode"] == mode and row["checkpoint"] == "final"]
    if column == "correct":
        return sum(row["verdict"] == "correct" for row in rows) / len(rows)
    return sum(row[column] for row in rows) / len(rows)


def in_points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def test_numbers_of_the_page_stand_in_their_own_cells(done, inputs):
    _, out, html = done
    text = "".join(Page(html).text)
    found = cells((out / "report.md").read_text())
    labels = {
        "plain": "plain next token", "plain-instructed": "plain, instructed",
        "reasoning": "thinks if it likes", "forced": "made to think",
    }  # fmt: skip
    for mode, label in labels.items():
        for tier, start in (("easy", "0.5"), ("medium", "1"), ("hard", "1.5")):
            row = found[f"{tier} (≥ {start} nats): {label}"]
            values = []
            for name, cell in zip(("before", "after", "finetuned"), row[1:4], strict=True):
                scores = json.loads((inputs[name] / "scores.json").read_text())
                estimate = scores["modes"][mode]["accuracy"][tier]
                low, high = 100 * estimate["low"], 100 * estimate["high"]
                assert cell == f"{100 * estimate['value']:.1f} % [{low:.1f}, {high:.1f}]", (mode, tier, name)
                assert cell.split(" [", maxsplit=1)[0] in text
                values.append(estimate["value"])
            assert row[4].split(" [")[0] == in_points(values[1] - values[0]), (mode, tier)


def test_the_head_of_the_page_adds_up(done, inputs):
    outcome, _, _ = done
    head = outcome.summary
    scores, right = (
        [mean_of(inputs[name], "reasoning", column) for name in ("before", "after")]
        for column in ("score", "correct")
    )
    assert [head["accuracy_before"], head["accuracy_after"]] == pytest.approx(scores)
    assert head["gain"] == pytest.approx(right[1] - right[0])
    assert head["gain_low"] < head["gain"] < head["gain_high"]
    assert head["claim: RPT raises next-token accuracy"] == "holds"
    assert head["accuracy_made_to_think"] == pytest.approx(mean_of(inputs["before"], "forced", "correct"))


def test_the_parts_of_the_gain_stand_in_their_own_cells(done, inputs):
    _, out, _ = done
    found = {name.split(":")[0]: rest for name, rest in cells((out / "report.md").read_text()).items()}
    free, made = (mean_of(inputs["before"], mode, "correct") for mode in ("reasoning", "forced"))
    habit, beyond = (found[name][0].split(" [")[0] for name in ("the habit alone", "beyond the habit"))
    assert habit == in_points(made - free)
    assert beyond == in_points(mean_of(inputs["after"], "reasoning", "correct") - made)
    assert habit != beyond
    for name, column in (("share that thinks", "thinks"), ("right, all answers", "score")):
        shown = [cell.split(" %")[0] for cell in found[name]]
        assert shown == [
            f"{100 * mean_of(inputs[side], 'reasoning', column):.1f}" for side in ("before", "after")
        ]


def test_claims_compare_what_their_names_say(done, inputs):
    _, out, _ = done
    found = cells((out / "report.md").read_text())
    before, after = inputs["before"], inputs["after"]
    for name, (first, second), threshold in (
        ("RPT raises next-token accuracy", ((before, "reasoning"), (after, "reasoning")), "0.0"),
        ("RPT raises it by more than 15 points", ((before, "reasoning"), (after, "reasoning")), "+15.0"),
        ("RPT brings more than the habit of thinking", ((before, "forced"), (after, "reasoning")), "0.0"),
        ("the trained model's thinking beats its own plain guess",
         ((after, "plain"), (after, "reasoning")), "0.0"),
        ("plain prediction loses less than 5 points", ((before, "plain"), (after, "plain")), "−5.0"),
    ):  # fmt: skip
        _, difference, least, *_ = found[name]
        expected = mean_of(*second, "score") - mean_of(*first, "score")
        assert difference.split(" [")[0] == in_points(expected), name
        assert least == threshold, name
    thinks = mean_of(after, "reasoning", "thinks") - mean_of(before, "reasoning", "thinks")
    assert found["RPT makes more answers think"][1].split(" [")[0] == in_points(thinks)


def test_the_journey_is_in_order_with_its_balance(done):
    _, out, html = done
    markdown = (out / "report.md").read_text()
    lines = [
        line for line in markdown.splitlines() if line.startswith(("| Text read", "| Corpus", "| RPT |"))
    ]
    assert [line.split("|")[1].strip() for line in lines] == ["Text read", "Corpus prepared", "RPT"]
    assert "7 near-duplicate, 3 too-short" in lines[1]
    assert "1.5T" in lines[1]
    assert "near-duplicate" in html


def test_rollouts_show_both_models_on_the_same_question(done):
    _, _, html = done
    cards = re.findall(r"<article.*?</article>", html, re.DOTALL)
    assert len(cards) == 8
    assert all("start model" in card and "after RPT" in card and "nats" in card for card in cards)


def retimed(folders: dict[str, Path], root: Path, seed: int) -> dict[str, Path]:
    """The same artifacts, made at other times, in other attempts, on another machine."""
    import random
    import shutil

    chance = random.Random(seed)
    copies = {name: shutil.copytree(folder, root / name) for name, folder in folders.items()}
    for path in root.rglob("*.json"):
        manifest = json.loads(path.read_text())
        if "attempts" in manifest:
            manifest["created"] = f"2027-01-{chance.randint(10, 28)}T{chance.randint(10, 23)}:00:00+00:00"
            manifest["attempts"] = [
                {
                    "started": "2027-01-01T00:00:00+00:00",
                    "seconds": round(chance.uniform(1, 900), 3),
                    "outcome": outcome,
                    "host": {"name": f"node-{chance.randint(0, 99)}", "cpus": 4},
                }
                for outcome in chance.choice((["done"], ["stopped", "done"], ["failed", "stopped", "done"]))
            ]
            path.write_text(json.dumps(manifest))
    return copies


def test_four_runs_with_other_timings_give_one_report(inputs, tmp_path):
    found = []
    for run in range(4):
        root = tmp_path / str(run)
        build = LocalBuild(retimed(inputs, root / "in", run), root / "out", root / "scratch")
        write_report(RECIPE, build)
        found.append({path.name: path.read_bytes() for path in build.out.iterdir()})
    logical = [{name: b for name, b in files.items() if name not in VOLATILE_FILES} for files in found]
    assert set(logical[0]) == {"report.json", "report.md", "report.png"}
    assert logical[1:] == logical[:-1]
    pages = [files["timings.html"].decode() for files in found]
    assert len(set(pages)) == len(pages)
    assert all(Page(page).open == [] and "node-" in page for page in pages)
    told = [re.sub(r"<dt>Time</dt><dd>[^<]*</dd>", "", files["report.html"].decode()) for files in found]
    assert told[1:] == told[:-1], "nothing but the hours differs from run to run"


def test_sources_stand_in_an_order_that_no_clock_decides(tmp_path):
    first = manifest_of("evaluation", "a")
    parent = {name: first[name] for name in ("kind", "fingerprint", "digest")}
    second = manifest_of("evaluation", "b") | {"parents": {"model": parent}}
    for clock in ("2026-01-01", "2028-01-01"):
        folder = tmp_path / clock
        folder.mkdir()
        for one, moment in ((first, "2027-01-01"), (second, clock)):
            (folder / f"{one['fingerprint']}.json").write_text(json.dumps(one | {"created": moment}))
        order = [source.fingerprint for source in lineage({"lineage": folder})]
        assert order == [first["fingerprint"], second["fingerprint"]], "what a thing stands on comes first"


def test_the_same_inputs_give_the_same_bytes(done, inputs, tmp_path):
    _, out, _ = done
    write_report(RECIPE, LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch"))
    for name in ("report.html", "report.json", "report.md", "report.png"):
        assert (tmp_path / "out" / name).read_bytes() == (out / name).read_bytes()


def test_without_manifests_the_page_says_so_and_links_nothing(tmp_path):
    folders = make_inputs(tmp_path, manifest=False)
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "s")
    write_report(RECIPE, build)
    html = (build.out / "report.html").read_text()
    assert Page(html).links == []
    assert "cannot be linked" in html
    assert "No manifests came with the inputs" in html
    assert "undecided" in html
    assert "no checkpoints were evaluated" in html


def test_a_mode_the_page_has_no_words_for_is_shown_by_its_name(tmp_path):
    folders = make_inputs(tmp_path)
    for name in ("before", "after", "finetuned"):
        table = pq.read_table(folders[name] / "items.parquet")
        rows = [row | {"mode": "choice"} for row in table.to_pylist() if row["mode"] == "problems"]
        more = pa.Table.from_pylist(rows, table.schema)
        pq.write_table(pa.concat_tables([table, more]), folders[name] / "items.parquet")
        scores = json.loads((folders[name] / "scores.json").read_text())
        scores["modes"]["choice"] = scores["modes"]["problems"]
        (folders[name] / "scores.json").write_text(json.dumps(scores))
    write_report(RECIPE, LocalBuild(folders, tmp_path / "out", tmp_path / "s"))
    page = (tmp_path / "out" / "report.md").read_text()
    known, other = (
        next(line for line in page.splitlines() if line.startswith(f"| {label} |"))
        for label in ("problems: exact answer", "other benchmarks: choice")
    )
    assert other.split("|")[2:] == known.split("|")[2:]


def test_text_from_data_stays_text(tmp_path):
    folders = make_inputs(tmp_path)
    for name in ("before", "after"):
        table = pq.read_table(folders[name] / "items.parquet")
        tails = [
            None if t is None else "<script>alert(1)</script>|</mark>" for t in table["tail"].to_pylist()
        ]
        index = table.schema.get_field_index("tail")
        pq.write_table(
            table.set_column(index, "tail", pa.array(tails, pa.large_string())),
            folders[name] / "items.parquet",
        )
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "s")
    write_report(RECIPE, build)
    html = (build.out / "report.html").read_text()
    assert html.count("<script>") == 1, "the page's own"
    assert "&lt;script&gt;" in html
    assert "\\|" in (build.out / "report.md").read_text()


def test_a_model_that_did_not_gain_is_told_plainly(tmp_path):
    worse = {"thinking": 0.1, "right_thinking": 0.5, "right_direct": 0.15}
    folders = make_inputs(tmp_path, after=worse, milestones={2: 0.1, 4: 0.1, 8: 0.1, 16: 0.1}, size=(30, 4))
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "s")
    outcome = write_report(RECIPE, build)
    assert outcome.summary["claim: RPT raises next-token accuracy"] == "fails"
    assert outcome.summary["gain"] < 0
    text = "".join(Page((build.out / "report.html").read_text()).text)
    assert "“RPT raises next-token accuracy” fails: the difference is" in text
    assert "is undecided" in text


def test_other_questions_are_refused(inputs, tmp_path):
    other = write_evaluation(tmp_path / "other", AFTER, planted=Planted(10, 3))
    with pytest.raises(RecipeError, match="cannot be paired"):
        write_report(RECIPE, LocalBuild({**inputs, "after": other}, tmp_path / "out", tmp_path / "s"))


def test_claims_are_about_the_positions_training_asks_about(inputs):
    before, after = (Evaluated.read(name, inputs[name]) for name in ("before", "after"))
    for judged in (before, after):
        judged.scores["floor_nats"] = 2.0
    decisions = decide(list(claims(before, after, None, 0.15)))
    asked = sum(
        1 for row in after.items.to_pylist()
        if row["mode"] == "plain" and row["entropy_nats"] >= 2.0
    )  # fmt: skip
    assert decisions[0].difference.num_items == asked < 200
    sentences = shortfalls([Model("after", (after,))], decisions)
    assert any(f"Only {asked} held-out positions of at least 2 nats" in sentence for sentence in sentences)


def unread_sentences(inputs, **verdicts: int) -> list[str]:
    after = Evaluated.read("after RPT", inputs["after"])
    after.scores["modes"]["reasoning"]["verdicts"] = {
        name.replace("_", " "): num for name, num in verdicts.items()
    }
    found = shortfalls([Model("after RPT", (after,))], [])
    return [sentence for sentence in found if "in mode reasoning went unread" in sentence]


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        (
            {"unparsed": 5, "truncated": 15, "timed_out": 0},
            "20.0% of the answers .*5 unparsed, 15 truncated of",
        ),
        ({"unparsed": 0, "truncated": 0, "timed_out": 3}, "3.0% of the answers .*3 timed out of 100"),
        (
            {"unparsed": 1, "truncated": 1, "timed_out": 1},
            "3.0% .*1 unparsed, 1 truncated, 1 timed out of 100",
        ),
    ],
)
def test_unread_answers_are_not_called_wrong(inputs, verdicts, says):
    right = 100 - sum(verdicts.values()) - 20
    (sentence,) = unread_sentences(inputs, correct=right, wrong=20, **verdicts)
    assert re.match(says, sentence)
    assert "after RPT" in sentence


def test_two_in_a_hundred_unread_are_borne(inputs):
    assert unread_sentences(inputs, correct=58, wrong=40, unparsed=1, truncated=1, timed_out=0) == []
    assert len(unread_sentences(inputs, correct=57, wrong=40, unparsed=1, truncated=1, timed_out=1)) == 1


def seeds_inputs(root: Path, gains: tuple[float, ...]) -> dict[str, Path]:
    folders = {}
    for index, gain in enumerate(gains):
        questions = Planted(20, 3, seed=index)
        after = {**AFTER, "right_thinking": 0.4 + gain}
        start = {**BEFORE, "right_thinking": 0.4, "right_direct": 0.4}
        folders[f"before.{index}"] = write_evaluation(
            root / f"before{index}", start, planted=questions, seed=2 * index
        )
        folders[f"after.{index}"] = write_evaluation(
            root / f"after{index}", after, planted=questions, seed=2 * index + 1
        )
    return folders


def test_several_seeds_are_compared_and_averaged(tmp_path):
    gains = (0.42, 0.45, 0.48)
    recipe = SeedsRecipe(before=(NOWHERE,) * 3, after=(NOWHERE,) * 3, seeds=(100, 101, 102))
    build = LocalBuild(seeds_inputs(tmp_path, gains), tmp_path / "out", tmp_path / "s")
    outcome = write_report(recipe, build)
    assert outcome.summary["mean_gain"] == pytest.approx(0.44, abs=0.06)
    assert outcome.summary["claim: mean gain above 0.15"] == "holds"
    assert outcome.summary["least_gain"] == min(outcome.summary[f"gain_seed_{s}"] for s in (100, 101, 102))
    page = Page((build.out / "report.html").read_text())
    assert page.open == []
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "seed 101" in (build.out / "report.md").read_text()
    assert (build.out / "report.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_that_disagree_leave_the_mean_open(tmp_path):
    recipe = SeedsRecipe(before=(NOWHERE,) * 3, after=(NOWHERE,) * 3, seeds=(0, 1, 2))
    build = LocalBuild(seeds_inputs(tmp_path, (-0.1, 0.3, 0.5)), tmp_path / "out", tmp_path / "s")
    outcome = write_report(recipe, build)
    assert outcome.summary["claim: mean gain above 0.15"] == "undecided"
    text = "".join(Page((build.out / "report.html").read_text()).text)
    assert "Seed 0 lost" in text
    assert "is undecided over 3 seeds" in text


def test_one_seed_has_no_interval_over_seeds(tmp_path):
    recipe = SeedsRecipe(before=(NOWHERE,), after=(NOWHERE,), seeds=(0,))
    build = LocalBuild(seeds_inputs(tmp_path, (0.4,)), tmp_path / "out", tmp_path / "s")
    outcome = write_report(recipe, build)
    assert outcome.summary["claim: mean gain above 0.15"] == "undecided"
    assert outcome.summary["mean_gain_low"] is None


def test_seeds_must_come_in_pairs():
    with pytest.raises(ValidationError, match="2 seeds, 1 evaluations before and 2 after"):
        SeedsRecipe(before=(NOWHERE,), after=(NOWHERE, NOWHERE), seeds=(0, 1))


@pytest.mark.slow
def test_the_interval_over_seeds_covers():
    import numpy as np

    from rpt_core.evaluation.statistics.intervals import Estimate

    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(3000):
        truth = rng.normal(0.4, 0.05, 4)
        seen = truth + rng.normal(0, 0.02, 4)
        mean = mean_gain([Estimate(float(g), 0.02, g - 0.04, g + 0.04, 500, 90) for g in seen])
        hits += mean.across.low <= 0.4 <= mean.across.high
    assert 0.93 <= hits / 3000 <= 0.97
