"""The systems that are compared, in this process: faster-whisper's three ways, and longform."""

import asyncio
import hashlib
import json
import resource
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import decode
from longform.audio import Pcm
from longform.chunking.macro import Split, guard_samples, spans_from_splits
from longform.media.spool import WorkLimits, WorkRun, open_run
from longform.params import TranscribeParams
from longform.pipeline.chunk_job import MacroChunkJob, SpooledAudio
from longform.pipeline.planning import find_split as find_split_in
from longform.pipeline.planning import open_recording, sequential_chunks, windowed_chunks
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_macro_chunk
from longform.settings import Settings
from longform.speech.engine_choice import choose_engine, worker_engine
from longform.speech.weights import resolve
from longform.transcript.channels import ChannelChunks
from longform.transcript.join import join
from longform.transcript.output import TranscribeOutput
from longform.transcript.segment import Segment

BATCH_SIZE = 8
THREADS = 1  # of every model: waiting threads would count as CPU on a busy machine
LIMITS = WorkLimits(max_bytes=2**32, reserve_bytes=0)  # of the audio that waits for its turn
SLOTS = 2  # macro chunks at a time, as in a worker


@dataclass(frozen=True)
class Heard:
    """What a system wrote, and the CPU seconds that it took, children included."""

    text: str
    cpu_sec: float


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Baselines:
    """faster-whisper's ways, beam 5; with a cache file, for they do not change between runs."""

    names = ("sequential", "sequential + VAD", "batched")

    def __init__(self, cache_file: Path | None) -> None:
        self._weights = resolve("base", Settings().home)
        self._cache_file = cache_file
        known = cache_file is not None and cache_file.is_file()
        self._heard: dict[str, list[Any]] = (
            json.loads(cache_file.read_text()) if cache_file is not None and known else {}
        )

    def hear(self, path: Path) -> list[Heard]:
        """Return what each of `names` hears in a recording."""
        return [Heard(*self._hear(path, name)) for name in self.names]

    def _hear(self, path: Path, name: str) -> list[Any]:
        content = path.read_bytes() + f"{self._weights.sha256} {name} {THREADS}".encode()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._heard:
            audio = decode(path).astype(np.float32) / 32_768
            ways = dict(zip(self.names, self._ways, strict=True))
            started = cpu_seconds()
            text = "".join(segment.text for segment in ways[name](audio)[0])
            self._heard[key] = [text, round(cpu_seconds() - started, 3)]
            if self._cache_file is not None:
                self._cache_file.write_text(json.dumps(self._heard))
        return self._heard[key]

    @cached_property
    def _ways(self) -> Sequence[Callable[[Any], Any]]:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        model = WhisperModel(
            str(self._weights.path), device="cpu", compute_type="float32", cpu_threads=THREADS
        )
        batched = BatchedInferencePipeline(model)
        return (
            lambda audio: model.transcribe(audio, word_timestamps=True),
            lambda audio: model.transcribe(audio, word_timestamps=True, vad_filter=True),
            lambda audio: batched.transcribe(audio, word_timestamps=True, batch_size=BATCH_SIZE),
        )


def longform_output(path: Path, params: TranscribeParams) -> TranscribeOutput:
    """Transcribe a recording by the code that flow and workers run, without Prefect and Dask."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_transcribe(path, params, Path(folder)))


def longform_hears(path: Path, params: TranscribeParams) -> Heard:
    """Return the text of a recording and its cost."""
    started = cpu_seconds()
    text = longform_output(path, params).text
    return Heard(text, cpu_seconds() - started)


def transcribe_pcm(
    pcm: Pcm, splits: Sequence[Split], params: TranscribeParams
) -> tuple[Segment, ...]:
    """Transcribe int16 audio in macro chunks that are split there, as after a sequential pass."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_transcribe_pcm(pcm, splits, params, Path(folder)))


async def _transcribe_pcm(
    pcm: Pcm, splits: Sequence[Split], params: TranscribeParams, folder: Path
) -> tuple[Segment, ...]:
    settings = Settings(cpu_threads=THREADS)
    engine = choose_engine(params, settings)
    batcher = worker_engine(engine, settings)
    spans = spans_from_splits(splits, len(pcm))
    guards = [0, *(guard_samples(split, params) for split in splits), 0]
    results = []
    async with open_run(str(folder), LIMITS) as spool:
        for index, span in enumerate(spans):
            before, after = min(guards[index], span.start_sample), guards[index + 1]
            writer = spool.writer(f"{index:06}.s16")
            await writer.write(pcm[span.start_sample - before : span.end_sample + after])
            job = MacroChunkJob(
                key="0" * 64,
                run_id="benchmark",
                name="benchmark",
                index=index,
                start_sample=span.start_sample,
                end_sample=span.end_sample,
                guard_before_samples=before,
                guard_after_samples=after,
                audio=SpooledAudio(file=await writer.close()),
                params=params,
                engine=engine,
                chunk_store_url=str(folder),
            )
            results.append(await transcribe_macro_chunk(job, batcher, lambda _: None))
    return join(results, []).segments


async def _transcribe(path: Path, params: TranscribeParams, folder: Path) -> TranscribeOutput:
    settings = Settings(cpu_threads=THREADS)
    run = RecordingRun(
        run_id="benchmark",
        recording=await open_recording(str(path), settings, folder),
        params=params,
        engine=choose_engine(params, settings),
        chunk_store_url=str(folder / "chunks"),
    )
    async with open_run(str(folder / "work"), LIMITS) as spool:
        return await _transcribe_chunks(run, settings, spool)


async def _transcribe_chunks(
    run: RecordingRun, settings: Settings, spool: WorkRun
) -> TranscribeOutput:
    async def find_split(boundary_sample: int) -> Any:
        return await find_split_in(run.recording, boundary_sample, run.params)

    chunks = (
        windowed_chunks(run.recording, run.params, find_split)
        if run.recording.media.access == "windowed"
        else sequential_chunks(run.recording, run.params, spool)
    )
    batcher = worker_engine(run.engine, settings)
    at_a_time = asyncio.Semaphore(SLOTS)

    async def transcribe(job: Any) -> Any:
        async with at_a_time:
            return await transcribe_macro_chunk(job, batcher, lambda _: None)

    tasks = [asyncio.create_task(transcribe(run.job(chunk))) async for chunk in chunks]
    results = tuple(await asyncio.gather(*tasks))
    return run.transcript([ChannelChunks(None, results)], (), 0.0)
