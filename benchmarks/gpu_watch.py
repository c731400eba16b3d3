"""How busy an NVIDIA GPU is while something runs, and how much of its memory is taken."""

import subprocess
import threading
from dataclasses import dataclass
from statistics import fmean
from types import TracebackType
from typing import Self

PERIOD_MS = 200
QUERY = ["nvidia-smi", "--format=csv,noheader,nounits"]
MIB = 2**20


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What was seen of a GPU: the share of the time in which it worked, and its peak memory."""

    busy_share: float
    peak_bytes: int


def gpu_name() -> str | None:
    """Return the name of the first GPU, or None where there is none."""
    try:
        shown = subprocess.run(
            [*QUERY, "--query-gpu=name"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.splitlines()[0].strip()


class GpuWatch:
    """Samples the GPU while its context is open; `use` is None where there is none."""

    def __init__(self) -> None:
        self.use: GpuUse | None = None
        self._samples: list[tuple[float, float]] = []  # per cent busy, MiB taken
        self._watcher: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if gpu_name() is not None:
            fields = "--query-gpu=utilization.gpu,memory.used"
            command = [*QUERY, fields, "-i", "0", "-lms", str(PERIOD_MS)]
            self._watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._reading = threading.Thread(target=self._read, daemon=True)
            self._reading.start()
        return self

    def _read(self) -> None:
        assert self._watcher is not None
        assert self._watcher.stdout is not None
        for line in self._watcher.stdout:
            busy, taken = line.split(",")
            self._samples.append((float(busy), float(taken)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watcher is None:
            return
        self._watcher.terminate()
        self._watcher.wait()
        self._reading.join()
        if self._samples:
            busy, taken = zip(*self._samples, strict=True)
            self.use = GpuUse(fmean(busy) / 100, int(max(taken)) * MIB)
