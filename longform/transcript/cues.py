"""Subtitle cues: segments laid out in lines short enough to be read while they are spoken."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from longform.audio import SAMPLE_RATE_HZ, to_samples
from longform.params import SubtitleParams
from longform.transcript.output import OutputSegment
from longform.transcript.speaker_label import voice
from longform.transcript.text_pieces import Piece, display_width, pieces

_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 2  # 0.5 s
_CLOSING = "\"'”’)]}»」』）"  # noqa: RUF001
_SENTENCE_END = ".?!…。？！｡։؟۔।"  # noqa: RUF001
_CLAUSE_END = ",;:、，；：،؛"  # noqa: RUF001
_MIN_SHARE = 3  # a good place in the first third of what fits would leave a scrap: not taken


@dataclass(frozen=True, slots=True)
class CueWord:
    """Where and when a word of a cue stands: `lines[line][start:end]`."""

    start_sample: int
    end_sample: int
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle. `lines` are not blank; `words` are those whose times are known.

    `voice` is the speaker or the channel, "" where neither is known; it takes no room in
    the lines. Only cues of different channels stand at the same time.
    """

    start_sample: int
    end_sample: int
    lines: tuple[str, ...]
    words: tuple[CueWord, ...] = ()
    voice: str = ""
    channel: int | None = None


def to_cues(
    segments: Iterable[OutputSegment],
    layout: SubtitleParams,
    end_sample: int | None = None,
) -> tuple[Cue, ...]:
    """Return the cues of a transcript by start, no text lost or changed.

    What fits is one cue. What does not is cut after the end of a sentence, else in a pause,
    else after a comma, else where nothing more fits. A segment that ends in mid-sentence goes
    on in the next one. Cues of one channel do not overlap.

    Args:
        segments: in order.
        layout: limits; kept wherever a single word allows it.
        end_sample: the end of the recording, after which nothing is shown.
    """
    lanes: dict[int | None, list[OutputSegment]] = {}
    for segment in segments:
        lanes.setdefault(segment.channel, []).append(segment)
    cues = [cue for lane in lanes.values() for cue in _lane(lane, layout, end_sample)]
    return tuple(sorted(cues, key=lambda cue: cue.start_sample))


def _lane(
    segments: Sequence[OutputSegment], layout: SubtitleParams, end_sample: int | None
) -> list[Cue]:
    cues: list[Cue] = []
    for run in _runs(segments):
        parts, at = _pieces(run, layout.max_line_width), 0
        while at < len(parts):
            upto = at + _cut(parts, at, layout)
            earliest = cues[-1].end_sample if cues else 0
            cues.append(_cue(parts[at:upto], earliest, run[0], layout))
            at = upto
    return _held(cues, layout, end_sample)


def _runs(segments: Sequence[OutputSegment]) -> list[list[OutputSegment]]:
    """Put segments together that are parts of one sentence."""
    runs: list[list[OutputSegment]] = []
    for segment in segments:
        if runs and _goes_on(runs[-1][-1], segment):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _goes_on(before: OutputSegment, after: OutputSegment) -> bool:
    if not (before.words and after.words) or _last_character(before.text) in _SENTENCE_END:
        return False
    same = voice(before) == voice(after) and before.bcp47_key == after.bcp47_key
    pause = to_samples(after.start_time_sec) - to_samples(before.end_time_sec)
    return same and 0 <= pause < _PAUSE_SAMPLES


def _pieces(run: Sequence[OutputSegment], max_width: int) -> list[Piece]:
    return [piece for segment in run for piece in pieces(segment, max_width)]


def _cut(parts: Sequence[Piece], at: int, layout: SubtitleParams) -> int:
    """Return how many of the pieces from `at` on make the next cue."""
    fitting = _fitting(parts, at, layout)
    if at + fitting == len(parts):
        return fitting
    lengths = [*accumulate(len(part.text) for part in parts[at : at + fitting])]
    blank = len(parts[at].text) - len(parts[at].text.lstrip())
    enough = (lengths[-1] - blank) / _MIN_SHARE
    places = [n for n, length in enumerate(lengths, 1) if length - blank >= enough]
    return max(places, key=lambda n: (_rank(parts[at + n - 1], parts[at + n]), n))


