"""A day of an operator and an analyst, in a browser: Prefect's and MLflow's pages against a real `rpt up`.

Skipped by name where playwright or Chromium is not there: `make test-browser` installs the first; the second
is a package of the system (`apt-get install chromium`, or RPT_CHROMIUM=PATH).
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.links import MLFLOW, PREFECT
from infra.storage.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.scaling.fit import fit_scaling
from tests.faults.random_kills import SMALLEST
from tests.local_stack import Up, of_home
from tests.unit.evaluation.tables import AFTER, write_evaluation
from tests.unit.flows.cli.test_copy_and_compare import put

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: make test-browser"
)
CHROMIUM = os.environ.get("RPT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: RPT_CHROMIUM=PATH"),
]
PATIENCE_MS = 120_000
REPOSITORY = Path(__file__).parents[2]
SEEDS = (5, 6)


def literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


FIELDS = {name: literal(value) for name, _, value in (field.partition("=") for field in SMALLEST)}


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    stack = Up(tmp_path_factory.mktemp("operated"))
    try:
        stack.wait_until_up()
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()
        assert not of_home(stack.home)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, request) -> Iterator[Any]:
    """A page at 1280 pixels; what it showed at the end is kept where RPT_SCREENSHOTS names a folder."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    if folder := os.environ.get("RPT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png")
    page.close()


def ui(up: Up) -> str:
    return up.links[PREFECT].removesuffix("/api")


def deployment(up: Up, flow: str, name: str) -> str:
    """Address of a deployment's page."""
    for found in up.api.call("POST", "/deployments/filter", {"limit": 200}):
        if found["name"] == name and found["entrypoint"].endswith(f".{flow}"):
            return f"{ui(up)}/deployments/deployment/{found['id']}"
    raise AssertionError(f"{flow}/{name} is not deployed")


def fill_form(page, address: str, recipe: str, seed: int, fields: dict[str, Any]) -> None:
    """The form of a run, filled in as a person does; not sent."""
    page.goto(f"{address}/run")
    page.get_by_role("button", name="int", exact=True).click()
    page.locator("input[type=number]").first.fill(str(seed))
    page.locator(".p-code-input textarea").first.fill(json.dumps(fields))
    choose(page, recipe)


def choose(page, recipe: str) -> list[str]:
    """Open the choice of recipes, take one, and give all that were offered."""
    page.locator(".p-select-button__control").first.click()
    page.keyboard.press("ArrowDown")
    options = page.locator(".p-select-option__text")
    options.first.wait_for()
    offered = options.all_inner_texts()
    page.locator(".p-select-option").get_by_text(recipe, exact=True).click()
    return offered


def send(up: Up, page, flow: str) -> str:
    """Send the form; the id of the run it began.

    While a run starts, Prefect's server may find its SQLite file locked for a minute: it answers 503 and the
    page says "Oops". A person sends the form again then, and so does this. Postgres has no such lock.
    """
    before, refused = {run["id"] for run in up.runs(flow)}, 0
    submit, oops = page.get_by_role("button", name="Submit"), page.get_by_text("Oops. Something went wrong.")
    submit.click()
    give_up = time.monotonic() + 3 * PATIENCE_MS / 1000
    while not (new := {run["id"] for run in up.runs(flow)} - before):
        assert time.monotonic() < give_up, page.inner_text("body")
        if oops.count() > refused:
            refused = oops.count()
            submit.click()
        time.sleep(0.5)
    return new.pop()


def state_of(up: Up, run: str) -> dict[str, Any]:
    return up.api.call("GET", f"/flow_runs/{run}")["state"]


def wait_for(up: Up, run: str, wanted: str, seconds: float = 600) -> None:
    give_up = time.monotonic() + seconds
    while (state := state_of(up, run))["type"] != wanted:
        assert state["type"] not in {"FAILED", "CRASHED"} - {wanted}, state["message"]
        assert time.monotonic() < give_up, state
        time.sleep(1.0)


