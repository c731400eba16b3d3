"""The smallest pieces of a segment's text that a subtitle may be broken between, with times."""

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from longform.audio import to_samples
from longform.transcript.languages import writes_spaces
from longform.transcript.output import OutputSegment

_BLANK_SEPARATED = re.compile(r"\s*\S+")
# Without spaces, a line may break before any character but a closing mark; Latin words stay whole.
_CHARACTERS = re.compile(r"\s*(?:[A-Za-z0-9]+|\S)[、。，．！？：；）」』”’,.!?:;)\]}»…]*")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that stays on one line: no blanks, but for one at its start where it has any there.

    `timed` pieces have the times of words, others a share of their segment's.
    """

    start_sample: int
    end_sample: int
    text: str
    timed: bool = False


def display_width(text: str) -> int:
    """Return how many columns a text takes: two for a wide character, one for any other."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


def pieces(segment: OutputSegment, max_width: int) -> list[Piece]:
    """Return the pieces of a segment, in order, none wider than `max_width` columns.

    Times come from the words; where there are none, or they say something else than the
    text does, each character gets an equal share of the segment.
    """
    has_times = words_say_text(segment)
    timed = list(_timed_characters(segment, has_times))
    text = "".join(character for character, _, _ in timed)
    found: list[Piece] = []
    for start, end in _bounds(segment, text, max_width):
        shown = text[start:end].lstrip()
        first = end - len(shown)  # a blank belongs to the pause before it
        blank = " " if first > start else ""
        found.append(Piece(timed[first][1], timed[end - 1][2], blank + shown, has_times))
    return found


def words_say_text(segment: OutputSegment) -> bool:
    """Tell whether a segment has words, and they are its text up to whitespace."""
    said = bare(word.word for word in segment.words)
    return bool(segment.words) and said == bare([segment.text])


def _timed_characters(segment: OutputSegment, has_times: bool) -> Iterator[tuple[str, int, int]]:
    words = [(w.word, w.start_time_sec, w.end_time_sec) for w in segment.words]
    if not has_times:
        words = [(segment.text, segment.start_time_sec, segment.end_time_sec)]
    for text, start_sec, end_sec in words:
        start, num_samples = to_samples(start_sec), to_samples(end_sec) - to_samples(start_sec)
        leading = len(text) - len(text.lstrip())
        shares = max(1, len(text.strip()))
        for index, character in enumerate(text):
            place = min(max(0, index - leading), shares)
            upto = min(max(0, index + 1 - leading), shares)
            yield (
                character,
                start + num_samples * place // shares,
                start + num_samples * upto // shares,
            )


def bare(texts: Iterable[str]) -> str:
    """Return texts joined, without any whitespace: what must survive every layout."""
    return "".join("".join(text.split()) for text in texts)


def _bounds(segment: OutputSegment, text: str, limit: int) -> Iterator[tuple[int, int]]:
    for start, end in _unbroken(segment, text):
        while display_width(shown := text[start:end].lstrip()) > limit:
            first = end - len(shown)
            upto = first + _fitting(shown, limit)
            yield start, upto
            start = upto
        yield start, end


def _fitting(text: str, limit: int) -> int:
    """Return how many characters of a text fit into `limit` columns, at least one."""
    widths = accumulate(map(display_width, text))
    return max(1, sum(width <= limit for width in widths))


def _unbroken(segment: OutputSegment, text: str) -> Iterator[tuple[int, int]]:
    pattern = _BLANK_SEPARATED if writes_spaces(segment.bcp47_key) else _CHARACTERS
    spans = [match.span() for match in pattern.finditer(text)]
    if pattern is _CHARACTERS:
        spans = _at_word_ends(segment, text, spans)
    rest = deque(spans)
    while rest:
        start, end = rest.popleft()
        while rest and _is_mark(text[rest[0][0]]):
            end = rest.popleft()[1]
        yield start, end


def _at_word_ends(
    segment: OutputSegment, text: str, spans: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Keep the characters of one word together, where the words are known."""
    if "".join(word.word for word in segment.words) != text or not segment.words:
        return spans
    ends, position = set(), 0
    for word in segment.words:
        position += len(word.word)
        ends.add(position)
    kept: list[tuple[int, int]] = []
    open_at: int | None = None
    for start, end in spans:
        open_at = start if open_at is None else open_at
        if end in ends or end == spans[-1][1]:
            kept.append((open_at, end))
            open_at = None
    return kept


def _is_mark(character: str) -> bool:
    """Tell whether a character only modifies the one before it (accents, Thai vowels, joiners)."""
    return unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
