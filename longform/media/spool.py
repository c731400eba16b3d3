"""The work store: audio on its way from one sequential pass to the workers.

Raw s16le, one file per macro chunk, in a folder or under an fsspec URL that every worker
reaches. A run has a folder of its own there, with a lease, and removes it however it ends;
what a killed run leaves is removed by the next one (`storage.cleanup`).
"""

import asyncio
import logging
import re
import secrets
import threading
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longform.audio import PCM_BYTES_PER_SAMPLE, Pcm
from longform.errors import InvariantError, LongformError, OutputError, SourceUnavailableError
from longform.media.decode.ffmpeg_args import BLOCK_SAMPLES
from longform.net.policy import redact
from longform.params import FrozenModel
from longform.settings import Settings
from longform.storage.cleanup import LEASE_FILE, RENEW_SEC, remove_leftovers
from longform.storage.folder import Folder, is_local, local_path, open_folder
from longform.storage.lease import HeldLease
from longform.storage.local_folder import LocalFolder

logger = logging.getLogger(__name__)

READ_BYTES = 4 * 2**20  # bytes per request to a store: 2 min of audio
SCRATCH = "scratch"
PARTIAL = ".partial"  # behind the name of a file that is not whole yet
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class WorkFile(FrozenModel):
    """Audio in the work store: where it is, and what it must be."""

    root: str
    run: str
    name: str
    num_samples: int
    crc32: int


class WorkLimits(FrozenModel):
    """What a run may take: bytes at a time, and bytes that stay free on a local disk."""

    max_bytes: int
    reserve_bytes: int


class WorkRun:
    """One run's folder in the work store, made when the first thing is put there.

    Writes happen in threads, which a cancelled run leaves behind: after `close` they fail,
    so that none of them makes the folder anew.
    """

    def __init__(self, root: str, limits: WorkLimits) -> None:
        self.root = root
        self.name = f"run-{secrets.token_hex(8)}"
        self.peak_bytes = 0  # most that has lain here at a time
        self._limits = limits
        self._lock = threading.Lock()
        self._closed = False
        self._folder: Folder | None = None
        self._lease: HeldLease | None = None
        self._sizes: dict[str, int] = {}

    def writer(self, name: str) -> "PcmWriter":
        """Return a writer of one file; a run may write several at once."""
        return PcmWriter(self, checked(name))

    async def scratch_dir(self) -> Path:
        """Return a local folder for other files of the run.

        Raises:
            OutputError: it cannot be made.
        """
        return await asyncio.to_thread(self._scratch_dir)

    async def discard(self, file: WorkFile) -> None:
        """Remove one file; that it is gone already is no error."""
        await asyncio.to_thread(self._discard, file.name)

    async def close(self) -> None:
        """Remove the folder with everything in it; a failure is logged, and repaired later."""
        await asyncio.to_thread(self._close)

    def add(self, name: str, content: bytes) -> None:
        """Append to a file that is being written, if there is room.

        Raises:
            OutputError: there is not, or the store fails.
        """
        with self._lock:
            folder = self._opened()
            self._require_room(folder, len(content))
            if isinstance(folder, LocalFolder):
                with self._advising():
                    folder.append(f"{self.name}/{name}{PARTIAL}", content)
            self._count(name, len(content))

    def complete(self, name: str, content: bytes) -> None:
        """Give a written file its name; in a store that is no folder, put its whole `content`.

        Raises:
            OutputError: the store fails.
        """
        with self._lock:
            folder = self._opened()
            with self._advising():
                if isinstance(folder, LocalFolder):
                    folder.rename(f"{self.name}/{name}{PARTIAL}", f"{self.name}/{name}")
                else:
                    folder.write(f"{self.name}/{name}", content)

    def _opened(self) -> Folder:
        if self._closed:
            raise OutputError("the run has ended: its folder in the work store is removed")
        if self._folder is None:
            with self._advising():
                folder = open_folder(self.root)
                lease = f"{self.name}/{LEASE_FILE}"
                self._lease = HeldLease.take(folder, lease, renew_sec=RENEW_SEC)
            self._folder = folder
        return self._folder

    @contextmanager
    def _advising(self) -> Iterator[None]:
        try:
            yield
        except OutputError as error:
            raise OutputError(self._refusal(error)) from error

    def _refusal(self, reason: object) -> str:
        return (
            f"the work store {redact(self.root)} cannot be used ({reason}): make room, or set "
            "LONGFORM_WORK_STORE to a place with 115 MB for every hour of audio"
        )

    def _count(self, name: str, num_bytes: int) -> None:
        self._sizes[name] = self._sizes.get(name, 0) + num_bytes
        self.peak_bytes = max(self.peak_bytes, sum(self._sizes.values()))

    def _require_room(self, folder: Folder, num_bytes: int) -> None:
        if sum(self._sizes.values()) + num_bytes > self._limits.max_bytes:
            raise OutputError(
                f"the run has {self._limits.max_bytes} bytes in the work store, the most that it "
                "may: raise LONGFORM_WORK_MAX_BYTES, or make macro_chunk_size_sec smaller"
            )
        if not isinstance(folder, LocalFolder):
            return
        free = folder.free_bytes()
        if free - num_bytes < self._limits.reserve_bytes:
            raise OutputError(
                self._refusal(
                    f"{free} bytes are free, of which LONGFORM_WORK_RESERVE_BYTES keeps "
                    f"{self._limits.reserve_bytes}"
                )
            )

    def _scratch_dir(self) -> Path:
        with self._lock:
            self._opened()
            folder = local_path(self.root) / self.name / SCRATCH
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(self._refusal(error.strerror or error)) from error
            return folder

    def _discard(self, name: str) -> None:
        with self._lock:
            if self._closed or self._folder is None:
                return
            try:
                self._folder.remove(f"{self.name}/{name}")
            except LongformError as error:
                logger.warning("%s/%s is removed later: %s", self.name, name, error)
            self._sizes.pop(name, None)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if self._lease is None or self._folder is None:
                return
            self._lease.release()
            try:
                self._folder.remove(self.name)
            except LongformError as error:
                logger.warning("%s is left for a later run to remove: %s", self.name, error)


