"""Stage `source`: check the address and pin what lies behind it, whatever kind it is.

Everything that is asked of a source is asked on the loop for sources, whoever calls.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from longform.errors import (
    RetryableError,
    SchemeRefusedError,
    SourceChangedError,
    SourceError,
)
from longform.media.io_loop import on_io_loop
from longform.media.model import Source
from longform.media.range_reader import RangeReader
from longform.media.sources.signed_urls import known_address
from longform.net.policy import SourcePolicy, printable, redact, scheme_of

# One module per kind of source; each is imported when a source of its kind is opened.
BACKENDS = {
    "": "local_file",
    "file": "local_file",
    "http": "http_source",
    "https": "http_source",
    "s3": "object_store",
    "gs": "object_store",
    "gcs": "object_store",
    "az": "object_store",
    "abfs": "object_store",
    "abfss": "object_store",
}


class Backend(Protocol):
    """What a module in `BACKENDS` offers."""

    async def open_source(self, media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
        """Look at a source once and pin it."""
        ...

    def open_reader(self, source: Source, policy: SourcePolicy) -> RangeReader:
        """Return a reader of a pinned source."""
        ...


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Open a path, a file://, http(s):// or object store URL.

    Args:
        media_url: where the recording is, in full or sealed; relative paths are made absolute.
        policy: what may be opened.
        scratch_dir: existing folder for sources that must be downloaded whole; the caller that
            owns it removes it when the run ends.

    Raises:
        SourceError: refused, missing, empty, too large, or without byte ranges.
        RetryableError: it cannot be reached just now.
    """
    return await on_io_loop(_open(media_url, policy, scratch_dir))


async def _open(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    full = await known_address(media_url, policy)
    return await _backend(media_url).open_source(full, policy, scratch_dir)


def open_reader(source: Source, policy: SourcePolicy) -> RangeReader:
    """Return a reader of the pinned source, to be used on the loop for sources (`io_loop`)."""
    return _backend(source.url).open_reader(source, policy)


async def read_whole(source: Source, policy: SourcePolicy) -> bytes:
    """Return all bytes of a small source.

    Raises:
        LongformError: as its reader does; see `RangeReader`.
    """
    return await on_io_loop(_read_whole(source, policy))


async def _read_whole(source: Source, policy: SourcePolicy) -> bytes:
    reader = open_reader(source, policy)
    try:
        return await reader.read(0, source.length_bytes)
    finally:
        await reader.close()


async def require_unchanged(source: Source, policy: SourcePolicy) -> None:
    """Look once more at a source whose server gives nothing by which a read could be pinned.

    That it cannot be reached any more is no error: what was needed of it has been read.

    Raises:
        SourceChangedError: its bytes are no longer those that were opened.
    """
    if source.etag is not None or source.last_modified is not None:
        return  # every read was checked
    fingerprint = await on_io_loop(_fingerprint_now(source, policy))
    if fingerprint not in (None, source.fingerprint):
        raise SourceChangedError(f"{source.shown} changed while it was read; start again")


async def _fingerprint_now(source: Source, policy: SourcePolicy) -> str | None:
    """Return the fingerprint of what is there now; None where it cannot be had."""
    from longform.media.sources.fingerprint import remote_fingerprint

    reader = open_reader(source, policy)
    try:
        return await remote_fingerprint(reader, source.length_bytes, "")
    except SourceChangedError:
        raise
    except (RetryableError, SourceError):
        return None
    finally:
        await reader.close()


def check_exists(media_url: str) -> None:
    """Find what can be found wrong with an address at once, without a network.

    Raises:
        SourceError: no such file, a folder, an empty file, or a scheme that is not served.
    """
    _backend(media_url)
    if BACKENDS[scheme_of(media_url)] == "local_file":
        from longform.media.sources.local_file import require_file

        require_file(media_url)


def _backend(media_url: str) -> Backend:
    scheme = scheme_of(media_url)
    if scheme not in BACKENDS:
        raise SchemeRefusedError(
            f"{redact(media_url)}: no source of kind {printable(scheme)}:// can be opened; "
            f"give a path or one of {', '.join(f'{name}://' for name in BACKENDS if name)}"
        )
    return cast("Backend", import_module(f"longform.media.sources.{BACKENDS[scheme]}"))
