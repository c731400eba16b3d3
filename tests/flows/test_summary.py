"""The markdown summary of a run."""

from flows.summary import summary
from longform.transcript.segment import ChunkResult, ChunkStats, Interval
from tests.support.transcripts import output_of, segment_of

SECOND = 16_000


def test_text_from_outside_is_not_markup() -> None:
    """What was said, or a file was named, cannot draw tables, links or HTML in the UI."""
    output = output_of([segment_of(" <img src=x> | [a](http://b) `c`", 0, 1)])
    text = summary(output, [], 0)
    assert "<img" not in text.replace("\\<img", "")
    assert "](http" not in text.replace("\\](http", "")


def test_gaps_and_costs_are_shown() -> None:
    """A failed stretch is listed with its reason, and chunks are counted with their cache hits."""
    failed = Interval(start_sample=0, end_sample=SECOND * 60, kind="failed", detail="no luck")
    output = output_of([]).model_copy(update={"coverage": (failed,)})
    stats = ChunkStats(worker="host:1", processing_sec=2.5, num_micro_chunks=3)
    result = ChunkResult(
        key="k",
        index=0,
        start_sample=0,
        end_sample=SECOND,
        segments=(),
        coverage=(),
        stats=stats,
    )
    text = summary(output, [result], 1)
    assert "| 0:00:00 | 0:01:00 | failed | no luck |" in text
    assert "1, 1 from the cache" in text
    assert "2.5 s" in text
