"""S3 file systems of this process: one for each set of options and credentials, kept until it ends.

s3fs closes a file system that is collected on whichever event loop runs in the thread that collects it. On
another loop than its own, such as Prefect's, the close fails with a traceback and the connection stays open;
a file system that is never collected is closed when the process ends.
"""

import os
from threading import Lock
from typing import Any

_KEPT: dict[tuple[object, ...], Any] = {}
_OPENING = Lock()
_DECIDES = ("AWS_", "HOME")
"""Beginnings of the variables that say where S3 is and who asks."""


def s3_files(**options: Any) -> Any:
    """The file system of some options, under the credentials that the environment gives now.

    Args:
        options: Of ``s3fs.S3FileSystem``. Threads may share what is returned; a forked process has its own,
            because the thread that does its work is not forked with it.

    Raises:
        ImportError: s3fs is not installed.
    """
    import s3fs

    given = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_DECIDES)))
    key = (os.getpid(), repr(sorted(options.items())), given)
    with _OPENING:
        if key not in _KEPT:
            _KEPT[key] = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True, **options)
        return _KEPT[key]
