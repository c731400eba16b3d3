"""Stage `source`: check the address and pin what lies behind it, whatever kind it is."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from pydantic import Field

from longform.errors import SourceRefusedError
from longform.media.policy import SourcePolicy, printable, redact, scheme_of
from longform.media.reader import RangeReader
from longform.params import FrozenModel

# One module per kind of source; each is imported when a source of its kind is opened.
BACKENDS = {
    "": "local_file",
    "file": "local_file",
    "http": "remote_http",
    "https": "remote_http",
    "s3": "object_store",
    "gs": "object_store",
    "gcs": "object_store",
    "az": "object_store",
    "abfs": "object_store",
    "abfss": "object_store",
}


class Source(FrozenModel):
    """A recording whose place, length and content were seen once, and are pinned.

    `url` may carry a signature: it is for readers only. People get `shown` and `name`.
    Where the source had to be downloaded, `url` is the path of the copy on this host.
    """

    url: str = Field(repr=False)
    shown: str
    name: str
    length_bytes: int
    supports_ranges: bool = True
    etag: str | None = None
    last_modified: str | None = None  # as the server writes it; for files, mtime in ns
    fingerprint: str  # sha256, hex; never depends on the address
    warnings: tuple[str, ...] = ()


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
        media_url: where the recording is; relative paths are made absolute.
        policy: what may be opened.
        scratch_dir: existing folder for sources that must be downloaded whole; whoever
            owns it removes it when the run ends.

    Raises:
        SourceError: refused, missing, empty, too large, or without byte ranges.
        RetryableError: it cannot be reached just now.
    """
    return await _backend(media_url).open_source(media_url, policy, scratch_dir)


def open_reader(source: Source, policy: SourcePolicy) -> RangeReader:
    """Return a reader of the pinned source; it belongs to the event loop that uses it first."""
    return _backend(source.url).open_reader(source, policy)


def check_exists(media_url: str) -> None:
    """Find what can be found wrong with an address at once, without a network.

    Raises:
        SourceError: no such file, a folder, an empty file, or a scheme that nobody serves.
    """
    _backend(media_url)
    if BACKENDS[scheme_of(media_url)] == "local_file":
        from longform.media.local_file import require_file

        require_file(media_url)


def _backend(media_url: str) -> Backend:
    scheme = scheme_of(media_url)
    if scheme not in BACKENDS:
        raise SourceRefusedError(
            f"{redact(media_url)}: no source of kind {printable(scheme)}:// can be opened; "
            f"give a path or one of {', '.join(f'{name}://' for name in BACKENDS if name)}"
        )
    return cast("Backend", import_module(f"longform.media.{BACKENDS[scheme]}"))
