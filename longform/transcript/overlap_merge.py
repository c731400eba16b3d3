"""Where two chunks that listened into each other meet: every word is taken from one of them.

Both sides of a guarded boundary have heard the same few seconds. The text changes from one to
the other behind a word that both heard, at the same time, as near to the boundary as there
is one. Where they heard nothing alike, words belong to the side in which their midpoint lies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.transcript.segment import ChunkResult, Segment, Word, part_of

# Two windows time the same word alike to within this; two words of the same text that follow
# one another ("no, no") are further apart.
_SAME_WORD_SAMPLES = SAMPLE_RATE_HZ * 15 // 100  # 0.15 s, between midpoints

_BARE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word, or a segment whose words are not known."""

    start_sample: int
    end_sample: int
    text: str
    probability: float

    @property
    def twice_middle(self) -> int:
        """Twice the midpoint, which may lie between two samples."""
        return self.start_sample + self.end_sample


def without_overlap(results: Sequence[ChunkResult]) -> list[list[Segment]]:
    """Return the segments of each chunk without what its neighbours say better.

    Args:
        results: chunks in order of time. Where one is missing, its neighbours keep to their
            own spans.
    """
    units = [_units(result) for result in results]
    firsts = [0] * len(results)
    lasts = [len(each) for each in units]
    for number, result in enumerate(results):
        if result.guard_before_samples:
            firsts[number] = _num_before(units[number], result.start_sample)
        if result.guard_after_samples:
            lasts[number] = _num_before(units[number], result.end_sample)
    for number, (left, right) in enumerate(pairwise(results)):
        if guard := _common_guard(left, right):
            zone = Span(left.end_sample - guard, left.end_sample + guard)
            seam = _seam(units[number], units[number + 1], zone)
            lasts[number], firsts[number + 1] = seam
    return [
        _kept(result.segments, first, max(first, last))
        for result, first, last in zip(results, firsts, lasts, strict=True)
    ]


def _common_guard(left: ChunkResult, right: ChunkResult) -> int:
    """Return how far both chunks have heard on both sides of their boundary; 0: not at all."""
    if left.end_sample != right.start_sample:
        return 0
    # Half a chunk at most, so that the two seams of a chunk cannot cross.
    halves = (result.span.num_samples // 2 for result in (left, right))
    return min(left.guard_after_samples, right.guard_before_samples, *halves)


def _seam(before: Sequence[_Unit], after: Sequence[_Unit], zone: Span) -> tuple[int, int]:
    """Return how many units of the left chunk are kept, and the first of the right that is."""
    boundary = (zone.start_sample + zone.end_sample) // 2
    alike = [
        (abs(mine.twice_middle + other.twice_middle - 4 * boundary), i, j)
        for i, mine in enumerate(before)
        for j, other in enumerate(after)
        if _is_in(mine, zone) and _is_in(other, zone) and _same(mine, other)
    ]
    if not alike:
        return _by_midpoint(before, after, boundary)
    _, i, j = min(alike)
    is_left = before[i].twice_middle < 2 * boundary
    return (i + 1, j + 1) if is_left else (i, j)


def _by_midpoint(before: Sequence[_Unit], after: Sequence[_Unit], boundary: int) -> tuple[int, int]:
    """Cut at the boundary; a word that both or neither would keep is kept once."""
    last, first = _num_before(before, boundary), _num_before(after, boundary)
    if last and first < len(after) and _overlap(before[last - 1], after[first]):
        keeps_left = before[last - 1].probability >= after[first].probability
        return (last, first + 1) if keeps_left else (last - 1, first)
    if last < len(before) and first and _overlap(before[last], after[first - 1]):
        keeps_left = before[last].probability >= after[first - 1].probability
        return (last + 1, first) if keeps_left else (last, first - 1)
    return last, first


def _num_before(units: Sequence[_Unit], boundary: int) -> int:
    """Return how many units come before the first whose midpoint is not before `boundary`."""
    return next(
        (n for n, unit in enumerate(units) if unit.twice_middle >= 2 * boundary), len(units)
    )


def _is_in(unit: _Unit, zone: Span) -> bool:
    return 2 * zone.start_sample <= unit.twice_middle <= 2 * zone.end_sample


def _same(mine: _Unit, other: _Unit) -> bool:
    apart = abs(mine.twice_middle - other.twice_middle)
    return mine.text == other.text != "" and apart <= 2 * _SAME_WORD_SAMPLES


def _overlap(mine: _Unit, other: _Unit) -> bool:
    """Return whether two words stand for the same sound: half of the shorter is common."""
    common = min(mine.end_sample, other.end_sample) - max(mine.start_sample, other.start_sample)
    shorter = min(unit.end_sample - unit.start_sample for unit in (mine, other))
    return common > 0 and 2 * common >= shorter


def _units(result: ChunkResult) -> list[_Unit]:
    return [_unit(part) for segment in result.segments for part in segment.words or (segment,)]


def _unit(part: Word | Segment) -> _Unit:
    probability = part.probability if isinstance(part, Word) else None
    start, end = sorted((part.start_sample, part.end_sample))
    return _Unit(start, end, _BARE.sub("", part.text.casefold()), probability or 0.0)


def _kept(segments: Sequence[Segment], first: int, last: int) -> list[Segment]:
    """Return the segments with only the units `[first, last)` of all of them."""
    kept, position = [], 0
    for segment in segments:
        count = len(segment.words) or 1
        begin, end = max(first - position, 0), min(last - position, count)
        position += count
        if (begin, end) == (0, count):
            kept.append(segment)
        elif begin < end:
            kept.append(part_of(segment, segment.words[begin:end]))
    return kept
