"""The chart of chunks over workers."""

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from longform.transcript.chunk_chart import LABEL_PX, WIDTH_PX, chart_bars, chart_svg
from longform.transcript.segment import ChunkResult, ChunkStats

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def runs(draw: st.DrawFn) -> list[ChunkResult]:
    """Draw chunks that ran on some workers at any times."""
    found = []
    for index in range(draw(st.integers(1, 30))):
        start_sec = 1e9 + draw(st.floats(0, 5_000))
        stats = ChunkStats(
            worker=draw(st.sampled_from(["a", "b", "<&\"'>"])),
            started_at_unix_sec=start_sec,
            ended_at_unix_sec=start_sec + draw(st.floats(0, 900)),
            num_fallbacks=draw(st.integers(0, 2)),
        )
        found.append(
            ChunkResult(
                key=str(index),
                index=index,
                start_sample=0,
                end_sample=1,
                segments=(),
                coverage=(),
                stats=stats,
            )
        )
    return found


@given(runs())
def test_bars_of_a_row_follow_each_other(results: list[ChunkResult]) -> None:
    """Each chunk is drawn once, in a row of its worker, and no two of a row overlap."""
    bars, names = chart_bars(results)
    assert sorted(bar.index for bar in bars) == [result.index for result in results]
    for row, name in enumerate(names):
        mine = sorted(
            (bar for bar in bars if bar.row == row), key=lambda bar: (bar.start_sec, bar.end_sec)
        )
        assert all(results[bar.index].stats.worker == name for bar in mine)
        assert all(one.end_sec <= two.start_sec for one, two in pairwise(mine))


@given(runs())
def test_the_picture_is_whole(results: list[ChunkResult]) -> None:
    """It is well-formed, whatever workers are called, and every bar lies inside it."""
    root = ElementTree.fromstring(chart_svg(results))
    bars = root.findall(f"{SVG}rect")
    assert len(bars) == len(results)
    for bar in bars:
        left, width = float(bar.get("x", "")), float(bar.get("width", ""))
        assert left >= LABEL_PX
        assert left + width <= WIDTH_PX


def test_there_is_no_picture_of_nothing() -> None:
    """Chunks without times, as old records have them, are not drawn."""
    old = ChunkResult(key="k", index=0, start_sample=0, end_sample=1, segments=(), coverage=())
    assert chart_svg([old]) == ""
    assert chart_svg([]) == ""
