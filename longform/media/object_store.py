"""Sources in object stores (s3, gs, az), through fsspec and the extra of that store."""

import asyncio
from pathlib import Path
from typing import Any

from longform.errors import (
    EnvironmentFaultError,
    NotMediaError,
    RetryableError,
    SourceChangedError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from longform.media.fingerprint import remote_fingerprint
from longform.media.policy import SourcePolicy, redact, scheme_of, shown_name
from longform.media.retry import Patience
from longform.media.source import Source

EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Look at an object once and pin it.

    Raises:
        EnvironmentFaultError: the extra for this store is not installed.
        SourceError: refused, missing, empty or too large.
        RetryableError: the store cannot be reached just now.
    """
    reader = ObjectReader(media_url, policy)
    status = await reader.status()
    length = int(status.get("size") or 0)
    if status.get("type") == "directory" or length == 0:
        raise NotMediaError(f"{redact(media_url)} is empty or a folder")
    if length > policy.max_bytes:
        raise SourceTooLargeError(
            f"{redact(media_url)} has {length} bytes; at most {policy.max_bytes} may be opened"
        )
    etag = object_version(status)
    return Source(
        url=media_url,
        shown=redact(media_url),
        name=shown_name(media_url),
        length_bytes=length,
        etag=etag,
        fingerprint=await remote_fingerprint(reader, length, etag or ""),
    )


def open_reader(source: Source, policy: SourcePolicy) -> "ObjectReader":
    """Return a reader of a pinned object."""
    return ObjectReader(source.url, policy, source)


def object_version(status: dict[str, Any]) -> str | None:
    """Return what changes when an object is replaced, whatever the store calls it."""
    for key in ("ETag", "etag", "md5Hash", "created", "LastModified"):
        if status.get(key):
            return str(status[key])
    return None


class ObjectReader:
    """Reads byte ranges of one object; the version is checked once, before the first read."""

    def __init__(self, url: str, policy: SourcePolicy, pinned: Source | None = None) -> None:
        self._url = url
        self._policy = policy
        self._pinned = pinned
        self._checked = pinned is None
        self._shown = redact(url)
        self._file_system, self._path = _file_system(url)

    async def status(self) -> dict[str, Any]:
        """Return what the store says about the object, in fsspec's words."""
        found: dict[str, Any] = await self._retrying(self._file_system.info, self._path)
        return found

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`.

        Raises:
            RetryableError: after `max_attempts` tries.
            SourceError: refused, gone or replaced.
        """
        await self._require_pinned()
        part: bytes = await self._retrying(
            self._file_system.cat_file, self._path, start=start, end=end
        )
        if len(part) != end - start:
            raise SourceChangedError(f"{self._shown} changed while it was read; start again")
        return part

    async def close(self) -> None:
        """Do nothing: fsspec shares its connections between readers."""

    async def _require_pinned(self) -> None:
        if self._checked or self._pinned is None:
            return
        status = await self.status()
        seen = (int(status.get("size") or 0), object_version(status))
        if seen != (self._pinned.length_bytes, self._pinned.etag):
            raise SourceChangedError(f"{self._shown} is not the object that was opened")
        self._checked = True

    async def _retrying(self, call: Any, *arguments: Any, **options: Any) -> Any:
        patience = Patience(self._policy)
        while True:
            try:
                async with asyncio.timeout(self._policy.stall_timeout_sec):
                    return await asyncio.to_thread(call, *arguments, **options)
            except FileNotFoundError as error:
                raise SourceNotFoundError(f"{self._shown} is not there; check the name") from error
            except PermissionError as error:
                raise SourceRefusedError(
                    f"{self._shown} may not be read; check the credentials of this machine"
                ) from error
            except OSError as error:
                await patience.wait(_unavailable(self._shown, error))


def _unavailable(shown: str, error: OSError) -> RetryableError:
    failure = SourceUnavailableError(f"{shown} cannot be read just now; try again later")
    failure.__cause__ = error
    return failure


def _file_system(url: str) -> tuple[Any, str]:
    import fsspec

    scheme = scheme_of(url)
    try:
        file_system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = EXTRAS.get(scheme, scheme)
        raise EnvironmentFaultError(
            f"{scheme}:// needs a package that is not installed: pip install 'longform[{extra}]'"
        ) from error
    return file_system, str(path)
