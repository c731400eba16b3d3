"""Sources on http(s) servers: pinned at the first look, then read by byte range."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from longform.errors import (
    NotMediaError,
    OutputError,
    RangesUnsupportedError,
    RetryableError,
    SourceChangedError,
    SourceExpiredError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from longform.media import address_book
from longform.media.fingerprint import SAMPLE_BYTES, ContentHash, remote_fingerprint, validator
from longform.media.http_requests import RemoteAddress, content_range, translated_errors
from longform.media.policy import SourcePolicy, shown_name
from longform.media.retry import Patience
from longform.media.source import Source
from longform.media.url_refresh import refreshed

MAX_RENEWALS = 2  # new links for one read: a third that is refused as well is no accident
NO_RANGES_WARNING = "the server does not support byte ranges; downloaded whole first"


@dataclass(frozen=True, slots=True)
class _Look:
    """What the first response says about a source; `length_bytes` is None where it does not."""

    ranges: bool
    length_bytes: int | None
    etag: str | None
    last_modified: str | None


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Look at an http(s) address once and pin what is there.

    Raises:
        SourceError: refused, missing, empty, too large, or without ranges where required.
        RetryableError: unreachable, after all retries.
    """
    address = RemoteAddress(media_url, policy)
    try:
        look = await _look(address, policy)
        _require_size(address.shown, look.length_bytes, policy.max_bytes)
        if not look.ranges:
            return await _download(address, look, policy, scratch_dir)
        source = Source(
            url=address_book.seal(media_url),
            shown=address.shown,
            name=shown_name(media_url),
            length_bytes=look.length_bytes or 0,
            etag=look.etag,
            last_modified=look.last_modified,
            fingerprint="",
        )
        reader = RemoteReader(source, policy, address)
        identity = validator(look.etag) or look.last_modified or ""
        fingerprint = await remote_fingerprint(reader, source.length_bytes, identity)
        return source.model_copy(update={"fingerprint": fingerprint})
    finally:
        await address.close()


def open_reader(source: Source, policy: SourcePolicy) -> "RemoteReader":
    """Return a reader of a pinned http(s) source."""
    url = address_book.full_address(source.url)
    may_expire = url != source.url or policy.url_refresh is not None
    return RemoteReader(source, policy, RemoteAddress(url, policy, may_expire=may_expire))


