"""Laws of the block cache: the file's very bytes, each fetched once."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.errors import ContentChangedError, SourceUnavailableError
from longform.media.block_cache import BlockCache, CacheLimits
from longform.media.model import ContentCheck, content_digest
from longform.media.shared_blocks import open_block_store

CONTENT = random.Random(3).randbytes(1_000)


class CountingReader:
    """Serves bytes from memory after a turn of the loop, and keeps the ranges it was asked for."""

    def __init__(self, content: bytes = CONTENT, failures: int = 0) -> None:
        self.content = content
        self.failures = failures
        self.asked: list[tuple[int, int]] = []
        self.closed = False

    async def read(self, start: int, end: int) -> bytes:
        """Return the range, or fail while failures are left."""
        self.asked.append((start, end))
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise SourceUnavailableError("the reader was told to fail")
        return self.content[start:end]

    async def close(self) -> None:
        """Note that the cache closed it."""
        self.closed = True


ranges = st.tuples(st.integers(0, 1_010), st.integers(0, 1_010)).map(sorted)


@settings(max_examples=150)
@given(
    reads=st.lists(ranges, max_size=12),
    block_bytes=st.integers(1, 300),
    capacity=st.integers(1, 8),
    read_ahead=st.integers(0, 5),
    overlap_bytes=st.integers(0, 20),
    together=st.booleans(),
)
def test_any_reads_return_the_bytes_of_the_file(
    reads: list[list[int]],
    block_bytes: int,
    capacity: int,
    read_ahead: int,
    overlap_bytes: int,
    together: bool,
) -> None:
    """Any sequence of reads, one by one or at once, returns exactly the file's bytes."""

    async def run() -> list[bytes]:
        cache = BlockCache(
            CountingReader(),
            len(CONTENT),
            CacheLimits(block_bytes, capacity, read_ahead, overlap_bytes),
        )
        pending = [cache.read(start, end) for start, end in reads]
        parts = await asyncio.gather(*pending) if together else [await one for one in pending]
        await cache.close()
        return list(parts)

    assert asyncio.run(run()) == [CONTENT[start:end] for start, end in reads]


async def test_readers_at_once_share_each_fetch() -> None:
    """Twenty readers of the whole file cost one fetch per block."""
    reader = CountingReader()
    cache = BlockCache(reader, len(CONTENT), CacheLimits(100))
    await asyncio.gather(*(cache.read(0, 1_000) for _ in range(20)))
    assert sorted(reader.asked) == [(start, start + 100) for start in range(0, 1_000, 100)]
    assert cache.bytes_fetched == len(CONTENT)


async def test_memory_is_bounded() -> None:
    """No more blocks are kept than the capacity; the least recently used goes first."""
    reader = CountingReader()
    cache = BlockCache(reader, len(CONTENT), CacheLimits(100, 3, 0))
    for index in (0, 1, 2, 0, 3):  # 1 is the oldest when 3 comes
        await cache.block(index)
    reader.asked.clear()
    for index in (0, 2, 3):
        await cache.block(index)
    assert reader.asked == []
    await cache.block(1)
    assert reader.asked == [(100, 200)]


async def test_reading_ahead_starts_with_the_second_block_and_stops_at_the_end() -> None:
    """One block costs one fetch; a reader that goes on is read ahead of, never past its range."""
    reader = CountingReader()
    cache = BlockCache(reader, len(CONTENT), CacheLimits(100, read_ahead_blocks=4))
    parts = cache.stream(0, 450)
    await anext(parts)
    assert reader.asked == [(0, 100)]
    async for _ in parts:
        pass
    assert sorted(reader.asked) == [(start, start + 100) for start in range(0, 500, 100)]


async def test_a_failure_is_not_remembered() -> None:
    """A block that failed is fetched again for the next reader; everyone waiting is told."""
    cache = BlockCache(CountingReader(failures=1), len(CONTENT), CacheLimits(100))
    outcomes = await asyncio.gather(cache.read(0, 10), cache.read(50, 60), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SourceUnavailableError] * 2
    assert await cache.read(0, 10) == CONTENT[:10]


async def test_a_waiter_that_leaves_takes_nothing_from_the_others() -> None:
    """Cancelling one reader does not cancel the fetch that another waits for."""
    cache = BlockCache(CountingReader(), len(CONTENT), CacheLimits(100))
    leaving = asyncio.create_task(cache.read(0, 100))
    staying = asyncio.create_task(cache.read(0, 100))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == CONTENT[:100]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_closing_ends_fetches_and_closes_the_reader() -> None:
    """Nothing runs on after the cache is closed."""
    reader = CountingReader()
    cache = BlockCache(reader, len(CONTENT), CacheLimits(100))
    waiting = asyncio.create_task(cache.read(0, 100))
    await asyncio.sleep(0)
    await cache.close()
    assert reader.closed
    with pytest.raises(ConnectionAbortedError):
        await waiting


async def test_a_block_that_does_not_continue_its_neighbour_is_other_content() -> None:
    """With leads, content that is replaced between two blocks is noticed from either side."""
    for order in ((0, 1), (1, 0)):
        reader = CountingReader()
        cache = BlockCache(reader, len(CONTENT), CacheLimits(100, overlap_bytes=10))
        await cache.block(order[0])
        reader.content = CONTENT[::-1]
        with pytest.raises(ContentChangedError):
            await cache.block(order[1])


async def test_neighbours_that_other_processes_have_fetched_count_as_well(tmp_path: Path) -> None:
    """A block is compared with the one before it in the shared store, too."""
    limits = CacheLimits(100, overlap_bytes=10)
    store = open_block_store(str(tmp_path), "ab")
    await BlockCache(CountingReader(), len(CONTENT), limits, store).block(4)
    other = BlockCache(CountingReader(CONTENT[::-1]), len(CONTENT), limits, store)
    assert await other.block(4) == CONTENT[400:500]
    with pytest.raises(ContentChangedError):
        await other.block(5)


async def test_a_block_is_checked_against_the_sample_in_it() -> None:
    """Content that differs from what was sampled when the source was opened is refused."""
    samples = (ContentCheck(start=300, end=350, digest=content_digest(CONTENT[300:350])),)
    for content, expected in ((CONTENT, 1), (CONTENT[::-1], 0)):
        cache = BlockCache(CountingReader(content), len(CONTENT), CacheLimits(100), None, samples)
        outcome = await asyncio.gather(cache.block(3), return_exceptions=True)
        assert isinstance(outcome[0], bytes if expected else ContentChangedError)


async def test_a_sample_is_not_fetched_again() -> None:
    """What was read of a block's beginning is joined to the rest, which alone is fetched."""
    reader = CountingReader()
    cache = BlockCache(reader, len(CONTENT), CacheLimits(100, overlap_bytes=10))
    assert await cache.read_prefix(300, 330) == CONTENT[300:330]
    assert await cache.read_prefix(300, 330) == CONTENT[300:330]
    assert await cache.block(3) == CONTENT[300:400]
    assert reader.asked == [(290, 330), (320, 400)]


async def test_caches_that_share_a_store_fetch_each_block_once(tmp_path: Path) -> None:
    """Four caches that read everything through one store, cost one fetch per block."""
    readers = [CountingReader() for _ in range(4)]
    caches = [
        BlockCache(reader, len(CONTENT), CacheLimits(100), open_block_store(str(tmp_path), "ab"))
        for reader in readers
    ]
    for cache in caches:  # one after the other: claims are between processes
        assert await cache.read(0, len(CONTENT)) == CONTENT
        await cache.close()
    assert sum(len(reader.asked) for reader in readers) == 10
