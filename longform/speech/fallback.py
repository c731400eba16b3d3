"""Decoding again what the verdict rejects: Whisper's ladder of temperatures, window by window."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from longform.chunking.micro_chunk import MicroChunk
from longform.speech.engine import DecodeOptions
from longform.speech.verdict import flags, judge, least_bad
from longform.speech.whisper_windows import EncodedWindows, Hypothesis, WhisperWindows
from longform.transcript.segment import Flag

# The ladder of Whisper: the first rung that passes the verdict is taken.
_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is kept of a window (None: it is silence), and how often it was decoded again."""

    kept: Hypothesis | None
    num_fallbacks: int = 0
    flags: tuple[Flag, ...] = ()


def settle(
    windows: WhisperWindows,
    encoded: EncodedWindows,
    index: int,
    chunk: MicroChunk,
    language: str,
    first: Hypothesis,
    options: DecodeOptions,
) -> Settled:
    """Take the first result where the verdict is good, else what the ladder comes to."""
    verdict = judge(first.scores, options.fallback)
    if verdict == "silence":
        return Settled(None)
    if verdict == "good":
        return Settled(first)
    return climb(windows, encoded, index, chunk, language, first, options)


def climb(
    windows: WhisperWindows,
    encoded: EncodedWindows,
    index: int,
    chunk: MicroChunk,
    language: str,
    first: Hypothesis,
    options: DecodeOptions,
) -> Settled:
    """Sample at rising temperatures until the verdict is not `again`; keep the least bad.

    A sample that says what was said before settles it too: a loop of the decoder seldom
    survives sampling word for word, a speaker who repeats himself does. The random numbers
    come from the audio alone, so that the same window has the same text every time.
    """
    tried = [first]
    seed = zlib.crc32(chunk.pcm.tobytes()) & 0x7FFF_FFFF
    with windows.sampling(encoded, index, language, options, seed) as sample:
        for temperature in _TEMPERATURES:
            tried.append(sample(temperature))
            if judge(tried[-1].scores, options.fallback) != "again" or _repeats(tried):
                break
    verdict = judge(tried[-1].scores, options.fallback)
    if verdict == "silence":
        return Settled(None, len(tried) - 1)
    best = -1 if verdict == "good" else least_bad([each.scores for each in tried])
    kept = tried[best]
    return Settled(kept, len(tried) - 1, flags(kept.scores, options.fallback))


def _repeats(tried: Sequence[Hypothesis]) -> bool:
    *earlier, last = (each.scores.text.casefold() for each in tried)
    return last in earlier
