"""What a run leaves in the Prefect UI: summary, timeline, tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flows.summary_artifact import summary, tags_of, timeline
from longform.chunking.macro import Split
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.transcript.channels import ChannelChunks
from longform.transcript.markdown import code, link, plain
from longform.transcript.segment import ChunkResult, ChunkStats, Interval
from tests.support.transcripts import output_of, segment_of

SECOND = 16_000
HTML = MarkdownIt("commonmark", {"html": True}).enable("table")


def chunk(
    index: int, worker: str = "host:1", start_sec: float = 0.0, sec: float = 2.5
) -> ChunkResult:
    """Return the result of a chunk of one minute that ran somewhere at some time."""
    stats = ChunkStats(
        worker=worker,
        processing_sec=sec,
        num_micro_chunks=3,
        started_at_unix_sec=1e9 + start_sec,
        ended_at_unix_sec=1e9 + start_sec + sec,
    )
    return ChunkResult(
        key=f"key {index}",
        index=index,
        start_sample=index * 60 * SECOND,
        end_sample=(index + 1) * 60 * SECOND,
        segments=(),
        coverage=(),
        languages={"en": 40.0},
        stats=stats,
    )


def outcomes_of(*results: ChunkResult, cached: int = 0, **more: object) -> ChunkOutcomes:
    """Return the outcome of a run, whose first chunks came from the cache."""
    return ChunkOutcomes(
        channels=(ChannelChunks(None, results),),
        errors=(),
        cached_keys=frozenset(result.key for result in results[:cached]),
        **more,  # type: ignore[arg-type]
    )


def test_text_from_outside_is_not_markup() -> None:
    """What was said, or a file was named, cannot draw tables, links or HTML in the UI."""
    said = " <img src=x> | [a](http://b) `c`"
    output = output_of([segment_of(said, 0, 1)], name="<b>x</b>.mp3")
    output = output.model_copy(update={"files": ("/out/a`b <i>.json", "https://h/a b)(<i>.srt")})
    shown = HTML.render(summary(output, outcomes_of(chunk(0, worker="`<u>w</u>|x"))))
    for drawn in ("<img", "<b>", "<i>", "<u>", 'href="http://b"', "<code>c</code>"):
        assert drawn not in shown
    assert 'href="https://h/a%20b%29%28%3Ci%3E.srt"' in shown
    assert "<code>/out/a`b &lt;i&gt;.json</code>" in shown


@given(st.text(max_size=40))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    """Whatever is written, a reader of the markdown sees that and nothing else."""
    words = " ".join(text.split())
    rendered = MarkdownIt("commonmark", {"html": True}).parseInline(f"x{plain(text)}x")[0]
    children = [each for each in rendered.children or () if each.type != "softbreak"]
    assert {each.type for each in children} <= {"text", "text_special"}
    assert "".join(each.content for each in children) == f"x{words}x".replace("\0", "\ufffd")


@pytest.mark.parametrize("text", ["a", "`", "a``b", "``", "a`"])
def test_code_holds_backticks(text: str) -> None:
    """A path with backticks stays one code span."""
    (token,) = MarkdownIt().parseInline(code(text))[0].children or ()
    assert (token.type, token.content) == ("code_inline", text)


@pytest.mark.parametrize("address", ["s3://bucket/key.json", "javascript:alert(1)", "/out/x.json"])
def test_only_web_addresses_are_links(address: str) -> None:
    """What a browser cannot, or should not, follow is shown as code."""
    assert link(address) == f"`{address}`"
    assert link("https://host/x.json?sig=a&b=1") == (
        "[https://host/x.json?sig=a\\&b=1](<https://host/x.json?sig=a&b=1>)"
    )


def test_gaps_and_costs_are_shown() -> None:
    """A failed stretch is listed with its reason, and chunks are counted with their cache hits."""
    failed = Interval(start_sample=0, end_sample=SECOND * 60, kind="failed", detail="no luck")
    output = output_of([]).model_copy(update={"coverage": (failed,)})
    text = summary(output, outcomes_of(chunk(0), chunk(1), cached=1))
    assert "| 0:00:00 | 0:01:00 | failed | no luck |" in text
    assert "2, 1 from the cache" in text
    assert "| 0:01:00 | 60 s | 2.5 s | `host:1` |" in text
    assert "| 0:00:00 | 60 s | 2.5 s |" not in text  # what came from the cache took no time


def test_seams_and_links_are_shown() -> None:
    """Each boundary says how it was decided, and the dashboard and the run are links."""
    splits = (
        Split(sample=60 * SECOND, kind="pause", is_silent=True),
        Split(sample=120 * SECOND, kind="quiet", is_silent=True),
        Split(sample=180 * SECOND, kind="quiet", is_silent=False),
    )
    output = output_of([]).model_copy(update={"run_url": "http://ui/runs/1"})
    found = outcomes_of(chunk(0), splits=splits, dashboard_url="http://dask:8787/status")
    text = summary(output, found)
    assert "| 0:01:00 | in a pause |" in text
    assert "| 0:02:00 | at the quietest point |" in text
    assert "| 0:03:00 | in speech, both sides listening into each other |" in text
    assert "[Dask dashboard](<http://dask:8787/status>)" in text
    assert "[This run](<http://ui/runs/1>)" in text


def test_the_timeline_shows_the_work_of_this_run() -> None:
    """A picture and a table of the workers; what came from the cache is counted, not drawn."""
    results = (chunk(0), chunk(1, "a"), chunk(2, "a", 2.5), chunk(3, "b", 1.0, 4.0))
    text = timeline(outcomes_of(*results, cached=1))
    assert "![Chunks over workers](data:image/svg+xml;base64," in text
    assert "| `a` | 2 | 120 s | 100% |" in text
    assert "| `b` | 1 | 60 s | 80% |" in text
    assert "1 more came from the cache" in text
    assert timeline(outcomes_of(chunk(0), cached=1)) == ""


def test_tags_name_no_path_and_no_query() -> None:
    """A run can be found by host, language and state; a signature is no part of that."""
    output = output_of([segment_of("hello", 0, 1)])
    provenance = output.provenance.model_copy(
        update={"source_address": "https://media.example:8443/private/talk.mp3"}
    )
    changed = {"provenance": provenance, "status": "complete_with_damage"}
    assert tags_of(output.model_copy(update=changed)) == (
        "longform",
        "host:media.example",
        "language:en",
        "complete-with-damage",
    )
