"""Downloads from a local server that breaks off, lies, is busy, and replaces its files."""

import bz2
import hashlib
import re
from dataclasses import dataclass, field

import pytest

from infra.network.download import TRIES, download, parse_address
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import IngestRecipe
from tasks.inputs.resolve import fetched, resolve_sources
from tests.local_server import Quiet, serving

CONTENT = bytes(range(256)) * 20_000


@dataclass
class World:
    """What the server holds and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    """Bytes of the body after which the next connections are dropped."""
    answers: list[tuple[int, str]] = field(default_factory=list)
    """Status and Retry-After of the next answers, before anything else."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of every request."""
    url: str = ""


def handler_of(world):
    class Handler(Quiet):
        def do_GET(self):
            asked = self.headers.get("Range") or ""
            world.asked.append((self.path, asked))
            assert self.headers.get("User-Agent", "").startswith("rpt-plain-text")
            if world.answers and self.path in world.files:
                status, retry_after = world.answers.pop(0)
                self.answer(status, **({"Retry_After": retry_after} if retry_after else {}))
                return
            body = world.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            start = 0
            same = self.headers.get("If-Range") in (None, world.etag)
            if asked and world.ranges and same:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
                if start >= len(body):
                    self.answer(416, Content_Range=f"bytes */{len(body)}")
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if world.etag:
                self.send_header("ETag", world.etag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = start + world.break_after.pop(0) if world.break_after else len(body)
            self.wfile.write(body[start:end])
            if end < len(body):
                self.close_connection = True

    return Handler


@pytest.fixture
def world():
    held = World(files={"/dumps/file.bin": CONTENT})
    with serving(handler_of(held)) as held.url:
        yield held


def get(world, folder, fragment=""):
    return download(f"{world.url}/dumps/file.bin{fragment}", folder, wait_seconds=0.001)


def test_a_file_comes_whole_and_only_once(world, tmp_path):
    assert get(world, tmp_path).read_bytes() == CONTENT
    assert get(world, tmp_path).read_bytes() == CONTENT
    assert len(world.asked) == 1
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["file.bin"]


def test_broken_connections_are_resumed_where_they_broke(world, tmp_path):
    world.break_after = [1_000_000, 2_000_000, 500_000]
    assert get(world, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in world.asked] == ["", "bytes=1000000-", "bytes=3000000-", "bytes=3500000-"]


def test_another_call_goes_on_after_a_kill(world, tmp_path):
    world.break_after = [1_500_000] + [0] * TRIES
    with pytest.raises(SourceError, match="could not be read in 6 attempts") as caught:
        get(world, tmp_path)
    assert caught.value.retryable
    assert (tmp_path / "file.bin.part").stat().st_size == 1_500_000
    assert not (tmp_path / "file.bin").exists()
    world.asked.clear()
    assert get(world, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in world.asked] == ["bytes=1500000-"]


def test_a_replaced_file_is_read_anew(world, tmp_path):
    world.break_after = [1_500_000] + [0] * TRIES
    with pytest.raises(SourceError):
        get(world, tmp_path)
    world.files["/dumps/file.bin"], world.etag = CONTENT[::-1], '"two"'
    assert get(world, tmp_path).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(("ranges", "etag"), [(False, '"one"'), (True, ""), (True, 'W/"weak"')])
def test_a_server_that_cannot_resume_sends_all_again(world, tmp_path, ranges, etag):
    world.ranges, world.etag, world.break_after = ranges, etag, [1_000_000]
    assert get(world, tmp_path).read_bytes() == CONTENT


def test_a_whole_part_that_was_never_renamed_is_finished(world, tmp_path):
    world.break_after = [len(CONTENT) - 1] + [0] * TRIES
    with pytest.raises(SourceError):
        get(world, tmp_path)
    with (tmp_path / "file.bin.part").open("ab") as stream:
        stream.write(CONTENT[-1:])
    assert get(world, tmp_path).read_bytes() == CONTENT


def test_busy_servers_are_asked_again(world, tmp_path):
    world.answers = [(503, ""), (429, "0"), (500, "")]
    assert get(world, tmp_path).read_bytes() == CONTENT
    assert len(world.asked) == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusals_are_final(world, tmp_path, status):
    world.answers = [(status, "")]
    with pytest.raises(SourceError, match=f"HTTP {status}.*check the address") as caught:
        get(world, tmp_path)
    assert not caught.value.retryable
    assert len(world.asked) == 1


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_checksum_is_checked(world, tmp_path, algorithm):
    right = hashlib.new(algorithm, CONTENT).hexdigest()
    assert get(world, tmp_path / "a", f"#{algorithm}={right.upper()}").exists()
    wrong = hashlib.new(algorithm, b"other").hexdigest()
    with pytest.raises(SourceError, match=f"came with {algorithm} {right}, but {wrong} was expected"):
        get(world, tmp_path / "b", f"#{algorithm}={wrong}")
    assert [path.name for path in (tmp_path / "b").iterdir()] == [".file.bin.lock"]


def test_a_file_that_was_changed_on_disk_comes_again(world, tmp_path):
    fragment = f"#sha256={hashlib.sha256(CONTENT).hexdigest()}"
    path = get(world, tmp_path, fragment)
    path.write_bytes(b"damaged")
    assert get(world, tmp_path, fragment).read_bytes() == CONTENT
    world.asked.clear()
    assert get(world, tmp_path, fragment).read_bytes() == CONTENT
    assert world.asked == []


def test_the_sums_that_wikimedia_publishes_are_looked_up(world, tmp_path):
    name = "dewiki-20260101-pages-articles-multistream.xml.bz2"
    world.files[f"/dumps/{name}"] = CONTENT
    sums = f"{hashlib.sha1(b'x').hexdigest()}  dewiki-20260101-other.gz\n{'0' * 40}  {name}\n"
    world.files["/dumps/dewiki-20260101-sha1sums.txt"] = sums.encode()
    with pytest.raises(SourceError, match="came with sha1"):
        download(f"{world.url}/dumps/{name}", tmp_path)
    good = sums.replace("0" * 40, hashlib.sha1(CONTENT).hexdigest())
    world.files["/dumps/dewiki-20260101-sha1sums.txt"] = good.encode()
    assert download(f"{world.url}/dumps/{name}", tmp_path).read_bytes() == CONTENT
    del world.files["/dumps/dewiki-20260101-sha1sums.txt"]
    assert download(f"{world.url}/dumps/{name}", tmp_path / "unlisted").read_bytes() == CONTENT


def test_nothing_is_pulled_that_does_not_fit(world, tmp_path, monkeypatch):
    monkeypatch.setattr("infra.network.download.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(SourceError, match=f"needs {len(CONTENT)} more bytes, but .* has 1000 free"):
        get(world, tmp_path)


class Usage:
    """A disk nearly full."""

    free = 1000


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setattr("infra.network.download.TRIES", 2)
    with pytest.raises(SourceError, match="could not be read in 2 attempts") as caught:
        download("http://127.0.0.1:9/file.bin", tmp_path, wait_seconds=0.001)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize(
    "address", ["https://x.org/", "https://x.org/a#sha3=00", "https://x.org/a#sha1=0", "https://x.org/.."]
)
def test_addresses_that_make_no_sense(address):
    with pytest.raises(SourceError):
        parse_address(address)


def test_progress_is_told(world, tmp_path):
    told = []
    download(f"{world.url}/dumps/file.bin", tmp_path, progress=lambda have, total: told.append((have, total)))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_an_ingest_by_address_is_known_by_content(world, tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    page = "<mediawiki><page><title>T</title><id>1</id></page></mediawiki>"
    world.files["/dumps/mywiki.xml.bz2"] = bz2.compress(page.encode())
    resolved = resolve_sources(IngestRecipe(data=f"{world.url}/dumps/mywiki.xml.bz2"))
    assert [(file.name, file.num_bytes) for file in resolved.files] == [
        ("mywiki.xml.bz2", len(world.files["/dumps/mywiki.xml.bz2"]))
    ]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/mywiki.xml.bz2").write_bytes(world.files["/dumps/mywiki.xml.bz2"])
    here = resolve_sources(IngestRecipe(data=str(tmp_path / "copy")))
    assert here.fingerprint() == resolved.fingerprint()


def test_a_list_of_addresses_is_one_folder(world, tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    world.files["/dumps/a.txt"], world.files["/dumps/b.txt"] = b"one", b"two"
    listed = tmp_path / "parts.urls"
    listed.write_text(f"# two parts\n{world.url}/dumps/a.txt\n\n{world.url}/dumps/b.txt\n")
    folder = fetched(str(listed))
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {"a.txt", "b.txt"}
    for text in (f"{world.url}/dumps/a.txt\n{world.url}/other/a.txt", "a.txt", "# nothing"):
        listed.write_text(text)
        with pytest.raises(SourceError):
            fetched(str(listed))


def test_a_path_stays_a_path(tmp_path):
    assert fetched(str(tmp_path)) == tmp_path


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a moto server, with one object."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="bulk")
    client.put_object(Bucket="bulk", Key="src/arXiv_src_0001_001.tar", Body=CONTENT)
    yield client
    client.close()
    server.stop()


def test_bulk_files_of_a_requester_pays_bucket_are_resumed(bucket, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setattr("infra.network.download.S3_CHUNK", 1_000_000)
    real, asked, failing = s3fs.S3FileSystem.cat_file, [], [2_000_000]

    def cat_file(files, path, start=None, end=None):
        asked.append(start)
        assert files.req_kw == {"RequestPayer": "requester"}
        if start in failing:
            failing.remove(start)
            raise ConnectionResetError("gone")
        return real(files, path, start=start, end=end)

    monkeypatch.setattr(s3fs.S3FileSystem, "cat_file", cat_file)
    address = "s3://bulk/src/arXiv_src_0001_001.tar"
    path = download(address, tmp_path, wait_seconds=0.001)
    assert path.read_bytes() == CONTENT
    assert asked == [0, 1_000_000, 2_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]
    with pytest.raises(SourceError, match="cannot be read"):
        download("s3://bulk/src/absent.tar", tmp_path, wait_seconds=0.001)
