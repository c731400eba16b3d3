"""A block cache over a range reader: every block is fetched once for all readers."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from longform.errors import ContentChangedError
from longform.media.model import BLOCK_BYTES, ContentCheck, Source, content_digest
from longform.media.range_reader import RangeReader
from longform.media.shared_blocks import Block, BlockStore, open_block_store

CACHE_BLOCKS = 128  # blocks; 32 MiB per source
READ_AHEAD_BLOCKS = 2  # blocks in flight ahead of a reader: 7 MB/s at a round trip of 0.1 s
OVERLAP_BYTES = 512  # bytes before a block that are fetched again and compared: 0.2 % of traffic
CLAIM_POLL_SEC = 0.02  # between two looks at whether another process has fetched a block
CLAIM_SEC = 60.0  # after which it is fetched here all the same


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How a cache divides a source, and how much it keeps and fetches."""

    block_bytes: int = BLOCK_BYTES
    capacity_blocks: int = CACHE_BLOCKS
    read_ahead_blocks: int = READ_AHEAD_BLOCKS
    overlap_bytes: int = 0


REMOTE_LIMITS = CacheLimits(overlap_bytes=OVERLAP_BYTES)


class BlockCache:
    """The most recently used blocks of one source. Lives on one event loop.

    With a store, blocks that other processes of this host have fetched are taken from it.
    With leads, each block is checked to continue its neighbours: where a server has no
    validators, or wrong ones, that is how a file that was replaced is noticed.
    """

    def __init__(
        self,
        reader: RangeReader,
        length_bytes: int,
        limits: CacheLimits | None = None,
        store: BlockStore | None = None,
        content_checks: Sequence[ContentCheck] = (),
        shown: str = "the source",
    ) -> None:
        self._reader = reader
        self._length_bytes = length_bytes
        self._limits = limits or CacheLimits()
        self.block_bytes = self._limits.block_bytes
        self._store = store
        self._checks = {one.start // self.block_bytes: one for one in content_checks}
        self._shown = shown
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._prefixes: dict[int, Block] = {}
        self._fetches: dict[int, asyncio.Task[Block]] = {}
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
        block_bytes = self.block_bytes
        first = start // block_bytes
        position = start
        while position < end:
            index = position // block_bytes
            self._read_ahead(index, min(index - first, self._limits.read_ahead_blocks), end)
            block = await self.block(index)
            offset = index * block_bytes
            part = memoryview(block)[position - offset : end - offset]
            yield part
            position += len(part)

    async def read_prefix(self, start: int, end: int) -> bytes:
        """Return bytes that begin a block, without the rest of it; it is not fetched again."""
        index, offset = divmod(start, self.block_bytes)
        if offset or end >= min(start + self.block_bytes, self._length_bytes):
            return await self.read(start, end)
        prefix = await self._known_prefix(index)
        if prefix is None or len(prefix.data) < end - start:
            prefix = await self._fetch_part(start, end)
            await self.keep_prefix(index, prefix)
        return prefix.data[: end - start]

    async def keep_prefix(self, index: int, prefix: Block) -> None:
        """Keep bytes that begin a block: only what follows them will be fetched."""
        self._prefixes[index] = prefix
        if self._store is not None:
            await asyncio.to_thread(self._store.put, f"{index}.prefix", prefix)

    async def block(self, index: int) -> bytes:
        """Return one block, from the cache, from a fetch under way, or from the source.

        Raises:
            LongformError: whatever the reader raises.
            ContentChangedError: it does not continue the block before it.
            ConnectionAbortedError: the cache was closed meanwhile.
        """
        if (block := self._blocks.get(index)) is not None:
            self._blocks.move_to_end(index)
            return block.data
        fetch = self._fetch(index)
        try:
            # Shielded: one waiter that leaves must not take the block away from the others.
            return (await asyncio.shield(fetch)).data
        except asyncio.CancelledError:
            if fetch.cancelled():
                raise ConnectionAbortedError("the source is no longer served") from None
            raise

    async def close(self) -> None:
        """Stop fetching, forget the blocks, close the reader and let go of the store."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        self._blocks.clear()
        await self._reader.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    def _read_ahead(self, index: int, num_blocks: int, end: int) -> None:
        last = (end - 1) // self.block_bytes
        for ahead in range(index + 1, min(index + num_blocks, last) + 1):
            if ahead not in self._blocks:
                self._fetch(ahead)

    def _fetch(self, index: int) -> "asyncio.Task[Block]":
        fetch = self._fetches.get(index)
        if fetch is None:
            fetch = asyncio.create_task(self._load(index))
            self._fetches[index] = fetch
            fetch.add_done_callback(lambda done: self._settle(index, done))
        return fetch

    async def _load(self, index: int) -> Block:
        if self._store is None:
            block = await self._fetch_block(index)
        else:
            block = await self._load_shared(index, self._store)
        self._blocks[index] = block
        while len(self._blocks) > self._limits.capacity_blocks:
            self._blocks.popitem(last=False)
        return block

    async def _load_shared(self, index: int, store: BlockStore) -> Block:
        """Take a block from the store, or fetch it while the other processes wait for it."""
        name, deadline = f"{index}.block", asyncio.get_running_loop().time() + CLAIM_SEC
        while (block := await asyncio.to_thread(store.get, name)) is None:
            late = asyncio.get_running_loop().time() > deadline
            if not store.claim(index) and not late:
                await asyncio.sleep(CLAIM_POLL_SEC)
                continue
            try:
                # Between the look and the claim another process may have brought it.
                block = await asyncio.to_thread(store.get, name)
                if block is None:
                    block = await self._fetch_block(index)
                    await asyncio.to_thread(store.put, name, block)
                return block
            finally:
                store.release(index)
        return block

    async def _fetch_block(self, index: int) -> Block:
        start = index * self.block_bytes
        end = min(start + self.block_bytes, self._length_bytes)
        prefix = await self._known_prefix(index)
        if prefix is None:
            block = await self._fetch_part(start, end)
        else:
            rest = await self._fetch_part(start + len(prefix.data), end)
            self._require_continued(prefix, rest)
            block = Block(prefix.overlap, prefix.data + rest.data)
        check = self._checks.get(index)
        if check is not None and content_digest(block.data[: check.end - start]) != check.digest:
            raise self._changed()
        if (before := await self._known(index - 1)) is not None:
            self._require_continued(before, block)
        if (after := await self._known(index + 1)) is not None:
            self._require_continued(block, after)
        return block

    async def _fetch_part(self, start: int, end: int) -> Block:
        overlap = min(self._limits.overlap_bytes, start)
        part = await self._reader.read(start - overlap, end)
        self.bytes_fetched += len(part)
        return Block(part[:overlap], part[overlap:])

    async def _known_prefix(self, index: int) -> Block | None:
        prefix = self._prefixes.get(index)
        if prefix is None and self._store is not None:
            prefix = await asyncio.to_thread(self._store.get, f"{index}.prefix")
        return prefix

    async def _known(self, index: int) -> Block | None:
        block = self._blocks.get(index)
        if block is None and self._store is not None and self._limits.overlap_bytes and index >= 0:
            block = await asyncio.to_thread(self._store.get, f"{index}.block")
        return block

    def _require_continued(self, before: Block, after: Block) -> None:
        if not before.data.endswith(after.overlap[-len(before.data) :]):
            raise self._changed()

    def _changed(self) -> ContentChangedError:
        return ContentChangedError(
            f"{self._shown} holds other bytes than before, though its server does not say so; "
            "run again once it no longer changes"
        )

    def _settle(self, index: int, fetch: "asyncio.Task[Block]") -> None:
        self._fetches.pop(index, None)
        if not fetch.cancelled():
            fetch.exception()  # a failed read-ahead matters only to the reader that asks again


def remote_cache(reader: RangeReader, source: Source, block_dir: str | None) -> BlockCache:
    """Return a cache of a remote source, shared with the other processes of this host."""
    return BlockCache(
        reader,
        source.length_bytes,
        REMOTE_LIMITS,
        open_block_store(block_dir, source.blocks),
        source.content_checks,
        source.shown,
    )
