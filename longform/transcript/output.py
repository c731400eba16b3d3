"""`TranscribeOutput`: the public result of a transcription, in seconds and with its provenance."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from longform.audio import to_seconds
from longform.params import FrozenModel, Task, TranscribeParams
from longform.transcript.languages import bcp47_key, language_name, writes_spaces
from longform.transcript.page_material import NO_MATERIAL, PageMaterial
from longform.transcript.row_list import Rows
from longform.transcript.segment import (
    CoverageKind,
    DecodePath,
    Flag,
    Interval,
    Segment,
    Word,
)


def _finite(score: object) -> object:
    """JSON has no NaN and no infinity; a score that is none is not known."""
    return None if isinstance(score, float) and not math.isfinite(score) else score


def _encodable(text: object) -> object:
    """File names on Linux are bytes: what is not UTF-8 in them shows as a question mark."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Score = Annotated[float | None, BeforeValidator(_finite)]
ShownText = Annotated[str, BeforeValidator(_encodable)]


Status = Literal["complete", "complete_with_damage", "incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OutputWord:
    """One word, with the leading space and the punctuation that Whisper gives it."""

    start_time_sec: float
    end_time_sec: float
    word: str
    probability: Score = None
    speaker: str | None = None


class OutputSegment(FrozenModel):
    """A stretch of text on the recording's timeline, in seconds, with its scores."""

    id: int
    start_time_sec: float
    end_time_sec: float
    text: str  # as the model wrote it, with its leading space
    language: str  # English name, such as "english"
    bcp47_key: str
    language_probability: Score = None
    words: tuple[OutputWord, ...] = ()
    tokens: tuple[int, ...] = ()
    temperature: Score = None
    avg_logprob: Score = None
    no_speech_prob: Score = None
    compression_ratio: Score = None
    decode_path: DecodePath = "beam"
    flags: tuple[Flag, ...] = ()
    channel: int | None = None
    speaker: str | None = None
    macro_chunk: int | None = None
    micro_chunk: int | None = None


class Provenance(FrozenModel):
    """What the transcript was made from and with; never a secret.

    `source_address` is redacted by the caller; `access` is `windowed` or `sequential`.
    """

    source_name: ShownText
    source_fingerprint: str
    source_address: ShownText
    parameters: TranscribeParams
    model: str
    model_sha256: str | None
    engine: str
    versions: dict[str, str]
    access: str


class TranscribeOutput(FrozenModel):
    """The transcript of one recording. `coverage` tiles the recording, in samples at 16 kHz.

    Where channels were transcribed apart, `coverage` lists them one after the other, and each
    channel's part tiles the recording; seconds are then summed over the channels.
    `language` is that of most of the speech; None where nothing was said. `files` are
    absolute paths or URLs, in the order in which the formats were asked for. `status` is
    `complete_with_damage` where parts of the recording itself are broken or missing
    (`damaged_sec` seconds), `incomplete` where a chunk failed. `page` is for the HTML
    page only.
    """

    segments: Rows[OutputSegment]
    input_duration_sec: float
    processing_duration_sec: float
    speedup: float  # seconds of recording per second of processing; 0 where none was needed
    language: str | None
    bcp47_key: str | None
    task: Task
    coverage: Rows[Interval]
    provenance: Provenance
    status: Status = "complete"
    damaged_sec: float = 0.0
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    run_url: str = ""
    page: PageMaterial = Field(NO_MATERIAL, exclude=True, repr=False)

    @property
    def text(self) -> str:
        """The whole text. Whisper's segments bring their own spaces; other engines' may not."""
        parts: list[str] = []
        for segment in self.segments:
            glued = parts and not parts[-1][-1:].isspace() and not segment.text[:1].isspace()
            parts += [" ", segment.text] if glued and _spaced(segment) else [segment.text]
        return "".join(parts).strip()

    @property
    def speech_sec(self) -> float:
        """Seconds of the recording in which there was speech."""
        return self._covered_sec("speech")

    @property
    def failed_sec(self) -> float:
        """Seconds of the recording that could not be transcribed."""
        return self._covered_sec("failed")

    def _covered_sec(self, kind: CoverageKind) -> float:
        return covered_sec(self.coverage, kind)


def covered_sec(coverage: Sequence[Interval], kind: CoverageKind) -> float:
    """Return how many seconds of a coverage are of one kind."""
    return to_seconds(sum(part.span.num_samples for part in coverage if part.kind == kind))


def status_of(coverage: Sequence[Interval]) -> Status:
    """Return how complete a transcript with this coverage is."""
    kinds = {part.kind for part in coverage}
    if "failed" in kinds:
        return "incomplete"
    return "complete_with_damage" if "damaged" in kinds else "complete"


def damage_warnings(coverage: Sequence[Interval]) -> tuple[str, ...]:
    """Return one line for people where the recording is damaged."""
    places = sum(part.kind == "damaged" for part in coverage)
    if not places:
        return ()
    return (
        f"{covered_sec(coverage, 'damaged'):.2f} s of the recording are damaged, in {places} "
        f"place{'s' if places > 1 else ''}: what was said there may be missing; coverage names "
        "them",
    )


def to_output(
    *,
    segments: Sequence[Segment],
    coverage: Sequence[Interval],
    num_samples: int,
    processing_duration_sec: float,
    task: Task,
    provenance: Provenance,
    warnings: Sequence[str] = (),
    page: PageMaterial = NO_MATERIAL,
) -> TranscribeOutput:
    """Return the public result of a joined transcript of `num_samples` samples at 16 kHz."""
    duration_sec = to_seconds(num_samples)
    language = main_language(segments)
    return TranscribeOutput(
        segments=Rows(_segment(index, segment) for index, segment in enumerate(segments)),
        input_duration_sec=duration_sec,
        processing_duration_sec=processing_duration_sec,
        speedup=duration_sec / processing_duration_sec if processing_duration_sec > 0 else 0.0,
        language=language_name(language) if language else None,
        bcp47_key=bcp47_key(language) if language else None,
        task=task,
        coverage=Rows(coverage),
        provenance=provenance,
        status=status_of(coverage),
        damaged_sec=covered_sec(coverage, "damaged"),
        warnings=(*warnings, *damage_warnings(coverage)),
        page=page,
    )


def main_language(segments: Sequence[Segment]) -> str | None:
    """Return the code of the language with most time in segments; the first of equals."""
    spoken: Counter[str] = Counter()
    for segment in segments:
        spoken[segment.language] += segment.end_sample - segment.start_sample
    return spoken.most_common(1)[0][0] if spoken else None


def _spaced(segment: OutputSegment) -> bool:
    return writes_spaces(segment.bcp47_key)


def _segment(index: int, segment: Segment) -> OutputSegment:
    return OutputSegment(
        id=index,
        start_time_sec=to_seconds(segment.start_sample),
        end_time_sec=to_seconds(segment.end_sample),
        text=segment.text,
        language=language_name(segment.language),
        bcp47_key=bcp47_key(segment.language),
        language_probability=segment.language_probability,
        words=tuple(_word(word) for word in segment.words),
        tokens=segment.tokens,
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        no_speech_prob=segment.no_speech_prob,
        compression_ratio=segment.compression_ratio,
        decode_path=segment.decode_path,
        flags=segment.flags,
        channel=segment.channel,
        speaker=segment.speaker,
        macro_chunk=segment.macro_chunk,
        micro_chunk=segment.micro_chunk,
    )


def _word(word: Word) -> OutputWord:
    return OutputWord(
        start_time_sec=to_seconds(word.start_sample),
        end_time_sec=to_seconds(word.end_sample),
        word=word.text,
        probability=word.probability,
        speaker=word.speaker,
    )
