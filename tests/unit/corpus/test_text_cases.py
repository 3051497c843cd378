"""What TeX, MediaWiki and people wrote is read as they meant it: judged inputs through the real stages."""

from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tests.unit.corpus.text_cases import CASES, FOLDER, judge, lay_out


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """All inputs in one data folder through both stages: where each lies, and the tables by name."""
    folder = tmp_path_factory.mktemp("text-cases")
    places = lay_out(folder / "data")
    first = LocalBuild({}, folder / "documents", folder / "scratch1")
    ingest(IngestRecipe(data=str(folder / "data")), first)
    second = LocalBuild({"documents": folder / "documents"}, folder / "corpus", folder / "scratch2")
    recipe = PrepareRecipe(documents=Ref(ref="x"), min_words=1, quality=False, min_segment_chars=1)
    prepare(recipe, second)
    ingested, prepared = (
        {path.stem: pq.read_table(path).to_pylist() for path in (folder / name).glob("*.parquet")}
        for name in ("documents", "corpus")
    )
    return SimpleNamespace(places=places, ingested=ingested, prepared=prepared)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_judged_input_is_read_as_it_was_meant(read, case):
    assert judge(case, read.places[case["name"]], read.ingested, read.prepared) == ""


def test_every_input_is_judged():
    judged = {case["file"] for case in CASES}
    assert {path.name for path in FOLDER.iterdir()} - {"cases.json"} == judged
    assert all(
        case.keys() & {"has", "lacks", "answers", "segments", "no_small_start", "source"} for case in CASES
    )
