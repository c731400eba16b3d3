"""One http(s) address: requests that follow redirects themselves and fail with our errors."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from longform.errors import (
    AddressInvalidError,
    EncodedAnswerError,
    LongformError,
    RedirectExpiredError,
    RedirectLoopError,
    SchemeRefusedError,
    SourceError,
)
from longform.media.sources.signed_urls import expiry_error
from longform.net.http_errors import status_error, translated_errors
from longform.net.policy import SourcePolicy, redact
from longform.net.safe_http import make_client

MAX_REDIRECTS = 5
REQUESTS_PER_HOST = 4  # of a process at a time; as browsers once had, and enough to fill a line
FLOOR_WINDOWS = 2  # stall time-outs in which a whole quantum must have come; silence is told first

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


def content_length(response: httpx.Response) -> int | None:
    """Return the Content-Length of a response, or None where it does not say."""
    announced = response.headers.get("Content-Length", "")
    return int(announced) if announced.isdecimal() else None


class RemoteAddress:
    """Requests to one address, which remembers where its redirects led to.

    With `may_expire`, an answer that refuses means that a link which was good has expired.
    """

    def __init__(self, url: str, policy: SourcePolicy, *, may_expire: bool = False) -> None:
        self.url = url
        self._target = url
        self._policy = policy
        self._client = make_client(policy)
        self._may_expire = may_expire
        self.shown = redact(url)

    def move(self, url: str) -> None:
        """Go on at another address."""
        self.url = self._target = url

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
                async with self._exchange(target, headers) as response:
                    if not response.has_redirect_location:
                        error = await self._error(response)
                        self._require_usable(error, remembered=not redirected)
                        self._require_plain(response)
                        self._target = target
                        yield response
                        return
                    target, redirected = self._next(target, response), True
        raise RedirectLoopError(
            f"{self.shown} redirects more than {MAX_REDIRECTS} times; "
            "give the address where it leads to"
        )

    async def parts(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body of a response as it comes, if it comes fast enough.

        Raises:
            RetryableError: cut, stalled, or under the policy's rate floor.
        """
        loop = asyncio.get_running_loop()
        window_sec = FLOOR_WINDOWS * self._policy.stall_timeout_sec
        quantum = window_sec * self._policy.min_bytes_per_sec
        received, deadline = 0, loop.time() + window_sec
        with translated_errors(self.shown):
            body = response.aiter_raw()
            while True:
                async with asyncio.timeout_at(deadline):
                    part = await anext(body, None)
                if part is None:
                    return
                yield part
                received += len(part)
                if received >= quantum:
                    received, deadline = 0, loop.time() + window_sec

    @asynccontextmanager
    async def _exchange(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        url = httpx.URL(target)
        policy = self._policy
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(host_slots(url.host, url.port))
            # httpx waits anew for every byte: headers that drip would hold it for days.
            limit_sec = policy.connect_timeout_sec + FLOOR_WINDOWS * policy.stall_timeout_sec
            async with asyncio.timeout(limit_sec):
                exchange = self._client.stream("GET", url, headers=headers)
                response = await stack.enter_async_context(exchange)
            yield response

    def _next(self, before: str, response: httpx.Response) -> str:
        try:
            target = httpx.URL(before).join(response.headers["Location"])
        except (ValueError, httpx.InvalidURL) as error:
            raise AddressInvalidError(
                f"{self.shown} redirects to an invalid address; give the address that is meant"
            ) from error
        if target.scheme not in ("http", "https"):
            raise SchemeRefusedError(
                f"{self.shown} redirects to {target.scheme}://, not http(s); "
                "give the address where it leads to"
            )
        return str(target)

    async def _error(self, response: httpx.Response) -> LongformError | None:
        expired = await expiry_error(response, self.shown) if self._may_expire else None
        return expired or status_error(response, self.shown)

    def _require_usable(self, error: LongformError | None, *, remembered: bool) -> None:
        if error is None:
            return
        if isinstance(error, SourceError) and remembered and self._target != self.url:
            # What a redirect led to may be valid for minutes only: ask the first address again.
            self._target = self.url
            raise RedirectExpiredError(
                f"{self.shown}: its redirect has expired; try again"
            ) from error
        raise error

    def _require_plain(self, response: httpx.Response) -> None:
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise EncodedAnswerError(
                f"{self.shown} sends compressed bytes though plain ones were asked for; "
                "have the server send the file as it is"
            )


def host_slots(host: str, port: int | None) -> asyncio.Semaphore:
    """Return what each request to a host holds while it lasts.

    There is one for all readers of a process, since all of them live on one loop (`io_loop`).
    """
    key = (asyncio.get_running_loop(), host, port)
    return _slots.setdefault(key, asyncio.Semaphore(REQUESTS_PER_HOST))


_slots: dict[tuple[asyncio.AbstractEventLoop, str, int | None], asyncio.Semaphore] = {}
