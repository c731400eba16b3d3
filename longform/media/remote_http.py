"""Sources on http(s) servers: pinned at the first look, then read by byte range."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from longform.errors import (
    ConnectionCutError,
    EmptySourceError,
    RangesUnsupportedError,
    RetryableError,
)
from longform.media import address_book, fingerprint
from longform.media.block_sampler import pinned
from longform.media.http_download import download
from longform.media.http_reader import HttpReader
from longform.media.http_requests import RemoteAddress, content_length, content_range
from longform.media.policy import SourcePolicy, require_size, shown_name
from longform.media.retry import Patience
from longform.media.source import Source


@dataclass(frozen=True, slots=True)
class _Look:
    """What the first response says about a source; `length_bytes` is None where it does not.

    `head` is what the response held of the source, where it was a byte range.
    """

    ranges: bool
    length_bytes: int | None
    etag: str | None
    last_modified: str | None
    head: bytes = b""


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
            url=address_book.seal(media_url),
            shown=address.shown,
            name=shown_name(media_url),
            length_bytes=look.length_bytes or 0,
            etag=look.etag,
            last_modified=look.last_modified,
            fingerprint="",
        )
        validator = fingerprint.validator(look.etag) or look.last_modified or ""
        reader = HttpReader(source, policy, address)
        return await pinned(source, reader, policy, validator, look.head)
    finally:
        await address.close()


def open_reader(source: Source, policy: SourcePolicy) -> HttpReader:
    """Return a reader of a pinned http(s) source."""
    url = address_book.full_address(source.url)
    may_expire = url != source.url or policy.url_refresh is not None
    return HttpReader(source, policy, RemoteAddress(url, policy, may_expire=may_expire))


async def _look(address: RemoteAddress, policy: SourcePolicy) -> _Look:
    patience = Patience(policy)
    while True:
        try:
            return await _look_once(address)
        except RetryableError as error:
            await patience.wait(error)


async def _look_once(address: RemoteAddress) -> _Look:
    wanted = fingerprint.SAMPLE_BYTES
    async with address.get({"Range": f"bytes=0-{wanted - 1}"}) as response:
        part = content_range(response)
        ranges = response.status_code == 206 and part is not None and part.start == 0
        length = part.length_bytes if part else content_length(response)
        if response.status_code == 416 or length == 0:
            raise EmptySourceError(f"{address.shown} is empty; give one that holds a recording")
        head = b""
        if ranges and part is not None:
            wanted = min(wanted, part.end)
            head = await _read_head(address, response, wanted)
        return _Look(
            ranges=ranges,
            length_bytes=length if response.status_code == 200 or part else None,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            head=head,
        )


async def _read_head(address: RemoteAddress, response: httpx.Response, wanted: int) -> bytes:
    head = bytearray()
    async for part in address.parts(response):
        head += part
        if len(head) >= wanted and content_length(response) != wanted:
            break
    if len(head) < wanted:
        raise ConnectionCutError(f"{address.shown} sent less than it announced; try again")
    return bytes(head[:wanted])


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
