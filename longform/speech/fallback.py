"""Whisper's temperature fallback, window by window: what is assessed as bad is sampled again."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from longform.chunking.micro_chunk import MicroChunk
from longform.speech.decode_quality import assess, flags, least_bad
from longform.speech.encoded_windows import EncodedWindows
from longform.speech.engine import DecodeOptions
from longform.speech.whisper_windows import Hypothesis, WhisperWindows
from longform.transcript.segment import Flag

# The ladder of Whisper: the first rung that passes the assessment is taken.
_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Decided:
    """What is kept of a window (None: it is silence), and how often it was decoded again."""

    kept: Hypothesis | None
    num_fallbacks: int = 0
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class TemperatureFallback:
    """Decodes windows of one encoded batch again, where that is called for."""

    windows: WhisperWindows
    encoded: EncodedWindows
    options: DecodeOptions

    def decide(self, index: int, chunk: MicroChunk, language: str, first: Hypothesis) -> Decided:
        """Take the first result where the assessment is good, else what the ladder comes to."""
        if assess(first.scores, self.options.fallback) == "again":
            return self.resample(index, chunk, language, first)
        return self.accept(first)

    def accept(self, first: Hypothesis) -> Decided:
        """Take the first result as it is, unless it is silence; flagged where it is not good."""
        assessment = assess(first.scores, self.options.fallback)
        if assessment == "silence":
            return Decided(None)
        marks = () if assessment == "good" else flags(first.scores, self.options.fallback)
        return Decided(first, flags=marks)

    def resample(self, index: int, chunk: MicroChunk, language: str, first: Hypothesis) -> Decided:
        """Sample at rising temperatures until the assessment is not `again`; keep the least bad.

        A sample that says what was said before settles it too: a loop of the decoder seldom
        survives sampling word for word, a speaker who repeats himself does. The random numbers
        come from the audio alone, so that the same window has the same text every time.
        """
        params = self.options.fallback
        tried = [first]
        seed = zlib.crc32(chunk.pcm.tobytes()) & 0x7FFF_FFFF
        with self.windows.sampling(self.encoded, index, language, self.options, seed) as sample:
            for temperature in _TEMPERATURES:
                tried.append(sample(temperature))
                if assess(tried[-1].scores, params) != "again" or _repeats(tried):
                    break
        assessment = assess(tried[-1].scores, params)
        if assessment == "silence":
            return Decided(None, len(tried) - 1)
        best = -1 if assessment == "good" else least_bad([each.scores for each in tried])
        kept = tried[best]
        return Decided(kept, len(tried) - 1, flags(kept.scores, params))


def _repeats(tried: Sequence[Hypothesis]) -> bool:
    *earlier, last = (each.scores.text.casefold() for each in tried)
    return last in earlier
