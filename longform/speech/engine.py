"""The engine protocol: micro chunks in, segments out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from longform.chunking.micro_chunk import MicroChunk
from longform.params import FallbackParams, FrozenModel, Task
from longform.transcript.segment import Segment


class EngineSpec(FrozenModel):
    """Which engine a worker process loads; equal specs share one loaded engine.

    `backend` is a name in `longform.speech.engines.BACKENDS` or a dotted
    `package.module:factory` set by the operator (never by a run's parameters).
    `model_path` is where the weights lie on this host; `model_sha256` is what they must be.
    """

    backend: str = "faster_whisper"
    model: str = "base"
    model_sha256: str | None = None
    device: str = "auto"
    compute_type: str = "default"
    batch_size: int = 8
    cpu_threads: int = 0


class DecodeOptions(FrozenModel):
    """How micro chunks are decoded; only chunks with equal options share a batch."""

    language: str | None = None
    task: Task = "transcribe"
    beam_size: int = 5
    word_timestamps: bool = True
    initial_prompt: str | None = None
    hotwords: str | None = None
    fallback: FallbackParams = FallbackParams()


@dataclass(frozen=True, slots=True)
class LanguageEvidence:
    """Log-probabilities of languages summed over the windows of one stream heard so far.

    Carried from one micro chunk of a macro chunk to the next, so that a window that is
    unsure of its language leans on its neighbours, whatever batch it is decoded in.
    """

    log_prob_sums: tuple[tuple[str, float], ...] = ()
    num_windows: int = 0


@dataclass(frozen=True, slots=True)
class MicroResult:
    """What became of one micro chunk; `segments` is empty where nothing was said."""

    segments: tuple[Segment, ...]
    language: str
    language_probability: float


class Engine(Protocol):
    """A loaded speech model. One instance per process; calls come from one thread at a time."""

    @property
    def identity(self) -> str:
        """Name and version of whatever changes the text, for cache keys and provenance."""
        ...

    def transcribe(self, batch: Sequence[MicroChunk], options: DecodeOptions) -> list[MicroResult]:
        """Decode a batch; one result per micro chunk, in order, on the recording's timeline.

        Raises:
            EngineUnavailableError: when another attempt may succeed.
        """
        ...
