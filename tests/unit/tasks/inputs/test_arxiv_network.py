"""arXiv's servers played on this machine: papers by number, busy answers, errors, bulk lists."""

import time
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest

from infra.network.polite import PoliteServer
from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.ingest import ingest
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.sample.eprints import packed, tarred
from tasks.inputs import arxiv
from tasks.inputs.resolve import fetched
from tests.local_server import Quiet, serving

OPEN = "http://creativecommons.org/licenses/by/4.0/"
CLOSED = "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"
SOURCE = b"\\documentclass{a}\\title{A Tower}\\begin{document}The tower stands by the river.\\end{document}"


def record(number, license_=OPEN, categories="math.AP cs.LG"):
    return (
        f"<record><header><identifier>oai:arXiv.org:{number}</identifier></header><metadata>"
        f'<arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>{number}</id><created>2020-01-02</created>'
        f"<title>On\n towers</title><categories>{categories}</categories><license>{license_}</license>"
        "</arXiv></metadata></record>"
    )


def oai(body):
    opened = '<?xml version="1.0"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
    return f"{opened}{body}</OAI-PMH>".encode()


class Archive:
    """The server's answers, and what it was asked."""

    def __init__(self):
        self.asked, self.times = [], []
        self.fail: list[tuple[int, str]] = []
        self.eprints = {
            "2101.00001": packed(SOURCE),
            "hep-th/9901001": packed(tarred({"main.tex": SOURCE.replace(b"tower", b"bridge")})),
        }
        self.url = ""

    def answer(self, path, query):
        if path.startswith("/e-print/"):
            return self.eprints.get(path.removeprefix("/e-print/"))
        assert query["verb"] == "GetRecord"
        number = query["identifier"].removeprefix("oai:arXiv.org:")
        if number == "2101.09999":
            return oai('<error code="idDoesNotExist">nothing</error>')
        if number == "0000":
            return oai('<error code="badArgument">no such identifier</error>')
        return oai(f"<GetRecord>{record(number, CLOSED if number[0] == 'h' else OPEN)}</GetRecord>")


def handler_of(archive):
    class Handler(Quiet):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            archive.asked.append((parts.path, query))
            archive.times.append(time.monotonic())
            if archive.fail:
                status, after = archive.fail.pop(0)
                self.answer(status, **({"Retry_After": after} if after else {}))
                return
            body = archive.answer(parts.path, query)
            self.answer(404 if body is None else 200, body or b"")

    return Handler


@pytest.fixture
def archive():
    held = Archive()
    with serving(handler_of(held)) as held.url:
        yield held


def polite(archive):
    return PoliteServer(archive.url, pause_seconds=0.001)


def test_a_paper_is_known_by_its_number(archive):
    found = arxiv.licensed(polite(archive), "hep-th/9901001")
    assert (found.number, found.license, found.categories) == ("hep-th/9901001", CLOSED, ("math.AP", "cs.LG"))
    assert archive.asked == [
        (
            "/oai2",
            {"verb": "GetRecord", "identifier": "oai:arXiv.org:hep-th/9901001", "metadataPrefix": "arXiv"},
        )
    ]
    assert arxiv.licensed(polite(archive), "2101.09999") is None


def test_errors_of_the_protocol_are_told(archive):
    with pytest.raises(SourceError, match=r"badArgument: no such identifier.*when asked for 0000"):
        arxiv.licensed(polite(archive), "0000")


def test_busy_answers_are_waited_out(archive):
    archive.fail = [(503, "0"), (429, ""), (500, "")]
    assert arxiv.licensed(polite(archive), "2101.00001").license == OPEN
    archive.fail = [(503, "")] * 6
    with pytest.raises(SourceError, match="not answered in 6 attempts: HTTP 503") as caught:
        arxiv.licensed(polite(archive), "2101.00001")
    assert caught.value.exit_code == 75


def test_requests_keep_their_distance(archive):
    server = PoliteServer(archive.url, pause_seconds=0.1)
    for _ in range(3):
        arxiv.licensed(server, "2101.00001")
    gaps = [later - earlier for earlier, later in zip(archive.times, archive.times[1:], strict=False)]
    assert len(gaps) == 2
    assert min(gaps) >= 0.09


def test_a_list_of_numbers_becomes_papers_with_their_licence(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(arxiv, "API", archive.url)
    monkeypatch.setattr(PoliteServer, "wait", lambda self: None)
    (tmp_path / "my.arxiv").write_text("# mine\n2101.00001\nhep-th/9901001\n2101.00001\n")
    folder = fetched(str(tmp_path / "my.arxiv"))
    num_asked = len(archive.asked)
    assert num_asked == 4
    assert fetched(str(tmp_path / "my.arxiv")) == folder
    assert len(archive.asked) == num_asked
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    outcome = ingest(IngestRecipe(data=str(folder)), build)
    rows = pq.read_table(tmp_path / "out/documents.parquet").to_pylist()
    assert {(row["native_id"], row["license"], *row["categories"]) for row in rows} == {
        ("2101.00001", OPEN, "math.AP", "cs.LG"),
        ("hep-th/9901001", CLOSED, "math.AP", "cs.LG"),
    }
    assert outcome.rows.dropped == {"companion-file": 1}
    dropped = pq.read_table(tmp_path / "out/dropped.parquet").to_pylist()
    assert dropped[0]["preview"] == "describes 2 papers"


def test_what_is_no_number_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no number of arXiv"):
        arxiv.fetch_papers(PoliteServer("http://127.0.0.1:9"), ["../etc/passwd"], tmp_path)


MANIFEST = (
    "<?xml version='1.0' standalone='yes'?>\n<arXivSRC>"
    + "".join(
        f"<file><filename>src/arXiv_src_{month}_001.tar</filename><md5sum>{month}</md5sum>"
        f"<size>9</size><yymm>{month}</yymm></file>"
        for month in ("9912", "0001", "2301", "2302")
    )
    + "</arXivSRC>"
).encode()


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        ("2301", "2301", ["2301"]),
        ("9912", "0001", ["9912", "0001"]),
        ("9101", "2302", ["9912", "0001", "2301", "2302"]),
    ],
)
def test_bulk_files_by_month(first, last, months):
    found = arxiv.bulk_addresses(MANIFEST, first, last)
    assert found == [f"s3://arxiv/src/arXiv_src_{month}_001.tar#md5={month}" for month in months]


def test_bulk_lists_that_cannot_be_used():
    with pytest.raises(SourceError, match="lists no file from 1001 to 1002"):
        arxiv.bulk_addresses(MANIFEST, "1001", "1002")
    with pytest.raises(SourceError, match="no manifest"):
        arxiv.bulk_addresses(b"<other/>", "1001", "1002")


def test_a_manifest_with_months_is_data(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        "tasks.inputs.resolve.download", lambda address, folder, progress: asked.append(address)
    )
    (tmp_path / "manifest.xml").write_bytes(MANIFEST)
    fetched(f"{tmp_path}/manifest.xml#yymm=2301..2302")
    assert [address.partition("#")[2] for address in asked] == ["md5=2301", "md5=2302"]
