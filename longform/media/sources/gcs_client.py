"""Objects in Google Cloud Storage, through gcsfs.

Credentials are Google's to find (GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth`, roles);
STORAGE_EMULATOR_HOST names another endpoint.
"""

import base64
import os
from functools import cache
from typing import Any

from longform.media.sources.object_client import ObjectStatus, on_store_loop
from longform.net.policy import SourcePolicy


class GcsClient:
    """One object; every read is for the generation that was pinned."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        self._file_system = file_system(os.getpid())
        self._path = self._file_system._strip_protocol(url)
        self._bucket, self._key, self._generation = self._file_system.split_path(self._path)

    async def status(self) -> ObjectStatus:
        """Ask for the object's metadata."""
        if not self._key:
            return ObjectStatus(0, None, is_folder=True)
        metadata = await on_store_loop(
            self._file_system,
            self._file_system._call("GET", "b/{}/o/{}", self._bucket, self._key, json_out=True),
        )
        generation = metadata.get("generation")
        return ObjectStatus(
            int(metadata.get("size", 0)),
            None if generation is None else str(generation),
            _checksum(metadata),
        )

    async def read(self, start: int, end: int, version: str | None) -> bytes:
        """Get a range; another generation is refused by the store itself."""
        condition = {} if version is None else {"ifGenerationMatch": version}
        _, part = await on_store_loop(
            self._file_system,
            self._file_system._call(
                "GET",
                self._file_system.url(self._path),
                headers={"Range": f"bytes={start}-{end - 1}"},
                **condition,
            ),
        )
        return bytes(part)


@cache
def file_system(pid: int) -> Any:
    """Return the file system of a process; gcsfs would make one per thread."""
    import gcsfs

    return gcsfs.GCSFileSystem(use_listings_cache=False, skip_instance_cache=True)


def _checksum(metadata: dict[str, Any]) -> str | None:
    if md5 := metadata.get("md5Hash"):
        return base64.b64decode(md5).hex()  # as S3 writes it: copies are equal across stores
    crc32c = metadata.get("crc32c")  # objects composed of several have no md5
    return f"crc32c {crc32c}" if crc32c else None
