"""Uploads in parts that were never completed: no key shows them, and S3 keeps and charges their parts.

A process that is killed in the middle of a file of more than 100 MB leaves one. Whoever fails without being
killed takes its own back.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from infra.storage.keys import Keys
from rpt_core.errors import StoreError

_log = logging.getLogger("rpt.store")


class Upload(NamedTuple):
    """One upload that was begun."""

    bucket: str
    name: str
    """Of the key it would make, below the bucket."""
    number: str
    """S3's id of it."""
    begun: float
    """Seconds since 1970, by the store's clock."""


def unfinished(keys: Keys) -> tuple[Upload, ...]:
    """All uploads below the root that were begun and neither completed nor taken back; none in a folder."""
    return () if keys.is_local else tuple(_pages(keys))


def take_back(keys: Keys, horizon: float) -> int:
    """Take back uploads begun before a moment, so that nothing is kept of them; returns how many.

    A login that may not list them is said in the log: contents are collected all the same.
    """
    try:
        old = [each for each in unfinished(keys) if each.begun < horizon]
    except StoreError as error:
        if error.retryable:
            raise
        _log.warning("uploads that were never completed are left as they are: %s", error)
        return 0
    for each in old:
        named = {"Bucket": each.bucket, "Key": each.name, "UploadId": each.number}
        keys.call("take an upload back", partial(keys.fs.call_s3, "abort_multipart_upload", **named))
    return len(old)


def _pages(keys: Keys) -> Iterator[Upload]:
    bucket, prefix, _ = keys.fs.split_path(f"{keys.root}/")
    marker: dict[str, Any] = {}
    while True:
        ask = partial(keys.fs.call_s3, "list_multipart_uploads", Bucket=bucket, Prefix=prefix, **marker)
        page = keys.call("list uploads", ask)
        for each in page.get("Uploads", ()):
            if each["Key"].startswith(prefix):  # some servers list all of the bucket
                begun = each.get("Initiated", datetime.now(UTC)).timestamp()
                yield Upload(bucket, each["Key"], each["UploadId"], begun)
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