class PcmWriter:
    """Writes one file as its audio arrives; it appears whole, at `close`, or not at all."""

    def __init__(self, run: WorkRun, name: str) -> None:
        self._run = run
        self._name = name
        self._kept = bytearray()  # for stores that take whole files only: one macro chunk
        self._num_samples = 0
        self._crc32 = 0

    async def write(self, pcm: Pcm) -> None:
        """Append int16 samples, shape (n,).

        Raises:
            OutputError: the store cannot take them; a full disk, for example.
        """
        content = pcm.astype("<i2", copy=False).tobytes()
        await asyncio.to_thread(self._run.add, self._name, content)
        if not is_local(self._run.root):
            self._kept += content
        self._num_samples += len(pcm)
        self._crc32 = zlib.crc32(content, self._crc32)

    async def close(self) -> WorkFile:
        """Complete the file, which may be empty, and return it.

        Raises:
            OutputError: the store cannot be written.
        """
        if self._num_samples == 0:
            await asyncio.to_thread(self._run.add, self._name, b"")
        await asyncio.to_thread(self._run.complete, self._name, bytes(self._kept))
        self._kept.clear()
        return WorkFile(
            root=self._run.root,
            run=self._run.name,
            name=self._name,
            num_samples=self._num_samples,
            crc32=self._crc32,
        )


@asynccontextmanager
async def open_run(root: str, limits: WorkLimits) -> AsyncIterator[WorkRun]:
    """Open a run's folder in a work store; it is removed however the context is left.

    What earlier, killed runs have left there is removed meanwhile.
    """
    run = WorkRun(root, limits)
    clearing = asyncio.create_task(asyncio.to_thread(remove_leftovers, root))
    try:
        yield run
    finally:
        # Shielded: a second cancellation must not leave the folder behind.
        await asyncio.shield(asyncio.gather(run.close(), clearing, return_exceptions=True))


async def read_blocks(file: WorkFile) -> AsyncGenerator[Pcm, None]:
    """Yield stored audio as int16 blocks; after the last one all are known to be sound.

    Raises:
        SourceUnavailableError: it is not there, cannot be read, is not complete or is damaged.
    """
    folder = open_folder(file.root)
    end = file.num_samples * PCM_BYTES_PER_SAMPLE
    crc32 = 0
    for start in range(0, end, READ_BYTES):
        wanted = min(READ_BYTES, end - start)
        data = await asyncio.to_thread(_read, folder, file, start, start + wanted)
        if len(data) != wanted:
            raise SourceUnavailableError(f"{file.name} in the work store is not complete")
        crc32 = zlib.crc32(data, crc32)
        samples = np.frombuffer(data, dtype="<i2")
        for first in range(0, len(samples), BLOCK_SAMPLES):
            yield samples[first : first + BLOCK_SAMPLES]
    if crc32 != file.crc32:
        raise SourceUnavailableError(
            f"{file.name} in the work store is damaged; check the disk or the network below it"
        )


def _read(folder: Folder, file: WorkFile, start: int, end: int) -> bytes:
    """Return a stretch of a file that was written by another process.

    Raises:
        SourceUnavailableError: it is not there, or cannot be read.
    """
    try:
        content = folder.read(f"{checked(file.run)}/{checked(file.name)}", start, end)
    except OutputError as error:
        raise SourceUnavailableError(_unreadable(file)) from error
    if content is None:
        raise SourceUnavailableError(_unreadable(file))
    return content


def _unreadable(file: WorkFile) -> str:
    return (
        f"{file.name} in the work store {redact(file.root)} cannot be read; "
        "every worker must reach the store"
    )


def checked(component: str) -> str:
    """Return a path component that cannot leave its folder, or complain.

    Raises:
        InvariantError: it is no plain name.
    """
    if not _NAME.fullmatch(component):
        raise InvariantError(f"not a name for the work store: {component!r}")
    return component


@dataclass(frozen=True, slots=True)
class RunScratch:
    """Where a run keeps what it needs only while it lasts: decoded audio, and downloads.

    `spool` is its folder in the work store, `local_dir` one of this host for other files.
    """

    spool: WorkRun
    local_dir: Path


def work_roots(settings: Settings) -> tuple[str, ...]:
    """Return where runs keep such files: the work store, and a folder where that is none."""
    store = settings.work_store_url
    return (store,) if is_local(store) else (store, str(settings.home.absolute() / "work"))


@asynccontextmanager
async def open_scratch(settings: Settings) -> AsyncIterator[RunScratch]:
    """Open the folders of a run; they are removed however the context is left.

    Raises:
        OutputError: they cannot be written.
    """
    limits = WorkLimits(
        max_bytes=settings.work_max_bytes, reserve_bytes=settings.work_reserve_bytes
    )
    async with AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(open_run(root, limits)) for root in work_roots(settings)
        ]
        yield RunScratch(spool=runs[0], local_dir=await runs[-1].scratch_dir())
