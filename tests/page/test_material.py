"""The waveform and the cuts of a page, however the audio came."""

from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longform.transcript.page_material import (
    PEAK_SAMPLES,
    PageMedia,
    Peaks,
    join_peaks,
    page_material,
    playable_mime,
)
from longform.transcript.segment import ChunkResult, Interval

LINKED = PageMedia(mime="audio/mpeg", href="talk.mp3")
LENGTH = 12_345  # samples; eight bars, the last of them short


@given(
    st.lists(st.integers(0, LENGTH), max_size=8),
    st.lists(st.integers(0, LENGTH), max_size=4),
    st.randoms(use_true_random=False),
)
def test_peaks_do_not_depend_on_blocks_or_chunks(
    cuts: list[int], chunk_edges: list[int], random: Random
) -> None:
    """However audio is cut into chunks and blocks, the waveform is that of the whole."""
    pcm = np.random.default_rng(3).integers(-32_768, 32_768, LENGTH).astype(np.int16)
    whole = [
        min(int(np.abs(pcm[at : at + PEAK_SAMPLES].astype(int)).max()) >> 7, 255)
        for at in range(0, LENGTH, PEAK_SAMPLES)
    ]
    parts = []
    for start, end in pairwise(sorted({0, *chunk_edges, LENGTH})):
        peaks = Peaks(start)
        inner = sorted({start, end, *(cut for cut in cuts if start < cut < end)})
        for first, last in pairwise(inner):
            peaks.push(pcm[first:last])
        parts.append((peaks.first_bar, peaks.bars()))
    random.shuffle(parts)
    assert list(join_peaks(parts)) == whole


def test_no_audio_has_no_peaks() -> None:
    """An empty recording has an empty waveform."""
    peaks = Peaks(0)
    peaks.push(np.zeros(0, np.int16))
    assert peaks.bars() == b""
    assert join_peaks([]) == b""


def test_cuts_come_from_the_chunks_in_order() -> None:
    """Macro chunks begin where results do, micro chunks where their speech does."""

    def result(index: int, start: int) -> ChunkResult:
        parts = [(0, 10, "speech"), (10, 15, "non_speech"), (15, 20, "speech")]
        return ChunkResult(
            key=str(index),
            index=index,
            start_sample=start,
            end_sample=start + 20,
            segments=(),
            coverage=tuple(
                Interval(start_sample=start + a, end_sample=start + b, kind=kind)
                for a, b, kind in parts
            ),
            peaks=bytes([7]),
        )

    material = page_material([result(1, 20), result(0, 0)], LINKED)
    assert material.macro_starts == (0, 20)
    assert material.micro_starts == (0, 15, 20, 35)
    assert material.peaks == bytes([7])


def test_types_are_what_browsers_know() -> None:
    """A video container without a picture is played as audio; what no browser plays has no type."""
    assert playable_mime("a.MP3", has_video=False) == "audio/mpeg"
    assert playable_mime("a.mp4", has_video=True) == "video/mp4"
    assert playable_mime("a.mp4", has_video=False) == "audio/mp4"
    assert playable_mime("a.wma", has_video=False) == ""
