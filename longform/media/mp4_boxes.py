"""What an MP4 file's sample tables say about its audio (ISO/IEC 14496-12, chapters 4 and 8).

libavformat reads these tables, but does not tell whether they are complete and even, and
windows tile exactly only where they are both.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from longform.media.reader import Read

HEADER_BYTES = 16  # bytes; size, type and a 64-bit size
MAX_BOXES = 1_000  # boxes on one level; a file with more is fragmented or broken
TABLE_HEAD_BYTES = 24  # bytes; version, count and the first two entries of a table


@dataclass(frozen=True, slots=True)
class AudioTable:
    """The time-to-sample table of one audio track.

    Attributes:
        fragmented: samples are, or may be, elsewhere: the table is not complete.
        frame_ticks: the length of every frame (the last may be shorter), in the track's time
            scale; None where frames differ, or where an edit list cuts inside the track.
    """

    fragmented: bool
    frame_ticks: int | None = None


async def read_audio_table(read: Read, length_bytes: int, audio_stream: int) -> AudioTable:
    """Read the table of an audio track.

    Args:
        read: returns the bytes `[start, end)` of the file.
        length_bytes: length of the file.
        audio_stream: which audio track, from 0.
    """
    async for kind, start, end in _boxes(read, 0, length_bytes):
        if kind == b"moof":
            break
        if kind == b"moov":
            return await _movie_table(read, start, end, audio_stream)
    return AudioTable(fragmented=True)


async def _movie_table(read: Read, start: int, end: int, audio_stream: int) -> AudioTable:
    boxes = [box async for box in _boxes(read, start, end)]
    if any(kind == b"mvex" for kind, _, _ in boxes):
        return AudioTable(fragmented=True)
    tracks = [(start, end) for kind, start, end in boxes if kind == b"trak"]
    audio = [track for track in tracks if await _handler(read, *track) == b"soun"]
    if audio_stream >= len(audio):
        return AudioTable(fragmented=False)
    start, end = audio[audio_stream]
    return AudioTable(fragmented=False, frame_ticks=await _frame_ticks(read, start, end))


async def _handler(read: Read, start: int, end: int) -> bytes:
    handler = await _head(read, start, end, b"mdia", b"hdlr")
    return handler[8:12]


async def _frame_ticks(read: Read, start: int, end: int) -> int | None:
    edits = await _head(read, start, end, b"edts", b"elst")
    if int.from_bytes(edits[4:8], "big") > 1:
        return None
    table = await _head(read, start, end, b"mdia", b"minf", b"stbl", b"stts")
    count, _, ticks, last_frames, last_ticks = (
        int.from_bytes(table[place : place + 4], "big") for place in range(4, 24, 4)
    )
    uneven = count != 1 and not (count == 2 and last_frames == 1 and last_ticks <= ticks)
    return None if uneven else ticks


async def _head(read: Read, start: int, end: int, *path: bytes) -> bytes:
    """Return the first bytes of the content of a nested box; nothing where there is none."""
    for wanted in path:
        boxes = [box async for box in _boxes(read, start, end)]
        found = [(start, end) for kind, start, end in boxes if kind == wanted]
        if not found:
            return b""
        start, end = found[0]
    return await read(start, min(start + TABLE_HEAD_BYTES, end))


async def _boxes(read: Read, start: int, end: int) -> AsyncIterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each box, while they make sense."""
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
