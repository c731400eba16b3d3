"""Transcripts for the page's tests: a real recording of beeps, and words of known times."""

import io
import wave
from collections.abc import Sequence

import numpy as np

from longform.audio import SAMPLE_RATE_HZ
from longform.transcript.output import TranscribeOutput, to_output
from longform.transcript.page_material import NO_MEDIA, PageMaterial, PageMedia, Peaks
from longform.transcript.segment import Interval, Segment, Word
from tests.support.transcripts import provenance

WORD_SEC = 0.5  # each word of these transcripts lasts this long
WORDS_PER_SEGMENT = 8
UNSURE = 0.2  # probability of every tenth word; the others are sure


def beeps(seconds: float) -> bytes:
    """Return a WAV file that browsers play: a beep a second."""
    time = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pcm = (8_000 * np.sin(2_764 * time) * (time % 1 < 0.5)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE_HZ)
        target.writeframes(pcm.tobytes())
    return file.getvalue()


def spoken(texts: Sequence[str], start_sec: float = 0.0, language: str = "en") -> list[Segment]:
    """Return segments whose words follow each other, each `WORD_SEC` long."""
    position, segments = round(start_sec * SAMPLE_RATE_HZ), []
    for text in texts:
        words = []
        for number, word in enumerate(text.split()):
            end = position + round(WORD_SEC * SAMPLE_RATE_HZ)
            sure = UNSURE if number % 10 == 9 else 0.95
            words.append(
                Word(start_sample=position, end_sample=end, text=f" {word}", probability=sure)
            )
            position = end
        segments.append(
            Segment(
                start_sample=words[0].start_sample,
                end_sample=position,
                text=f" {text}",
                words=tuple(words),
                language=language,
            )
        )
    return segments


def transcript(
    segments: Sequence[Segment],
    *,
    name: str = "talk.wav",
    coverage: Sequence[Interval] = (),
    media: PageMedia = NO_MEDIA,
    peaks: bytes = b"",
) -> TranscribeOutput:
    """Return the output of these segments with all that the page needs."""
    num_samples = max([s.end_sample for s in segments] + [p.end_sample for p in coverage] + [1])
    whole = (Interval(start_sample=0, end_sample=num_samples, kind="speech"),)
    return to_output(
        segments=segments,
        coverage=coverage or whole,
        num_samples=num_samples,
        processing_duration_sec=2.0,
        task="transcribe",
        provenance=provenance(name),
        page=PageMaterial(
            peaks=peaks or _some_peaks(num_samples),
            macro_starts=(0, num_samples // 2),
            micro_starts=tuple(range(0, num_samples, 10 * SAMPLE_RATE_HZ)),
            media=media,
        ),
    )


def _some_peaks(num_samples: int) -> bytes:
    peaks = Peaks(0)
    noise = np.random.default_rng(1).integers(-20_000, 20_000, num_samples, dtype=np.int16)
    peaks.push(noise)
    return peaks.bars()


def heard(segments: Sequence[Segment], **options: object) -> TranscribeOutput:
    """Return the output of these segments with a recording inside, as long as they are."""
    seconds = max(segment.end_sample for segment in segments) / SAMPLE_RATE_HZ
    media = PageMedia(mime="audio/wav", content=beeps(seconds))
    return transcript(segments, media=media, **options)  # type: ignore[arg-type]
