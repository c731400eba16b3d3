"""Scores of a decoded window, and the assessment: keep it, decode it again, or call it silence.

The scores are Whisper's (Radford et al. 2022, section 4.5), and so are the rules on
probability and on silence; what counts as a loop is decided more narrowly than there.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.params import FallbackParams
from longform.speech.segmentation import TimedWord
from longform.transcript.segment import Flag

Assessment = Literal["good", "again", "silence"]

# A phrase said this many times over, back to back, is a loop of the decoder, however sure of
# it the decoder is. People repeat single words and short phrases more often than long ones.
_SHORT_PHRASE_MIN_REPEATS = {1: 8, 2: 5, 3: 4}  # words in the phrase: repeats
_PHRASE_MIN_REPEATS = 3
_LONGEST_PHRASE = 24  # words; three times that is more than is said in 30 s

# Text that compresses well without such a loop is mostly speech that repeats its formulas
# (prompts, roll calls, prayers). All four windows of that kind in our recordings were right,
# at -0.08 to -0.15 per token. So the ratio counts only where the decoder was unsure as well.
_SURE_LOG_PROB = -0.5

# Words that the decoder made up over silence are improbable; real ones beside silence are not.
_DOUBTFUL_WORD_PROBABILITY = 0.5

# A window with this much of its text outside of detected speech was not heard right. Some of
# the words beside a pause are timed into it even where they are.
_MIN_WANDERING_WORDS = 4
_WANDERING_SHARE = 0.3

# Voice activity and Whisper disagree about the end of speech by less than this.
_MAX_UNHEARD_SAMPLES = SAMPLE_RATE_HZ  # 1 s


@dataclass(frozen=True, slots=True)
class Scores:
    """What the decoder says about one hypothesis; `avg_logprob` is per token (natural log)."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


def compression_ratio(text: str) -> float:
    """Return the bytes of `text` over its bytes under zlib; 0 for empty text."""
    raw = text.strip().encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def loops(text: str) -> bool:
    """Return whether a phrase of up to 24 words repeats itself back to back, too often."""
    words = text.casefold().split()
    return any(
        _longest_run(words, length) >= _SHORT_PHRASE_MIN_REPEATS.get(length, _PHRASE_MIN_REPEATS)
        for length in range(1, _LONGEST_PHRASE + 1)
    )


def assess(scores: Scores, params: FallbackParams) -> Assessment:
    """Return what to do with a hypothesis."""
    improbable = scores.avg_logprob < params.log_prob_threshold
    if improbable and scores.no_speech_prob > params.no_speech_threshold:
        return "silence"
    return "again" if improbable or _is_repetitive(scores, params) else "good"


def flags(scores: Scores, params: FallbackParams) -> tuple[Flag, ...]:
    """Return what is still wrong with a hypothesis that is kept."""
    found: list[Flag] = []
    if _is_repetitive(scores, params):
        found.append("repetition")
    if scores.avg_logprob < params.log_prob_threshold:
        found.append("low_confidence")
    return tuple(found)


def least_bad(tried: Sequence[Scores]) -> int:
    """Return the index of the hypothesis to keep where none is good: no loop, most probable."""
    return max(
        range(len(tried)),
        key=lambda index: (not loops(tried[index].text), tried[index].avg_logprob),
    )


def is_outside(words: Iterable[TimedWord], speech: Sequence[Span]) -> bool:
    """Return whether words stand where no speech was detected, all of them."""
    return not any(part.intersection(word.span) for word in words for part in speech)


def is_misaligned(words: Sequence[TimedWord], speech: Sequence[Span]) -> bool:
    """Return whether so many words of a window stand outside of speech that it is to be redone."""
    num_outside = sum(is_outside([word], speech) for word in words)
    return num_outside >= _MIN_WANDERING_WORDS and num_outside > _WANDERING_SHARE * len(words)


def is_doubtful(words: Sequence[TimedWord]) -> bool:
    """Return whether words are improbable, in the mean; there must be some."""
    return sum(word.probability for word in words) / len(words) < _DOUBTFUL_WORD_PROBABILITY


def misses_trailing_speech(chunk: MicroChunk, heard_samples: int | None) -> bool:
    """Return whether more than a second of detected speech lies behind the last time stamp.

    Args:
        chunk: the micro chunk.
        heard_samples: the last time stamp, in samples from the chunk's start; None: no stamp.
    """
    if heard_samples is None:
        return False
    heard_to = chunk.span.start_sample + heard_samples
    left = sum(max(0, s.end_sample - max(s.start_sample, heard_to)) for s in chunk.speech)
    return left > _MAX_UNHEARD_SAMPLES


def _is_repetitive(scores: Scores, params: FallbackParams) -> bool:
    compresses = scores.compression_ratio > params.compression_ratio_threshold
    return loops(scores.text) or (compresses and scores.avg_logprob < _SURE_LOG_PROB)


def _longest_run(words: list[str], length: int) -> int:
    """Return how many times the same `length` words follow one another, at most."""
    longest = equal = 0
    for index in range(length, len(words)):
        equal = equal + 1 if words[index] == words[index - length] else 0
        longest = max(longest, equal)
    return longest // length + 1
