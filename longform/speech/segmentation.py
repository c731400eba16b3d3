"""From the words of a window to segments that can stand as subtitles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longform.timeline import SAMPLE_RATE_HZ, Span


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as Whisper writes it, with its tokens, on the recording's timeline."""

    text: str
    tokens: tuple[int, ...]
    span: Span
    probability: float  # mean over its tokens (0-1)


# What a subtitle holds by common practice: two lines of 42 characters, up to 7 seconds.
MAX_CHARACTERS = 84
MAX_SAMPLES = 7 * SAMPLE_RATE_HZ
# A pause this long ends a subtitle even in mid-sentence: text must not stand over silence.
PAUSE_SAMPLES = SAMPLE_RATE_HZ
# A "sentence" shorter than this is an abbreviation or a number ("Mr.", "2.") more often than
# not, and too short to be read on its own.
MIN_SAMPLES = SAMPLE_RATE_HZ

_SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)\]»]*$")  # noqa: RUF001
_CLAUSE_END = re.compile(r"[,;:–—，；：、]['\"”’)\]»]*$")  # noqa: RUF001


def split_words(words: Sequence[TimedWord]) -> list[list[TimedWord]]:
    """Cut at ends of sentences and at pauses; cut what is then still too long in its middle.

    Keeps every word, in order; no part is empty.
    """
    sentences: list[list[TimedWord]] = []
    current: list[TimedWord] = []
    for word in words:
        if current and _ends(current, word):
            sentences.append(current)
            current = []
        current.append(word)
    if current:
        sentences.append(current)
    return [part for sentence in sentences for part in _split_long(sentence)]


def _ends(current: list[TimedWord], following: TimedWord) -> bool:
    last = current[-1]
    if following.span.start_sample - last.span.end_sample >= PAUSE_SAMPLES:
        return True
    num_samples = last.span.end_sample - current[0].span.start_sample
    return num_samples >= MIN_SAMPLES and _SENTENCE_END.search(last.text) is not None


def _split_long(words: list[TimedWord]) -> list[list[TimedWord]]:
    num_characters = sum(len(word.text) for word in words)
    num_samples = words[-1].span.end_sample - words[0].span.start_sample
    if len(words) < 2 or (num_characters <= MAX_CHARACTERS and num_samples <= MAX_SAMPLES):
        return [words]
    cut = _best_cut(words)
    return _split_long(words[:cut]) + _split_long(words[cut:])


def _best_cut(words: list[TimedWord]) -> int:
    """Return the index before which to cut: after a clause, at a pause, near the middle."""
    middle = len(words) / 2
    near_middle = range(max(1, len(words) // 4), max(2, -(-3 * len(words) // 4)))

    def merit(index: int) -> tuple[bool, int, float]:
        before, after = words[index - 1], words[index]
        pause = max(0, after.span.start_sample - before.span.end_sample)
        return _CLAUSE_END.search(before.text) is not None, pause, -abs(index - middle)

    return max(near_middle, key=merit)


def fit_to_speech(word: Span, speech: Sequence[Span]) -> Span:
    """Shrink a word to the stretch of speech it overlaps most; unchanged where there is none.

    Alignment lets the first word after a pause begin in the pause, and the last one before
    it end there; voice activity knows better where the pause is.
    """
    common = [part for each in speech if (part := each.intersection(word)) is not None]
    return max(common, key=lambda part: part.num_samples, default=word)
