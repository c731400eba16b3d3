"""What the libraries of object stores raise, in our words.

They share no base class and are imported late, if at all; so errors are recognised by the
HTTP status that they carry, and by name where they carry none.
"""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from longform.errors import (
    LongformError,
    SourceChangedError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceStalledError,
    SourceThrottledError,
    SourceUnavailableError,
)
from longform.net.backoff import parse_retry_after

# The extra of longform that brings the package for a kind of URL.
EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "s3": "s3",
        "s3a": "s3",
        "gs": "gcs",
        "gcs": "gcs",
        "az": "azure",
        "abfs": "azure",
        "abfss": "azure",
        "adl": "azure",
    }
)
# The roots of errors that stores' own libraries raise and fsspec passes on as they are.
_FOREIGN_ERRORS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("azure.core.exceptions", "AzureError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("gcsfs.retry", "NonRetryableError"),
    ("aiohttp", "ClientError"),
)

_CREDENTIALS = (
    "check the credentials of this machine (AWS_ACCESS_KEY_ID or AWS_PROFILE, "
    "GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_CONNECTION_STRING)"
)
_LATER = "try again later"

Row = tuple[type[LongformError], str]

_CHANGED: Row = (SourceChangedError, "changed while it was read; start again")
_REFUSED: Row = (SourceRefusedError, f"may not be read; {_CREDENTIALS}")
_MISSING: Row = (SourceNotFoundError, "is not there; check the bucket and the name")
_THROTTLED: Row = (SourceThrottledError, f"asks for fewer requests; {_LATER}")
_STALLED: Row = (SourceStalledError, f"stopped sending; {_LATER}")
_UNAVAILABLE: Row = (SourceUnavailableError, f"cannot be read just now; {_LATER}")
_NOT_VALID: Row = (SourceRefusedError, "is no address that this store accepts; check it")

_BY_CODE: Mapping[str, Row] = MappingProxyType(
    {
        "ExpiredToken": (SourceRefusedError, f"may not be read: a token expired; {_CREDENTIALS}"),
        "SlowDown": _THROTTLED,
        "RequestLimitExceeded": _THROTTLED,
        "Throttling": _THROTTLED,
        "RequestTimeout": _STALLED,
        "InternalError": _UNAVAILABLE,
        "InvalidObjectState": (SourceRefusedError, "lies in an archive; restore it first"),
    }
)
_BY_STATUS: Mapping[int, Row] = MappingProxyType(
    {
        401: _REFUSED,
        403: _REFUSED,
        404: _MISSING,
        408: _STALLED,
        412: _CHANGED,
        416: _CHANGED,
        429: _THROTTLED,
        503: _THROTTLED,
    }
)
# aiohttp's errors have a `code` as well, but it is 400 for a body that was cut.
_WITH_STATUS = ("gcsfs", "azure")
_NO_CREDENTIALS = ("Credential", "Profile", "Token", "Refresh", "Authentication", "Auth")
_NO_ADDRESS = ("ParamValidation", "InvalidRegion", "ValueError", "UnsupportedProtocol")


def store_errors() -> tuple[type[Exception], ...]:
    """Return what a store may raise; of libraries that are not loaded, nothing can come."""
    loaded = ((sys.modules.get(module), name) for module, name in _FOREIGN_ERRORS)
    foreign = (getattr(module, name) for module, name in loaded if module is not None)
    return (OSError, ValueError, NotImplementedError, *foreign)


def object_error(error: BaseException, shown: str) -> LongformError:
    """Return our error for what a store's library raised; it is yet to be chained."""
    kind, words = _row(error)
    ours = kind(f"{shown} {words}")
    if isinstance(ours, SourceThrottledError):
        ours.retry_after_sec = parse_retry_after(_headers(error).get("retry-after"))
    return ours


def _row(error: BaseException) -> Row:
    for one in _chain(error):
        status, code = _status(one)
        if code in _BY_CODE:
            return _BY_CODE[code]
        if status is not None:
            return _BY_STATUS.get(status, _UNAVAILABLE if status >= 500 else _NOT_VALID)
    return next(row for matches, row in _BY_KIND if matches(error))


_BY_KIND: tuple[tuple[Callable[[BaseException], bool], Row], ...] = (
    (lambda error: isinstance(error, FileNotFoundError), _MISSING),
    (lambda error: isinstance(error, PermissionError), _REFUSED),
    (lambda error: isinstance(error, TimeoutError) or _named(error, ("Timeout",)), _STALLED),
    (lambda error: _named(error, _NO_CREDENTIALS), _REFUSED),
    (lambda error: _named(error, _NO_ADDRESS), _NOT_VALID),
    (lambda error: True, _UNAVAILABLE),
)


def _named(error: BaseException, parts: tuple[str, ...]) -> bool:
    return any(part in type(error).__name__ for part in parts)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and len(found) < 4:
        found.append(error)
        error = error.__cause__
    return found


def _status(error: BaseException) -> tuple[int | None, str]:
    """Return HTTP status and error code of an error that came as an answer."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status, str(response.get("Error", {}).get("Code", ""))
    if type(error).__module__.partition(".")[0] not in _WITH_STATUS:
        return None, ""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    digits = str(status)  # gcsfs has numbers, and texts of them
    return (int(digits) if digits.isdigit() else None), ""


def _headers(error: BaseException) -> Mapping[str, str]:
    for one in _chain(error):
        response: Any = getattr(one, "response", None)
        if isinstance(response, Mapping):
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return {name.lower(): value for name, value in headers.items()}
    return {}
