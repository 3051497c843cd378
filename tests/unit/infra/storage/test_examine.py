"""The doctor's look at a store: good ones pass, and each thing a store may lack is named."""

import threading
import time

import pytest

from infra.storage import examine as module
from infra.storage.examine import examine, one_winner, read_at_once
from rpt_core.errors import StoreError
from tests.unit.infra.storage import test_store

store, s3_endpoint, real_s3 = test_store.store, test_store.s3_endpoint, test_store.real_s3  # fixtures


def test_a_good_store_passes_and_keeps_nothing_of_it(store):
    assert "one of 8 racing creators wins" in examine(store.objects)
    assert store.objects.list(store.objects.key("probe")) == []


def test_a_store_that_looks_before_it_writes_has_two_winners(store, monkeypatch):
    """Exclusive for one writer after another, as the probe of every publish asks; not for several at once."""
    together = threading.Barrier(8)

    def create(key: str, data: bytes) -> bool:
        if store.objects.exists(key):
            return False
        if store.objects._probed:
            together.wait(60)
        store.objects.fs.makedirs(key.rpartition("/")[0], exist_ok=True)
        with store.objects.fs.open(key, "wb") as stream:
            stream.write(data)
        return True

    monkeypatch.setattr(store.objects, "create", create)
    store.objects.probe()
    with pytest.raises(StoreError, match="told 8 of 8 simultaneous writers"):
        one_winner(store.objects)


def test_a_listing_that_lags_is_named(store, monkeypatch):
    monkeypatch.setattr(store.objects, "list", lambda key: [])
    with pytest.raises(StoreError, match="does not list them: what is finished would not be found"):
        read_at_once(store.objects)


def test_a_removed_key_that_is_still_listed_is_named(store, monkeypatch):
    monkeypatch.setattr(store.objects, "remove", lambda key: None)
    with pytest.raises(StoreError, match="lists a key that was removed"):
        read_at_once(store.objects)


@pytest.mark.parametrize(("seconds", "side"), [(-7200.0, "ahead of"), (7200.0, "behind")])
def test_another_clock_is_named_with_its_distance(store, monkeypatch, seconds, side):
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + seconds)
    with pytest.raises(StoreError, match=rf"is 7[12][0-9]{{2}} s {side} this machine's, more than 300 s"):
        read_at_once(store.objects)
