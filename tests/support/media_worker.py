"""A process that opens, probes and decodes recordings one after the other, and says how it ended.

What a recording does to memory, to children and to the process itself is seen from outside:
`MediaWorker` survives a crash and a hang of what it started, and tells them apart.
"""

import asyncio
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from longform.audio import SAMPLE_RATE_HZ, Pcm, Span
from longform.errors import LongformError
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import DamageReport, Recording
from longform.pipeline.planning import open_recording
from longform.settings import Settings
from tests.conftest import REPO_ROOT

WINDOW_SAMPLES = 300 * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class End:
    """How one recording ended: the name of an error, "decoded", "crash" or "hang"."""

    outcome: str
    message: str = ""
    samples: int = 0  # decoded, or said to be missing behind what was
    container: str = ""
    access: str = ""
    wall_sec: float = 0.0
    peak_bytes: int = 0  # of this process so far
    peak_child_bytes: int = 0  # of the largest child so far
    children: list[str] = field(default_factory=list)  # that are still there

    @property
    def is_named(self) -> bool:
        """Whether it ended as recordings may end."""
        return not self.message.startswith("!") and self.outcome not in ("crash", "hang")


class MediaWorker:
    """The parent's side: a child that is started again where a recording has killed it."""

    def __init__(self, limit_sec: float) -> None:
        self.limit_sec = limit_sec
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the child for good."""
        self.kill()

    def end_of(self, url: str) -> End:
        """Return how a recording ends."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        hung = threading.Event()
        watchdog = threading.Timer(self.limit_sec, lambda: (hung.set(), self.kill()))
        watchdog.start()
        try:
            process.stdin.write(json.dumps(url) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if line:
            return End(**json.loads(line))
        self.kill()
        return End("hang" if hung.is_set() else "crash", f"exit code {process.wait()}")

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.media_worker"],
                cwd=REPO_ROOT,
                env=os.environ | {"PYTHONPATH": str(REPO_ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        return self._process

    def kill(self) -> None:
        """End the child, with its children; the next recording starts another."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


async def decoded(recording: Recording, damage: DamageReport) -> AsyncIterator[Pcm]:
    """Yield the audio as a run reads it: in windows where it can, else in one pass."""
    total = recording.media.num_samples_estimate or 0
    if recording.media.access == "sequential":
        async for block in extract_all(recording, damage):
            yield block
        return
    for start in range(0, max(total, 1), WINDOW_SAMPLES):
        end = min(start + WINDOW_SAMPLES, total)
        last = end == total
        window = extract_window(recording, Span(start, end), open_ended=last, damage=damage)
        async for block in window:
            yield block


def own_peak_bytes() -> int:
    """Return the most memory that this process has held, in bytes.

    Not `ru_maxrss`: it starts with what the parent held at the fork, here a whole test suite.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def _end(url: str, started_sec: float) -> End:
    samples, container, access = 0, "", ""
    outcome, message = "decoded", ""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            recording = await open_recording(url, Settings(), Path(scratch))
            container, access = recording.media.container, recording.media.access
            damage = DamageReport()
            async for block in decoded(recording, damage):
                samples += len(block)
            samples += sum(lost.span.num_samples for lost in damage.within(samples, None))
    except LongformError as error:
        outcome, message = type(error).__name__, str(error)
    except BaseException as error:  # noqa: BLE001  (whatever else comes out is the finding)
        outcome, message = type(error).__name__, f"! {error!r}"
    return End(
        outcome=outcome,
        message=message,
        samples=samples,
        container=container,
        access=access,
        wall_sec=time.monotonic() - started_sec,
        peak_bytes=own_peak_bytes(),
        peak_child_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        children=[one.name() for one in psutil.Process().children(recursive=True)],
    )


def main() -> None:
    """Read addresses, one JSON string per line; write an `End` for each."""
    logging.disable(logging.WARNING)  # damaged places are what these recordings are about
    for line in sys.stdin:
        end = asyncio.run(_end(json.loads(line), time.monotonic()))
        sys.stdout.write(json.dumps(asdict(end)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
