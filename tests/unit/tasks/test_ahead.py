"""What later stages import is imported while the first ones run; tables and reports need no torch."""

import subprocess
import sys

import pytest

from flows.recipes import named
from flows.recipes.trees import walk
from infra.runs import warm
from infra.runs.launch import launch, rank_command
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.stages import STAGES, stage_of
from tasks import ahead
from tasks.build import STAGE_MODULE, preloaded, settled, stage_env

HERE = Placement(gpus=0)
LOADED = "import sys; {imports}; print(*sorted({{'torch', 'transformers'}} & set(sys.modules)))"


@pytest.fixture
def imported(monkeypatch):
    """Servers as stand-ins that note what each is asked to import, by the threads of its environment."""
    asked: dict[tuple[str, str], list[str]] = {}

    class Noted:
        def __init__(self, env):
            self.key = (env["OMP_NUM_THREADS"], env.get("MALLOC_ARENA_MAX", ""))

        def preload(self, modules):
            asked.setdefault(self.key, []).extend(modules)

    monkeypatch.setattr(warm, "available", lambda env: True)
    monkeypatch.setattr(warm, "server_for", Noted)
    return asked


@pytest.mark.parametrize("name", ["tiny_rpt", "tiny_rlpt"])
def test_every_module_of_a_journey_is_imported_ahead(name, imported):
    recipes = walk(named.any_journey(name, {}))
    loaded = ahead.load_stages(recipes, HERE)
    each = set()
    for recipe in recipes:
        placement, numerics = settled(recipe, HERE)
        each.add(preloaded(stage_of(recipe), numerics, placement))
        key = (stage_env(numerics)["OMP_NUM_THREADS"], stage_env(numerics).get("MALLOC_ARENA_MAX", ""))
        assert {*preloaded(stage_of(recipe), numerics, placement), STAGE_MODULE} <= {*imported[key]}
    assert loaded == len(each) > 5, "each once"
    assert len(imported) == 2, "one server for tables, one for models"


def test_nothing_is_imported_for_a_gpu_or_for_several_processes(imported):
    recipes = [recipe for recipe in walk(named.any_journey("tiny_rpt", {})) if stage_of(recipe).trains]
    assert recipes
    assert ahead.load_stages(recipes, Placement(gpus=0, ranks=2)) == 0
    assert not imported
    assert ahead.load_ahead([], HERE) == []


def test_what_a_placement_cannot_have_is_left_to_the_stage(imported):
    recipes = walk(named.any_journey("tiny_rpt", {}))
    tables = [recipe for recipe in recipes[:2] if stage_of(recipe).exact]
    assert ahead.load_stages(recipes, Placement(gpus=7)) == len(tables) == 2


@pytest.mark.skipif(not warm.available({}), reason="stages are forked on Linux alone")
def test_a_stage_is_forked_from_what_was_loaded_ahead(tmp_path):
    recipe = walk(named.any_journey("tiny_rpt", {}))[0]
    placement, numerics = settled(recipe, HERE)
    modules = preloaded(stage_of(recipe), numerics, placement)
    before = {id(server) for server in warm._servers.values()}
    for thread in ahead.load_ahead([recipe], HERE):
        thread.join(60)
    mine = [server for server in warm._servers.values() if id(server) not in before]
    outcome = launch(
        rank_command("rpt_core.corpus.ingest", []), workdir=tmp_path, env=stage_env(numerics), preload=modules
    )
    assert outcome.status == "failed", "a module of a stage is no program: the fork says so"
    now = {id(server) for server in warm._servers.values()}
    assert now == before | {id(server) for server in mine}, "no other server was begun for it"


def test_stages_over_tables_and_the_view_in_mlflow_import_no_torch():
    exact = {stage.function.partition(":")[0] for stage in STAGES.values() if stage.exact}
    assert len(exact) >= 5
    modules = sorted(exact | {"tasks.shown.intervals", "tasks.build", "flows.make"})
    code = LOADED.format(imports="; ".join(f"import {name}" for name in modules))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
