"""Checkpoints have contents of their own: they go when replaced, whoever is killed, builds or reads."""

import itertools
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from infra.storage import garbage, objects, progress
from infra.storage.keys import Keys
from infra.storage.store import Store
from rpt_core.errors import IntegrityError, StoreError
from tests.s3_servers import S3Server, environment
from tests.unit.infra.storage import test_store
from tests.unit.infra.storage.test_store import publish, write

store, s3_endpoint, real_s3 = test_store.store, test_store.s3_endpoint, test_store.real_s3  # fixtures
BUILD = "f" * 64, "n"
FILE_BYTES = 20_000
NUM_BYTES = 2 * FILE_BYTES
"""Of one checkpoint."""
HOUR = 3600.0


class Killed(BaseException):
    """No handler of the store's may outlive it."""


def state(folder: Path, step: int) -> Path:
    """What a training saves at a step: two files that no other step has."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in (("weights", step), ("moments", -step)):
        (folder / name).write_bytes(np.random.default_rng(abs(seed) * 2 + (seed < 0)).bytes(FILE_BYTES))
    return folder


def save(store: Store, folder: Path, step: int, *, keep: int = 1, build: tuple[str, str] = BUILD) -> None:
    """A save as an attempt does it."""
    store.save_progress(*build, step, state(folder / f"state{step}", step), {"of": step})
    store.forget_progress(*build, keep)


def save_as_before(store: Store, step: int, folder: Path) -> None:
    """A save of the version before: contents in ``blobs``, and a record that names no folder."""
    files = store.objects.put_folder(state(folder, step))
    body = {"step": step, "note": {"of": step}, "files": [entry.model_dump() for entry in files]}
    key = store.objects.key("progress", *BUILD, f"{step:09d}.json")
    assert store.objects.create(key, json.dumps(body).encode())


def held(store: Store, *below: str) -> int:
    """Bytes of all checkpoints' contents, or of one build's; half-written files count."""
    key = store.objects.key("checkpoints", *below)
    if not store.objects.is_local:
        return sum(each.num_bytes for each in store.objects.walk(key))
    while True:
        found = [Path(root) / name for root, _, names in os.walk(key) for name in names]
        try:
            stats = [path.stat() for path in found]
        except FileNotFoundError:  # another thread has just given it its name: look again
            continue
        return sum({one.st_ino: one.st_size for one in stats}.values())


def shared(store: Store) -> int:
    return sum(each.num_bytes for each in store.objects.walk(store.objects.key("blobs")))


def holds_step(store: Store, folder: Path, build: tuple[str, str] = BUILD) -> int:
    """The latest step of a build, after its checkpoint was read and was whole."""
    step = store.progress_steps(*build)[-1]
    assert store.load_progress(*build, step, folder / "loaded") == {"of": step}
    wanted = state(folder / "wanted", step)
    for path in wanted.iterdir():
        assert (folder / "loaded" / path.name).read_bytes() == path.read_bytes()
    return step


@pytest.mark.parametrize("keep", [1, 3])
def test_ten_saves_never_take_more_than_one_checkpoint_beside_the_kept(store, tmp_path, monkeypatch, keep):
    peak, looking, call = [0], threading.RLock(), Keys.call

    def call_and_look(self, what, function):
        found = call(self, what, function)
        if what.split()[0] in ("put", "copy", "create", "remove"):
            with looking:  # each waits for its turn: none of the writes goes by unseen
                peak[0] = max(peak[0], held(store))
        return found

    monkeypatch.setattr(Keys, "call", call_and_look)
    for step in range(1, 11):
        save(store, tmp_path, step, keep=keep)
        assert held(store) == min(step, keep) * NUM_BYTES
    assert peak[0] == (keep + 1) * NUM_BYTES
    assert shared(store) == 0
    assert store.progress_steps(*BUILD) == list(range(11 - keep, 11))
    assert holds_step(store, tmp_path) == 10


def test_nothing_is_left_of_a_finished_build(store, tmp_path):
    for numerics in ("n", "other"):
        save(store, tmp_path, 3, build=(BUILD[0], numerics))
    save(store, tmp_path, 4, build=("e" * 64, "n"))
    store.drop_progress(BUILD[0])
    assert held(store, BUILD[0]) == 0
    assert held(store) == NUM_BYTES, "another build's stays"
    assert store.progress_steps(*BUILD) == []
    assert holds_step(store, tmp_path, ("e" * 64, "n")) == 4
    if store.objects.is_local:
        left = {path.name for path in Path(store.objects.root).rglob("*") if BUILD[0] in path.parts}
        assert left == set()


def test_a_file_that_stays_as_it_was_is_taken_over(store, tmp_path, monkeypatch):
    folder = write(tmp_path / "parts", a="the first part")
    store.save_progress(*BUILD, 1, folder, {})
    sent, put = [], progress.Objects._put_blob
    monkeypatch.setattr(
        progress.Objects, "_put_blob", lambda self, path, key: (sent.append(path.name), put(self, path, key))
    )
    store.save_progress(*BUILD, 2, write(folder, b="the second"), {})
    assert sent == ["b.txt"]
    if store.objects.is_local:
        assert held(store) == len("the first part") + len("the second"), "one file under two names"
    store.forget_progress(*BUILD, keep=1)
    store.load_progress(*BUILD, 2, tmp_path / "back")
    assert {path.name: path.read_text() for path in (tmp_path / "back").iterdir()} == {
        "a.txt": "the first part", "b.txt": "the second",
    }  # fmt: skip


def test_a_file_that_cannot_be_taken_over_is_put(store, tmp_path, monkeypatch):
    folder = write(tmp_path / "parts", a="part")
    store.save_progress(*BUILD, 1, folder, {})

    def refuse(*_):
        raise OSError("no links here") if store.objects.is_local else StoreError("no copies here")

    monkeypatch.setattr(progress, "make_folder", refuse)
    monkeypatch.setattr(progress.SavedContents, "copy_there", refuse)
    store.save_progress(*BUILD, 2, folder, {})
    store.load_progress(*BUILD, 2, tmp_path / "back")
    assert (tmp_path / "back" / "a.txt").read_text() == "part"


@pytest.mark.parametrize("resaves", [True, False])
def test_killed_at_any_operation_it_goes_on_and_leaves_nothing(store, tmp_path, monkeypatch, resaves):
    """The next attempt saves the same step again, or, resumed from an earlier one, another."""
    call, left = Keys.call, [10**9]

    def call_until_killed(self, what, function):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return call(self, what, function)

    monkeypatch.setattr(Keys, "call", call_until_killed)
    for number in itertools.count():
        build = f"{number:064x}", "n"
        save(store, tmp_path, 1, build=build)
        left[0] = number
        try:
            save(store, tmp_path, 2, build=build)
            break
        except Killed:
            left[0] = 10**9
        assert held(store, build[0]) <= 2 * NUM_BYTES
        step = holds_step(store, tmp_path / f"after{number}", build)
        if step == 1 and not resaves:
            monkeypatch.setattr(progress, "QUIET_SECONDS", -HOUR)
        save(store, tmp_path, 2 if step == 1 and resaves else 3, build=build)
        monkeypatch.setattr(progress, "QUIET_SECONDS", 600.0)
        assert held(store, build[0]) == NUM_BYTES, f"killed at operation {number}"
        assert len(store.progress_steps(*build)) == 1
        assert holds_step(store, tmp_path / f"then{number}", build) > 1
    assert number > 12


def test_a_save_that_failed_leaves_nothing(store, tmp_path, monkeypatch):
    save(store, tmp_path, 1)
    put = progress.Objects._put_blob

    def fail(self, path, key):
        if path.name == "weights":
            raise StoreError("the disk is full")
        put(self, path, key)

    monkeypatch.setattr(progress.Objects, "_put_blob", fail)
    with pytest.raises(StoreError, match="full"):
        save(store, tmp_path, 2)
    assert held(store) == NUM_BYTES
    assert holds_step(store, tmp_path) == 1


def test_another_builder_that_is_about_to_name_its_save_is_left_alone(store, tmp_path, monkeypatch):
    """Two machines build one thing; the one removes right before the record of the other."""
    claim, other = Keys.claim, Store(store.objects.url, tmp_path / "other")

    def claim_late(self, key, data):
        if self is store.objects:
            save(other, tmp_path, 3)
            save(other, tmp_path, 5)
            assert held(store) == 2 * NUM_BYTES, "what it removes is its own"
        return claim(self, key, data)

    save(store, tmp_path, 1)
    monkeypatch.setattr(Keys, "claim", claim_late)
    store.save_progress(*BUILD, 7, state(tmp_path / "mine", 7), {"of": 7})
    assert store.progress_steps(*BUILD) == [5, 7]
    assert holds_step(store, tmp_path) == 7


@pytest.mark.parametrize("last", [3, 5])
def test_of_two_builders_at_one_step_one_is_kept_whole(store, tmp_path, monkeypatch, last):
    """The one saves a step, and perhaps a later one, while the other puts the same step."""
    put, other, begun = progress.Objects._put_blob, Store(store.objects.url, tmp_path / "other"), []

    def put_late(self, path, key):
        put(self, path, key)
        if not begun:
            begun.append(path)
            for step in range(3, last + 1, 2):
                save(other, tmp_path, step)

    monkeypatch.setattr(progress.Objects, "_put_blob", put_late)
    store.save_progress(*BUILD, 3, state(tmp_path / "mine", 3), {"of": 3})
    store.load_progress(*BUILD, 3, tmp_path / "of 3")
    assert (tmp_path / "of 3" / "weights").read_bytes() == (tmp_path / "mine" / "weights").read_bytes()
    assert held(store) == (1 if last == 3 else 2) * NUM_BYTES
    store.forget_progress(*BUILD, keep=1)
    assert holds_step(store, tmp_path) == last
    assert held(store) == NUM_BYTES


@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_that_another_builder_removes_under_a_put_is_made_again(tmp_path, monkeypatch, times):
    store, copy, removed = Store(str(tmp_path / "store"), tmp_path / "cache"), objects.copy_bytes, []

    def copy_late(source, target, num_bytes):
        if len(removed) < times and "/checkpoints/" in str(target):
            removed.append(target)
            store.objects.remove_all(store.objects.key("checkpoints"))
        copy(source, target, num_bytes)

    monkeypatch.setattr(objects, "copy_bytes", copy_late)
    store.save_progress(*BUILD, 1, write(tmp_path / "state", w="weights"), {})
    assert len(removed) == times
    store.load_progress(*BUILD, 1, tmp_path / "back")
    assert (tmp_path / "back" / "w.txt").read_text() == "weights"


def test_a_damaged_checkpoint_is_replaced_when_its_step_is_saved_again(store, tmp_path):
    save(store, tmp_path, 3)
    key = store.objects.key("checkpoints", *BUILD)
    store.objects.remove(store.objects.walk(key)[0].key)
    with pytest.raises(IntegrityError, match="a later one replaced it, or it is damaged"):
        holds_step(store, tmp_path)
    save(store, tmp_path, 3)
    assert holds_step(store, tmp_path) == 3
    assert held(store) == NUM_BYTES


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"files": [], "save": "../x"}', b'{"files": [], "note": 3}'],
    ids=["empty", "list", "elsewhere", "note"],
)
def test_a_record_that_cannot_be_read_is_replaced_when_its_step_is_saved_again(store, tmp_path, content):
    key = store.objects.key("progress", *BUILD, "000000003.json")
    store.objects.create(key, content)
    with pytest.raises(IntegrityError, match="no record of a checkpoint"):
        store.load_progress(*BUILD, 3, tmp_path / "there")
    save(store, tmp_path, 4, keep=2)
    save(store, tmp_path, 3, keep=2)
    assert store.load_progress(*BUILD, 3, tmp_path / "there") == {"of": 3}


def test_a_store_of_the_version_before_is_gone_on_with(store, tmp_path):
    for step in (1, 2):
        save_as_before(store, step, tmp_path / f"old{step}")
    assert holds_step(store, tmp_path / "first") == 2
    assert garbage.survey(store, -HOUR).contents == ()
    save(store, tmp_path, 3, keep=2)
    assert store.progress_steps(*BUILD) == [2, 3]
    assert holds_step(store, tmp_path / "second") == 3
    (one, two) = garbage.remove(store, garbage.survey(store, -HOUR))
    assert one.num_bytes + two.num_bytes == NUM_BYTES == shared(store), "those of step 1"
    store.load_progress(*BUILD, 2, tmp_path / "two")
    store.drop_progress(BUILD[0])
    assert held(store) == 0
    assert len(garbage.remove(store, garbage.survey(store, -HOUR))) == 2
    assert shared(store) == 0


def test_garbage_collection_takes_what_a_killed_save_left(store, tmp_path, monkeypatch):
    save(store, tmp_path, 1)

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Keys, "claim", die)
        with pytest.raises(Killed):
            save(store, tmp_path, 2)
    assert held(store) == 2 * NUM_BYTES
    assert garbage.remove(store, garbage.survey(store, HOUR)) == [], "somebody may be at it"
    assert len(garbage.remove(store, garbage.survey(store, -HOUR))) == 2
    assert held(store) == NUM_BYTES
    assert holds_step(store, tmp_path) == 1
    garbage.sweep(store, tmp_path / "home", -HOUR)
    assert holds_step(store, tmp_path / "swept") == 1


def test_garbage_collection_takes_checkpoints_that_outlived_their_build(store, tmp_path):
    """A builder was killed right after its manifest; one record cannot even be read."""
    save_as_before(store, 1, tmp_path / "old")
    save(store, tmp_path, 2, keep=2)
    store.objects.create(store.objects.key("progress", *BUILD, "000000007.json"), b"{")
    save(store, tmp_path, 2, build=("e" * 64, "n"))
    assert len(garbage.survey(store, -HOUR).holds) == 1
    manifest = publish(store, write(tmp_path / "made", x="done"), fingerprint=BUILD[0])
    garbage.remove(store, garbage.survey(store, -HOUR))
    garbage.sweep(store, tmp_path / "home", -HOUR)
    assert store.progress_steps(*BUILD) == []
    assert (held(store), shared(store)) == (NUM_BYTES, len("done"))
    store.verify(manifest)
    assert holds_step(store, tmp_path, ("e" * 64, "n")) == 2
    if store.objects.is_local:
        assert not Path(store.objects.key("checkpoints", BUILD[0])).exists()


@pytest.mark.parametrize(("code", "passes"), [("AccessDenied", False), ("SlowDown", True)])
def test_a_key_that_s3_does_not_remove_is_named(s3_endpoint, tmp_path, monkeypatch, code, passes):
    server = S3Server(s3_endpoint)
    with environment(server.environment()):
        store = Store(f"s3://{server.new_place()}/team", tmp_path / "cache")
        save(store, tmp_path, 1)
        ask = store.objects.fs.call_s3

        def refuse(name, *rest, **named):
            if name != "delete_objects":
                return ask(name, *rest, **named)
            key = named["Delete"]["Objects"][0]["Key"]
            return {"Errors": [{"Key": key, "Code": code, "Message": "why"}]}

        monkeypatch.setattr(store.objects.fs, "call_s3", refuse)
        wanted = rf"does not remove .*/checkpoints/.*: {code} why\. .* right to delete"
        with pytest.raises(StoreError, match=wanted) as told:
            save(store, tmp_path, 2)
        assert told.value.retryable == passes


def test_the_latest_checkpoints_file_is_read_though_it_is_replaced_meanwhile(store, tmp_path, monkeypatch):
    save(store, tmp_path, 1)
    other, read, replaced = Store(store.objects.url, tmp_path / "other"), Keys.read, []

    def read_late(self, key):
        is_due = "/checkpoints/" in key or key.endswith("000001.json")
        if self is store.objects and is_due and len(replaced) < 3:
            replaced.append(key)
            save(other, tmp_path, 1 + len(replaced))
        return read(self, key)

    monkeypatch.setattr(Keys, "read", read_late)
    found = store.progress_file(*BUILD, "weights")
    assert found == (state(tmp_path / "wanted", 1 + len(replaced)) / "weights").read_bytes()
    assert len(replaced) == 3
    assert store.progress_file(*BUILD, "no such file") is None
    assert store.progress_file("a" * 64, "n", "weights") is None
