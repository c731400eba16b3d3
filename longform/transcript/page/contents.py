"""What a page says: the text in blocks, the least certain passages, figures and provenance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from longform.audio import to_samples, to_seconds
from longform.transcript.output import OutputSegment, TranscribeOutput
from longform.transcript.page.page_data import mean_probability, shown_text
from longform.transcript.segment import Interval
from longform.transcript.speaker_label import voice

BLOCK_ROWS = 20  # rows laid out together: about a screen, so that far ones cost nothing
QUIET_SEC = 10.0  # seconds; a longer stretch without speech gets a line of its own
DOUBTFUL_ROWS = 10
DOUBTFUL_MIN_WORDS = 3  # one unsure word says little about a passage
VOICES = 4  # colours for channels and speakers


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment as the page shows it; `who` is "" where there is one voice only."""

    index: int
    start: str
    text: str
    language: str
    who: str
    voice: int
    tag: str
    kind: Literal["segment"] = "segment"


@dataclass(frozen=True, slots=True)
class GapRow:
    """A stretch without text, and why."""

    start: str
    end: str
    style: str
    text: str
    kind: Literal["gap"] = "gap"


@dataclass(frozen=True, slots=True)
class DoubtfulRow:
    """A passage that should be checked first."""

    index: int
    start: str
    text: str
    language: str
    percent: int


Row = SegmentRow | GapRow


def blocks(output: TranscribeOutput) -> list[list[Row]]:
    """Return segments and gaps in order of time, in blocks that are laid out together."""
    timed: list[tuple[float, Row]] = [
        (to_seconds(part.start_sample), _gap(part)) for part in output.coverage if _is_shown(part)
    ]
    timed += [(s.start_time_sec, _row(s, output.bcp47_key)) for s in output.segments]
    timed.sort(key=lambda pair: pair[0])
    rows = [row for _, row in timed]
    return [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]


def doubtful(output: TranscribeOutput) -> list[DoubtfulRow]:
    """Return the passages whose words are least probable, the worst first."""
    scored = [
        (score, segment)
        for segment in output.segments
        if len(segment.words) >= DOUBTFUL_MIN_WORDS
        and (score := mean_probability(segment.words)) is not None
    ]
    scored.sort(key=lambda pair: pair[0])
    return [
        DoubtfulRow(s.id, clock(s.start_time_sec), shown_text(s), s.bcp47_key, round(100 * score))
        for score, s in scored[:DOUBTFUL_ROWS]
    ]


def headline(output: TranscribeOutput) -> list[str]:
    """Return the line below the title."""
    languages = Counter(segment.language for segment in output.segments)
    num_words = sum(_num_words(segment) for segment in output.segments)
    parts = [
        clock(output.input_duration_sec),
        ", ".join(name for name, _ in languages.most_common(3)),
        f"{num_words:,} words",
        f"model {output.provenance.model}",
    ]
    return [part for part in parts if part]


def figures(output: TranscribeOutput) -> list[tuple[str, str]]:
    """Return the figures of the recording and of the run; those that say nothing are left out."""
    num_words = sum(_num_words(segment) for segment in output.segments)
    sure = mean_probability([word for segment in output.segments for word in segment.words])
    minutes = output.speech_sec / 60
    rows = [
        ("Duration", clock(output.input_duration_sec)),
        *((f"of which {name}", _covered(output.coverage, kind)) for kind, name in _KINDS),
        ("Words", f"{num_words:,}"),
        ("Words per minute of speech", f"{num_words / minutes:.0f}" if minutes else ""),
        ("Mean certainty of a word", f"{100 * sure:.0f} %" if sure is not None else ""),
        *_shares("Language", output.segments, [s.language for s in output.segments]),
        *_shares("Voice", output.segments, [who(s) for s in output.segments]),
        ("Processing", f"{output.processing_duration_sec:.1f} s"),
        ("Speed", f"{output.speedup:.1f} x real time" if output.speedup else ""),
    ]
    return [(term, value) for term, value in rows if value]


def provenance(output: TranscribeOutput) -> list[tuple[str, str]]:
    """Return what the transcript was made from and with."""
    made = output.provenance
    rows = [
        ("Source", made.source_address),
        ("Fingerprint", made.source_fingerprint),
        ("Model", made.model),
        ("Model sha256", made.model_sha256 or ""),
        ("Engine", made.engine),
        ("Access", made.access),
        *made.versions.items(),
        ("Run", output.run_url),
    ]
    return [(term, value) for term, value in rows if value]


def clock(seconds: float) -> str:
    """Return a time as m:ss, or h:mm:ss from an hour on."""
    whole = int(seconds)
    hours, minutes = whole // 3_600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def who(segment: OutputSegment) -> str:
    """Return whose voice a segment is, as far as that is known."""
    name = voice(segment)
    return name[:1].upper() + name[1:]


def _colour(segment: OutputSegment) -> int:
    _, _, number = voice(segment).replace("_", " ").rpartition(" ")
    return int(number) % VOICES if number.isdecimal() else 0


_KINDS = (
    ("speech", "speech"),
    ("non_speech", "no speech"),
    ("damaged", "damaged"),
    ("failed", "failed"),
)
_GAP_TEXTS = {"non_speech": "no speech", "damaged": "damaged in the recording", "failed": "failed"}


def _is_shown(part: Interval) -> bool:
    if part.kind in ("damaged", "failed"):
        return True
    # On one side of a call there is no speech whenever the other speaks.
    return (
        part.kind == "non_speech"
        and part.channel is None
        and part.span.num_samples >= to_samples(QUIET_SEC)
    )


def _gap(part: Interval) -> GapRow:
    side = f"channel {part.channel} " if part.channel is not None else ""
    text = side + _GAP_TEXTS[part.kind]
    start, end = to_seconds(part.start_sample), to_seconds(part.end_sample)
    full = f"{text}: {part.detail}" if part.detail else text
    return GapRow(clock(start), clock(end), part.kind, full)


def _row(segment: OutputSegment, main_language: str | None) -> SegmentRow:
    foreign = main_language is not None and segment.bcp47_key != main_language
    return SegmentRow(
        index=segment.id,
        start=clock(segment.start_time_sec),
        text=shown_text(segment),
        language=segment.bcp47_key,
        who=who(segment),
        voice=_colour(segment),
        tag=segment.language if foreign else "",
    )


def _num_words(segment: OutputSegment) -> int:
    return len(segment.words) or len(segment.text.split())


def _covered(coverage: Sequence[Interval], kind: str) -> str:
    samples = sum(part.span.num_samples for part in coverage if part.kind == kind)
    return clock(to_seconds(samples)) if samples else ""


def _shares(
    term: str, segments: Sequence[OutputSegment], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the time of each name, where there is more than one."""
    spoken: Counter[str] = Counter()
    for segment, name in zip(segments, names, strict=True):
        spoken[name] += to_samples(segment.end_time_sec) - to_samples(segment.start_time_sec)
    if len(spoken) < 2:
        return []
    return [(f"{term}: {name}", clock(to_seconds(n))) for name, n in spoken.most_common() if name]
