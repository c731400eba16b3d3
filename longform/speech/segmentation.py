"""From the tokens of a window to subtitle-sized pieces of text with their places."""

from collections.abc import Sequence
from dataclasses import dataclass

from longform.timeline import Span

SAMPLES_PER_TIMESTAMP = 320  # Whisper's time stamps count in steps of 20 ms


@dataclass(frozen=True, slots=True)
class Piece:
    """Text tokens between two time stamps; samples count from the start of the window."""

    tokens: tuple[int, ...]
    start_sample: int
    end_sample: int


def split_at_timestamps(
    tokens: Sequence[int], timestamp_begin: int, num_samples: int
) -> list[Piece]:
    """Split tokens at Whisper's time stamps; text without one ends with the window.

    Args:
        tokens: text tokens and time stamps, as decoded.
        timestamp_begin: the token that means 0.00 s.
        num_samples: length of the window; no piece ends after it.
    """
    pieces: list[Piece] = []
    text: list[int] = []
    start = 0
    for token in tokens:
        if token < timestamp_begin:
            text.append(token)
            continue
        position = min((token - timestamp_begin) * SAMPLES_PER_TIMESTAMP, num_samples)
        if text:
            pieces.append(Piece(tuple(text), start, max(start, position)))
            text = []
        start = max(start, position)
    if text:
        pieces.append(Piece(tuple(text), start, num_samples))
    return pieces


def fit_to_speech(word: Span, speech: Sequence[Span]) -> Span:
    """Shrink a word to the speech it overlaps; return it unchanged where there is none.

    Alignment lets the first word after a pause begin in the pause, and the last one before
    it end there; voice activity knows better where the pause is.
    """
    touched = [part for part in speech if part.intersection(word) is not None]
    if not touched:
        return word
    start = max(word.start_sample, touched[0].start_sample)
    return Span(start, min(word.end_sample, touched[-1].end_sample))
