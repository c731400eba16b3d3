"""The identity of a recording: from its bytes, never from its address.

Signed URLs change from day to day, and two files on one server can share an ETag (both
observed), so neither the address nor a validator alone says what a recording is.
"""

import asyncio
import hashlib
import secrets
from typing import BinaryIO

from longform.media.block_cache import BlockCache, remote_cache
from longform.media.model import BLOCK_BYTES, ContentCheck, Source, content_digest
from longform.media.range_reader import RangeReader
from longform.media.shared_blocks import Block, discard_blocks
from longform.net.policy import SourcePolicy

CHECK_BYTES = 65_536  # bytes of each stretch that is looked at
NUM_CHECKS = 16  # the beginning, the end and 14 evenly between; each begins a block of the cache
WHOLE_BYTES = CHECK_BYTES * NUM_CHECKS  # bytes; up to here everything is read: 1 MiB
PARALLEL_READS = 4


class ContentHash:
    """sha256 over the length and the whole content; equal for every copy, wherever it lies."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.length_bytes = 0

    def update(self, part: bytes) -> None:
        """Take the next part of the content."""
        self._digest.update(part)
        self.length_bytes += len(part)

    def hexdigest(self) -> str:
        """Return the fingerprint of what was taken."""
        return hashlib.sha256(
            f"whole {self.length_bytes} {self._digest.hexdigest()}".encode()
        ).hexdigest()


def file_content(file: BinaryIO) -> ContentHash:
    """Return what identifies an open local file, read to its end."""
    content = ContentHash()
    while part := file.read(WHOLE_BYTES):
        content.update(part)
    return content


async def remote_fingerprint(reader: RangeReader, length_bytes: int, validator: str) -> str:
    """Return the fingerprint of a source that is too far away to be read whole.

    Small sources are read whole all the same, and then equal their local copies.
    """
    if length_bytes <= WHOLE_BYTES:
        content = ContentHash()
        content.update(await reader.read(0, length_bytes))
        return content.hexdigest()
    gate = asyncio.Semaphore(PARALLEL_READS)

    async def stretch(span: tuple[int, int]) -> bytes:
        async with gate:
            return await reader.read(*span)

    spans = check_spans(length_bytes)
    stretches = await asyncio.gather(*map(stretch, spans))
    digest = hashlib.sha256(f"sampled {length_bytes} {validator}\n".encode())
    for (start, _), part in zip(spans, stretches, strict=True):
        digest.update(f"{start}\n".encode() + part)
    return digest.hexdigest()


def check_spans(length_bytes: int) -> list[tuple[int, int]]:
    """Return the stretches to look at, `[start, end)`: first, last and evenly between.

    Each begins a block of the cache, which will not fetch it again; the last block is taken
    whole, so that it includes the last byte.
    """
    last = (length_bytes - 1) // BLOCK_BYTES
    indices = {last * number // (NUM_CHECKS - 1) for number in range(NUM_CHECKS)}
    return [
        (
            index * BLOCK_BYTES,
            length_bytes if index == last else index * BLOCK_BYTES + CHECK_BYTES,
        )
        for index in sorted(indices)
    ]


def strong(etag: str | None) -> str | None:
    """Return an ETag that promises equal bytes, or None (weak ETags promise less)."""
    return etag if etag and not etag.startswith("W/") else None


def validator(etag: str | None) -> str:
    """Return what an ETag adds to a fingerprint; a weak one promises nothing about bytes.

    Without its quotes, as some stores give it: an object has one identity by every way to it.
    """
    return (strong(etag) or "").strip('"')


async def pinned(
    source: Source, reader: RangeReader, policy: SourcePolicy, validator: str, prefix: bytes = b""
) -> Source:
    """Return a source with its fingerprint, and with checks that pin it by content.

    Args:
        source: what is known of it so far.
        reader: reads it; it is closed.
        policy: where blocks are shared.
        validator: what the fingerprint includes beside length and stretches.
        prefix: its first bytes, where they have been read already.

    Raises:
        LongformError: whatever the reader raises.
    """
    source = source.model_copy(update={"blocks": secrets.token_hex(16)})
    cache = remote_cache(reader, source, policy.block_dir)
    checking = CheckingReader(cache)
    try:
        if 0 < len(prefix) < source.length_bytes:
            await cache.keep_prefix(0, Block(b"", prefix))
        fingerprint = await remote_fingerprint(checking, source.length_bytes, validator)
    except BaseException:
        discard_blocks(policy.block_dir, source.blocks)
        raise
    finally:
        await checking.close()
    checks = tuple(sorted(checking.content_checks, key=lambda check: check.start))
    return source.model_copy(update={"fingerprint": fingerprint, "content_checks": checks})


class CheckingReader:
    """Reads through a cache, so that nothing is fetched again, and keeps `content_checks`."""

    def __init__(self, cache: BlockCache) -> None:
        self._cache = cache
        self.content_checks: list[ContentCheck] = []

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`; those that begin a block become checks."""
        data = await self._cache.read_prefix(start, end)
        step = self._cache.block_bytes
        for first in range(start, end, step) if start % step == 0 else ():
            part = data[first - start : first - start + step]
            check = ContentCheck(start=first, end=first + len(part), digest=content_digest(part))
            self.content_checks.append(check)
        return data

    async def close(self) -> None:
        """Close the cache."""
        await self._cache.close()
