"""Boundaries in the middle of speech, from the file to the joined transcript, both ways in."""

import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Span, require_tiling
from longform.media.decode.ffmpeg_args import find_ffmpeg
from longform.media.spool import WorkLimits, WorkRun, open_run, read_blocks
from longform.params import TranscribeParams
from longform.pipeline.planning import (
    PlannedChunk,
    find_split,
    open_recording,
    sequential_chunks,
    windowed_chunks,
)
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_macro_chunk
from longform.settings import Settings
from longform.speech.batching import Batcher
from longform.speech.engine import EngineSpec
from longform.transcript.channels import ChannelChunks
from longform.transcript.join import join
from longform.transcript.segment import ChunkResult
from tests.chunking.conftest import decode
from tests.conftest import WELCOME
from tests.support.scripted_engine import ScriptedEngine

# No room to search: every boundary lies where it falls, in speech for all that is known.
PARAMS = TranscribeParams(
    macro_chunk_size_sec=20, split_search_sec=0, macro_chunk_overlap_sec=1.5, word_timestamps=False
)
GUARD = 24_000
LIMITS = WorkLimits(max_bytes=2**30, reserve_bytes=0)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundled recording in a container for each way in, with equal samples."""
    folder = tmp_path_factory.mktemp("guarded")
    found = {"windowed": folder / "a.wav", "sequential": folder / "a.mkv"}
    for path in found.values():
        command = [find_ffmpeg(None), "-v", "error", "-i", WELCOME, "-ar", "16000", "-ac", "1"]
        subprocess.run([*command, "-c:a", "pcm_s16le", path], check=True)
    return found


async def open_as(access: str, path: Path, folder: Path) -> RecordingRun:
    """Return a run with the scripted engine."""
    recording = await open_recording(str(path), Settings(), folder)
    assert recording.media.access == access
    return RecordingRun(
        run_id="test",
        recording=recording,
        params=PARAMS,
        engine=EngineSpec(backend="tests.support.scripted_engine:create"),
        chunk_store_url=str(folder / "chunks"),
    )


async def plan(run: RecordingRun, spool: WorkRun) -> list[PlannedChunk]:
    """Return the chunks of a recording, by its own way in."""

    async def find(boundary_sample: int) -> object:
        return await find_split(run.recording, boundary_sample, PARAMS)

    chunks = (
        windowed_chunks(run.recording, PARAMS, find)  # type: ignore[arg-type]
        if run.recording.media.access == "windowed"
        else sequential_chunks(run.recording, PARAMS, spool)
    )
    return [chunk async for chunk in chunks]


async def transcribed(
    access: str, path: Path, folder: Path
) -> tuple[list[PlannedChunk], list[ChunkResult]]:
    """Plan and transcribe a recording; check the audio that lies in the work store on the way."""
    pcm = decode(path)
    batcher = Batcher(ScriptedEngine(), batch_size=4)
    try:
        async with open_run(str(folder / "work"), LIMITS) as spool:
            run = await open_as(access, path, folder)
            chunks = await plan(run, spool)
            for chunk in chunks:
                if chunk.audio is not None:
                    blocks = [block async for block in read_blocks(chunk.audio)]
                    first = chunk.start_sample - chunk.guard_before_samples
                    last = chunk.end_sample + chunk.guard_after_samples
                    np.testing.assert_array_equal(np.concatenate(blocks), pcm[first:last])
            jobs = [run.job(chunk) for chunk in chunks]
            return chunks, [await transcribe_macro_chunk(j, batcher, lambda _: None) for j in jobs]
    finally:
        batcher.close()


async def test_both_ways_in_hear_the_same_and_cover_every_sample_once(
    recordings: dict[str, Path], tmp_path: Path
) -> None:
    """Equal guards, equal audio, equal text; in the coverage a guard belongs to nobody twice."""
    found = {
        access: await transcribed(access, path, tmp_path / access)
        for access, path in recordings.items()
    }
    chunks, results = found["windowed"]
    assert len(chunks) == 7
    for left, right in pairwise(chunks):
        assert (left.guard_after_samples, right.guard_before_samples) == (GUARD, GUARD)
    assert (chunks[0].guard_before_samples, chunks[-1].guard_after_samples) == (0, 0)
    joined = [join(each, []) for _, each in found.values()]
    assert joined[0].segments == joined[1].segments
    assert joined[0].coverage == joined[1].coverage
    assert join(results[::-1], []) == joined[0]
    for chunk, result in zip(chunks, results, strict=True):
        assert result.span == chunk.span
        require_tiling([part.span for part in result.coverage], chunk.span)
    require_tiling(
        [part.span for part in joined[0].coverage], Span(0, len(decode(recordings["windowed"])))
    )


async def test_words_that_only_the_seam_needed_are_not_given_away(
    recordings: dict[str, Path], tmp_path: Path
) -> None:
    """Words are timed beside a guard, and left out of a transcript that was not to have any."""
    _, results = await transcribed("windowed", recordings["windowed"], tmp_path)
    assert any(segment.words for result in results for segment in result.segments)
    run = await open_as("windowed", recordings["windowed"], tmp_path)
    output = run.transcript([ChannelChunks(None, tuple(results))], (), 1.0)
    assert output.segments
    assert all(segment.words == () for segment in output.segments)


async def test_a_guard_is_part_of_a_chunks_key(recordings: dict[str, Path], tmp_path: Path) -> None:
    """The same span with another guard has another result, and so another place in the cache."""
    run = await open_as("windowed", recordings["windowed"], tmp_path)
    chunk = PlannedChunk(index=0, start_sample=0, end_sample=100)
    guarded = chunk.model_copy(update={"guard_after_samples": 1})
    assert run.key(chunk) != run.key(guarded)
