"""The engine protocol: micro chunks in, segments out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from longform.chunking.micro_chunk import MicroChunk
from longform.params import FallbackParams, FrozenModel, Task
from longform.speech.language import LanguageVotes
from longform.transcript.segment import Segment

# Raised whenever the same weights and parameters may give another text than before, so that
# no transcript of an older decoder is taken from a cache.
DECODER_VERSION = 5


class RemoteService(FrozenModel):
    """A model service as a run found it. The key for it is never part of this.

    Attributes:
        url: base address of its API, ending in `/v1`.
        identity: what it says about model and engine, for cache keys; never the address.
        speaks_longform: it takes micro chunks as they are and answers in samples.
    """

    url: str
    identity: str
    speaks_longform: bool = False


class EngineSpec(FrozenModel):
    """Which engine a worker process loads; equal specs share one loaded engine.

    `backend` is a name in `longform.speech.engines.BACKENDS` or a dotted
    `package.module:factory` set by the operator (never by a run's parameters).
    `model` is resolved again on each host; `model_sha256` is what it must be there.
    """

    backend: str = "faster_whisper"
    model: str = "base"
    model_sha256: str | None = None
    device: str = "auto"
    compute_type: str = "default"
    batch_size: int = 8
    cpu_threads: int = 0
    remote: RemoteService | None = None
    features: str = "auto"  # see longform.speech.features.choose.choose_features


class DecodeOptions(FrozenModel):
    """How micro chunks are decoded; only chunks with equal options share a batch.

    `halves_follow` says that a window which is not sure of its language is decoded again in
    halves by the caller, so that nothing else need be tried on the whole. It is said of each
    chunk, and may differ within a batch.
    """

    language: str | None = None
    languages: tuple[str, ...] = ()
    task: Task = "transcribe"
    beam_size: int = 5
    word_timestamps: bool = True
    initial_prompt: str | None = None
    hotwords: str | None = None
    fallback: FallbackParams = FallbackParams()
    halves_follow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MicroRequest:
    """A micro chunk to decode, with what its stream has said about its language so far."""

    chunk: MicroChunk
    languages: LanguageVotes
    halves_follow: bool = False


@dataclass(frozen=True, slots=True)
class MicroResult:
    """What became of one micro chunk; `segments` is empty where nothing was said.

    Attributes:
        segments: in order, inside the micro chunk's span.
        language: Whisper's code of the language it was decoded in.
        language_probability: how probable that language was (0-1).
        num_fallbacks: how many more times it was decoded because a result was rejected.
        num_dropped_segments: text that was made up where no speech is, and taken out.
        num_recovered_words: what was heard only in a second attempt at speech without words.
        is_sure_of_language: whether the micro chunk tells its language by itself.
        engine_sec: its share of the time that the engine's calls took; the caller fills it in.
    """

    segments: tuple[Segment, ...]
    language: str
    language_probability: float
    num_fallbacks: int = 0
    num_dropped_segments: int = 0
    num_recovered_words: int = 0
    is_sure_of_language: bool = True
    engine_sec: float = field(default=0.0, compare=False)


class Engine(Protocol):
    """A loaded speech model. One instance per process; calls come from one thread at a time."""

    @property
    def identity(self) -> str:
        """Name and version of whatever changes the text, for cache keys and provenance."""
        ...

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Decode a batch; one result per micro chunk, in order, on the recording's timeline.

        Raises:
            EngineUnavailableError: when another attempt may succeed.
        """
        ...
