"""Blocks of a remote source on disk, shared by all processes of a host while a run lasts.

Each worker process has a gateway and a cache of its own; without this store the header, and
the seconds around each boundary, would be fetched once by each of them.

One folder per reading of a source: files that appear whole, each with its checksum. A block is
claimed with a lock of the operating system, so that one process fetches it while the others
wait, and a process that dies holds up no other. Nothing here is needed for correctness: where
the folder cannot be written, every process fetches for itself.
"""

import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

MAX_STORE_BYTES = 4 * 2**30  # bytes on disk, of all sources together
TRIM_INTERVAL = 64  # puts between two looks at how much there is: 16 MiB
LEFTOVER_SEC = 3_600.0  # a folder that no process has open or has touched for so long
DIGEST_BYTES = 32
LENGTH_BYTES = 2  # of the field that says how long the overlap is


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a source, and the few that lie before them.

    By its overlap a block is seen to continue the one before it, or to be of another content.
    """

    overlap: bytes
    data: bytes


class BlockStore:
    """The blocks of one reading of a source. Its methods block, and may run in any thread."""

    def __init__(self, root: Path, name: str, max_bytes: int = MAX_STORE_BYTES) -> None:
        """Open or make the folder.

        Raises:
            OSError: it cannot be written.
        """
        self._root = root
        self._folder = root / name
        self._max_bytes = max_bytes
        self._puts = 0
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        os.utime(self._folder)
        self._claims = os.open(self._folder / "claims", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        # Tells processes that look for leftovers that this one is here.
        self._alive = os.open(self._folder / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self._alive, fcntl.LOCK_SH)
        _remove_leftovers(root)

    def close(self) -> None:
        """Let go of the folder; what is in it stays for the others."""
        for descriptor in (self._claims, self._alive):
            os.close(descriptor)

    def get(self, name: str) -> Block | None:
        """Return a record, or None where there is none that is whole."""
        path = self._folder / name
        try:
            record = path.read_bytes()
        except OSError:
            return None
        body = record[DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != record[:DIGEST_BYTES]:
            with suppress(OSError):
                path.unlink()
            return None
        data = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES])
        return Block(body[LENGTH_BYTES:data], body[data:])

    def put(self, name: str, block: Block) -> None:
        """Keep a record, if the disk takes it."""
        body = len(block.overlap).to_bytes(LENGTH_BYTES) + block.overlap + block.data
        partial = self._folder / f"{secrets.token_hex(8)}.partial"
        try:
            partial.write_bytes(hashlib.sha256(body).digest() + body)
            partial.replace(self._folder / name)
        except OSError as error:
            logger.debug("a fetched block is not shared: %s", error.strerror)
            with suppress(OSError):
                partial.unlink()
        self._puts += 1
        if self._puts % TRIM_INTERVAL == 0:
            _trim(self._root, self._max_bytes)

    def claim(self, index: int) -> bool:
        """Try to become the one process that fetches a block."""
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # no locks on that file system: every process fetches
            return True
        return True

    def release(self, index: int) -> None:
        """Give a claim back."""
        with suppress(OSError):
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, index)


def open_block_store(root: str | None, name: str) -> BlockStore | None:
    """Return the store of one reading, or None where there is none to be had."""
    if root is None or not name:
        return None
    try:
        return BlockStore(Path(root), name)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): every process fetches for itself", root, error.strerror
        )
        return None


def discard_blocks(root: str | None, name: str) -> None:
    """Remove what is kept of one reading; the opener of the source calls this at the end."""
    if root is not None and name:
        shutil.rmtree(Path(root) / name, ignore_errors=True)


def _trim(root: Path, max_bytes: int) -> None:
    """Remove the oldest records beyond the limit."""
    found = []
    for path in root.glob("*/*.*"):
        with suppress(OSError):  # another process was quicker
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    excess = sum(size for _, size, _ in found) - max_bytes
    for _, size, path in sorted(found):
        if excess <= 0:
            return
        with suppress(OSError):
            path.unlink()
        excess -= size


def _remove_leftovers(root: Path) -> None:
    """Remove what runs that were killed have left."""
    for folder in root.iterdir():
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFTOVER_SEC and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    descriptor = os.open(folder / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
