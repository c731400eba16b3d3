"""Macro boundaries: laws of the windows, the splits, and of the cutter that streams."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.audio import Pcm, Span, require_tiling
from longform.chunking.macro import (
    MIN_LAST_CHUNK_SAMPLES,
    Split,
    choose_split,
    guard_samples,
    nominal_boundaries,
    search_window,
    spans_from_splits,
)
from longform.chunking.macro_cutter import ChunkAudio, ChunkEnd, MacroCutter, MacroEvent
from longform.params import TranscribeParams
from tests.support.pcm_streams import blockings, in_blocks, loudness_model, noise, stretches

PARAMS = TranscribeParams(macro_chunk_size_sec=10, split_search_sec=2)
SIZE, SEARCH = 160_000, 32_000
WINDOW = Span(SIZE - SEARCH, SIZE + SEARCH)

# Short ones, which are not cut at all, and others that are cut once or more.
recordings = stretches() | stretches(min_stretches=8, min_sec=3.5)
cutting = st.builds(
    lambda size, search: TranscribeParams(macro_chunk_size_sec=size, split_search_sec=search),
    st.sampled_from([10.0, 12.3, 30.0]),
    st.sampled_from([0.0, 0.01, 2.0, 4.9]),
)


def windowed(pcm: Pcm, params: TranscribeParams) -> tuple[Span, ...]:
    """Cut a recording of known length, each boundary on its own."""
    splits = []
    for boundary in nominal_boundaries(len(pcm), params):
        window = search_window(boundary, len(pcm), params)
        audio = pcm[window.start_sample : window.end_sample]
        splits.append(choose_split([audio], window, params, loudness_model))
    return spans_from_splits(splits, len(pcm))


def streamed(pcm: Pcm, params: TranscribeParams, lengths: list[int]) -> list[MacroEvent]:
    """Cut the same recording as a stream."""
    cutter = MacroCutter(params, loudness_model)
    events = [event for block in in_blocks(pcm, lengths) for event in cutter.push(block.copy())]
    return events + cutter.finish()


@given(total=st.integers(0, 20_000_000), params=cutting)
def test_windows_are_whole_apart_and_leave_a_last_chunk(
    total: int, params: TranscribeParams
) -> None:
    """No window is clipped or meets another, and behind the last there is audio left."""
    windows = [search_window(b, total, params) for b in nominal_boundaries(total, params)]
    edges = [edge for w in windows for edge in (w.start_sample, w.end_sample)]
    assert edges == sorted(edges)
    assert len({w.num_samples for w in windows}) <= 1
    assert all(
        w.start_sample > 0 and total - w.end_sample >= MIN_LAST_CHUNK_SAMPLES for w in windows
    )


def test_a_short_rest_stays_with_the_chunk_before() -> None:
    """A boundary that leaves less than the shortest last chunk is dropped."""
    enough = SIZE + SEARCH + MIN_LAST_CHUNK_SAMPLES
    assert nominal_boundaries(enough, PARAMS) == (SIZE,)
    assert nominal_boundaries(enough - 1, PARAMS) == ()


@settings(max_examples=60)
@given(pcm=stretches(max_sec=4), lengths=blockings(), at=st.integers(0, 10**9))
def test_a_split_lies_in_its_window_and_does_not_depend_on_blocks(
    pcm: Pcm, lengths: list[int], at: int
) -> None:
    """Whatever the audio, the split is within the window, and the same for every blocking."""
    window = Span(at, at + len(pcm))
    split = choose_split([pcm], window, PARAMS, loudness_model)
    assert window.start_sample <= split.sample <= window.end_sample
    assert choose_split(in_blocks(pcm, lengths), window, PARAMS, loudness_model) == split


def test_only_a_boundary_that_is_not_silent_has_a_guard() -> None:
    """Two seconds where none was asked for, else what was; none in silence or at the end."""
    asked = TranscribeParams(macro_chunk_overlap_sec=0.5)
    speech = Split(sample=1, kind="quiet", is_silent=False)
    assert guard_samples(speech, PARAMS) == 32_000
    assert guard_samples(speech, asked) == 8_000
    assert guard_samples(Split(sample=1, kind="quiet", is_silent=True), asked) == 0
    assert guard_samples(None, asked) == 0


def test_speech_that_begins_just_inside_the_window_leaves_no_pause_before_it() -> None:
    """The first frames of a window are no pause: the network may only have heard too little."""
    pcm = noise(30_000, WINDOW.num_samples)
    pcm[:1_600] = 0  # 0.1 s
    assert choose_split([pcm], WINDOW, PARAMS, loudness_model).kind == "quiet"
    pcm[:3_200] = 0  # 0.2 s
    assert choose_split([pcm], WINDOW, PARAMS, loudness_model).kind == "pause"


def test_the_middle_of_the_longest_pause_is_taken() -> None:
    """Of two pauses the longer counts, and its middle."""
    pcm = noise(12_000, WINDOW.num_samples)
    pcm[5_120:10_240] = 0
    pcm[30_720:40_960] = 0
    split = choose_split([pcm], WINDOW, PARAMS, loudness_model)
    assert (split.kind, split.is_silent) == ("pause", True)
    assert abs(split.sample - WINDOW.start_sample - 35_840) <= 512


def test_without_a_pause_the_quietest_point_is_taken_and_judged() -> None:
    """Where speech never stops, the split says whether it is silent all the same."""
    pcm = noise(30_000, WINDOW.num_samples)
    pcm[20_000:24_000] //= 2
    split = choose_split([pcm], WINDOW, PARAMS, loudness_model)
    assert (split.kind, split.is_silent) == ("quiet", False)
    assert 20_000 <= split.sample - WINDOW.start_sample <= 24_000
    pcm[40_000:41_600] = 0  # too short to be a pause for the VAD
    split = choose_split([pcm], WINDOW, PARAMS, loudness_model)
    assert (split.kind, split.is_silent) == ("quiet", True)
    assert abs(split.sample - WINDOW.start_sample - 40_800) <= 1


def test_a_window_with_less_audio_than_expected_is_split_in_what_there_is() -> None:
    """A recording that is shorter than its container said still gives a valid split."""
    for num_samples in (0, 1, 1_000):
        pcm = noise(12_000, num_samples)
        split = choose_split([pcm], WINDOW, PARAMS, loudness_model)
        assert 0 <= split.sample - WINDOW.start_sample <= num_samples


@settings(max_examples=60)
@given(pcm=recordings, params=cutting, lengths=blockings())
def test_the_stream_is_cut_exactly_as_its_windows_would_be(
    pcm: Pcm, params: TranscribeParams, lengths: list[int]
) -> None:
    """Unknown length and any blocking: the same spans, which tile, with their own audio.

    Where a boundary is not silent, the chunks on both sides also have the audio of its guard.
    """
    events = streamed(pcm, params, lengths)
    ends = [event for event in events if isinstance(event, ChunkEnd)]
    spans = tuple(event.span for event in ends)
    assert spans == windowed(pcm, params)
    require_tiling(spans, Span(0, len(pcm)))
    assert [end.split is None for end in ends] == [False] * (len(ends) - 1) + [True]
    audio: dict[int, list[Pcm]] = {end.index: [] for end in ends}
    for event in events:
        if isinstance(event, ChunkAudio):
            start = ends[event.index].span.start_sample - ends[event.index].guard_before_samples
            assert event.start_sample == start + sum(map(len, audio[event.index]))
            audio[event.index].append(event.pcm)
    for end in ends:
        found = np.concatenate([np.empty(0, np.int16), *audio[end.index]])
        first = end.span.start_sample - end.guard_before_samples
        last = end.span.end_sample + end.guard_after_samples
        assert last <= len(pcm)
        np.testing.assert_array_equal(found, pcm[first:last])
    for left, right in pairwise(ends):
        guard = guard_samples(left.split, params)
        assert left.guard_after_samples == guard
        assert right.guard_before_samples == min(guard, left.span.num_samples)


@settings(max_examples=30)
@given(pcm=recordings, lengths=blockings())
def test_events_come_in_order(pcm: Pcm, lengths: list[int]) -> None:
    """All audio of a chunk comes before its end, and its end before the next chunk."""
    order = [(e.index, isinstance(e, ChunkEnd)) for e in streamed(pcm, PARAMS, lengths)]
    assert order == sorted(order)


def test_a_chunk_begins_where_the_one_before_it_ends() -> None:
    """Four boundaries give five chunks, each behind the other."""
    pcm = noise(300, 55 * 16_000)
    ends = [e for e in streamed(pcm, PARAMS, [50_000]) if isinstance(e, ChunkEnd)]
    spans = [end.span for end in ends]
    assert spans == [Span(i * SIZE, (i + 1) * SIZE) for i in range(4)] + [Span(4 * SIZE, len(pcm))]


def test_the_cutter_holds_back_no_more_than_a_window_and_a_last_chunk() -> None:
    """However long the chunks, what waits for a decision is bounded."""
    cutter = MacroCutter(TranscribeParams(macro_chunk_size_sec=3_600), loudness_model)
    passed_on, block = 0, noise(300, 160_000)
    for second in range(2 * 3_600 // 10):
        for event in cutter.push(block):
            passed_on += len(event.pcm) if isinstance(event, ChunkAudio) else 0
        held_back = (second + 1) * 160_000 - passed_on
        assert held_back <= 2 * 5 * 16_000 + MIN_LAST_CHUNK_SAMPLES + 160_000


@pytest.mark.parametrize("lengths", [[8_000], [160_001, 3]])
def test_real_speech_is_split_in_pauses(speech_pcm: Pcm, lengths: list[int]) -> None:
    """With the real network both ways agree, and every boundary falls into silence."""
    params = TranscribeParams(macro_chunk_size_sec=20)
    cutter = MacroCutter(params)
    events = [e for block in in_blocks(speech_pcm, lengths) for e in cutter.push(block)]
    splits = [e.split for e in events if isinstance(e, ChunkEnd) and e.split]
    assert len(splits) == len(nominal_boundaries(len(speech_pcm), params)) >= 3
    for boundary, split in zip(nominal_boundaries(len(speech_pcm), params), splits, strict=True):
        window = search_window(boundary, len(speech_pcm), params)
        audio = speech_pcm[window.start_sample : window.end_sample]
        assert choose_split([audio], window, params) == split
        assert split.is_silent
