"""Segments, words and coverage: what is known about every sample of a recording."""

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from longform.audio import Span
from longform.params import FrozenModel

DecodePath = Literal["greedy", "beam", "fallback"]
# What is wrong with text that was kept all the same, because nothing better was heard:
# it repeats itself, it is improbable, or it stands where no speech was detected.
Flag = Literal["repetition", "low_confidence", "outside_speech"]
CoverageKind = Literal["speech", "non_speech", "damaged", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Word:
    """One word as Whisper writes it: leading space and attached punctuation included.

    No model like the others: ten hours have 90,000 words, and a model takes five times the room.
    """

    start_sample: int
    end_sample: int
    text: str
    probability: float | None = None
    speaker: str | None = None


class Segment(FrozenModel):
    """A stretch of text with its place and the scores of the window it came from."""

    start_sample: int
    end_sample: int
    text: str
    language: str  # Whisper's language code, such as "en"
    language_probability: float | None = None
    words: tuple[Word, ...] = ()
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    decode_path: DecodePath = "beam"
    flags: tuple[Flag, ...] = ()
    channel: int | None = None  # counted from 1; None: all channels folded into one
    speaker: str | None = None  # SPEAKER_00, SPEAKER_01, ... in order of their first words
    macro_chunk: int | None = None
    micro_chunk: int | None = None


def part_of(segment: Segment, words: Sequence[Word]) -> Segment:
    """Return a segment with only some of its words, of which there must be one at least."""
    is_spelled = "".join(word.text for word in segment.words) == segment.text
    return segment.model_copy(
        update={
            "start_sample": words[0].start_sample,
            "end_sample": words[-1].end_sample,
            "text": ("" if is_spelled else " ").join(word.text for word in words),
            "words": tuple(words),
            "tokens": (),  # which of them are whose is not kept
        }
    )


class Interval(FrozenModel):
    """What one stretch of the recording, or of one of its channels, was.

    Intervals tile the recording exactly; where channels are transcribed apart, each channel's do.
    """

    start_sample: int
    end_sample: int
    kind: CoverageKind
    detail: str = ""
    channel: int | None = None  # counted from 1; None: of all channels folded into one

    @property
    def span(self) -> Span:
        """The interval as a span."""
        return Span(self.start_sample, self.end_sample)


class ChunkStats(FrozenModel):
    """What one macro chunk cost, where and when it ran."""

    worker: str = ""
    processing_sec: float = 0.0  # wall time from the first byte to the last segment
    engine_sec: float = 0.0  # its share of the time in which the engine worked
    num_micro_chunks: int = 0
    num_fallbacks: int = 0
    num_dropped_segments: int = 0  # made up where no speech is
    num_recovered_words: int = 0  # heard only when missing speech was decoded again
    memory_note: str = ""  # what the engine ran short of, where memory ran out
    started_at_unix_sec: float = 0.0
    ended_at_unix_sec: float = 0.0


class ChunkResult(FrozenModel):
    """All that is kept of a macro chunk. `coverage` tiles `[start_sample, end_sample)`.

    `end_sample` is what was decoded: for the last chunk of a recording it may differ
    from what was planned. `segments` reach into the guards; `join` decides whose words
    those are. `peaks` is the waveform: a byte for every tenth of a second of the recording's
    grid, from the one on which the chunk begins.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    key: str
    index: int
    start_sample: int
    end_sample: int
    guard_before_samples: int = 0
    guard_after_samples: int = 0
    segments: tuple[Segment, ...]
    coverage: tuple[Interval, ...]
    languages: dict[str, float] = Field(default_factory=dict)  # code -> seconds of speech
    peaks: bytes = Field(b"", repr=False)
    stats: ChunkStats = ChunkStats()

    @property
    def span(self) -> Span:
        """The decoded span, without the guards."""
        return Span(self.start_sample, self.end_sample)

    @property
    def heard_span(self) -> Span:
        """The decoded span with the guards."""
        return Span(
            self.start_sample - self.guard_before_samples,
            self.end_sample + self.guard_after_samples,
        )
