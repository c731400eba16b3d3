"""Child processes that see hostile bytes: with ceilings, and never left behind.

ffmpeg and libav run in them, so that a crash, a loop or a flood of memory in a decoder ends a
child and not a worker.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from longform.errors import EnvironmentFaultError

MEMORY_LIMIT_BYTES = 2**30  # bytes of address space; ffmpeg and PyAV use half of it at most
PROGRESS_TIMEOUT_SEC = 15.0  # seconds in which a child must read or write something
READ_BYTES = 65_536  # bytes; what a pipe holds

_LAUNCHER = Path(__file__).with_name("sandbox_exec.py")


class ReadProgress(Protocol):
    """How far a child has read, as seen by the process that waits for it."""

    @property
    def bytes_sent(self) -> int:
        """Bytes delivered so far."""
        ...

    @property
    def waits_for_source(self) -> bool:
        """Whether the child is waiting for bytes that are still to come from elsewhere."""
        ...


class StalledError(Exception):
    """A child did nothing at all, though nothing kept it waiting. Never leaves this package."""


@dataclass(slots=True)
class Watchdog:
    """Tells a child that hangs from one that waits for its source."""

    progress: ReadProgress | None = None
    timeout_sec: float = PROGRESS_TIMEOUT_SEC

    async def read(self, stream: asyncio.StreamReader, num_bytes: int = READ_BYTES) -> bytes:
        """Read what is there; b"" at the end.

        Raises:
            StalledError: nothing came, and nothing was read, for `timeout_sec`.
        """
        while True:
            before = self._delivered()
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that comes with the data.
                async with asyncio.timeout(self.timeout_sec):
                    return await stream.read(num_bytes)
            except TimeoutError:
                if self._delivered() == before and not self._excused():
                    raise StalledError from None

    def _delivered(self) -> int:
        return self.progress.bytes_sent if self.progress is not None else 0

    def _excused(self) -> bool:
        return self.progress is not None and self.progress.waits_for_source


@asynccontextmanager
async def child(
    command: Sequence[str],
    *,
    cpu_sec: int = 0,
    memory_bytes: int = MEMORY_LIMIT_BYTES,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program under ceilings, its pipes in hand; leaving the context ends it.

    It is killed when the thread that runs this event loop ends, so also when this process is
    killed. It has a session of its own: a Ctrl-C is for us to handle.

    Raises:
        EnvironmentFaultError: it cannot be started.
    """
    if not (os.path.isfile(command[0]) and os.access(command[0], os.X_OK)):  # noqa: ASYNC240, PTH113
        raise EnvironmentFaultError(f"{command[0]} cannot be started; see LONGFORM_FFMPEG")
    limits = (os.getpid(), memory_bytes, cpu_sec)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, limits), *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=READ_BYTES,
        start_new_session=True,
        env=os.environ | {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"} | dict(env or {}),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
        await asyncio.shield(asyncio.ensure_future(_reap(process)))


async def _reap(process: asyncio.subprocess.Process) -> None:
    # Its pipes must be emptied, or asyncio would wait for their end for ever.
    for pipe in (process.stdout, process.stderr):
        while pipe is not None and await pipe.read(READ_BYTES):
            pass
    await process.wait()


@dataclass(frozen=True, slots=True)
class ScriptEnd:
    """How a script of ours ended: exit code (negative: a signal), and whether it was hung."""

    exit_code: int
    stalled: bool = False

    @property
    def reason(self) -> str:
        """The end as the second half of a sentence for people."""
        if self.stalled:
            return "the decoder hung"
        if self.exit_code < 0:
            return f"the decoder crashed (signal {-self.exit_code})"
        return f"the decoder ended with exit code {self.exit_code}"


async def run_script(
    script: Path, order: Mapping[str, Any], progress: ReadProgress, *, cpu_sec: int, max_bytes: int
) -> tuple[bytes, ScriptEnd]:
    """Run a module as a script in a child; return what it wrote, and its end.

    Args:
        script: the file, which imports PyAV and the standard library only.
        order: its one argument, as JSON.
        progress: what it reads from.
        cpu_sec: its ceiling of CPU time, in seconds.
        max_bytes: what it may write, in bytes; what is beyond is cut off.
    """
    # Not -I: PyAV may lie where PYTHONPATH says. -P: this folder's names hide no other module.
    command = (sys.executable, "-P", str(script), json.dumps(order))
    watchdog = Watchdog(progress)
    written = bytearray()
    async with child(command, cpu_sec=cpu_sec) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        silence = asyncio.create_task(_discard(process.stderr))
        try:
            while len(written) <= max_bytes and (part := await watchdog.read(process.stdout)):
                written += part
            async with asyncio.timeout(watchdog.timeout_sec):
                exit_code = await process.wait()
        except (StalledError, TimeoutError):
            return bytes(written[:max_bytes]), ScriptEnd(-9, stalled=True)
        finally:
            silence.cancel()
            await asyncio.gather(silence, return_exceptions=True)
    return bytes(written[:max_bytes]), ScriptEnd(exit_code)


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(READ_BYTES):
        pass
