"""One http(s) address: requests that follow redirects themselves and fail with our errors."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from longform.errors import (
    LongformError,
    RetryableError,
    SourceError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceStalledError,
    SourceThrottledError,
    SourceUnavailableError,
)
from longform.media.http_client import make_client
from longform.media.policy import SourcePolicy, redact
from longform.media.retry import parse_retry_after

MAX_REDIRECTS = 5
REFUSED = frozenset({401, 402, 403, 407, 451})
GONE = frozenset({404, 410})
THROTTLED = frozenset({429, 503})
TEMPORARY = frozenset({408, 425, 500, 502, 504})

_TRANSPORT_ERRORS: tuple[tuple[type[Exception], type[LongformError], str], ...] = (
    (httpx.ConnectTimeout, SourceUnavailableError, "does not answer"),
    (httpx.ConnectError, SourceUnavailableError, "cannot be reached"),
    (httpx.TimeoutException, SourceStalledError, "stopped sending"),
    (TimeoutError, SourceStalledError, "sends too slowly"),
    (httpx.UnsupportedProtocol, SourceRefusedError, "is no http(s) address"),
    (httpx.InvalidURL, SourceRefusedError, "is no valid address"),
    (httpx.HTTPError, SourceUnavailableError, "cut the connection"),
    (UnicodeError, SourceRefusedError, "is, or leads to, no valid address"),  # of IDNA
)

# Faults that httpx files among those of the connection, but that no other try will mend.
_FINAL_FAULTS = (
    ("CERTIFICATE_VERIFY_FAILED", "has no valid TLS certificate"),
    ("Invalid URL in location header", "redirects to no valid address"),
)

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which bytes a 206 response holds, `[start, end)`, and how many there are in all."""

    start: int
    end: int
    length_bytes: int


def content_range(response: httpx.Response) -> ContentRange | None:
    """Return the Content-Range of a response, or None where it has none that can be used."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if found is None:
        return None
    first, last, length = map(int, found.groups())
    return ContentRange(first, last + 1, length)


class RemoteAddress:
    """Requests to one address, which remembers where its redirects led to."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        self._url = url
        self._target = url
        self._client = make_client(policy)
        self.shown = redact(url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def get(self, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Send a GET; the response (200, 206 or 416) is yet to be read.

        Raises:
            RetryableError: unreachable, cut, stalled, throttled or 5xx.
            SourceError: refused or missing.
        """
        with translated_errors(self.shown):
            target, redirected = self._target, False
            for _ in range(MAX_REDIRECTS + 1):
                async with self._client.stream("GET", target, headers=headers) as response:
                    if not response.has_redirect_location:
                        self._require_usable(response, remembered=not redirected)
                        self._target = target
                        yield response
                        return
                    target, redirected = self._next(response), True
        raise SourceRefusedError(f"{self.shown} redirects more than {MAX_REDIRECTS} times")

    def _next(self, response: httpx.Response) -> str:
        try:
            target = response.url.join(response.headers["Location"])
        except (ValueError, httpx.InvalidURL) as error:
            raise SourceRefusedError(f"{self.shown} redirects to no valid address") from error
        if target.scheme not in ("http", "https"):
            raise SourceRefusedError(f"{self.shown} redirects to {target.scheme}://, not http(s)")
        return str(target)

    def _require_usable(self, response: httpx.Response, *, remembered: bool) -> None:
        error = status_error(response, self.shown)
        if error is None:
            return
        if isinstance(error, SourceError) and remembered and self._target != self._url:
            # What a redirect led to may be valid for minutes only: ask the first address again.
            self._target = self._url
            raise SourceUnavailableError(f"{self.shown}: its redirect has expired") from error
        raise error


def status_error(response: httpx.Response, shown: str) -> LongformError | None:
    """Return the error that a status stands for, or None for 200, 206 and 416."""
    status = response.status_code
    if status in (200, 206, 416):
        return None
    if status in GONE:
        return SourceNotFoundError(f"{shown} is not there ({status}); check the address")
    if status in REFUSED:
        return SourceRefusedError(
            f"{shown} refuses access ({status}); give an address that may be read"
        )
    if status in THROTTLED:
        throttled = SourceThrottledError(f"{shown} asks for fewer requests ({status}); try later")
        throttled.retry_after_sec = parse_retry_after(response.headers.get("Retry-After"))
        return throttled
    if status in TEMPORARY:
        return SourceUnavailableError(f"{shown} answers {status}; try again later")
    return SourceRefusedError(f"{shown} answers {status}, so it cannot be read")


@contextmanager
def translated_errors(shown: str) -> Iterator[None]:
    """Turn httpx's errors into ours, each with a line that names the redacted address."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
        for sign, what in _FINAL_FAULTS:
            if sign in str(error):
                raise SourceRefusedError(f"{shown} {what}") from error
        _, kind, what = next(row for row in _TRANSPORT_ERRORS if isinstance(error, row[0]))
        advice = "; try again later" if issubclass(kind, RetryableError) else ""
        raise kind(f"{shown} {what}{advice}") from error
