"""Scores of a decoded window, and the verdict: keep it, decode it again, or call it silence.

The thresholds and the first two rules are those of Whisper (Radford et al. 2022, section 4.5);
the rule on repeated word sequences is ours.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

from longform.params import FallbackParams

Verdict = Literal["good", "again", "silence"]

# A phrase of n words said k times over without a pause is a loop of the decoder. People do
# repeat single words ("no no no no") and read lists of numbers, so short phrases get more leave.
_LOOP_MIN_REPEATS = {1: 8, 2: 5, 3: 4, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3}


@dataclass(frozen=True, slots=True)
class Scores:
    """What the decoder says about one hypothesis."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


def compression_ratio(text: str) -> float:
    """Return the bytes of `text` over its bytes under zlib; 0 for empty text."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def loops(text: str) -> bool:
    """Return whether a sequence of 1 to 8 words repeats itself back to back, too often."""
    words = text.casefold().split()
    return any(
        _longest_run(words, length) >= repeats for length, repeats in _LOOP_MIN_REPEATS.items()
    )


def judge(scores: Scores, params: FallbackParams) -> Verdict:
    """Return what to do with a hypothesis."""
    improbable = scores.avg_logprob < params.log_prob_threshold
    if improbable and scores.no_speech_prob > params.no_speech_threshold:
        return "silence"
    repetitive = scores.compression_ratio > params.compression_ratio_threshold
    return "again" if improbable or repetitive or loops(scores.text) else "good"


def _longest_run(words: list[str], length: int) -> int:
    """Return how many times the same `length` words follow one another, at most."""
    longest = equal = 0
    for index in range(length, len(words)):
        equal = equal + 1 if words[index] == words[index - length] else 0
        longest = max(longest, equal)
    return longest // length + 1


def better_of(tried: list[Scores], params: FallbackParams) -> int:
    """Return the index of the least bad hypothesis where none is good.

    As in Whisper: the most probable one among those that do not repeat themselves.
    """

    def rank(index: int) -> tuple[bool, float]:
        scores = tried[index]
        loop = scores.compression_ratio > params.compression_ratio_threshold or loops(scores.text)
        return not loop, scores.avg_logprob

    return max(range(len(tried)), key=rank)
