"""What a bad answer, or none, means: every fault of an http(s) server as one of our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from longform.errors import (
    AccessDeniedError,
    AddressInvalidError,
    CertificateInvalidError,
    ConnectionCutError,
    LongformError,
    MalformedAnswerError,
    NameNotResolvedError,
    SchemeRefusedError,
    ServerFailingError,
    ServerNotAnsweringError,
    ServerOverloadedError,
    ServerUnreachableError,
    SourceGoneError,
    SourceMissingError,
    SourceSilentError,
    SourceThrottledError,
    SourceTooSlowError,
    TooManyRequestsError,
    UnusableAnswerError,
)
from longform.net.backoff import parse_date, parse_retry_after

USABLE = frozenset({200, 206, 416})

# From the first row that applies: statuses, the error, and what its message says.
_STATUSES: tuple[tuple[frozenset[int], type[LongformError], str], ...] = (
    (frozenset({404}), SourceMissingError, "is not there (404); check the address"),
    (frozenset({410}), SourceGoneError, "is gone for good (410); give another address"),
    (
        frozenset({401, 402, 403, 407, 451}),
        AccessDeniedError,
        "refuses access ({status}); give an address that may be read",
    ),
    (frozenset({429}), TooManyRequestsError, "asks for fewer requests (429); try later"),
    (frozenset({503}), ServerOverloadedError, "is overloaded (503); try later"),
    (
        frozenset({408, 425, 500, 502, 504, *range(506, 600)} - {511}),
        ServerFailingError,
        "answers {status}; try again later",
    ),
)

# From the first row that applies: what httpx raises, a part of what it says, our error.
_TRANSPORT: tuple[tuple[type[Exception], str, type[LongformError], str], ...] = (
    (
        httpx.ConnectError,
        "CERTIFICATE_VERIFY_FAILED",
        CertificateInvalidError,
        "has no valid TLS certificate; give the address under its right name",
    ),
    (
        httpx.ConnectError,
        "cannot be resolved",
        NameNotResolvedError,
        "cannot be resolved; check the name, or try again later",
    ),
    (
        httpx.ConnectTimeout,
        "",
        ServerNotAnsweringError,
        "does not answer; try again later",
    ),
    (
        httpx.ConnectError,
        "",
        ServerUnreachableError,
        "cannot be reached; check host and port, or try again later",
    ),
    (httpx.TimeoutException, "", SourceSilentError, "stopped sending; try again later"),
    (TimeoutError, "", SourceTooSlowError, "sends too slowly; try again later"),
    (
        httpx.UnsupportedProtocol,
        "",
        SchemeRefusedError,
        "is not an http(s) address; give one, or a path",
    ),
    (httpx.InvalidURL, "", AddressInvalidError, "is not a valid address; check it"),
    (UnicodeError, "", AddressInvalidError, "is not a valid address, or leads to none; check it"),
    (
        httpx.RemoteProtocolError,
        "Invalid URL in location header",
        AddressInvalidError,
        "redirects to an invalid address; give the address that is meant",
    ),
    (httpx.RemoteProtocolError, "closed", ConnectionCutError, "cut the connection; try again"),
    (
        httpx.RemoteProtocolError,
        "disconnected",
        ConnectionCutError,
        "hung up without an answer; try again",
    ),
    (
        httpx.RemoteProtocolError,
        "",
        MalformedAnswerError,
        "does not answer in HTTP; check that the address is a web server's",
    ),
    (httpx.HTTPError, "", ConnectionCutError, "cut the connection; try again"),
)


def status_error(response: httpx.Response, shown: str) -> LongformError | None:
    """Return the error that a status stands for, or None for 200, 206 and 416."""
    status = response.status_code
    if status in USABLE:
        return None
    for statuses, kind, what in _STATUSES:
        if status in statuses:
            error = kind(f"{shown} {what.format(status=status)}")
            if isinstance(error, SourceThrottledError):
                error.retry_after_sec = asked_pause_sec(response)
            return error
    return UnusableAnswerError(
        f"{shown} answers {status}, which holds no recording; give the address of the file itself"
    )


@contextmanager
def translated_errors(shown: str) -> Iterator[None]:
    """Turn httpx's errors into ours, each with a line that names the redacted address."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
        said = str(error)
        kind, what = next(
            (kind, what)
            for raised, part, kind, what in _TRANSPORT
            if isinstance(error, raised) and part in said
        )
        raise kind(f"{shown} {what}") from error


def asked_pause_sec(response: httpx.Response) -> float | None:
    """Return the pause that a response asks for; its date counts by the server's own clock."""
    now = parse_date(response.headers.get("Date")) or datetime.now(UTC)
    return parse_retry_after(response.headers.get("Retry-After"), now)
