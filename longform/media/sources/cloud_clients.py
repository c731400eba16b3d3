"""The clients of object stores: one object each, of which one version is read.

S3 and Google Cloud Storage refuse any other version themselves. Nothing in the other stores
that fsspec knows says "this version only" in one way, so there the version is looked at after
every read: where it is still the pinned one, the bytes were of that version.

Credentials and endpoints are the libraries' to find. For S3 and stores that speak its protocol
that is botocore (AWS_ACCESS_KEY_ID, AWS_PROFILE, roles, AWS_ENDPOINT_URL), and fsspec's own
settings (FSSPEC_S3_ANON=true) count as well; for Google Cloud Storage it is Google's
(GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth`, roles; STORAGE_EMULATOR_HOST names another
endpoint).

The libraries live on a loop of fsspec's. Every call runs as a coroutine on that loop and never
in a thread of a pool: a request that hangs is cancelled when its time is up, and holds nothing
that other work needs. What we use of fsspec, s3fs and gcsfs beyond their documentation is in
this module alone, and held by tests/internals.
"""

import asyncio
import base64
import os
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

from longform.errors import SourceChangedError
from longform.net.policy import SourcePolicy, redact, scheme_of

Result = TypeVar("Result")

_MD5 = re.compile(r"[0-9a-f]{32}")
_S3_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32")  # the strongest first
# What tells versions of an object apart in other stores: the first that there is.
_VERSION_KEYS = ("etag", "ETag", "generation", "created", "LastModified", "last_modified", "mtime")


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What a store says about an object.

    `version` changes when the object is replaced. `checksum` depends on its content alone; None
    where the store has none.
    """

    length_bytes: int
    version: str | None
    checksum: str | None = None
    is_folder: bool = False


class ObjectClient(Protocol):
    """One object in a store. Raises what the store's library raises: see `object_errors`."""

    async def status(self) -> ObjectStatus:
        """Ask for length, version and checksum, past every cache."""
        ...

    async def read(self, start: int, end: int, version: str | None) -> bytes:
        """Read `[start, end)` of this very version; None takes any.

        Raises:
            SourceChangedError: there is another version now.
        """
        ...


async def on_store_loop(file_system: Any, work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine of an fsspec file system on its loop; cancelling reaches it there."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, file_system.loop))


class S3Client:
    """One object; every read is for the ETag that was pinned (If-Match)."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        self._file_system = s3_file_system(
            os.getpid(), policy.connect_timeout_sec, policy.stall_timeout_sec
        )
        bucket, key, version_id = self._file_system.split_path(url)
        self._object = {"Bucket": bucket, "Key": key}
        if version_id:
            self._object["VersionId"] = version_id

    async def status(self) -> ObjectStatus:
        """Ask for the object's head, with its checksum where one was stored."""
        if not self._object["Key"]:
            return ObjectStatus(0, None, is_folder=True)
        head = await on_store_loop(
            self._file_system,
            self._file_system._call_s3("head_object", **self._object, ChecksumMode="ENABLED"),
        )
        return ObjectStatus(int(head["ContentLength"]), head.get("ETag"), _s3_checksum(head))

    async def read(self, start: int, end: int, version: str | None) -> bytes:
        """Get a range; another ETag is refused by the store itself."""
        return await on_store_loop(self._file_system, self._get(start, end, version))

    async def _get(self, start: int, end: int, version: str | None) -> bytes:
        condition = {} if version is None else {"IfMatch": version}
        found = await self._file_system._call_s3(
            "get_object", **self._object, **condition, Range=f"bytes={start}-{end - 1}"
        )
        async with found["Body"] as body:
            return bytes(await body.read())


@cache
def s3_file_system(pid: int, connect_timeout_sec: float, stall_timeout_sec: float) -> Any:
    """Return the file system of a process; s3fs would make one, a second's work, per thread."""
    import s3fs

    made = s3fs.S3FileSystem(
        version_aware=True,
        use_listings_cache=False,
        skip_instance_cache=True,
        # One retry policy is enough, and it is ours.
        config_kwargs={
            "retries": {"total_max_attempts": 1},
            "connect_timeout": connect_timeout_sec,
            "read_timeout": stall_timeout_sec,
        },
    )
    made.retries = 1
    made.connect()  # loads a lot: here, and not in the time of the first request
    return made


def _s3_checksum(head: dict[str, Any]) -> str | None:
    """Return what the content alone decides on; an ETag in parts depends on their size too."""
    etag = str(head.get("ETag", "")).strip('"')
    encrypted = head.get("ServerSideEncryption", "").startswith("aws:kms")
    if _MD5.fullmatch(etag) and not encrypted and not head.get("SSECustomerAlgorithm"):
        return etag
    if head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        for name in _S3_CHECKSUMS:
            value = str(head.get(f"Checksum{name}", ""))
            if value and "-" not in value:
                return f"{name.lower()} {value}"
    return None


class GcsClient:
    """One object; every read is for the generation that was pinned."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        self._file_system = gcs_file_system(os.getpid())
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
            _gcs_checksum(metadata),
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
def gcs_file_system(pid: int) -> Any:
    """Return the file system of a process; gcsfs would make one per thread."""
    import gcsfs

    return gcsfs.GCSFileSystem(use_listings_cache=False, skip_instance_cache=True)


def _gcs_checksum(metadata: dict[str, Any]) -> str | None:
    if md5 := metadata.get("md5Hash"):
        return base64.b64decode(md5).hex()  # as S3 writes it: copies are equal across stores
    crc32c = metadata.get("crc32c")  # objects composed of several have no md5
    return f"crc32c {crc32c}" if crc32c else None


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
            _azure_checksum(info),
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


def _azure_checksum(info: dict[str, Any]) -> str | None:
    """Return the MD5 that Azure keeps, as S3 writes it: copies are equal across stores."""
    md5 = (info.get("content_settings") or {}).get("content_md5")
    return bytes(md5).hex() if md5 else None
