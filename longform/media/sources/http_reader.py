"""Byte ranges of one pinned http(s) source: resumed where they are cut, checked each time."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

import httpx

from longform.errors import (
    ConnectionCutError,
    ContentChangedError,
    RangesWithdrawnError,
    RetryableError,
    SourceExpiredError,
    SourceReplacedError,
    SourceResizedError,
    WrongRangeError,
)
from longform.media.model import Source
from longform.media.sources.fingerprint import strong
from longform.media.sources.http_requests import RemoteAddress, content_length, content_range
from longform.media.sources.signed_urls import refreshed
from longform.net.backoff import Backoff, FailureTimeBudget
from longform.net.policy import SourcePolicy

OVERLAP_BYTES = 512  # bytes that a resumed request asks for again, to see that it goes on
MAX_RENEWALS = 2  # new links for one read: a third that is refused as well is no accident
PROGRESS_PARTS = 16  # a try that brings so small a part of what was asked for counts as nothing

_RESIZED = re.compile(r"bytes \*/(\d+)$")


Reopen = Callable[[str], Awaitable[Source]]  # pins what is at a new link, as the old one was


class HttpReader:
    """Reads byte ranges, and resumes where a connection was cut.

    Args:
        source: what is read.
        policy: the rules of requests.
        address: where it is, for now.
        reopen: opens a new link once the old one has expired.
    """

    def __init__(
        self, source: Source, policy: SourcePolicy, address: RemoteAddress, reopen: Reopen
    ) -> None:
        self._reopen = reopen
        self._source = source
        self._policy = policy
        self._address = address
        self._time_budget = FailureTimeBudget(policy, source.shown)
        self._renewing = asyncio.Lock()

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`.

        Raises:
            RetryableError: after `max_attempts` tries in a row that brought next to nothing.
            SourceChangedError: the server now has other content.
            SourceExpiredError: the link has expired, and there is no new one.
            SourceError: refused or gone.
        """
        loop = asyncio.get_running_loop()
        wanted = end - start
        received = bytearray()
        backoff = Backoff(self._policy)
        while len(received) < wanted:
            before, began_sec = len(received), loop.time()
            failure = await self._try(start, end, received)
            brought = len(received) - before
            self._time_budget.earn(brought)
            if brought * PROGRESS_PARTS >= wanted:
                backoff.renew()
                if failure is None:  # some servers send a range in parts of their own choice
                    continue
            if len(received) < wanted:
                failure = failure or WrongRangeError(
                    f"{self._source.shown} sends far less than it is asked for; try again later"
                )
                await backoff.wait(failure)
                self._time_budget.spend(loop.time() - began_sec, failure)
        return bytes(received)

    async def close(self) -> None:
        """Close the connections."""
        await self._address.close()

    async def _try(self, start: int, end: int, received: bytearray) -> RetryableError | None:
        """Send one request for what is missing; return what kept it from bringing it all."""
        try:
            await self._receive_renewed(start, end, received)
        except RetryableError as error:
            return error
        return None

    async def _receive_renewed(self, start: int, end: int, received: bytearray) -> None:
        """Receive what is missing; where a link has expired, go on at the one that follows it."""
        for _ in range(MAX_RENEWALS):
            failed = self._address.url
            try:
                await self._receive(start, end, received)
            except SourceExpiredError as error:
                if self._policy.url_refresh is None:
                    raise
                await self._renew(failed, str(error))
            else:
                return
        await self._receive(start, end, received)

    async def _renew(self, failed: str, reason: str) -> None:
        """Go on at a new link, once it was seen to lead to the very same content.

        Raises:
            SourceExpiredError: there is none.
            SourceChangedError: it leads elsewhere.
        """
        async with self._renewing:
            if self._address.url != failed:  # another read has been here meanwhile
                return
            url = await refreshed(self._source.url, failed, self._policy, reason)
            renewed = await self._reopen(url)
            pinned = (self._source.length_bytes, self._source.etag, self._source.fingerprint)
            if (renewed.length_bytes, renewed.etag, renewed.fingerprint) != pinned:
                raise SourceReplacedError(
                    f"{self._source.shown}: its new link leads to other content; start again"
                )
            self._address.move(url)

    async def _receive(self, start: int, end: int, received: bytearray) -> None:
        behind = bytes(received[-OVERLAP_BYTES:])
        first = start + len(received) - len(behind)
        async with self._address.get(self._headers(first, end)) as response:
            self._require_pinned(response)
            last = self._require_range(response, first, end)
            # A connection whose answer was read to its end can be used again.
            exact = content_length(response) == last - first
            async for part in self._address.parts(response):
                known = min(len(behind), len(part))
                self._require_same(behind[:known], part[:known])
                behind = behind[known:]
                received += part[known:][: last - start - len(received)]
                if len(received) == last - start and not exact:
                    return
        if len(received) < last - start:
            raise ConnectionCutError(f"{self._source.shown} sent less than it announced; try again")

    def _headers(self, first: int, end: int) -> Mapping[str, str]:
        headers = {"Range": f"bytes={first}-{end - 1}"}
        if (etag := strong(self._source.etag)) is not None:
            headers["If-Range"] = etag
        return headers

    def _require_pinned(self, response: httpx.Response) -> None:
        """Check that the response speaks of the very content that was pinned."""
        source, headers = self._source, response.headers
        pairs = [(source.etag, headers.get("ETag"))]
        if source.etag is None:
            pairs.append((source.last_modified, headers.get("Last-Modified")))
        if any(a != b for a, b in pairs if a and b):
            raise SourceReplacedError(
                f"{source.shown} was replaced while it was read; start again with the new one"
            )
        length = _length_of_all(response)
        if length not in (None, source.length_bytes):
            raise SourceResizedError(
                f"{source.shown} had {source.length_bytes} bytes and now has {length}; "
                "run again once it no longer changes"
            )
        if length is None and response.status_code == 416:
            raise SourceResizedError(
                f"{source.shown} no longer has all of its {source.length_bytes} bytes; "
                "run again once it no longer changes"
            )

    def _require_range(self, response: httpx.Response, first: int, end: int) -> int:
        """Return the end of the range that a response holds; it begins where it should."""
        if response.status_code == 200:
            raise RangesWithdrawnError(
                f"{self._source.shown} sends the whole file instead of a part; try again later"
            )
        part = content_range(response) if response.status_code == 206 else None
        if part is None or part.start != first or not first < part.end <= end:
            raise WrongRangeError(
                f"{self._source.shown} did not answer with the bytes that were asked for; "
                "try again, or ask its operator to repair the server"
            )
        return part.end

    def _require_same(self, before: bytes, now: bytes) -> None:
        if before != now:
            raise ContentChangedError(
                f"{self._source.shown} holds other bytes than a moment ago, though its server "
                "does not say so; run again once it no longer changes"
            )


def _length_of_all(response: httpx.Response) -> int | None:
    """Return the length of the whole content, if a response tells it."""
    if response.status_code == 416:
        found = _RESIZED.match(response.headers.get("Content-Range", ""))
        return int(found[1]) if found else None
    part = content_range(response)
    if part is not None:
        return part.length_bytes
    return content_length(response) if response.status_code == 200 else None
