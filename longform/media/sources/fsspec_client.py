"""Objects in any other store that fsspec knows, Azure's among them.

Nothing there says "this version only" in one way, so the version is looked at after every
read: where it is still the pinned one, the bytes were of that version.
"""

import asyncio
from typing import Any

from longform.errors import SourceChangedError
from longform.media.sources.object_client import ObjectStatus, on_store_loop
from longform.net.policy import SourcePolicy, redact, scheme_of

_VERSION_KEYS = ("etag", "ETag", "generation", "created", "LastModified", "last_modified", "mtime")


class FsspecClient:
    """One object, whose version is compared after every read."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        import fsspec

        kind = fsspec.get_filesystem_class(scheme_of(url))
        # Not `url_to_fs`: that would follow "::" to other file systems, this machine's among them.
        self._file_system: Any = kind(**kind._get_kwargs_from_urls(url), use_listings_cache=False)
        self._path = kind._strip_protocol(url)
        self._shown = redact(url)

    async def status(self) -> ObjectStatus:
        """Ask for what the file system calls its info."""
        info: dict[str, Any] = await self._call("info", self._path)
        version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), None)
        return ObjectStatus(
            int(info.get("size") or 0),
            version,
            _checksum(info),
            is_folder=info.get("type") == "directory",
        )

    async def read(self, start: int, end: int, version: str | None) -> bytes:
        """Get a range, then make sure that the object was not replaced meanwhile.

        Raises:
            SourceChangedError: it was.
        """
        part = bytes(await self._call("cat_file", self._path, start=start, end=end))
        if version is not None and (await self.status()).version != version:
            raise SourceChangedError(f"{self._shown} changed while it was read; start again")
        return part

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        if self._file_system.async_impl:
            call = getattr(self._file_system, f"_{name}")
            return await on_store_loop(self._file_system, call(*arguments, **options))
        call = getattr(self._file_system, name)
        return await asyncio.to_thread(call, *arguments, **options)


def _checksum(info: dict[str, Any]) -> str | None:
    """Return the MD5 that Azure keeps, as S3 writes it: copies are equal across stores."""
    md5 = (info.get("content_settings") or {}).get("content_md5")
    return bytes(md5).hex() if md5 else None
