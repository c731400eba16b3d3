"""A macro chunk as a piece of work: what a worker is told, and where its audio comes from."""

from typing import Annotated, Literal

from pydantic import Field

from longform.audio import Span, clock
from longform.media.model import DamagedSpan, Recording
from longform.media.sources import signed_urls
from longform.media.sources.signed_urls import Credential
from longform.media.spool import WorkFile
from longform.params import FrozenModel, TranscribeParams
from longform.speech.engine import DecodeOptions, EngineSpec
from longform.speech.engine_choice import compute_types_of, decode_options
from longform.transcript.segment import ChunkStats


class WindowAudio(FrozenModel):
    """Audio that the worker reads itself, from its own byte ranges of the source."""

    kind: Literal["window"] = "window"
    recording: Recording
    open_ended: bool


class SpooledAudio(FrozenModel):
    """Audio that one sequential pass has already decoded into the work store."""

    kind: Literal["spool"] = "spool"
    file: WorkFile
    damaged: tuple[DamagedSpan, ...] = ()


class WholeAudio(FrozenModel):
    """A whole recording as one macro chunk, decoded in one pass."""

    kind: Literal["whole"] = "whole"
    recording: Recording


AudioSource = Annotated[WindowAudio | SpooledAudio | WholeAudio, Field(discriminator="kind")]


class ChunkReference(FrozenModel):
    """What a worker returns of a chunk: where its result lies, and what it cost; never words.

    `key` is that of the result in the chunk store; the span is what was decoded.
    """

    key: str
    start_sample: int
    end_sample: int
    stats: ChunkStats


class ChunkClaimedElsewhere(FrozenModel):
    """Says, in the place of a result, that another run computes the chunk just now."""

    key: str


class MustRunAlone(FrozenModel):
    """Says, in the place of a result, that the chunk has to have its process for itself.

    A process that dies takes all of its chunks with it, and only one was to blame. One that was
    there at a death runs alone the next time: where the process dies again, it is the one.
    """

    key: str


# What becomes of a chunk on a worker, where it does not end in an error.
ChunkEnding = ChunkReference | ChunkClaimedElsewhere | MustRunAlone


class MacroChunkJob(FrozenModel):
    """Everything a worker needs for one macro chunk. It holds no audio.

    `execution` tells one execution of a flow run from another one of the same run; `is_alone`
    says that the worker process has been given no other chunk beside this one.
    """

    key: str
    # The key by number type, where the device that a worker has decides on that type.
    key_by_compute_type: dict[str, str] = Field(default_factory=dict)
    run_id: str
    execution: str = ""
    use_cache: bool = True
    is_alone: bool = False
    name: str
    index: int
    channel: int | None = None  # counted from 1, where channels are transcribed apart
    start_sample: int
    end_sample: int
    guard_before_samples: int = 0
    guard_after_samples: int = 0
    audio: AudioSource
    params: TranscribeParams
    engine: EngineSpec
    chunk_store_url: str

    def computed_here(self) -> "MacroChunkJob":
        """Return the job with the key that belongs to what this process computes in."""
        if len(self.key_by_compute_type) < 2:
            return self
        key = self.key_by_compute_type[compute_types_of(self.engine)[0]]
        return self.model_copy(update={"key": key})

    @property
    def span(self) -> Span:
        """The planned span."""
        return Span(self.start_sample, self.end_sample)

    @property
    def address(self) -> Credential | None:
        """What a process that has not opened the source must know to read the audio."""
        if isinstance(self.audio, SpooledAudio):
            return None
        return signed_urls.credential_for(self.audio.recording.source.url)

    @property
    def heard_span(self) -> Span:
        """The span with its guards: what is decoded."""
        return Span(
            self.start_sample - self.guard_before_samples,
            self.end_sample + self.guard_after_samples,
        )

    @property
    def options(self) -> DecodeOptions:
        """How its micro chunks are decoded; a guard is told apart by the times of its words."""
        options = decode_options(self.params)
        is_guarded = self.guard_before_samples or self.guard_after_samples
        return options.model_copy(update={"word_timestamps": True}) if is_guarded else options

    @property
    def label(self) -> str:
        """Name for people: which recording, which stretch."""
        channel = f" channel {self.channel}" if self.channel is not None else ""
        return f"{self.name}{channel} {clock(self.start_sample)}-{clock(self.end_sample)}"