@pytest.fixture(scope="module")
def journeys(up, browser) -> dict[int, str]:
    """A small journey under each of two seeds, begun by the form; by seed the run's id."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(PATIENCE_MS)
    begun = {}
    for seed in SEEDS:
        fill_form(page, deployment(up, "pipeline", "local"), "tiny_rpt", seed, FIELDS)
        begun[seed] = send(up, page, "pipeline")
    page.close()
    for run in begun.values():
        wait_for(up, run, "COMPLETED")
    return begun


def test_a_form_offers_recipes_and_refuses_a_wrong_value_before_a_run_exists(up, page):
    address = deployment(up, "train_rpt", "local")
    fill_form(page, address, "tiny_rmt", -1, {})
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("-1 is not valid under any of the given schemas").wait_for()
    assert up.runs("train-rpt") == []
    page.reload()
    page.get_by_role("button", name="int", exact=True).wait_for()
    offered = choose(page, "tiny_rmt")
    assert {"tiny_rpt", "tiny_rmt", "rpt_14b"} <= set(offered)
    assert "tiny_rlpt" not in offered  # its journey trains RLPT


def test_a_run_begun_by_the_form_tells_of_itself_and_leads_to_mlflow(up, page, journeys):
    page.goto(f"{ui(up)}/runs/flow-run/{journeys[5]}")
    for told in ("prepare-corpus: ", "train-rpt: ", "Finished in state Completed()"):
        page.get_by_text(told).first.wait_for()
    page.get_by_text("Artifacts", exact=True).last.click()
    page.get_by_text("policy-mlflow", exact=True).first.click()
    link = page.get_by_role("link", name="metrics in MLflow")
    address = link.get_attribute("href")
    assert address.startswith(up.links[MLFLOW])
    page.goto(address)
    page.get_by_text("tiny_rpt-policy").first.wait_for()
    page.get_by_text("reward").first.wait_for()


def mlflow_runs(up: Up, role: str) -> list[Any]:
    """Finished runs of a role, by MLflow's own client."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(up.links[MLFLOW])
    experiments = [one.experiment_id for one in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`rpt.role` = '{role}' and attributes.status = 'FINISHED'")


@pytest.fixture(scope="module")
def fits(up, tmp_path_factory) -> list[Any]:
    """Two laws fitted to checkpoints of known exponents, in the store, and shown by the command."""
    folder, store = tmp_path_factory.mktemp("fits"), Store(str(up.home / "store"), up.home / "cache")
    for exponent, letter in ((0.8, "a"), (1.2, "b")):
        risen = {step: 0.8 - 0.5 * step**-exponent for step in (2, 4, 8, 16, 32, 48)}
        table = write_evaluation(folder / letter, AFTER, milestones=risen, seed=1)
        kept = shutil.copytree(
            table, folder / f"kept-{letter}", ignore=shutil.ignore_patterns("manifest.json")
        )
        evaluation = put(store, kept, "evaluation", letter)
        recipe = ScalingRecipe(evaluation=evaluation.artifact, resamples=100)
        build = LocalBuild({"evaluation": table}, folder / f"fit-{letter}", folder / f"scratch-{letter}")
        outcome = fit_scaling(recipe, build)
        parents = {"evaluation": evaluation.artifact}
        told = recipe.model_dump(mode="json")
        fit = put(store, build.out, "scaling", {"a": "c", "b": "d"}[letter], parents=parents,
                  recipe=told, outcome=outcome)  # fmt: skip
        words = [sys.executable, "-m", "flows", "track", fit.artifact.short]
        env = {**up.env, "RPT_HOME": str(up.home), "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(words, cwd=up.folder, env=env, check=True, capture_output=True)
    return [run for run in mlflow_runs(up, "scaling") if "result/easy_alpha" in run.data.metrics]


def compare(up: Up, page, runs: list[Any], wanted: set[str]) -> None:
    """MLflow's page of several runs, with these metrics of each in it."""
    ids, experiments = [run.info.run_id for run in runs], sorted({run.info.experiment_id for run in runs})
    page.goto(
        f"{up.links[MLFLOW]}/#/compare-runs?runs={json.dumps(ids)}&experiments={json.dumps(experiments)}"
    )
    for run in runs:
        page.get_by_text(run.info.run_id[:8]).first.wait_for()
        assert wanted <= set(run.data.metrics)
    page.get_by_text(min(wanted), exact=True).last.wait_for()
    for name in sorted(wanted):  # as the table has them; it draws the rows that are in view
        scroll_to(page, page.get_by_text(name, exact=True), beside=min(wanted))


def scroll_to(page, row, beside: str) -> None:
    """Turn the wheel over a table until a row of it is drawn."""
    name = page.get_by_text(beside, exact=True).last
    if name.count():
        name.scroll_into_view_if_needed()
        place = name.bounding_box()
        page.mouse.move(place["x"] + 300, place["y"] + 5)  # the column of names does not scroll by itself
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while not row.count():
        assert time.monotonic() < give_up, page.inner_text("body")
        page.mouse.wheel(0, 150)
        time.sleep(0.2)


def test_two_trainings_are_compared_side_by_side(up, page, journeys):
    runs = mlflow_runs(up, "policy")
    assert len(runs) == len(SEEDS)
    compare(up, page, runs, {"reward_mean"})


def test_two_power_laws_are_compared_side_by_side(up, page, fits):
    assert len(fits) == 2
    names = {f"result/easy_{name}{end}" for name in ("alpha", "p_star") for end in ("", "_low", "_high")}
    names |= {f"result/easy_power_law_exponent{end}" for end in ("", "_low", "_high")}
    compare(up, page, fits, names)
    for run in fits:
        shown = f"{run.data.metrics['result/easy_power_law_exponent']:.3g}"[:4]
        page.get_by_text(shown).first.wait_for()


def test_the_report_of_a_run_is_opened(up, page, journeys, tmp_path):
    store = Store(str(up.home / "store"), tmp_path / "cache")
    reports = [one for name, one in store.refs().items() if name == "tiny_rpt-report"]
    newest = list(reports[0].values())[-1]
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((store.materialise(newest) / "report.html").as_uri())
    assert "RPT" in page.locator("h1").first.inner_text()
    assert page.locator("svg").count() > 0
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_schedule_is_made_and_seen(up, page):
    page.goto(deployment(up, "train_rpt", "local"))
    page.get_by_role("button", name="Schedule", exact=True).click()
    page.get_by_placeholder("Enter a unique identifier for this schedule").fill("every-hour")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("every-hour", exact=True).wait_for()
    upcoming = page.get_by_text("Upcoming", exact=True)
    upcoming.click()
    [made] = [
        one
        for one in up.api.call("POST", "/deployments/filter", {"limit": 200})
        if one["name"] == "local" and one["entrypoint"].endswith(".train_rpt")
    ]
    [schedule] = made["schedules"]
    assert (schedule["slug"], schedule["active"], schedule["schedule"]["interval"]) == (
        "every-hour",
        True,
        3600.0,
    )
    up.api.call("DELETE", f"/deployments/{made['id']}/schedules/{schedule['id']}")


def test_a_run_is_cancelled_and_its_rerun_resumes(up, page):
    fields = {**FIELDS, "base.steps": 4000}
    fill_form(page, deployment(up, "cold_start", "local"), "tiny_rpt", 7, fields)
    run = send(up, page, "cold-start")
    page.goto(f"{ui(up)}/runs/flow-run/{run}")
    page.get_by_text("train-base: ").first.wait_for(timeout=5 * PATIENCE_MS)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Confirm", exact=True).click()
    wait_for(up, run, "CANCELLED", seconds=90)
    fill_form(page, deployment(up, "cold_start", "local"), "tiny_rpt", 7, fields)
    again = send(up, page, "cold-start")
    page.goto(f"{ui(up)}/runs/flow-run/{again}")
    page.get_by_text("resumed at step").first.wait_for(timeout=5 * PATIENCE_MS)
    up.api.cancel(again)
    wait_for(up, again, "CANCELLED", seconds=90)
