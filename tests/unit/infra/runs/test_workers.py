"""Shards in other processes: the same results in the same order, whoever does them and whoever dies."""

import bz2
from functools import partial
from pathlib import Path

import pytest

from infra.runs.workers import workers
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.digest import logical_digest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus import batches, ingest_shards
from rpt_core.corpus.files import parts as parts_of
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.readers import find_sources
from rpt_core.corpus.wiki import multistream
from rpt_core.corpus.wiki import parts as wiki_parts
from rpt_core.errors import EngineError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from rpt_core.sample.files import write_sample
from tests.unit.infra.runs.shards import fragile, refuses

pytestmark = pytest.mark.slow


def test_a_process_that_dies_takes_nothing_of_the_others_with_it(tmp_path):
    with workers(Placement(workers=2)) as mapper:
        assert list(mapper(partial(fragile, tmp_path, 8, 1), range(12))) == [i * i for i in range(12)]
    tried = [len(list(tmp_path.glob(f"{item}-*"))) for item in range(12)]
    assert tried[8] == 2
    assert tried[:5] == [1] * 5, "what was done before the death was done again"
    assert max(tried) <= 2


def test_a_shard_that_kills_every_process_ends_the_stage_by_name(tmp_path):
    with (
        workers(Placement(workers=2)) as mapper,
        pytest.raises(EngineError, match="3 processes died on one shard"),
    ):
        list(mapper(partial(fragile, tmp_path, 1, 99), range(4)))


def test_what_a_shard_raises_is_raised_here():
    with workers(Placement(workers=2)) as mapper, pytest.raises(ValueError, match="two is no good"):
        list(mapper(refuses, range(4)))


def test_items_are_taken_as_they_are_needed():
    taken = []
    with workers(Placement(workers=2)) as mapper:
        results = mapper(abs, (taken.append(i) or i for i in range(100)))
        assert next(results) == 0
        assert len(taken) == 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The sample world, its dump by an index and again as one stream that only the stage can unpack."""
    folder = write_sample(SampleWorld(num_documents=300, num_problems=60), tmp_path_factory.mktemp("data"))
    for path in (folder / "wikipedia").glob("*-multistream.xml.bz2"):
        text = bz2.decompress(path.read_bytes())
        (folder / "wikipedia/twinwiki-x.xml.bz2").write_bytes(bz2.compress(text))
    return folder


def ingested(data: Path, folder: Path, placement: Placement) -> dict[str, str]:
    build = LocalBuild({}, folder / "out", folder / "scratch")
    with workers(placement) as build.mapper:
        ingest(IngestRecipe(data=str(data)), build)
    return {path.name: logical_digest(path) for path in (folder / "out").iterdir()}


@pytest.fixture(scope="module")
def world(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    ingested(data, folder, Placement())
    return folder / "out"


@pytest.fixture
def read_alone(world):
    return {path.name: logical_digest(path) for path in world.iterdir()}


@pytest.fixture
def small_shards(monkeypatch, data):
    monkeypatch.setattr(wiki_parts, "PAGES_BYTES", 20_000)
    monkeypatch.setattr(parts_of, "FILES_BYTES", 3_000)
    monkeypatch.setattr(multistream, "RUN_BYTES", 6_000)
    reads = (shard.part.read for shard in ingest_shards.cut(find_sources(data)))
    assert {getattr(read, "func", read).__name__ for read in reads} == {"read_whole", "run_rows", "page_rows"}


@pytest.mark.usefixtures("small_shards")
def test_documents_are_the_same_from_two_processes(data, read_alone, tmp_path):
    assert len(read_alone) == 8
    assert ingested(data, tmp_path, Placement(workers=2)) == read_alone


def prepared(world: Path, folder: Path, placement: Placement) -> dict[str, str]:
    build = LocalBuild({"documents": world}, folder / "out", folder / "scratch")
    with workers(placement) as build.mapper:
        prepare(PrepareRecipe(documents=Ref(ref="x")), build)
    return {
        path.name: logical_digest(path) for path in (folder / "out").iterdir() if path.name != "timings.jsonl"
    }


@pytest.fixture(scope="module")
def alone(world, tmp_path_factory):
    return prepared(world, tmp_path_factory.mktemp("alone"), Placement())


def test_a_corpus_is_the_same_from_two_processes(world, alone, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_ROWS", 30)
    assert len(alone) == 13
    assert prepared(world, tmp_path, Placement(workers=2)) == alone


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.usefixtures("small_shards")
def test_documents_and_corpus_are_the_same_from_ray(data, read_alone, world, alone, tmp_path, monkeypatch):
    """A real cluster of this machine, started for this test and ended with it."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(batches, "BATCH_ROWS", 30)
    ray = Placement(workers=2, workers_on="ray")
    assert ingested(data, tmp_path / "read", ray) == read_alone
    assert prepared(world, tmp_path / "prepared", ray) == alone
