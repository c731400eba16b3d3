"""Stage `macro_chunk`: one macro chunk from compressed bytes to segments, as a stream.

Decoding, cutting and transcribing overlap: a micro chunk goes to the engine as soon as it
is cut, and when the engine falls behind, ffmpeg waits on its pipe. Memory holds a few micro
chunks, whatever the length of the recording.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from longform.audio import Pcm
from longform.chunking.micro import micro_chunker
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import ChunkQuarantinedError
from longform.media.decode.extract import extract_all, extract_window
from longform.media.model import DamageReport
from longform.media.spool import WorkRun, read_blocks
from longform.pipeline.chunk_cache import ChunkStore
from longform.pipeline.chunk_claims import ChunkClaims, ChunkDeaths
from longform.pipeline.chunk_job import (
    ChunkClaimedElsewhere,
    ChunkEnding,
    ChunkReference,
    MacroChunkJob,
    MustRunAlone,
    SpooledAudio,
    WholeAudio,
    WindowAudio,
)
from longform.pipeline.chunk_result import HeardMicro, to_chunk_result
from longform.pipeline.second_pass import second_pass
from longform.runs.progress_events import ChunkBegun, ChunkEvent, MicroDone
from longform.settings import Settings
from longform.speech.batching import Batcher, Stream
from longform.speech.engine import MicroResult
from longform.speech.engine_choice import worker_engine
from longform.speech.unheard_speech import unheard
from longform.transcript.coverage import overlaid
from longform.transcript.page_material import Peaks
from longform.transcript.segment import ChunkResult, Interval

OnChunkEvent = Callable[[ChunkEvent], None]


async def transcribe_chunk(
    job: MacroChunkJob, settings: Settings, on_event: OnChunkEvent
) -> ChunkEnding:
    """Transcribe `job` with this process's engine and put the result into the chunk store.

    The worker stores it, not the parent: so it survives a parent that dies meanwhile. Where
    another run computes the chunk just now, or it must not share this process, that is the
    answer: waiting needs no worker.

    Raises:
        RetryableError, SourceError: from `transcribe_macro_chunk`.
        UnknownModelError, WeightsError: this host has not the weights that were pinned.
        ChunkQuarantinedError: the chunk has killed its process before, again and again.
    """
    job = await asyncio.to_thread(job.computed_here)
    claims = ChunkClaims(job.chunk_store_url)
    deaths = await asyncio.to_thread(claims.settle, job.key, job.execution)
    if deaths.is_quarantined:
        raise quarantined(deaths)
    if deaths.workers and not job.is_alone:
        return MustRunAlone(key=job.key)
    async with claims.hold(job.key, job.execution, worker_name()) as is_ours:
        if not is_ours:
            return ChunkClaimedElsewhere(key=job.key)
        result = await _result(job, settings, on_event)
        if deaths.workers:
            await asyncio.to_thread(claims.forgive, job.key)
    return ChunkReference(
        key=result.key,
        start_sample=result.start_sample,
        end_sample=result.end_sample,
        stats=result.stats,
    )


async def _result(job: MacroChunkJob, settings: Settings, on_event: OnChunkEvent) -> ChunkResult:
    store = ChunkStore(job.chunk_store_url)
    if job.use_cache and (known := await asyncio.to_thread(store.get, job.key)):
        return known
    batcher = await asyncio.to_thread(worker_engine, job.engine, settings)
    on_event(_begun(job))
    result = await transcribe_macro_chunk(job, batcher, on_event)
    await asyncio.to_thread(store.put, result)
    return result


def quarantined(deaths: ChunkDeaths) -> ChunkQuarantinedError:
    """Return the error that names what a chunk has done."""
    return ChunkQuarantinedError(
        f"{len(deaths.workers)} worker processes died on it ({', '.join(deaths.workers)}), most "
        "often for want of memory; `longform clean --quarantine` lets it be tried again"
    )


def _begun(job: MacroChunkJob) -> ChunkBegun:
    return ChunkBegun(
        macro_chunk=job.index,
        channel=job.channel,
        worker=worker_name(),
        start_sample=job.start_sample,
        end_sample=job.end_sample,
    )


async def transcribe_macro_chunk(
    job: MacroChunkJob, batcher: Batcher, on_event: OnChunkEvent
) -> ChunkResult:
    """Transcribe one macro chunk; the coverage of the result tiles what was decoded.

    Raises:
        RetryableError: the source, the decoder or the engine failed; another attempt may not.
        SourceError: the recording cannot give this span.
    """
    started_sec = time.time()
    chunker = micro_chunker(job.params, job.heard_span.start_sample)
    peaks = Peaks(job.start_sample)
    damage = DamageReport()
    position = job.heard_span.start_sample
    # An upload to a service is one macro chunk, however long it is.
    takes_turns = isinstance(job.audio, WholeAudio)
    with batcher.open_stream(job.options, takes_turns=takes_turns) as stream:
        decoding = _Decoding(job, stream, on_event)
        try:
            async with aclosing(_read(job, damage)) as blocks:
                async for block in blocks:
                    peaks.push(_own(block, position, job))
                    position += len(block)
                    await decoding.add(await asyncio.to_thread(chunker.push, block))
            await decoding.add(await asyncio.to_thread(chunker.finish))
            stream.finish()
            heard = await decoding.results(batcher)
        finally:
            decoding.abandon()
    result = to_chunk_result(
        key=job.key,
        index=job.index,
        own=job.span,
        heard=heard,
        non_speech=chunker.non_speech,
        heard_span=job.heard_span,
        is_open_ended=not job.guard_after_samples,
        worker=worker_name(),
        started_sec=started_sec,
    )
    coverage = overlaid(result.coverage, _damaged(job, damage, result.end_sample))
    result = result.model_copy(
        update={
            "coverage": coverage,
            "end_sample": coverage[-1].end_sample if coverage else result.end_sample,
        }
    )
    stats = result.stats.model_copy(update={"memory_note": batcher.memory_note})
    return result.model_copy(update={"peaks": peaks.bars(), "stats": stats})


async def discard_audio(job: MacroChunkJob, spool: WorkRun) -> None:
    """Remove the decoded audio of a job that has ended."""
    if isinstance(job.audio, SpooledAudio):
        await spool.discard(job.audio.file)


class _Decoding:
    """The micro chunks of one macro chunk on their way through the engine."""

    def __init__(self, job: MacroChunkJob, stream: Stream, on_event: OnChunkEvent) -> None:
        self._job = job
        self._stream = stream
        self._on_event = on_event
        self._waiting: list[asyncio.Task[_Heard]] = []

    async def add(self, chunks: Sequence[MicroChunk]) -> None:
        """Queue chunks, in order; returns when the engine has room for more."""
        for chunk in chunks:
            self._raise_first_failure()
            future = await asyncio.to_thread(self._stream.submit, chunk)
            wrapped = asyncio.wrap_future(future)
            self._waiting.append(asyncio.create_task(self._tell(wrapped, chunk)))

    async def results(self, batcher: Batcher) -> list[HeardMicro]:
        """Return what became of every chunk, in order; what was not heard is decoded again."""
        ended = await asyncio.gather(*self._waiting)
        options, languages = self._job.options, self._stream.languages
        doubtful = [(chunk, heard) for chunk, heard in ended if chunk is not None]
        rank = self._stream.rank
        again = iter(await second_pass(batcher, options, languages, doubtful, rank))
        return [heard if chunk is None else next(again) for chunk, heard in ended]

    def _raise_first_failure(self) -> None:
        # A chunk that has failed fails the macro chunk: reading on would only waste work.
        for task in self._waiting:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()

    def abandon(self) -> None:
        """Cancel the chunks that are still waited for."""
        for task in self._waiting:
            task.cancel()

    async def _tell(self, future: "asyncio.Future[MicroResult]", chunk: MicroChunk) -> "_Heard":
        result = await future
        last = result.segments[-1] if result.segments else None
        event = MicroDone(
            macro_chunk=self._job.index,
            channel=self._job.channel,
            worker=worker_name(),
            end_sample=chunk.span.end_sample,
            text=last.text.strip() if last else "",
            text_sample=last.start_sample if last else 0,
        )
        self._on_event(event)
        is_known = self._job.options.halves_follow
        missing = unheard(chunk, result.segments) if is_known else ()
        is_needed = missing or (is_known and not result.is_sure_of_language)
        return chunk if is_needed else None, HeardMicro(chunk.span, result, missing)


# A micro chunk whose audio is needed once more, else None; and what was heard in it.
_Heard = tuple[MicroChunk | None, HeardMicro]


def worker_name() -> str:
    """Return a name for this process that people can find again."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _own(block: Pcm, position: int, job: MacroChunkJob) -> Pcm:
    """Return what of the block at `position` lies in the chunk's own span."""
    end = job.end_sample - position if job.guard_after_samples else len(block)
    return block[max(0, job.start_sample - position) : max(0, end)]


def _read(job: MacroChunkJob, damage: DamageReport) -> AsyncGenerator[Pcm, None]:
    if isinstance(job.audio, SpooledAudio):
        for known in job.audio.damaged:
            damage.add(known.start_sample, known.end_sample, known.reason)
        return read_blocks(job.audio.file)
    if isinstance(job.audio, WholeAudio):
        return extract_all(job.audio.recording, damage)
    return extract_window(
        job.audio.recording, job.heard_span, open_ended=job.audio.open_ended, damage=damage
    )


def _damaged(job: MacroChunkJob, damage: DamageReport, end_sample: int) -> list[Interval]:
    """Return the chunk's own damage; what follows its audio must do so without a gap."""
    # A window is read from seconds before it, and packets reach over its end.
    reaches_out = not isinstance(job.audio, WindowAudio) or job.audio.open_ended
    intervals = []
    for one in damage.within(job.start_sample, None if reaches_out else job.end_sample):
        if one.start_sample > end_sample:
            break
        end_sample = max(end_sample, one.end_sample)
        intervals.append(
            Interval(
                start_sample=one.start_sample,
                end_sample=one.end_sample,
                kind="damaged",
                detail=one.reason,
            )
        )
    return intervals
