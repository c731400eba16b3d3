"""Sources on this machine's file systems: paths and file:// URLs."""

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from longform.errors import (
    AccessDeniedError,
    EmptySourceError,
    FileUnreadableError,
    FolderError,
    NotRegularFileError,
    SchemeRefusedError,
    SourceMissingError,
    SourceReplacedError,
    SourceResizedError,
)
from longform.media.model import Source
from longform.media.sources.fingerprint import file_content
from longform.net.policy import SourcePolicy, redact, require_size, scheme_of, shown_name


def local_path(media_url: str) -> Path:
    """Return the absolute path behind a path or a file:// URL of this host.

    Raises:
        SchemeRefusedError: a file:// URL that names another host.
    """
    if scheme_of(media_url) != "file":
        # Not pathlib's: it takes "./~a" for a user's home, and fails where there is no such user.
        return Path(os.path.expanduser(media_url)).absolute()  # noqa: PTH111
    parts = urlsplit(media_url)
    if parts.netloc not in ("", "localhost"):
        raise SchemeRefusedError(
            f"{redact(media_url)}: a file:// URL cannot name another host; give a path on this one"
        )
    return Path(os.fsdecode(unquote_to_bytes(parts.path))).absolute()


def portable_address(media_url: str) -> str:
    """Return an address that every process and every JSON document can hold.

    A file whose name is not UTF-8 becomes a file:// URL; everything else stays as it is.
    """
    if media_url.isascii() or scheme_of(media_url):
        return media_url
    try:
        media_url.encode()
    except UnicodeEncodeError:
        with suppress(UnicodeEncodeError):  # not a name that the system could have given
            return local_path(media_url).as_uri()
    return media_url


def require_file(media_url: str) -> Path:
    """Return the path of a file that exists and holds something.

    Raises:
        SourceError: nothing there, not a file, or empty.
    """
    path = local_path(media_url)
    shown = redact(str(path))
    try:
        if path.is_dir():
            raise FolderError(f"{shown} is a folder; give the path of one recording")
        if not path.exists():
            raise SourceMissingError(f"{shown} does not exist; check the path")
        # A pipe or a device would block for ever, and cannot be read twice.
        if not path.is_file():
            raise NotRegularFileError(f"{shown} is not a regular file; copy it to one")
        if path.stat().st_size == 0:
            raise EmptySourceError(f"{shown} is empty; give a file that holds a recording")
    except (OSError, ValueError) as error:
        raise NotRegularFileError(
            f"{shown} cannot be examined ({error}); check the path"
        ) from error
    return path


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Open a local file; its fingerprint is that of its whole content.

    Raises:
        SourceError: missing, empty, unreadable or too large.
    """
    path = require_file(media_url)
    require_size(path.name, path.stat().st_size, policy.max_bytes)
    return await asyncio.to_thread(_pin, path)


def _pin(path: Path) -> Source:
    shown = redact(str(path))
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file_content(file)
            after = os.fstat(file.fileno())
    except PermissionError as error:
        raise AccessDeniedError(
            f"{shown} may not be read; give this user permission to read it"
        ) from error
    except OSError as error:
        raise FileUnreadableError(
            f"{shown} cannot be read ({error.strerror}); check the disk or the share"
        ) from error
    if (content.length_bytes, *_state(after)) != (status.st_size, *_state(status)):
        raise SourceReplacedError(f"{shown} is being written; run again once it is complete")
    return Source(
        url=portable_address(str(path)),
        shown=shown,
        name=shown_name(str(path)),
        length_bytes=status.st_size,
        last_modified=str(status.st_mtime_ns),
        fingerprint=content.hexdigest(),
    )


def _state(status: os.stat_result) -> tuple[int, str]:
    """Return what changes when a file is written to: its length and its time."""
    return status.st_size, str(status.st_mtime_ns)


def open_reader(source: Source, policy: SourcePolicy) -> "LocalReader":
    """Return a reader of a pinned local file."""
    return LocalReader(source)


class LocalReader:
    """Reads a local file by position; the file is opened at the first read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._descriptor: int | None = None
        self._opening = threading.Lock()  # reads run in threads

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)` of the file that was pinned.

        Raises:
            SourceMissingError: the file is gone, or is not on this host.
            SourceChangedError: it was written to, or another file took its place.
        """
        return await asyncio.to_thread(self._read, start, end)

    async def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self, start: int, end: int) -> bytes:
        try:
            descriptor = self._open()
            part = os.pread(descriptor, end - start, start)
            # Looked at after the read: bytes of a write that came before would not go unnoticed.
            self._require_pinned(descriptor)
        except FileNotFoundError as error:
            raise SourceMissingError(
                f"{self._source.shown} does not exist on this host; "
                "give a path that every worker can read"
            ) from error
        except PermissionError as error:
            raise AccessDeniedError(
                f"{self._source.shown} may not be read; give every worker's user permission"
            ) from error
        except OSError as error:
            raise FileUnreadableError(
                f"{self._source.shown} cannot be read ({error.strerror}); "
                "check the disk or the share"
            ) from error
        if len(part) != end - start:
            raise SourceResizedError(
                f"{self._source.shown} became shorter while it was read; start again"
            )
        return part

    def _require_pinned(self, descriptor: int) -> None:
        opened, there = os.fstat(descriptor), local_path(self._source.url).stat()
        pinned = (self._source.length_bytes, self._source.last_modified)
        is_same_file = (opened.st_dev, opened.st_ino) == (there.st_dev, there.st_ino)
        if not is_same_file or _state(opened) != pinned:
            raise SourceReplacedError(
                f"{self._source.shown} changed while it was read; start again"
            )

    def _open(self) -> int:
        with self._opening:
            if self._descriptor is None:
                path = local_path(self._source.url)
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._descriptor
