"""Channels that were transcribed apart, on one timeline."""

from hypothesis import given
from hypothesis import strategies as st

from longform.audio import Span, require_tiling
from longform.transcript.channels import ChannelChunks, join_channels
from longform.transcript.join import FailedSpan, join
from longform.transcript.segment import ChunkResult, Interval, Segment

CHUNK = 100  # samples


def chunk(index: int, segments: tuple[Segment, ...] = ()) -> ChunkResult:
    """Return the result of one chunk of CHUNK samples, all of it speech."""
    start, end = index * CHUNK, (index + 1) * CHUNK
    return ChunkResult(
        key=f"{index:064x}",
        index=index,
        start_sample=start,
        end_sample=end,
        segments=segments,
        coverage=(Interval(start_sample=start, end_sample=end, kind="speech"),),
    )


@st.composite
def channels(draw: st.DrawFn) -> list[ChannelChunks]:
    """Draw one to three channels of the same length, with segments at any place."""
    num_chunks = draw(st.integers(1, 3))
    times = st.lists(st.integers(0, CHUNK), max_size=4, unique=True).map(sorted)

    def drawn(index: int) -> ChunkResult:
        starts = [index * CHUNK + offset for offset in draw(times)]
        return chunk(
            index,
            tuple(
                Segment(start_sample=start, end_sample=start + 5, text=f" {start}", language="en")
                for start in starts
            ),
        )

    return [
        ChannelChunks(number, tuple(map(drawn, range(num_chunks))))
        for number in range(1, draw(st.integers(1, 3)) + 1)
    ]


@given(parts=channels())
def test_each_channel_is_what_it_is_alone(parts: list[ChannelChunks]) -> None:
    """By channel, segments are those of a run of that channel; all are in order of time."""
    together = join_channels(parts)
    starts = [segment.start_sample for segment in together.segments]
    assert starts == sorted(starts)
    for part in parts:
        own = [one for one in together.segments if one.channel == part.channel]
        alone = join(part.results, part.failures).segments
        assert [one.model_copy(update={"channel": None}) for one in own] == list(alone)


@given(parts=channels())
def test_coverage_tiles_every_channel(parts: list[ChannelChunks]) -> None:
    """The coverage of each channel tiles the recording."""
    together = join_channels(parts)
    for part in parts:
        own = [one.span for one in together.coverage if one.channel == part.channel]
        require_tiling(own, Span(0, together.num_samples))


def test_what_failed_is_of_one_channel() -> None:
    """A chunk that failed on one side is missing there only."""
    failed = FailedSpan(0, Span(0, CHUNK), "broken")
    together = join_channels([ChannelChunks(1, (), (failed,)), ChannelChunks(2, (chunk(0),))])
    assert [(one.kind, one.channel) for one in together.coverage] == [("failed", 1), ("speech", 2)]


def test_a_mix_has_no_label() -> None:
    """One channel that is the mix of all is joined as ever."""
    assert join_channels([ChannelChunks(None, (chunk(0),))]) == join([chunk(0)], [])
