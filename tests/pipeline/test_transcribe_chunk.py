"""Which chunks a worker takes: not one that it must have for itself, nor one that another has."""

from pathlib import Path

import pytest

from longform.errors import ChunkQuarantinedError
from longform.params import TranscribeParams
from longform.pipeline.chunk_claims import MAX_DEATHS, ChunkClaims, ChunkDeaths
from longform.pipeline.chunk_job import (
    ChunkClaimedElsewhere,
    ChunkEnding,
    ChunkReference,
    MacroChunkJob,
    MustRunAlone,
)
from longform.pipeline.planning import PlannedChunk, open_recording
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_chunk
from longform.settings import Settings
from longform.speech.engine import EngineSpec
from longform.storage.records import RecordStore
from tests.conftest import WELCOME
from tests.support.scripted_engine import SCRIPT_VARIABLE


@pytest.fixture
async def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MacroChunkJob:
    """Return ten seconds of work for the scripted engine."""
    script = tmp_path / "script.json"
    script.write_text("{}")
    monkeypatch.setenv(SCRIPT_VARIABLE, str(script))
    run = RecordingRun(
        run_id="test",
        recording=await open_recording(str(WELCOME), Settings(), tmp_path),
        params=TranscribeParams(),
        engine=EngineSpec(backend="tests.support.scripted_engine:create"),
        chunk_store_url=str(tmp_path / "chunks"),
    )
    return run.job(PlannedChunk(index=0, start_sample=0, end_sample=160_000))


async def work(job: MacroChunkJob) -> ChunkEnding:
    """Do the job in this process."""
    return await transcribe_chunk(job, Settings(), lambda _: None)


def note_deaths(job: MacroChunkJob, count: int) -> None:
    """Leave a note of worker processes that died on the chunk."""
    deaths = RecordStore(f"{job.chunk_store_url}/deaths", ChunkDeaths, "ChunkDeaths")
    deaths.put(job.key, ChunkDeaths(workers=("host:1",) * count))


async def test_a_suspect_comes_back_until_it_is_alone(job: MacroChunkJob) -> None:
    """One death, and it is not begun in company; alone it is, and all is forgiven."""
    note_deaths(job, 1)
    assert await work(job) == MustRunAlone(key=job.key)
    ending = await work(job.model_copy(update={"is_alone": True}))
    assert isinstance(ending, ChunkReference)
    assert ending.key == job.key
    assert isinstance(await work(job.model_copy(update={"use_cache": False})), ChunkReference)


async def test_a_chunk_in_quarantine_is_not_begun(job: MacroChunkJob) -> None:
    """Not even alone."""
    note_deaths(job, MAX_DEATHS)
    with pytest.raises(ChunkQuarantinedError, match=f"{MAX_DEATHS} worker processes died"):
        await work(job.model_copy(update={"is_alone": True}))


async def test_what_another_run_computes_is_not_waited_for_here(job: MacroChunkJob) -> None:
    """A worker says so and is free for other chunks."""
    async with ChunkClaims(job.chunk_store_url).hold(job.key, "other", "host:2"):
        assert await work(job) == ChunkClaimedElsewhere(key=job.key)
