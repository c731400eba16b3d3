"""Servers without byte ranges: the whole file, once, into a folder of this host."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from longform.errors import EmptySourceError, OutputError, RetryableError, SourceTooLargeError
from longform.media.fingerprint import ContentHash
from longform.media.http_requests import RemoteAddress, content_length
from longform.media.policy import SourcePolicy
from longform.media.retry import Patience

NO_RANGES_WARNING = "the server does not support byte ranges; downloaded whole first"
NO_LENGTH_WARNING = (
    "the server does not say how long the file is: had it ended early, nobody would have noticed"
)


@dataclass(frozen=True, slots=True)
class Download:
    """A whole file on this host, and what is to be said about it."""

    path: Path
    content: ContentHash
    warnings: tuple[str, ...]


async def download(
    address: RemoteAddress, policy: SourcePolicy, limit_bytes: int, scratch_dir: Path
) -> Download:
    """Download what an address holds, from its start again where it was cut.

    Raises:
        SourceError: empty, too large, refused or missing.
        RetryableError: after `max_attempts` tries.
        OutputError: there is no room for it.
    """
    patience = Patience(policy)
    while True:
        try:
            return await _download_once(address, limit_bytes, scratch_dir)
        except RetryableError as error:
            await patience.wait(error)


async def _download_once(address: RemoteAddress, limit_bytes: int, scratch_dir: Path) -> Download:
    descriptor, path = _new_file(scratch_dir)
    content = ContentHash()
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            async with address.get({}) as response:
                ends_visibly = (
                    content_length(response) is not None
                    or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
                )
                async for part in address.parts(response):
                    content.update(part)
                    _require_room(address, content.length_bytes, limit_bytes)
                    await asyncio.to_thread(_write, file, part, scratch_dir)
        if content.length_bytes == 0:
            raise EmptySourceError(f"{address.shown} is empty; give one that holds a recording")
    except BaseException:
        os.unlink(path)  # noqa: PTH108  (one quick call; also when cancelled)
        raise
    warnings = (NO_RANGES_WARNING,) if ends_visibly else (NO_RANGES_WARNING, NO_LENGTH_WARNING)
    return Download(path, content, warnings)


def _write(file: BinaryIO, part: bytes, scratch_dir: Path) -> None:
    try:
        file.write(part)
    except OSError as error:
        raise OutputError(
            f"{scratch_dir} takes no more ({error.strerror}): make room, or set TMPDIR to a "
            "place that has it"
        ) from error


def _require_room(address: RemoteAddress, num_bytes: int, limit_bytes: int) -> None:
    if num_bytes > limit_bytes:
        raise SourceTooLargeError(
            f"{address.shown} has more than {limit_bytes} bytes, the most that may be downloaded"
        )


def _new_file(scratch_dir: Path) -> tuple[int, Path]:
    try:
        descriptor, name = tempfile.mkstemp(dir=scratch_dir, prefix="source-")
    except OSError as error:
        raise OutputError(
            f"{scratch_dir} cannot be written ({error.strerror}): set TMPDIR to a place with room"
        ) from error
    return descriptor, Path(name)
