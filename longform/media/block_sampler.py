"""Pinning a remote source: what is read for its fingerprint is kept, and never fetched again."""

import secrets

from longform.media.block_cache import BlockCache, remote_cache
from longform.media.block_store import Block, discard_blocks
from longform.media.fingerprint import remote_fingerprint
from longform.media.policy import SourcePolicy
from longform.media.reader import RangeReader
from longform.media.source import Sample, Source, sample_digest


async def pinned(
    source: Source, reader: RangeReader, policy: SourcePolicy, validator: str, head: bytes = b""
) -> Source:
    """Return a source with its fingerprint, and with samples that pin it by content.

    Args:
        source: what is known of it so far.
        reader: reads it; it is closed.
        policy: where blocks are shared.
        validator: what the fingerprint includes beside length and samples.
        head: its first bytes, where they have been read already.

    Raises:
        LongformError: whatever the reader raises.
    """
    source = source.model_copy(update={"blocks": secrets.token_hex(16)})
    cache = remote_cache(reader, source, policy.block_dir)
    sampler = BlockSampler(cache)
    try:
        if 0 < len(head) < source.length_bytes:
            await cache.keep_head(0, Block(b"", head))
        fingerprint = await remote_fingerprint(sampler, source.length_bytes, validator)
    except BaseException:
        discard_blocks(policy.block_dir, source.blocks)
        raise
    finally:
        await sampler.close()
    samples = tuple(sorted(sampler.samples, key=lambda sample: sample.start))
    return source.model_copy(update={"fingerprint": fingerprint, "samples": samples})


class BlockSampler:
    """Reads through a cache, so that nothing is fetched again, and keeps `samples`."""

    def __init__(self, cache: BlockCache) -> None:
        self._cache = cache
        self.samples: list[Sample] = []

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`; those that begin a block become samples."""
        data = await self._cache.sample(start, end)
        step = self._cache.block_bytes
        for first in range(start, end, step) if start % step == 0 else ():
            part = data[first - start : first - start + step]
            sample = Sample(start=first, end=first + len(part), digest=sample_digest(part))
            self.samples.append(sample)
        return data

    async def close(self) -> None:
        """Close the cache."""
        await self._cache.close()
