"""The work store: decoded audio on its way from one sequential pass to the workers.

Raw s16le, one file per macro chunk, in a folder or under an fsspec URL that every worker
reaches. A run has a folder of its own there and removes it when it ends.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np

from longform.chunking.micro_chunk import Pcm
from longform.errors import InvariantError, OutputError, SourceUnavailableError
from longform.media.decoder import BLOCK_SAMPLES
from longform.params import FrozenModel
from longform.timeline import PCM_BYTES_PER_SAMPLE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")


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

    async def write(self, name: str, blocks: Sequence[Pcm]) -> WorkFile:
        """Store audio under a name; it appears whole or not at all.

        Raises:
            OutputError: the store cannot be written.
        """
        file = WorkFile(root=self.root, run=self.run, name=name, num_samples=sum(map(len, blocks)))
        await asyncio.to_thread(_write, file, blocks)
        return file

    async def remove(self) -> None:
        """Remove the run's folder with everything in it."""
        await asyncio.to_thread(_remove, self.root, f"{_checked(self.run)}")


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


def _write(file: WorkFile, blocks: Sequence[Pcm]) -> None:
    file_system, path = _open(file.root, file.run, file.name)
    partial = f"{path}.partial"
    try:
        file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with file_system.open(partial, "wb") as target:
            for block in blocks:
                target.write(block.astype("<i2", copy=False).tobytes())
        file_system.mv(partial, path)
    except OSError as error:
        raise OutputError(
            f"the work store {file.root} cannot be written: {error.strerror or error}"
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
    if not _NAME.match(component):
        raise InvariantError(f"not a name for the work store: {component!r}")
    return component