def _fitting(parts: Sequence[Piece], at: int, layout: SubtitleParams) -> int:
    """Return how many of the pieces from `at` on fit into one cue, at least one."""
    latest = parts[at].start_sample + to_samples(layout.max_cue_sec)
    most = layout.max_words_per_line or len(parts)
    lines = _Lines(layout.max_line_width)
    for count in range(len(parts) - at):
        part = parts[at + count]
        lines.add(part)
        fits = part.end_sample <= latest and count < most and lines.number <= layout.max_line_count
        if count and not fits:
            return count
    return len(parts) - at


def _rank(before: Piece, after: Piece) -> int:
    """Return how good it is to cut between two pieces; higher is better."""
    last = _last_character(before.text)
    if last in _SENTENCE_END:
        return 3
    if after.start_sample - before.end_sample >= _PAUSE_SAMPLES:
        return 2
    return 1 if last in _CLAUSE_END else 0


def _last_character(text: str) -> str:
    """Return the last character that is no closing bracket or quote; a blank where none is."""
    return text.strip().rstrip(_CLOSING)[-1:] or " "


def _filled(parts: Sequence[Piece], width: int) -> list[list[Piece]]:
    """Put pieces into lines, each as full as `width` allows."""
    lines, found = _Lines(width), list[list[Piece]]()
    for part in parts:
        lines.add(part)
        if lines.number > len(found):
            found.append([])
        found[-1].append(part)
    return found


@dataclass(slots=True)
class _Lines:
    """How many lines of a width the pieces so far take, each as full as can be."""

    width: int
    number: int = 0
    room: int = 0

    def add(self, part: Piece) -> None:
        taken = display_width(part.text)
        if not self.number or taken > self.room:
            self.number += 1
            self.room, taken = self.width, display_width(part.text.lstrip())
        self.room -= taken


def _balanced(parts: Sequence[Piece], width: int) -> list[list[Piece]]:
    """Put pieces into as few lines as `width` allows, the longest of them as short as can be."""
    fewest = len(_filled(parts, width))
    narrowest = max(display_width(part.text.strip()) for part in parts)
    widths = range(min(narrowest, width), width + 1)
    place = bisect_left(widths, True, key=lambda w: len(_filled(parts, w)) <= fewest)
    return _filled(parts, widths[min(place, len(widths) - 1)])


def _cue(parts: Sequence[Piece], earliest: int, of: OutputSegment, layout: SubtitleParams) -> Cue:
    start = max(parts[0].start_sample, earliest)
    end = min(max(parts[-1].end_sample, start), start + to_samples(layout.max_cue_sec))
    lines = _balanced(parts, layout.max_line_width)
    words = tuple(_words(lines, start, end))
    return Cue(start, end, tuple(map(_text, lines)), words, voice(of), of.channel)


def _words(lines: Sequence[Sequence[Piece]], start: int, end: int) -> Iterator[CueWord]:
    position = start
    for number, line in enumerate(lines):
        at = 0
        for index, part in enumerate(line):
            text = part.text if index else part.text.lstrip()
            upto = at + len(text)
            if part.timed:
                first = min(max(part.start_sample, position), end)
                position = min(max(part.end_sample, first), end)
                yield CueWord(first, position, number, upto - len(text.lstrip()), upto)
            at = upto


def _text(parts: Sequence[Piece]) -> str:
    return "".join(part.text for part in parts).lstrip()


def _held(cues: Sequence[Cue], layout: SubtitleParams, end_sample: int | None) -> list[Cue]:
    """Let cues stand until they can be read, where the next one leaves them the time."""
    starts = [cue.start_sample for cue in cues]
    return [
        _hold(cue, latest, layout)
        for cue, latest in zip(cues, [*starts[1:], end_sample], strict=False)
    ]


def _hold(cue: Cue, latest: int | None, layout: SubtitleParams) -> Cue:
    to_read_sec = sum(map(len, cue.lines)) / layout.max_chars_per_sec
    wanted_sec = min(max(to_read_sec, layout.min_cue_sec), layout.max_cue_sec)
    wanted = cue.start_sample + to_samples(wanted_sec)
    end = wanted if latest is None else min(wanted, latest)
    return replace(cue, end_sample=max(cue.end_sample, end))
