"""Progress of a run: plain events, and one listener that the caller may install."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from longform.params import FrozenModel
from longform.timeline import to_seconds


class MicroDone(FrozenModel):
    """One micro chunk has been decoded somewhere on the cluster."""

    macro_chunk: int
    worker: str
    end_sample: int
    num_samples: int
    text: str = ""
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run stands. Samples are at 16 kHz; `total_*` are None while still unknown."""

    source_name: str
    stage: str
    done_chunks: int = 0
    total_chunks: int | None = None
    cached_chunks: int = 0
    failed_chunks: int = 0
    done_samples: int = 0
    total_samples: int | None = None
    elapsed_sec: float = 0.0
    last_text: str = ""
    run_url: str = ""

    @property
    def fraction(self) -> float:
        """Share of the recording that is done, 0 to 1."""
        if not self.total_samples:
            return 0.0
        return min(1.0, self.done_samples / self.total_samples)

    @property
    def speed(self) -> float:
        """Seconds of audio done per second of wall time."""
        return to_seconds(self.done_samples) / self.elapsed_sec if self.elapsed_sec else 0.0

    @property
    def remaining_sec(self) -> float | None:
        """Estimated wall seconds to the end, or None while nothing is known."""
        if not self.total_samples or not self.done_samples or not self.elapsed_sec:
            return None
        return self.elapsed_sec * (self.total_samples - self.done_samples) / self.done_samples


ProgressListener = Callable[[RunProgress], None]

# A context variable, because a flow's parameters must be data and a listener is not.
progress_listener: ContextVar[ProgressListener | None] = ContextVar(
    "longform_progress_listener", default=None
)
