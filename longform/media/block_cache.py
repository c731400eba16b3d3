"""A block cache over a range reader: every block is fetched once, whoever asks for it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from longform.media.reader import RangeReader

BLOCK_BYTES = 262_144  # bytes; small enough that a header costs little, large enough for HTTP
CACHE_BLOCKS = 128  # blocks; 32 MiB per source
READ_AHEAD_BLOCKS = 2  # blocks in flight ahead of a reader: 7 MB/s at a round trip of 0.1 s


class BlockCache:
    """The most recently used blocks of one source. Lives on one event loop."""

    def __init__(
        self,
        reader: RangeReader,
        length_bytes: int,
        *,
        block_bytes: int = BLOCK_BYTES,
        capacity_blocks: int = CACHE_BLOCKS,
        read_ahead_blocks: int = READ_AHEAD_BLOCKS,
    ) -> None:
        self._reader = reader
        self._length_bytes = length_bytes
        self._block_bytes = block_bytes
        self._capacity_blocks = capacity_blocks
        self._read_ahead_blocks = read_ahead_blocks
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._fetches: dict[int, asyncio.Task[bytes]] = {}
        self.bytes_fetched = 0

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`, clipped to the source."""
        return b"".join([bytes(part) async for part in self.stream(start, end)])

    async def stream(self, start: int, end: int) -> AsyncIterator[memoryview]:
        """Yield the bytes `[start, end)`, clipped to the source, block by block.

        Reading ahead begins with the second block: most first blocks are headers, after
        which a media reader goes elsewhere.
        """
        end = min(end, self._length_bytes)
        first = start // self._block_bytes
        position = start
        while position < end:
            index = position // self._block_bytes
            self._read_ahead(index, min(index - first, self._read_ahead_blocks), end)
            block = await self.block(index)
            offset = index * self._block_bytes
            part = memoryview(block)[position - offset : end - offset]
            yield part
            position += len(part)

    async def block(self, index: int) -> bytes:
        """Return one block, from the cache, from a fetch under way, or from the source.

        Raises:
            LongformError: whatever the reader raises.
            ConnectionAbortedError: the cache was closed meanwhile.
        """
        if (block := self._blocks.get(index)) is not None:
            self._blocks.move_to_end(index)
            return block
        fetch = self._fetch(index)
        try:
            # Shielded: one waiter that leaves must not take the block away from the others.
            return await asyncio.shield(fetch)
        except asyncio.CancelledError:
            if fetch.cancelled():
                raise ConnectionAbortedError("the source is no longer served") from None
            raise

    async def close(self) -> None:
        """Stop fetching, forget the blocks and close the reader."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        self._blocks.clear()
        await self._reader.close()

    def _read_ahead(self, index: int, num_blocks: int, end: int) -> None:
        last = (end - 1) // self._block_bytes
        for ahead in range(index + 1, min(index + num_blocks, last) + 1):
            if ahead not in self._blocks:
                self._fetch(ahead)

    def _fetch(self, index: int) -> asyncio.Task[bytes]:
        fetch = self._fetches.get(index)
        if fetch is None:
            fetch = asyncio.create_task(self._load(index))
            self._fetches[index] = fetch
            fetch.add_done_callback(lambda done: self._settle(index, done))
        return fetch

    async def _load(self, index: int) -> bytes:
        start = index * self._block_bytes
        block = await self._reader.read(start, min(start + self._block_bytes, self._length_bytes))
        self.bytes_fetched += len(block)
        self._blocks[index] = block
        while len(self._blocks) > self._capacity_blocks:
            self._blocks.popitem(last=False)
        return block

    def _settle(self, index: int, fetch: asyncio.Task[bytes]) -> None:
        self._fetches.pop(index, None)
        if not fetch.cancelled():
            fetch.exception()  # a failed read-ahead concerns nobody until somebody asks again
