"""Subtitle cues: segments laid out in lines short enough to be read while they are spoken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from longform.timeline import SAMPLE_RATE_HZ
from longform.transcript.output import OutputSegment
from longform.transcript.timed_text import Piece, pieces

# What broadcasters ask for: two lines of 42 characters, on screen for at most seven seconds.
MAX_LINES = 2
MAX_LINE_CHARACTERS = 42
MAX_CUE_SAMPLES = 7 * SAMPLE_RATE_HZ

_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 2  # 0.5 s
_CLOSING = "\"'”’)]}»」』）"  # noqa: RUF001
_SENTENCE_END = ".?!…。？！｡։؟۔।"  # noqa: RUF001
_CLAUSE_END = ",;:、，；：،؛"  # noqa: RUF001
_MIN_SHARE = 3  # a good place in the first third of what fits would leave a scrap: not taken


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: `lines` are neither blank nor longer than `MAX_LINE_CHARACTERS`."""

    start_sample: int
    end_sample: int
    lines: tuple[str, ...]


def to_cues(segments: Iterable[OutputSegment]) -> tuple[Cue, ...]:
    """Return the cues of a transcript: in order, not overlapping, no text lost or changed.

    A segment that fits is one cue. One that does not is cut after the end of a sentence, else
    in a pause, else after a comma, else where nothing more fits.
    """
    cues: list[Cue] = []
    for segment in segments:
        rest = pieces(segment, MAX_LINE_CHARACTERS)
        while rest:
            count = _cut(rest)
            earliest = cues[-1].end_sample if cues else 0
            cues.append(_cue(rest[:count], earliest))
            rest = rest[count:]
    return tuple(cues)


def _cue(parts: Sequence[Piece], earliest: int) -> Cue:
    start = max(parts[0].start_sample, earliest)
    end = min(max(parts[-1].end_sample, start), start + MAX_CUE_SAMPLES)
    return Cue(start, end, _lines(parts) or (_line(parts),))


def _cut(parts: Sequence[Piece]) -> int:
    """Return how many of the pieces make the next cue."""
    fitting = 1
    while fitting < len(parts) and _fits(parts[: fitting + 1]):
        fitting += 1
    if fitting == len(parts):
        return fitting
    enough = len(_line(parts[:fitting])) / _MIN_SHARE
    places = [n for n in range(1, fitting + 1) if len(_line(parts[:n])) >= enough]
    return max(places, key=lambda n: (_rank(parts[n - 1], parts[n]), n))


def _fits(parts: Sequence[Piece]) -> bool:
    duration = parts[-1].end_sample - parts[0].start_sample
    return duration <= MAX_CUE_SAMPLES and _lines(parts) is not None


def _rank(before: Piece, after: Piece) -> int:
    """Return how good it is to cut between two pieces; higher is better."""
    last = before.text.strip().rstrip(_CLOSING)[-1:]
    if last and last in _SENTENCE_END:
        return 3
    if after.start_sample - before.end_sample >= _PAUSE_SAMPLES:
        return 2
    return 1 if last and last in _CLAUSE_END else 0


def _lines(parts: Sequence[Piece]) -> tuple[str, ...] | None:
    """Lay pieces out in one line, or in two of nearly equal length; None where they do not fit."""
    whole = _line(parts)
    if len(whole) <= MAX_LINE_CHARACTERS:
        return (whole,)
    if len(whole) > MAX_LINES * MAX_LINE_CHARACTERS + 1:  # one blank is where the line breaks
        return None
    skipped = sum(len(part.text) for part in parts) - len(whole)  # the leading blank
    places = list(accumulate((len(part.text) for part in parts[:-1]), initial=-skipped))[1:]
    pairs = [(whole[:place], whole[place:].lstrip()) for place in places]
    best = min(pairs, key=lambda pair: max(map(len, pair)), default=None)
    return best if best and max(map(len, best)) <= MAX_LINE_CHARACTERS else None


def _line(parts: Sequence[Piece]) -> str:
    return "".join(part.text for part in parts).lstrip()
