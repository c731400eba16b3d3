"""Progress of a run: plain events, and one listener that the caller may install."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from longform.audio import to_seconds
from longform.params import FrozenModel


class ChunkBegun(FrozenModel):
    """A worker has taken up a macro chunk, or takes it up once more."""

    kind: Literal["begun"] = "begun"
    macro_chunk: int
    channel: int | None = None
    worker: str
    start_sample: int
    end_sample: int


class MicroDone(FrozenModel):
    """One micro chunk has been decoded somewhere on the cluster.

    `text` is the last line that was heard in it, from `text_sample` on; empty without speech.
    """

    kind: Literal["micro"] = "micro"
    macro_chunk: int
    channel: int | None = None
    worker: str
    end_sample: int
    text: str = ""
    text_sample: int = 0


ChunkEvent = Annotated[ChunkBegun | MicroDone, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class RunningChunk:
    """A macro chunk that a worker is at. Samples at 16 kHz; `done_samples` from its start."""

    macro_chunk: int
    channel: int | None
    worker: str
    start_sample: int
    end_sample: int
    done_samples: int = 0

    @property
    def fraction(self) -> float:
        """Share of the chunk that is done, 0 to 1."""
        length = self.end_sample - self.start_sample
        return min(1.0, self.done_samples / length) if length > 0 else 0.0


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
    cached_samples: int = 0
    total_samples: int | None = None
    working_sec: float = 0.0  # since the first worker took up a chunk
    running: tuple[RunningChunk, ...] = ()
    last_text: str = ""
    last_text_sample: int = 0
    run_url: str = ""

    @property
    def fraction(self) -> float:
        """Share of the recording that is done, 0 to 1."""
        if not self.total_samples:
            return 0.0
        return min(1.0, self.done_samples / self.total_samples)

    @property
    def speed(self) -> float:
        """Seconds of audio transcribed per second of work; what was cached does not count."""
        transcribed_sec = to_seconds(self.done_samples - self.cached_samples)
        return transcribed_sec / self.working_sec if self.working_sec else 0.0

    @property
    def remaining_sec(self) -> float | None:
        """Estimated wall seconds to the end, or None while nothing is known."""
        if not self.total_samples or not self.speed:
            return None
        return max(0.0, to_seconds(self.total_samples - self.done_samples)) / self.speed


ProgressListener = Callable[[RunProgress], None]

# A context variable, because a flow's parameters must be data and a listener is not.
progress_listener: ContextVar[ProgressListener | None] = ContextVar(
    "longform_progress_listener", default=None
)
