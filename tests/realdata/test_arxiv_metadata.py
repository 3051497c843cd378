"""Recorded replies of arXiv and of an OAI-PMH server, served from this machine and read by our own client."""

import json
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.network.polite import PoliteServer
from rpt_core.corpus.arxiv.metadata import parse_atom, parse_manifest, parse_oai
from rpt_core.corpus.files.streams import BrokenInput
from tasks.inputs import arxiv
from tests.local_server import Quiet, serving

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "arxiv-metadata"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"recorded replies: {DATA} is absent (RPT_TEST_DATA)"),
]


def test_every_recorded_record_has_number_title_categories_and_licence():
    found = {}
    for path in sorted((DATA / "oai-arxiv").glob("*.xml")):
        found |= {paper.number: paper for paper in parse_oai(path.read_bytes()).papers}
    assert {"1401.2122", "1601.03238", "1603.01251"} <= found.keys()
    for paper in found.values():
        assert paper.title
        assert paper.categories
        assert paper.license.startswith(("http://", "https://"))
    paper = found["1401.2122"]
    assert paper.title == "New integrable (3+1)-dimensional systems and contact geometry"
    assert paper.categories == ("math.AP", "hep-th", "math-ph", "math.DG", "math.MP", "nlin.SI")
    assert paper.license == "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"
    assert paper.updated == "2017-10-23"


def test_recorded_replies_of_the_query_api():
    pages = 0
    for path in sorted((DATA / "atom").glob("*.json")):
        reply = json.loads(path.read_text())
        body = reply["body"].encode()
        if reply["status_code"] != 200:
            with pytest.raises(BrokenInput, match="incorrect id format"):
                parse_atom(body)
            continue
        page = parse_atom(body)
        pages += 1
        assert len(page.papers) == reply["body"].count("<entry>")
        assert page.total >= len(page.papers) or not page.papers
        assert all(paper.number and paper.title and paper.categories for paper in page.papers)
        assert not [paper for paper in page.papers if paper.number[-2:] in ("v1", "v2")]
    assert pages >= 10


def test_the_real_bulk_manifest():
    path = DATA.parent / "arxiv-manifest" / "arXiv_src_manifest.xml"
    if not path.exists():
        pytest.skip(f"the bulk manifest: {path} is absent")
    chunks = parse_manifest(path.read_bytes())
    assert len(chunks) > 100
    assert all(len(chunk.md5) == 32 and chunk.num_bytes > 0 and len(chunk.month) == 4 for chunk in chunks)
    months = arxiv.bulk_addresses(path.read_bytes(), "0001", "0003")
    assert months[0] == "s3://arxiv/src/arXiv_src_0001_001.tar#md5=949ae880fbaf4649a485a8d9e07f370b"
    assert all(f"_000{number}_" in "".join(months) for number in (1, 2, 3))


@pytest.fixture
def server():
    """Recorded OAI-PMH replies, told apart by identifier as the real server does."""
    names = {"1401.2122": "oai-arxiv/arxiv-single.xml", "0000.0000": "oai-pmh/idDoesNotExist.xml"}

    class Handler(Quiet):
        def do_GET(self):
            query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            self.answer(200, (DATA / names[query["identifier"].rpartition(":")[2]]).read_bytes())

    with serving(Handler) as url:
        yield PoliteServer(url, pause_seconds=0.001)


def test_recorded_replies_about_one_paper_are_read(server):
    assert arxiv.licensed(server, "0000.0000") is None
    assert arxiv.licensed(server, "1401.2122").license.endswith("nonexclusive-distrib/1.0/")


@pytest.mark.parametrize(
    "name", ["badArgument", "cannotDisseminateFormat", "idDoesNotExist", "undefinedError"]
)
def test_every_recorded_error_is_named(name):
    with pytest.raises(BrokenInput, match="bad-reply"):
        parse_oai((DATA / "oai-pmh" / f"{name}.xml").read_bytes())


def test_an_empty_answer_and_a_broken_one():
    assert parse_oai((DATA / "oai-pmh" / "noRecordsMatch.xml").read_bytes()).papers == ()
    with pytest.raises(BrokenInput, match="broken-xml"):
        parse_oai((DATA / "oai-pmh" / "ListRecordsBroken.xml").read_bytes())
