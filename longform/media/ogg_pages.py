"""What the first and the last page of an Ogg file say (RFC 3533, section 6)."""

from collections.abc import Iterator
from itertools import pairwise

from longform.media.reader import Read

EDGE_BYTES = 131_072  # bytes; two of the longest pages, so that a whole one lies among them
_MAGIC = b"OggS"
_FIRST_PAGE = 2  # flag of the page that begins a logical stream
_HEADER_BYTES = 18  # bytes; up to the end of the serial number

CHAINED_WARNING = (
    "the recording is a chain of several Ogg streams; where rate or channels change between "
    "them ffmpeg may lose audio without saying so: convert it to FLAC first to be sure"
)


async def is_chained(read: Read, length_bytes: int) -> bool:
    """Tell whether an Ogg file ends with another stream than those that it begins with.

    Args:
        read: returns the bytes `[start, end)` of the file.
        length_bytes: length of the file.
    """
    head = [*_pages(await read(0, min(EDGE_BYTES, length_bytes)))]
    tail = [*_pages(await read(max(0, length_bytes - EDGE_BYTES), length_bytes))]
    # Streams that run side by side all begin before any goes on.
    begins = [bool(flags & _FIRST_PAGE) for flags, _ in head]
    begins_later = any(later and not before for before, later in pairwise(begins))
    first = {serial for flags, serial in head if flags & _FIRST_PAGE}
    return begins_later or not first.issuperset(serial for _, serial in tail)


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield flags and serial number of each page that begins in `data`."""
    place = data.find(_MAGIC)
    while 0 <= place <= len(data) - _HEADER_BYTES:
        yield data[place + 5], int.from_bytes(data[place + 14 : place + 18], "little")
        place = data.find(_MAGIC, place + len(_MAGIC))
