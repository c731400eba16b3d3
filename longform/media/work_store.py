"""The work store: decoded audio on its way from one sequential pass to the workers.

Raw s16le, one file per macro chunk, in a folder or under an fsspec URL that every worker
reaches. A run has a folder of its own there and removes it when it ends.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from longform.chunking.micro_chunk import Pcm
from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.media.decoder import BLOCK_SAMPLES
from longform.params import FrozenModel
from longform.timeline import PCM_BYTES_PER_SAMPLE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class WorkFile(FrozenModel):
    """Audio in the work store: where it is, and how much of it there must be."""

    root: str
    run: str
    name: str
    num_samples: int


class WorkRun(FrozenModel):
    """One run's folder in the work store."""

    root: str
    run: str

    def writer(self, name: str) -> "PcmWriter":
        """Return a writer of one file; a run may write several at once."""
        return PcmWriter(self, name)

    async def remove(self) -> None:
        """Remove the run's folder with everything in it."""
        await asyncio.to_thread(_remove, self.root, f"{_checked(self.run)}")


class PcmWriter:
    """Writes one file as its audio arrives; it appears whole, at `close`, or not at all."""

    def __init__(self, run: WorkRun, name: str) -> None:
        self._run = run
        self._name = name
        self._file_system, self._path = _open(run.root, run.run, name)
        self._partial = f"{self._path}.partial"
        self._target: Any = None
        self._num_samples = 0

    async def write(self, pcm: Pcm) -> None:
        """Append int16 samples, shape (n,).

        Raises:
            OutputError: the store cannot take them; a full disk, for example.
        """
        await asyncio.to_thread(self._write, pcm)

    async def close(self) -> WorkFile:
        """Complete the file, which may be empty, and return it.

        Raises:
            OutputError: the store cannot be written.
        """
        await asyncio.to_thread(self._close)
        return WorkFile(
            root=self._run.root, run=self._run.run, name=self._name, num_samples=self._num_samples
        )

    def _write(self, pcm: Pcm) -> None:
        with _writing(self._run.root):
            if self._target is None:
                self._file_system.makedirs(self._path.rpartition("/")[0], exist_ok=True)
                self._target = self._file_system.open(self._partial, "wb")
            self._target.write(pcm.astype("<i2", copy=False).tobytes())
        self._num_samples += len(pcm)

    def _close(self) -> None:
        self._write(np.empty(0, np.int16))
        with _writing(self._run.root):
            self._target.close()
            self._file_system.mv(self._partial, self._path)


class WorkStore(FrozenModel):
    """A folder, or an fsspec URL, for audio in transit."""

    root: str

    def create_run(self) -> WorkRun:
        """Return a new run with a name of its own; nothing is written yet."""
        return WorkRun(root=self.root, run=f"run-{secrets.token_hex(8)}")


async def read_blocks(file: WorkFile) -> AsyncGenerator[Pcm, None]:
    """Yield stored audio as int16 blocks.

    Raises:
        SourceUnavailableError: it is not there, cannot be read, or is not complete.
    """
    file_system, path = _open(file.root, file.run, file.name)
    end = file.num_samples * PCM_BYTES_PER_SAMPLE
    step = BLOCK_SAMPLES * PCM_BYTES_PER_SAMPLE
    for start in range(0, end, step):
        wanted = min(step, end - start)
        data = await asyncio.to_thread(_read, file_system, path, start, start + wanted)
        if len(data) != wanted:
            raise SourceUnavailableError(f"{file.name} in the work store is not complete")
        yield np.frombuffer(data, dtype="<i2")


async def remove(file: WorkFile) -> None:
    """Remove one file; that it is gone already is no error."""
    await asyncio.to_thread(_remove, file.root, f"{_checked(file.run)}/{_checked(file.name)}")


@contextmanager
def _writing(root: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the work store {root} cannot be written ({error.strerror or error}): make room, or "
            "set LONGFORM_WORK_STORE to a place with 115 MB for every hour of audio"
        ) from error


def _read(file_system: Any, path: str, start: int, end: int) -> bytes:
    try:
        return bytes(file_system.cat_file(path, start=start, end=end))
    except OSError as error:
        raise SourceUnavailableError(
            f"{path} in the work store cannot be read; every worker must reach the store"
        ) from error


def _remove(root: str, relative: str) -> None:
    file_system, base = _file_system(root)
    path = f"{base}/{relative}"
    if file_system.exists(path):
        file_system.rm(path, recursive=True)


def _open(root: str, run: str, name: str) -> tuple[Any, str]:
    file_system, base = _file_system(root)
    return file_system, f"{base}/{_checked(run)}/{_checked(name)}"


def _file_system(root: str) -> tuple[Any, str]:
    import fsspec

    file_system, base = fsspec.core.url_to_fs(root)
    return file_system, str(base).rstrip("/")


def _checked(component: str) -> str:
    """Return a path component that cannot leave its folder, or complain."""
    if not _NAME.fullmatch(component):
        raise InvariantError(f"not a name for the work store: {component!r}")
    return component
