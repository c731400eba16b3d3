"""One contract for every micro chunker, then what each of them is for."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.audio import Pcm, Span, require_tiling
from longform.chunking.micro import CHUNKERS, MicroChunker, SilenceMicroChunker, micro_chunker
from longform.chunking.micro_chunk import MicroChunk
from longform.chunking.micro_vad import VadMicroChunker
from longform.chunking.vad import FRAME_SAMPLES, GROUP_FRAMES
from longform.params import TranscribeParams, VadParams
from tests.support.pcm_streams import blockings, in_blocks, loudness_model, noise, stretches

LIMIT_SEC = 5.0
LIMIT = int(LIMIT_SEC * 16_000)
STRETCH = GROUP_FRAMES * FRAME_SAMPLES  # what VAD reads at once
PARAMS = TranscribeParams(
    micro_chunk_size_sec=LIMIT_SEC,
    vad=VadParams(speech_pad_ms=400, min_silence_duration_ms=160, min_speech_duration_ms=0),
)

Make = Callable[[TranscribeParams, int], MicroChunker]
loudness_vad: Make = partial(VadMicroChunker, model=loudness_model)
IMPLEMENTATIONS: dict[str, Make] = {"silence": SilenceMicroChunker, "vad": loudness_vad}

VADS = st.builds(
    lambda pad, silence, speech: PARAMS.model_copy(
        update={
            "vad": PARAMS.vad.model_copy(
                update={
                    "speech_pad_ms": pad,
                    "min_silence_duration_ms": silence,
                    "min_speech_duration_ms": speech,
                }
            )
        }
    ),
    st.sampled_from([0, 33, 400, 2_000, 5_000]),
    st.sampled_from([32, 160, 1_000, 5_000]),
    st.sampled_from([0, 250, 5_000]),
)

contract = pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)


def cut(chunker: MicroChunker, blocks: Iterable[Pcm]) -> list[MicroChunk]:
    """Feed a whole stream; return all chunks."""
    chunks = [chunk for block in blocks for chunk in chunker.push(block.copy())]
    return chunks + chunker.finish()


def spans(chunks: Iterable[MicroChunk]) -> list[Span]:
    """Return where the chunks lie."""
    return [chunk.span for chunk in chunks]


def test_the_contract_covers_every_chunker_there_is() -> None:
    """A chunker that is added to the table has to be added to this suite."""
    assert set(IMPLEMENTATIONS) == set(CHUNKERS)


@contract
@settings(max_examples=60)
@given(pcm=stretches(), start=st.sampled_from([0, 1, 4_800_123]), params=VADS)
def test_chunks_and_non_speech_tile_the_stream(
    make: Make, pcm: Pcm, start: int, params: TranscribeParams
) -> None:
    """Every sample is in one chunk or in one stretch of non-speech; no chunk is too long."""
    chunker = make(params, start)
    chunks = cut(chunker, [pcm])
    require_tiling(sorted([*spans(chunks), *chunker.non_speech]), Span(start, start + len(pcm)))
    for chunk in chunks:
        assert 0 < chunk.span.num_samples <= LIMIT
        expected = pcm[chunk.span.start_sample - start : chunk.span.end_sample - start]
        assert chunk.pcm.dtype == np.int16
        np.testing.assert_array_equal(chunk.pcm, expected)


@contract
@settings(max_examples=60)
@given(pcm=stretches(), params=VADS)
def test_speech_lies_in_its_chunk_in_order(make: Make, pcm: Pcm, params: TranscribeParams) -> None:
    """Every chunk holds some speech, sorted, disjoint and inside its span."""
    for chunk in cut(make(params, 0), [pcm]):
        assert chunk.speech
        edges = [edge for s in chunk.speech for edge in (s.start_sample, s.end_sample)]
        assert edges == sorted(edges)
        assert chunk.span.start_sample <= edges[0]
        assert edges[-1] <= chunk.span.end_sample


@contract
@settings(max_examples=60)
@given(pcm=stretches(), lengths=blockings(), params=VADS)
def test_blocking_changes_nothing(
    make: Make, pcm: Pcm, lengths: list[int], params: TranscribeParams
) -> None:
    """The same stream in other blocks gives the same chunks, speech and non-speech."""
    whole, blocked = make(params, 7), make(params, 7)
    expected, found = cut(whole, [pcm]), cut(blocked, in_blocks(pcm, lengths))
    assert spans(found) == spans(expected)
    assert [chunk.speech for chunk in found] == [chunk.speech for chunk in expected]
    assert blocked.non_speech == whole.non_speech


@contract
@pytest.mark.parametrize("num_samples", [0, 1, 511, 1_600])
def test_very_short_streams_work(make: Make, num_samples: int) -> None:
    """Nothing, one sample, less than a frame and 0.1 s are cut like anything else."""
    for amplitude in (0, 12_000):
        chunker = make(PARAMS, 5)
        chunks = cut(chunker, [noise(amplitude, num_samples)])
        parts = sorted([*spans(chunks), *chunker.non_speech])
        require_tiling(parts, Span(5, 5 + num_samples))


@contract
def test_memory_stays_within_a_few_micro_chunks(make: Make) -> None:
    """Neither endless speech nor endless silence piles up in the buffer."""
    for amplitude in (12_000, 0):
        chunker = make(PARAMS, 0)
        for second in range(60):
            chunker.push(noise(amplitude, 16_000, seed=second))
            buffer = chunker._buffer  # type: ignore[attr-defined]
            assert buffer.end_sample - buffer.start_sample <= 3 * LIMIT + STRETCH


@contract
def test_chunks_come_while_the_stream_arrives(make: Make) -> None:
    """A chunk is handed out within two limits and a stretch of VAD, not at the end."""
    chunker = make(PARAMS, 0)
    for second in range(60):
        for chunk in chunker.push(noise(12_000, 16_000, seed=second)):
            late = (second + 1) * 16_000 - chunk.span.end_sample
            assert late <= 2 * LIMIT + STRETCH
    assert chunker.finish()[0].span.start_sample >= 60 * 16_000 - 3 * LIMIT - STRETCH


def test_silence_keeps_everything_and_cuts_in_the_second_half() -> None:
    """The quietest point counts only in the second half of a full block."""
    pcm = noise(12_000, 2 * LIMIT)
    pcm[10_000:14_000] = 0  # the quietest, but in the first half
    pcm[60_000:64_000] //= 100
    chunks = cut(SilenceMicroChunker(PARAMS, 0), [pcm])
    assert 60_000 <= chunks[0].span.end_sample <= 64_000
    assert sum(chunk.span.num_samples for chunk in chunks) == len(pcm)


def loud_at(num_samples: int, *loud: tuple[float, float]) -> Pcm:
    """Return silence with noise between these seconds."""
    pcm = np.zeros(num_samples, np.int16)
    for start_sec, end_sec in loud:
        start, end = int(start_sec * 16_000), int(end_sec * 16_000)
        pcm[start:end] = noise(12_000, end - start)
    return pcm


def test_vad_packs_what_fits_and_drops_what_lies_between() -> None:
    """Speech up to the limit is one chunk with its pauses; the next begins a new one."""
    pcm = loud_at(20 * 16_000, (1, 2), (3, 4.5), (6, 8), (15, 16))
    chunker = loudness_vad(PARAMS, 0)
    chunks = cut(chunker, [pcm])
    pad_sec, frame_sec = 0.4, 0.032
    expected = [(1 - pad_sec, 4.5 + pad_sec), (6 - pad_sec, 8 + pad_sec), (15 - pad_sec, 16.4)]
    for chunk, (start_sec, end_sec) in zip(chunks, expected, strict=True):
        assert abs(chunk.span.start_time_sec - start_sec) <= frame_sec
        assert abs(chunk.span.end_time_sec - end_sec) <= frame_sec
    assert [len(chunk.speech) for chunk in chunks] == [2, 1, 1]
    assert len(chunker.non_speech) == 4


def test_vad_takes_speech_that_ends_just_within_the_limit() -> None:
    """The last stretch that fits belongs to the window, even when it ends near its edge."""
    pcm = loud_at(10 * 16_000, (0, 2), (2.5, 4.8), (6, 7))
    chunks = cut(loudness_vad(PARAMS, 0), [pcm])
    assert [len(chunk.speech) for chunk in chunks] == [2, 1]


def test_close_speech_is_parted_in_the_middle_of_the_pause() -> None:
    """Where the padding of two chunks would overlap, each takes half of the pause."""
    pcm = loud_at(10 * 16_000, (0, 4.5), (4.8, 9))
    first, second = cut(loudness_vad(PARAMS, 0), [pcm])
    assert first.span.end_sample == second.span.start_sample
    assert abs(first.span.end_time_sec - 4.65) <= 0.032


def test_padding_gives_way_to_speech_that_just_fits() -> None:
    """Speech of nearly the limit stays whole, with less audio before it than was asked for."""
    pcm = loud_at(10 * 16_000, (2, 6.8))
    (chunk,) = cut(loudness_vad(PARAMS, 0), [pcm])
    assert chunk.span.start_time_sec < 2
    assert chunk.span.end_time_sec > 6.8


def test_endless_speech_is_cut_at_its_longest_short_pause() -> None:
    """With no pause that ends speech, the longest dip in the second half is taken."""
    pcm = loud_at(8 * 16_000, (0, 2.9), (3.0, 3.7), (3.83, 4.5), (4.6, 8))
    first, *_ = cut(loudness_vad(PARAMS, 0), [pcm])
    assert abs(first.span.end_time_sec - 3.765) <= 0.032


def test_endless_speech_without_any_dip_is_cut_at_its_quietest_point() -> None:
    """With no dip either, the smoothed waveform decides, in the second half."""
    pcm = loud_at(8 * 16_000, (0, 8))
    pcm[56_000:58_000] //= 2
    first, *_ = cut(loudness_vad(PARAMS, 0), [pcm])
    assert 56_000 <= first.span.end_sample <= 58_000


def test_real_speech_is_packed_and_its_pauses_kept_apart(speech_pcm: Pcm) -> None:
    """With the real network: long chunks, most of the audio kept, the laws hold."""
    chunker = micro_chunker(TranscribeParams(), 0)
    chunks = cut(chunker, in_blocks(speech_pcm, [12_345]))
    require_tiling(sorted([*spans(chunks), *chunker.non_speech]), Span(0, len(speech_pcm)))
    assert all(chunk.span.duration_sec <= 30 for chunk in chunks)
    assert len(chunks) <= len(speech_pcm) / 16_000 / 20 + 1
    assert sum(c.span.num_samples for c in chunks) > 0.7 * len(speech_pcm)
    again = micro_chunker(TranscribeParams(), 0)
    assert spans(cut(again, [speech_pcm])) == spans(chunks)
