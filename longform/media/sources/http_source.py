"""Sources on http(s) servers: pinned at the first look, then read by byte range."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from longform.errors import (
    ConnectionCutError,
    EmptySourceError,
    OutputError,
    RangesUnsupportedError,
    SourceTooLargeError,
)
from longform.media.model import Source
from longform.media.sources import fingerprint, signed_urls
from longform.media.sources.fingerprint import ContentHash, pinned
from longform.media.sources.http_reader import HttpReader
from longform.media.sources.http_requests import RemoteAddress, content_length, content_range
from longform.net.backoff import Backoff
from longform.net.policy import SourcePolicy, require_size, shown_name


@dataclass(frozen=True, slots=True)
class _Look:
    """What the first response says about a source; `length_bytes` is None where it does not.

    `prefix` is what the response held of the source, where it was a byte range.
    """

    ranges: bool
    length_bytes: int | None
    etag: str | None
    last_modified: str | None
    prefix: bytes = b""


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Look at an http(s) address once and pin what is there.

    Raises:
        SourceError: refused, missing, empty, too large, or without ranges where required.
        RetryableError: unreachable, after all retries.
    """
    address = RemoteAddress(media_url, policy)
    try:
        look = await _look(address, policy)
        require_size(address.shown, look.length_bytes, policy.max_bytes)
        if not look.ranges:
            return await _download(address, look, policy, scratch_dir)
        source = Source(
            url=signed_urls.seal(media_url),
            shown=address.shown,
            name=shown_name(media_url),
            length_bytes=look.length_bytes or 0,
            etag=look.etag,
            last_modified=look.last_modified,
            fingerprint="",
        )
        validator = fingerprint.validator(look.etag) or look.last_modified or ""
        reader = _reader(source, policy, address)
        return await pinned(source, reader, policy, validator, look.prefix)
    finally:
        await address.close()


def open_reader(source: Source, policy: SourcePolicy) -> HttpReader:
    """Return a reader of a pinned http(s) source."""
    url = signed_urls.resolve(source.url)
    may_expire = url != source.url or policy.url_refresh is not None
    return _reader(source, policy, RemoteAddress(url, policy, may_expire=may_expire))


def _reader(source: Source, policy: SourcePolicy, address: RemoteAddress) -> HttpReader:
    apart = policy.model_copy(update={"require_range": True, "block_dir": None})

    async def reopen(url: str) -> Source:
        return await open_source(url, apart, Path())

    return HttpReader(source, policy, address, reopen)


async def _look(address: RemoteAddress, policy: SourcePolicy) -> _Look:
    return await Backoff(policy).call(lambda: _look_once(address))


async def _look_once(address: RemoteAddress) -> _Look:
    wanted = fingerprint.CHECK_BYTES
    async with address.get({"Range": f"bytes=0-{wanted - 1}"}) as response:
        part = content_range(response)
        ranges = response.status_code == 206 and part is not None and part.start == 0
        length = part.length_bytes if part else content_length(response)
        if response.status_code == 416 or length == 0:
            raise EmptySourceError(f"{address.shown} is empty; give one that holds a recording")
        prefix = b""
        if ranges and part is not None:
            wanted = min(wanted, part.end)
            prefix = await _read_prefix(address, response, wanted)
        return _Look(
            ranges=ranges,
            length_bytes=length if response.status_code == 200 or part else None,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            prefix=prefix,
        )


async def _read_prefix(address: RemoteAddress, response: httpx.Response, wanted: int) -> bytes:
    prefix = bytearray()
    async for part in address.parts(response):
        prefix += part
        if len(prefix) >= wanted and content_length(response) != wanted:
            break
    if len(prefix) < wanted:
        raise ConnectionCutError(f"{address.shown} sent less than it announced; try again")
    return bytes(prefix[:wanted])


async def _download(
    address: RemoteAddress, look: _Look, policy: SourcePolicy, scratch_dir: Path
) -> Source:
    if policy.require_range:
        raise RangesUnsupportedError(
            f"{address.shown} does not serve byte ranges, which require_range asks for; "
            "give another address, or allow servers without them"
        )
    limit_bytes = min(policy.max_bytes, policy.max_download_bytes)
    require_size(address.shown, look.length_bytes, limit_bytes)
    copy = await download(address, policy, limit_bytes, scratch_dir)
    return Source(
        url=str(copy.path),
        shown=address.shown,
        name=shown_name(address.shown),
        length_bytes=copy.content.length_bytes,
        supports_ranges=False,
        last_modified=str(copy.path.stat().st_mtime_ns),
        fingerprint=copy.content.hexdigest(),
        warnings=copy.warnings,
    )


# Servers without byte ranges: the whole file, once, into a folder of this host.


NO_RANGES_WARNING = "the server does not support byte ranges; downloaded whole first"
NO_LENGTH_WARNING = (
    "the server does not say how long the file is: if it ended early, that cannot be noticed"
)


@dataclass(frozen=True, slots=True)
class Download:
    """A whole file on this host, and what is to be said about it."""

    path: Path
    content: ContentHash
    warnings: tuple[str, ...]


async def download(
    address: RemoteAddress, policy: SourcePolicy, limit_bytes: int, scratch_dir: Path
) -> Download:
    """Download what an address holds, from its start again where it was cut.

    Raises:
        SourceError: empty, too large, refused or missing.
        RetryableError: after `max_attempts` tries.
        OutputError: there is no room for it.
    """
    return await Backoff(policy).call(lambda: _download_once(address, limit_bytes, scratch_dir))


async def _download_once(address: RemoteAddress, limit_bytes: int, scratch_dir: Path) -> Download:
    descriptor, path = _new_file(scratch_dir)
    content = ContentHash()
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            async with address.get({}) as response:
                ends_visibly = (
                    content_length(response) is not None
                    or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
                )
                async for part in address.parts(response):
                    content.update(part)
                    _require_room(address, content.length_bytes, limit_bytes)
                    await asyncio.to_thread(_write, file, part, scratch_dir)
        if content.length_bytes == 0:
            raise EmptySourceError(f"{address.shown} is empty; give one that holds a recording")
    except BaseException:
        os.unlink(path)  # noqa: PTH108  (one quick call; also when cancelled)
        raise
    warnings = (NO_RANGES_WARNING,) if ends_visibly else (NO_RANGES_WARNING, NO_LENGTH_WARNING)
    return Download(path, content, warnings)


def _write(file: BinaryIO, part: bytes, scratch_dir: Path) -> None:
    try:
        file.write(part)
    except OSError as error:
        raise OutputError(
            f"{scratch_dir} cannot take more data ({error.strerror}): make room, or set TMPDIR "
            "to a place that has it"
        ) from error


def _require_room(address: RemoteAddress, num_bytes: int, limit_bytes: int) -> None:
    if num_bytes > limit_bytes:
        raise SourceTooLargeError(
            f"{address.shown} has more than {limit_bytes} bytes, the most that may be downloaded"
        )


def _new_file(scratch_dir: Path) -> tuple[int, Path]:
    try:
        descriptor, name = tempfile.mkstemp(dir=scratch_dir, prefix="source-")
    except OSError as error:
        raise OutputError(
            f"{scratch_dir} cannot be written ({error.strerror}): set TMPDIR to a place with room"
        ) from error
    return descriptor, Path(name)
