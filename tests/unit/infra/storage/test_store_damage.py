"""Damage in a store and in its local copies: named, alone, and never handed on as content."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.storage import garbage as collection
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.errors import IntegrityError
from tests.unit.infra.storage.test_store import publish, s3_endpoint, write  # noqa: F401  (a fixture)

HTML = b"<html><body>Please log in to this network</body></html>"
BROKEN = {
    "empty": b"",
    "truncated": b'{"schema_version": 1, "kind": "corp',
    "binary": bytes(range(256)),
    "no-json": b"not json",
    "other-json": b"[1, 2, 3]",
    "portal": HTML,
    "null": b"null",
    "deep": b"[" * 100_000,
}


@pytest.fixture
def two(store: Store, tmp_path: Path) -> tuple[Manifest, Manifest]:
    """One that will be damaged, and one that must not suffer."""
    bad = publish(store, write(tmp_path / "a", x="hello"), fingerprint="a" * 64)
    good = publish(store, write(tmp_path / "b", y="world"), fingerprint="b" * 64)
    store.add_ref("good", good.artifact)
    store.add_ref("bad", bad.artifact)
    return bad, good


def key_of(store: Store, manifest: Manifest) -> Path:
    return Path(store.objects.key("artifacts", manifest.kind, manifest.fingerprint, "manifest.json"))


def run(*words: str) -> int:
    return guarded(lambda: app(list(words), standalone_mode=False))


def unnamed(store: Store, tmp_path: Path) -> str:
    """An old content that nothing names."""
    entry = store.objects.put_folder(write(tmp_path / "lost", z="crashed"))[0]
    os.utime(store.objects.blob_key(entry.blob), (1, 1))
    return entry.blob


def newer(body: dict) -> dict:
    return {**body, "licence": "a field of a version to come"}


def elsewhere(body: dict) -> dict:
    return {**body, "fingerprint": "c" * 64}


@pytest.mark.parametrize("how", [*BROKEN, newer, elsewhere])
def test_one_bad_manifest_is_one_line(store, two, tmp_path, capsys, how):
    bad, good = two
    path = key_of(store, bad)
    content = BROKEN[how] if isinstance(how, str) else json.dumps(how(json.loads(path.read_bytes()))).encode()
    path.write_bytes(content)
    blob = unnamed(store, tmp_path)

    assert run("ls", "--json") == 0
    out, err = capsys.readouterr()
    assert [row["fingerprint"] for row in json.loads(out)] == [good.fingerprint]
    assert len(err.splitlines()) == 1
    assert bad.fingerprint in err
    assert "Traceback" not in err

    assert run("show", "good", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == good.fingerprint
    assert run("show", f"corpus/{bad.fingerprint[:12]}") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1

    assert run("gc") == 0
    out, err = capsys.readouterr()
    assert "held back" in out
    assert len(err.splitlines()) == 1
    assert run("gc", "--yes", "--older-than-hours", "0") == 1
    assert "nothing was removed" in " ".join(capsys.readouterr().err.split())
    for sha256 in (blob, bad.files[0].blob, good.files[0].blob):
        assert Path(store.objects.blob_key(sha256)).exists()
    path.unlink()
    assert run("gc", "--yes") == 0
    assert not Path(store.objects.blob_key(blob)).exists()


def test_stray_files_are_named_and_stop_nothing(store, two, tmp_path, capsys):
    _, good = two
    root = Path(store.objects.root)
    strays = [
        "artifacts/notes.txt",
        "artifacts/corpus/README",
        f"artifacts/corpus/{'b' * 64}/manifest.json.bak",
        "refs/notes.txt",
        "refs/good/latest.json",
        "refs/good/000000x.json",
        "refs/more/deep/000001.json",
    ]
    for name in strays:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text('{"a": 1}')
    blob = unnamed(store, tmp_path)
    assert run("ls", "--json") == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 2
    assert sorted(line.split()[1] for line in err.splitlines()) == sorted(strays)
    assert run("show", "good") == 0
    assert store.add_ref("good", good.artifact) == "good@1"
    assert store.find(f"corpus/{'b' * 10}").fingerprint == good.fingerprint
    assert run("gc", "--yes") == 0
    assert not Path(store.objects.blob_key(blob)).exists(), "what is no manifest names nothing"


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_one_bad_version_is_one_line_and_numbers_stay(store, two, tmp_path, capsys, content):
    bad, good = two
    assert store.add_ref("good", bad.artifact) == "good@2"
    Path(store.objects.key("refs", "good", "000001.json")).write_bytes(content)
    assert run("ls", "--json") == 0
    out, err = capsys.readouterr()
    spoken = {row["fingerprint"]: row["refs"] for row in json.loads(out)}
    assert spoken == {bad.fingerprint: ["bad@1", "good@2"], good.fingerprint: []}
    assert "refs/good/000001.json" in err
    assert len(err.splitlines()) == 1
    assert store.find("good") == bad
    with pytest.raises(IntegrityError, match=r"000001\.json is no version"):
        store.find("good@1")
    assert store.add_ref("good", good.artifact) == "good@3"
    assert run("gc") == 0


def test_a_latest_version_that_is_broken_is_never_taken_for_an_older_one(store, two):
    bad, good = two
    store.add_ref("good", bad.artifact)
    Path(store.objects.key("refs", "good", "000002.json")).write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"000002\.json"):
        store.find("good")
    assert store.add_ref("good", good.artifact) == "good@3"


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_bad_checkpoint_holds_every_content(store, two, tmp_path, capsys, content):
    store.save_progress("d" * 64, "exact", 3, write(tmp_path / "c", w="weights"), {"attempts": []})
    path = Path(store.objects.key("progress", "d" * 64, "exact", "000000003.json"))
    (kept,) = (each for each in Path(store.objects.key("checkpoints")).rglob("*") if each.is_file())
    path.write_bytes(content)
    os.utime(kept, (1, 1))
    assert collection.survey(store, 3600).holds
    assert run("gc", "--yes") == 1
    assert kept.exists()
    with pytest.raises(IntegrityError, match="no record of a checkpoint"):
        store.load_progress("d" * 64, "exact", 3, tmp_path / "there")


def test_verify_holds_a_manifest_against_its_digest_and_its_address(store, two, capsys):
    bad, _ = two
    path = key_of(store, bad)
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps({**body, "digest": "0" * 64}))
    assert run("verify", f"corpus/{'a' * 12}") == 1
    assert "the manifest was changed" in " ".join(capsys.readouterr().err.split())
    for field, value in (("kind", "policy"), ("fingerprint", "0" * 64)):
        path.write_text(json.dumps({**body, field: value}))
        assert run("verify", f"corpus/{'a' * 12}") == 1
        assert "moved or changed" in " ".join(capsys.readouterr().err.split())
    path.write_text(json.dumps(body))
    assert run("verify", f"corpus/{'a' * 12}") == 0


# -- local copies ---------------------------------------------------------------------------------------


def flip(path: Path, at: int) -> None:
    """Change one byte, as an editor or a bad disk would."""
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


@pytest.fixture
def large(store: Store, tmp_path: Path) -> Manifest:
    folder = write(tmp_path / "large", small="hello")
    (folder / "big.bin").write_bytes(random.Random(0).randbytes(3_000_000))
    return publish(store, folder)


@pytest.mark.parametrize("at", [0, 65_537, 1_234_567, 2_999_999])
def test_a_blob_that_changes_after_it_was_read_is_not_handed_out(store, large, at):
    folder = store.materialise(large.artifact)
    right = (folder / "big.bin").read_bytes()
    flip(Path(store.objects.blob_key(large.file("big.bin").blob)), at)
    assert (store.materialise(large.artifact) / "big.bin").read_bytes() == right
    with pytest.raises(IntegrityError, match=r"big\.bin holds bytes with SHA-256"):
        store.verify(large)
    shutil.rmtree(store.cache)
    with pytest.raises(IntegrityError, match="the stored content was changed"):
        store.materialise(large.artifact)


@pytest.mark.parametrize("name", ["big.bin", "small.txt", "manifest.json"])
def test_an_edited_copy_is_noticed_and_does_not_reach_the_store(store, large, name):
    folder = store.materialise(large.artifact)
    times = (folder / name).stat()
    flip(folder / name, (folder / name).stat().st_size // 2)
    os.utime(folder / name, ns=(times.st_atime_ns, times.st_mtime_ns))  # as rsync or tar would
    with pytest.raises(IntegrityError, match="the local copy was changed") as found:
        store.materialise(large.artifact)
    assert str(folder) in str(found.value)
    store.verify(large)
    shutil.rmtree(folder)
    assert store.materialise(large.artifact) == folder


def change_size(path: Path) -> None:
    path.chmod(0o644)
    path.write_text("longer than before")


def make_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("how", [change_size, Path.unlink, make_a_link])
def test_a_copy_that_lost_or_gained_bytes_is_noticed(store, large, how):
    folder = store.materialise(large.artifact)
    how(folder / "small.txt")
    with pytest.raises(IntegrityError, match="the local copy was changed"):
        store.materialise(large.artifact)


def test_a_file_beside_the_artifacts_own_is_noticed(store, large):
    folder = store.materialise(large.artifact)
    (folder / ".DS_Store").write_text("a file browser was here")
    assert store.materialise(large.artifact) == folder
    (folder / "chat_template.jinja").write_text("something a loader would read")
    with pytest.raises(IntegrityError, match="none of the artifact's files"):
        store.materialise(large.artifact)


def test_a_disks_own_error_is_noticed_where_the_sample_falls(store, large, monkeypatch):
    """Bytes that change while inode and times do not: only reading can tell."""
    from infra.storage import cache

    folder = store.materialise(large.artifact)
    monkeypatch.setattr(cache, "_state", lambda found: (1, 1, 1))
    (folder.with_name(f"{folder.name}.seal")).unlink()
    store.materialise(large.artifact)
    flip(folder / "big.bin", 0)
    with pytest.raises(IntegrityError, match="does not hold the bytes"):
        store.materialise(large.artifact)


def test_a_copy_that_was_restored_from_a_backup_is_as_good(store, large, tmp_path):
    folder = store.materialise(large.artifact)
    shutil.copytree(folder, tmp_path / "backup")
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    assert store.materialise(large.artifact) == folder
    assert store.materialise(large.artifact) == folder


def test_no_copy_shares_an_inode_with_the_store(store, large, tmp_path):
    store.save_progress("d" * 64, "exact", 1, write(tmp_path / "c", w="weights"), {"attempts": []})
    store.load_progress("d" * 64, "exact", 1, tmp_path / "resumed")
    blobs = {path.stat().st_ino for path in Path(store.objects.root).rglob("*") if path.is_file()}
    copies = [*store.materialise(large.artifact).rglob("*"), *(tmp_path / "resumed").rglob("*")]
    assert copies
    assert not blobs & {path.stat().st_ino for path in copies}


def test_two_stores_with_other_timings_of_one_artifact_share_a_cache(store, tmp_path):
    other = Store(str(tmp_path / "other"), store.cache)
    folders = []
    for place, seconds in ((store, "1.5"), (other, "99")):
        folder = write(tmp_path / seconds, x="same")
        (folder / "timings.jsonl").write_text(json.dumps({"step": 1, "seconds": float(seconds)}))
        files = place.objects.put_folder(folder, frozenset({"timings.jsonl"}))
        first = publish(place, write(tmp_path / "one", x="same"))
        manifest = first.model_copy(update={"files": files})
        Path(place.objects.key("artifacts", "corpus", "f" * 64, "manifest.json")).write_text(
            manifest.model_dump_json()
        )
        folders.append(place.materialise(manifest.artifact))
    assert [json.loads((f / "timings.jsonl").read_text())["seconds"] for f in folders] == [1.5, 99.0]
    assert store.materialise(first.artifact) == folders[0]


# -- what is no file, and what does not end -------------------------------------------------------------


def to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_a_large_file(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(10**12)


@pytest.mark.parametrize("how", [to_zeros, os.mkfifo, Path.mkdir, to_a_large_file])
def test_a_blob_that_is_no_file_is_named_at_once(store, two, tmp_path, how, capsys):
    bad, _ = two
    blob = Path(store.objects.blob_key(bad.files[0].blob))
    blob.unlink()
    how(blob)
    assert run("verify", f"corpus/{'a' * 12}") == 1
    capsys.readouterr()
    with pytest.raises(IntegrityError, match=bad.files[0].blob[:12]):
        store.materialise(bad.artifact)
    if how is not Path.mkdir:  # putting the content again fixes what is no folder
        store.objects.put_file(write(tmp_path / "again", x="hello") / "x.txt", "x.txt")
        store.verify(bad)


@pytest.mark.parametrize("how", [to_zeros, os.mkfifo])
def test_a_manifest_or_version_that_is_no_file_is_named_at_once(store, two, how, capsys):
    bad, good = two
    for path in (key_of(store, bad), Path(store.objects.key("refs", "bad", "000001.json"))):
        path.unlink()
        how(path)
    assert run("ls", "--json") == 0
    out, err = capsys.readouterr()
    assert [row["fingerprint"] for row in json.loads(out)] == [good.fingerprint]
    assert len(err.splitlines()) == 2


# -- what is left behind --------------------------------------------------------------------------------


def test_failed_reads_leave_nothing(store, two):
    bad, _ = two
    Path(store.objects.blob_key(bad.files[0].blob)).unlink()
    for _ in range(3):
        with pytest.raises(IntegrityError):
            store.materialise(bad.artifact)
    assert [path for path in store.cache.rglob("*") if path.is_file() or path.suffix == ".tmp"] == []


def test_the_leftovers_of_killed_processes_are_swept(store, two, tmp_path, capsys):
    bad, _ = two
    home, root = tmp_path / "home", Path(store.objects.root)
    kept = store.materialise(bad.artifact)
    old = [
        root / "blobs" / "sha256" / "aa" / "x.tmp",
        root / "probe" / "0123",
        store.cache / "corpus" / "ab-cd.0123.tmp" / "x.txt",
        store.cache / "corpus" / "gone.seal",
        store.cache / "copy" / "0123" / "x.txt",
        store.cache / "verify" / "0123" / "x.txt",
        home / "locks" / "0123",
        home / "scratch" / "0123",
    ]
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if path.parent.name == "scratch" else path.write_text("left")
    (home / "scratch" / "4567" / "attempt").mkdir(parents=True)
    assert run("gc", "--yes") == 0
    assert all(path.exists() for path in old), "what is young may be somebody's work"
    for folder in (home, root):
        for path in [*folder.rglob("*")]:
            os.utime(path, (1, 1), follow_symlinks=False)
    assert run("gc", "--yes") == 0
    assert not any(path.exists() for path in old)
    assert store.materialise(bad.artifact) == kept
    assert (home / "scratch" / "4567" / "attempt").exists(), "a failed attempt's log is for its reader"


def test_a_lock_that_is_held_is_not_swept(store, tmp_path):
    import fcntl

    lock = tmp_path / "home" / "locks" / "0123"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(lock, (1, 1))
        collection.sweep(store, tmp_path / "home", 0)
        assert lock.exists()
    os.utime(lock, (1, 1))
    collection.sweep(store, tmp_path / "home", 0)
    assert not lock.exists()