class RemoteReader:
    """Reads byte ranges, and resumes where a connection was cut."""

    def __init__(self, source: Source, policy: SourcePolicy, address: RemoteAddress) -> None:
        self._source = source
        self._policy = policy
        self._address = address
        self._renewing = asyncio.Lock()

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`.

        Raises:
            RetryableError: after `max_attempts` tries in a row that brought nothing new.
            SourceChangedError: the server now has other content.
            SourceExpiredError: the link has expired, and there is no new one.
            SourceError: refused or gone.
        """
        received = bytearray()
        patience = Patience(self._policy)
        renewals = 0
        while len(received) < end - start:
            before, url = len(received), self._address.url
            try:
                await self._receive(start, end, received)
            except SourceExpiredError as error:
                renewals += 1
                if self._policy.url_refresh is None or renewals > MAX_RENEWALS:
                    raise
                await self._renew(url, str(error))
            except RetryableError as error:
                if len(received) - before >= SAMPLE_BYTES:
                    patience.renew()
                await patience.wait(error)
        return bytes(received)

    async def close(self) -> None:
        """Close the connections."""
        await self._address.close()

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
            with_ranges = self._policy.model_copy(update={"require_range": True})
            renewed = await open_source(url, with_ranges, Path())
            pinned = (self._source.length_bytes, self._source.etag, self._source.fingerprint)
            if (renewed.length_bytes, renewed.etag, renewed.fingerprint) != pinned:
                raise SourceChangedError(
                    f"{self._source.shown}: its new link leads to other content; start again"
                )
            self._address.move(url)

    async def _receive(self, start: int, end: int, received: bytearray) -> None:
        first = start + len(received)
        headers = {"Range": f"bytes={first}-{end - 1}"}
        if (etag := strong(self._source.etag)) is not None:
            headers["If-Range"] = etag
        limit_sec = self._policy.stall_timeout_sec + (end - first) / self._policy.min_bytes_per_sec
        with translated_errors(self._address.shown):
            async with asyncio.timeout(limit_sec), self._address.get(headers) as response:
                self._require_pinned(response)
                self._require_range(response, first, end)
                async for part in response.aiter_raw():
                    received += part[: end - start - len(received)]
        if start + len(received) < end:
            raise SourceUnavailableError(f"{self._address.shown} sent less than it announced")

    def _require_pinned(self, response: httpx.Response) -> None:
        """Check that the response speaks of the very content that was pinned."""
        source, headers = self._source, response.headers
        pairs = [(source.etag, headers.get("ETag"))]
        if source.etag is None:
            pairs.append((source.last_modified, headers.get("Last-Modified")))
        part = content_range(response)
        if part is not None:
            pairs.append((str(source.length_bytes), str(part.length_bytes)))
        if response.status_code == 416 or any(a != b for a, b in pairs if a and b):
            raise SourceChangedError(f"{source.shown} changed while it was read; start again")

    def _require_range(self, response: httpx.Response, start: int, end: int) -> None:
        part = content_range(response) if response.status_code == 206 else None
        if part is None or part.start != start or part.end > end:
            raise SourceUnavailableError(
                f"{self._source.shown} did not answer with the bytes that were asked for"
            )


def strong(etag: str | None) -> str | None:
    """Return an ETag that promises equal bytes, or None (weak ETags promise less)."""
    return etag if etag and not etag.startswith("W/") else None


async def _look(address: RemoteAddress, policy: SourcePolicy) -> _Look:
    patience = Patience(policy)
    while True:
        try:
            async with address.get({"Range": f"bytes=0-{SAMPLE_BYTES - 1}"}) as response:
                return _seen(response, address.shown)
        except RetryableError as error:
            await patience.wait(error)


def _seen(response: httpx.Response, shown: str) -> _Look:
    part = content_range(response)
    announced = response.headers.get("Content-Length", "")
    length = part.length_bytes if part else int(announced) if announced.isdigit() else None
    if response.status_code == 416 or length == 0:
        raise NotMediaError(f"{shown} is empty")
    return _Look(
        ranges=response.status_code == 206 and part is not None and part.start == 0,
        length_bytes=length if response.status_code == 200 or part else None,
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
    )


def _require_size(shown: str, length_bytes: int | None, limit_bytes: int) -> None:
    if length_bytes is not None and length_bytes > limit_bytes:
        raise SourceTooLargeError(
            f"{shown} has {length_bytes} bytes; at most {limit_bytes} may be opened"
        )


async def _download(
    address: RemoteAddress, look: _Look, policy: SourcePolicy, scratch_dir: Path
) -> Source:
    if policy.require_range:
        raise RangesUnsupportedError(
            f"{address.shown} does not serve byte ranges, which require_range asks for"
        )
    limit_bytes = min(policy.max_bytes, policy.max_download_bytes)
    _require_size(address.shown, look.length_bytes, limit_bytes)
    patience = Patience(policy)
    while True:
        try:
            path, content = await _download_once(address, limit_bytes, scratch_dir)
            break
        except RetryableError as error:
            await patience.wait(error)
    return Source(
        url=str(path),
        shown=address.shown,
        name=shown_name(address.shown),
        length_bytes=content.length_bytes,
        supports_ranges=False,
        last_modified=str(path.stat().st_mtime_ns),
        fingerprint=content.hexdigest(),
        warnings=(NO_RANGES_WARNING,),
    )


async def _download_once(
    address: RemoteAddress, limit_bytes: int, scratch_dir: Path
) -> tuple[Path, ContentHash]:
    try:
        descriptor, name = tempfile.mkstemp(dir=scratch_dir, prefix="source-")
    except OSError as error:
        raise OutputError(f"{scratch_dir} cannot be written: {error.strerror}") from error
    path = Path(name)
    content = ContentHash()
    try:
        with os.fdopen(descriptor, "wb") as file, translated_errors(address.shown):
            async with address.get({}) as response:
                async for part in response.aiter_raw():
                    content.update(part)
                    _require_size(address.shown, content.length_bytes, limit_bytes)
                    await asyncio.to_thread(file.write, part)
        if content.length_bytes == 0:
            raise NotMediaError(f"{address.shown} is empty")
    except BaseException:
        os.unlink(path)  # noqa: PTH108  (one quick call; also when cancelled)
        raise
    return path, content
