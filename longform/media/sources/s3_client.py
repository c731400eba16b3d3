"""Objects in S3 and in stores that speak its protocol, through s3fs.

Credentials and endpoint are botocore's to find (AWS_ACCESS_KEY_ID, AWS_PROFILE, roles,
AWS_ENDPOINT_URL); fsspec's own settings (FSSPEC_S3_ANON=true) count as well.
"""

import os
import re
from functools import cache
from typing import Any

from longform.media.sources.object_client import ObjectStatus, on_store_loop
from longform.net.policy import SourcePolicy

_MD5 = re.compile(r"[0-9a-f]{32}")
_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32")  # the strongest first


class S3Client:
    """One object; every read is for the ETag that was pinned (If-Match)."""

    def __init__(self, url: str, policy: SourcePolicy) -> None:
        self._file_system = file_system(
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
        return ObjectStatus(int(head["ContentLength"]), head.get("ETag"), _checksum(head))

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
def file_system(pid: int, connect_timeout_sec: float, stall_timeout_sec: float) -> Any:
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


def _checksum(head: dict[str, Any]) -> str | None:
    """Return what the content alone decides on; an ETag in parts depends on their size too."""
    etag = str(head.get("ETag", "")).strip('"')
    encrypted = head.get("ServerSideEncryption", "").startswith("aws:kms")
    if _MD5.fullmatch(etag) and not encrypted and not head.get("SSECustomerAlgorithm"):
        return etag
    if head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        for name in _CHECKSUMS:
            value = str(head.get(f"Checksum{name}", ""))
            if value and "-" not in value:
                return f"{name.lower()} {value}"
    return None
