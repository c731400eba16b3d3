"""Whether an MP4 file is fragmented, from its box headers (ISO/IEC 14496-12, section 4.2)."""

from collections.abc import AsyncIterator, Awaitable, Callable

Read = Callable[[int, int], Awaitable[bytes]]

HEADER_BYTES = 16  # bytes; size, type and a 64-bit size
MAX_BOXES = 1_000  # boxes; a file with more at its top level is fragmented or broken


async def is_fragmented(read: Read, length_bytes: int) -> bool:
    """Return whether samples are, or may be, in movie fragments: then there is no full index.

    Args:
        read: returns the bytes `[start, end)` of the file.
        length_bytes: length of the file.
    """
    async for kind, start, end in _boxes(read, 0, length_bytes):
        if kind in (b"moof", b"more"):
            return True
        if kind == b"moov":
            return b"mvex" in {inner async for inner, _, _ in _boxes(read, start, end)}
    return True


async def _boxes(read: Read, start: int, end: int) -> AsyncIterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each box; ends with `more` after too many."""
    for _ in range(MAX_BOXES):
        head = await read(start, min(start + HEADER_BYTES, end))
        if len(head) < 8:
            return
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header:
            return
        yield kind, start + header, min(start + size, end)
        start += size
    yield b"more", start, end
