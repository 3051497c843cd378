"""What can go wrong with a store, as sentences: what passes by itself, and what fixes the rest."""

import errno
import os

from rpt_core.errors import StoreError

S3_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
_PASSING = frozenset(
    {
        errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENFILE, errno.EMFILE, errno.ENOLCK, errno.ESTALE,
        errno.ETIMEDOUT, errno.ECONNRESET, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
    }
)  # fmt: skip
"""Failures of a file system, most often one on the network, that waiting fixes."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_NO_FOLDER = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.EINVAL, errno.EEXIST}
)
_S3_MODULES = frozenset({"botocore", "aiobotocore", "aiohttp"})
_S3_LOGIN = frozenset(
    {
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
        "ConfigNotFound", "ConfigParseError", "TokenRetrievalError", "SSOTokenLoadError", "SSOError",
        "UnauthorizedSSOTokenError", "NoAuthTokenError",
    }
)  # fmt: skip
_S3_SETTINGS = frozenset(
    {"ParamValidationError", "NoRegionError", "InvalidRegionError", "UnknownEndpointError"}
)


def local_error(error: OSError, what: str, place: str) -> StoreError:
    """A failure of a folder, with the path it happened at.

    Args:
        error: What the system said.
        what: What was tried, such as ``create a key``.
        place: The store's folder, or another one of this machine.
    """
    path = error.filename or place
    said = error.strerror or str(error)
    if error.errno == errno.EROFS:
        remedy = "The file system is read-only: mount it for writing, or set RPT_STORE or RPT_HOME elsewhere"
    elif isinstance(error, PermissionError):
        remedy = f"User {_user()} may not: change its owner or mode, or set RPT_STORE or RPT_HOME elsewhere"
    elif error.errno in DISK_FULL:
        remedy = "Free some space there (`rpt gc --yes` removes what nothing names) and run it again"
    elif error.errno in _NO_FOLDER:
        remedy = "Something in that path is no folder: set RPT_STORE (or RPT_HOME) to one that can be written"
    elif error.errno in _PASSING:
        remedy = "Run it again when the file system answers"
    else:
        remedy = "Look at that disk, or set RPT_STORE or RPT_HOME elsewhere"
    return StoreError(
        f"cannot {what} in {place}: {said} at {path}. {remedy}.", retryable=error.errno in _PASSING
    )


def remote_error(error: Exception, what: str, url: str) -> StoreError | None:
    """A failure of S3 or of the way to it; None where it is no such failure."""
    said = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError) and "bucket" not in said.lower():
        return None
    found = _cause(error, url)
    if found is None:
        return None
    cause, remedy = found
    passing = remedy == _AGAIN
    return StoreError(f"the store {url} cannot {what}, since {cause}: {said}. {remedy}", retryable=passing)


_AGAIN = "Try again when it can be reached."


def _cause(error: Exception, url: str) -> tuple[str, str] | None:  # noqa: PLR0911  (one line a cause)
    """Why, and what fixes it."""
    name, bucket = type(error).__name__, url.partition("://")[2].partition("/")[0]
    if name == "FlexibleChecksumError" or "range is not satisfiable" in str(error):
        return "its reply was damaged on the way", _AGAIN
    if isinstance(error, PermissionError):
        return "it refuses us", f"Check {S3_CREDENTIALS}."
    if isinstance(error, FileNotFoundError):
        return f"it has no such bucket {bucket!r}", "Create it, or fix RPT_STORE."
    if isinstance(error, OSError) and error.errno != errno.EINVAL:
        return "it did not answer as it should", _AGAIN
    if name in _S3_LOGIN:
        return "there is no login", f"Set {S3_CREDENTIALS}, and AWS_ENDPOINT_URL where it is not Amazon's."
    if name in _S3_SETTINGS or isinstance(error, ValueError | OSError):
        remedy = "Fix RPT_STORE (s3://bucket/prefix), AWS_ENDPOINT_URL or AWS_DEFAULT_REGION."
        return "its address is wrong", remedy
    if type(error).__module__.split(".")[0] in _S3_MODULES:
        return "it cannot be reached", _AGAIN
    return None


def _user() -> str:
    return str(os.environ.get("USER") or os.getuid())
