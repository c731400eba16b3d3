"""From the words of a window to segments: sentences, with the words they are made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longform.audio import SAMPLE_RATE_HZ, Span


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as Whisper writes it, with its tokens, on the recording's timeline."""

    text: str
    tokens: tuple[int, ...]
    span: Span
    probability: float  # mean over its tokens (0-1)


# A pause this long ends a segment even in mid-sentence: text must not stand over silence.
PAUSE_SAMPLES = SAMPLE_RATE_HZ  # 1 s
# A "sentence" shorter than this is an abbreviation or a number ("Mr.", "2.") more often than
# not, and too short to be read on its own.
MIN_SAMPLES = SAMPLE_RATE_HZ  # 1 s
# Voice activity finds quiet first sounds late and last ones early, by up to this much.
SPEECH_EDGE_SAMPLES = SAMPLE_RATE_HZ // 10  # 0.1 s

_SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)\]»]*$")  # noqa: RUF001


def split_words(words: Sequence[TimedWord]) -> list[list[TimedWord]]:
    """Cut at ends of sentences and at pauses. Keeps every word, in order; no part is empty."""
    parts: list[list[TimedWord]] = []
    for word in words:
        if parts and not _ends(parts[-1], word):
            parts[-1].append(word)
        else:
            parts.append([word])
    return parts


def _ends(sentence: Sequence[TimedWord], following: TimedWord) -> bool:
    last = sentence[-1]
    if following.span.start_sample - last.span.end_sample >= PAUSE_SAMPLES:
        return True
    num_samples = last.span.end_sample - sentence[0].span.start_sample
    return num_samples >= MIN_SAMPLES and _SENTENCE_END.search(last.text) is not None


def fit_to_speech(word: Span, speech: Sequence[Span]) -> Span:
    """Shrink a word to the stretch of speech that it stands in; unchanged where there is none.

    Alignment lets the first word after a pause begin in the pause, and the last one before
    it end there; voice activity knows better where the pause is. A word that reaches over a
    whole pause mostly began too early, at the end of the word before: it is put behind the
    pause, unless it has less than half as much speech there as in front.
    """
    common = [part for each in speech if (part := _widened(each).intersection(word)) is not None]
    most = max((part.num_samples for part in common), default=0)
    shared = [part for part in common if 2 * part.num_samples >= most]
    return max(shared, key=lambda part: part.start_sample, default=word)


def _widened(speech: Span) -> Span:
    start = max(0, speech.start_sample - SPEECH_EDGE_SAMPLES)
    return Span(start, speech.end_sample + SPEECH_EDGE_SAMPLES)
