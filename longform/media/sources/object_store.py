"""Sources in object stores (s3, gs, az), pinned at the first look and read by byte range."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from longform.errors import (
    NotMediaError,
    SourceChangedError,
    SourceUnavailableError,
)
from longform.extras import missing_extra
from longform.media.model import Source
from longform.media.sources import signed_urls
from longform.media.sources.cloud_clients import (
    FsspecClient,
    GcsClient,
    ObjectClient,
    ObjectStatus,
    S3Client,
)
from longform.media.sources.fingerprint import pinned, validator
from longform.net.backoff import Backoff
from longform.net.policy import SourcePolicy, redact, require_size, scheme_of, shown_name
from longform.storage.store_errors import EXTRAS, object_error, store_errors

Result = TypeVar("Result")

# The clients that pin every read; other stores take the general one.
CLIENTS: Mapping[str, Callable[[str, SourcePolicy], ObjectClient]] = {
    "s3": S3Client,
    "gs": GcsClient,
    "gcs": GcsClient,
}


async def open_source(media_url: str, policy: SourcePolicy, scratch_dir: Path) -> Source:
    """Look at an object once and pin it.

    Raises:
        EnvironmentFaultError: the extra for this store is not installed.
        SourceError: refused, missing, empty or too large.
        RetryableError: the store cannot be reached just now.
    """
    reader = ObjectReader(media_url, policy)
    status = await reader.status()
    shown = redact(media_url)
    if status.is_folder or status.length_bytes == 0:
        raise NotMediaError(f"{shown} is empty or a folder")
    require_size(shown, status.length_bytes, policy.max_bytes)
    source = Source(
        url=signed_urls.seal(media_url),
        shown=shown,
        name=shown_name(media_url),
        length_bytes=status.length_bytes,
        etag=status.version,
        fingerprint="",
    )
    identity = status.checksum or validator(status.version)
    return await pinned(source, ObjectReader(media_url, policy, source.etag), policy, identity)


def open_reader(source: Source, policy: SourcePolicy) -> "ObjectReader":
    """Return a reader of a pinned object."""
    return ObjectReader(signed_urls.resolve(source.url), policy, source.etag)


class ObjectReader:
    """Reads byte ranges of one version of an object."""

    def __init__(self, url: str, policy: SourcePolicy, version: str | None = None) -> None:
        self._url = url
        self._policy = policy
        self._version = version
        self._shown = redact(url)
        self._opened: ObjectClient | None = None

    async def status(self) -> ObjectStatus:
        """Return what the store says about the object."""
        return await self._retrying(lambda client: client.status(), 0)

    async def read(self, start: int, end: int) -> bytes:
        """Return the bytes `[start, end)`.

        Raises:
            RetryableError: after `max_attempts` tries.
            SourceError: refused, gone or replaced.
        """
        return await self._retrying(lambda client: self._part(client, start, end), end - start)

    async def close(self) -> None:
        """Do nothing: fsspec shares its connections between readers."""

    async def _part(self, client: ObjectClient, start: int, end: int) -> bytes:
        part = await client.read(start, end, self._version)
        if len(part) == end - start:
            return part
        # Not every store that imitates another's protocol honours its conditions.
        if self._version is not None and (await client.status()).version != self._version:
            raise SourceChangedError(f"{self._shown} changed while it was read; start again")
        raise SourceUnavailableError(f"{self._shown} sent less than was asked for")

    async def _retrying(
        self, call: Callable[[ObjectClient], Awaitable[Result]], num_bytes: int
    ) -> Result:
        limit_sec = self._policy.stall_timeout_sec + num_bytes / self._policy.min_bytes_per_sec
        return await Backoff(self._policy).call(lambda: self._once(call, limit_sec))

    async def _once(
        self, call: Callable[[ObjectClient], Awaitable[Result]], limit_sec: float
    ) -> Result:
        try:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_client, self._url, self._policy)
            async with asyncio.timeout(limit_sec):
                return await call(self._opened)
        except store_errors() as error:
            raise object_error(error, self._shown) from error


def _client(url: str, policy: SourcePolicy) -> ObjectClient:
    scheme = scheme_of(url)
    try:
        return CLIENTS.get(scheme, FsspecClient)(url, policy)
    except ImportError as error:
        extra = EXTRAS.get(scheme, scheme)
        raise missing_extra(f"{scheme}://", extra) from error
