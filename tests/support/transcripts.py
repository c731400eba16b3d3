"""Transcripts for tests: short ways to build them, and strategies for hostile ones."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ
from longform.params import TranscribeParams
from longform.transcript.output import Provenance, TranscribeOutput, to_output
from longform.transcript.segment import Interval, Segment, Word

HOSTILE = (
    "<b>bold</b>",
    "{\\an8}top",
    "{\\p1}m 0 0{\\p0}",
    "a --> b",
    "1\n00:00:01,000 --> 00:00:02,000\nfake",
    "x\\Ny\\nz\\hw",
    "R&D &amp; &lt;",
    "\n\n lead",
    "a\r\n\r\nb\tc",
    "NOTE x",
    "\x01\x00",
    "1984",
    "",
    " ",
    "c\u2028d",
)

texts = st.lists(
    st.one_of(
        st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
    ),
    max_size=4,
).map(" ".join)


def provenance(name: str = "talk.mp3", fingerprint: str = "0123456789abcdef") -> Provenance:
    """Return the provenance of a recording of that name."""
    return Provenance(
        source_name=name,
        source_fingerprint=fingerprint,
        source_address=f"https://example.org/{name}",
        parameters=TranscribeParams(),
        model="base",
        model_sha256=None,
        engine="scripted 1",
        versions={"longform": "0"},
        access="windowed",
    )


def output_of(
    segments: Sequence[Segment],
    name: str = "talk.mp3",
    fingerprint: str = "0123456789abcdef",
    processing_duration_sec: float = 2.0,
) -> TranscribeOutput:
    """Return the output for segments, of which all the recording consists."""
    num_samples = max((segment.end_sample for segment in segments), default=SAMPLE_RATE_HZ)
    return to_output(
        segments=segments,
        coverage=(Interval(start_sample=0, end_sample=num_samples, kind="speech"),),
        num_samples=num_samples,
        processing_duration_sec=processing_duration_sec,
        task="transcribe",
        provenance=provenance(name, fingerprint),
    )


def segment_of(text: str, start_sec: float, end_sec: float, language: str = "en") -> Segment:
    """Return a segment without words."""
    start, end = round(start_sec * SAMPLE_RATE_HZ), round(end_sec * SAMPLE_RATE_HZ)
    return Segment(start_sample=start, end_sample=end, text=text, language=language)


@st.composite
def segment_lists(draw: st.DrawFn) -> tuple[Segment, ...]:
    """Draw segments in order, with and without words, in scripts with and without spaces."""
    position = 0
    found = []
    for text in draw(st.lists(texts, max_size=5)):
        start = position + draw(st.integers(0, SAMPLE_RATE_HZ))
        words = draw(st.one_of(st.just(()), words_of(text, start)))
        end = max([start, *(word.end_sample for word in words)]) + draw(st.integers(0, 500_000))
        found.append(
            Segment(
                start_sample=start,
                end_sample=end,
                text=text,
                words=words,
                language=draw(st.sampled_from(("en", "ja", "th"))),
                avg_logprob=draw(st.one_of(st.none(), st.floats())),
            )
        )
        position = end
    return tuple(found)


@st.composite
def words_of(draw: st.DrawFn, text: str, start: int) -> tuple[Word, ...]:
    """Draw words that cut a text at any places, with pauses of any length between them."""
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=12))})
    found = []
    for first, last in pairwise(cuts):
        begin = start + draw(st.integers(0, 20_000))
        start = begin + draw(st.integers(0, 30_000))
        found.append(Word(start_sample=begin, end_sample=start, text=text[first:last]))
    return tuple(found)
