"""Stage `plan`: which macro chunks a recording is cut into, and where their audio comes from."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import aclosing
from hashlib import sha256
from itertools import islice
from pathlib import Path

from pydantic import Field

from longform.audio import Span
from longform.chunking.macro import (
    Split,
    choose_split,
    guard_samples,
    nominal_boundaries,
    search_window,
)
from longform.chunking.macro_cutter import ChunkAudio, MacroCutter, MacroEvent
from longform.media.decode.extract import extract_all, extract_window
from longform.media.decode.gap_filling import silent_blocks
from longform.media.model import Access, DamagedSpan, DamageReport, Recording, source_policy
from longform.media.probe.probe import probe
from longform.media.sources import signed_urls
from longform.media.sources.open import open_source
from longform.media.sources.signed_urls import Credential
from longform.media.spool import PcmWriter, WorkFile, WorkRun
from longform.params import FrozenModel, TranscribeParams
from longform.settings import Settings

# Boundaries that are searched before their chunks are wanted. All of ten hours at once kept the
# first macro chunks from the CPU for 20 s.
SEARCHES_AHEAD = 16
PARALLEL_SEARCHES = 4  # of 10 s of audio each: enough to hide latency, too few to hurt a host
PLAN_VERSION = 2  # raise when the same recording and parameters would be cut elsewhere


class PlannedChunk(FrozenModel):
    """One macro chunk. `split` is the boundary at its end; None at the end of the recording.

    `open_ended` chunks read on to the end of the audio, wherever that turns out to be.
    Where a boundary cuts into speech, the chunk also listens to `guard_before_samples` before
    its span and `guard_after_samples` behind it.
    `audio` is where a sequential pass has put the chunk's audio, for this run only, and
    `damaged` what it found missing or broken in it. At the end of the recording that may reach
    beyond `end_sample`: what the header promised, and the file does not hold.
    """

    index: int
    start_sample: int
    end_sample: int
    open_ended: bool = False
    split: Split | None = None
    guard_before_samples: int = 0
    guard_after_samples: int = 0
    audio: WorkFile | None = Field(None, exclude=True)
    damaged: tuple[DamagedSpan, ...] = Field((), exclude=True)

    @property
    def span(self) -> Span:
        """The planned span."""
        return Span(self.start_sample, self.end_sample)


class Plan(FrozenModel):
    """The chunks of a recording, in order; their spans tile it."""

    access: Access
    chunks: tuple[PlannedChunk, ...]

    @property
    def total_samples(self) -> int:
        """Planned length of the recording in samples."""
        return self.chunks[-1].end_sample if self.chunks else 0


def plan_key(recording: Recording, params: TranscribeParams) -> str:
    """Return the cache key of the plan: what the recording is and how it is cut."""
    identity = (
        PLAN_VERSION,
        recording.source.fingerprint,
        recording.media.audio_stream,
        recording.media.channel,
        recording.media.access,
        params.macro_chunk_size_sec,
        params.macro_chunk_overlap_sec,
        params.split_search_sec,
        params.silence_detection_smoothing_num_samples,
        params.vad.model_dump_json(),
    )
    return sha256(repr(identity).encode()).hexdigest()


async def find_split(
    recording: Recording,
    boundary_sample: int,
    params: TranscribeParams,
    address: Credential | None = None,
) -> Split:
    """Read the search window around a nominal boundary and choose the split in it.

    `address` is what a process that has not opened the recording must know to read it.
    """
    signed_urls.register(address)
    total_samples = recording.media.num_samples_estimate or 0
    window = search_window(boundary_sample, total_samples, params)
    damage = DamageReport()
    blocks = [block async for block in extract_window(recording, window, damage=damage)]
    missing = window.num_samples - sum(map(len, blocks))
    blocks += silent_blocks(missing)
    return await asyncio.to_thread(choose_split, blocks, window, params)


FindSplit = Callable[[int], Awaitable[Split]]


async def windowed_chunks(
    recording: Recording, params: TranscribeParams, find: FindSplit
) -> AsyncIterator[PlannedChunk]:
    """Yield the chunks of a windowed recording as soon as both their ends are known.

    `find` searches one boundary; the next few are searched ahead, and may be anywhere.
    """
    total_samples = recording.media.num_samples_estimate or 0
    boundaries = nominal_boundaries(total_samples, params)
    rest = iter(boundaries)
    searches = deque(asyncio.ensure_future(find(at)) for at in islice(rest, SEARCHES_AHEAD))
    start = guard_before = 0
    try:
        for index in range(len(boundaries)):
            split = await searches.popleft()
            searches.extend(asyncio.ensure_future(find(at)) for at in islice(rest, 1))
            guard = guard_samples(split, params)
            yield PlannedChunk(
                index=index,
                start_sample=start,
                end_sample=split.sample,
                split=split,
                guard_before_samples=guard_before,
                guard_after_samples=guard,
            )
            start, guard_before = split.sample, min(guard, split.sample - start)
    finally:
        for search in searches:
            search.cancel()
    yield PlannedChunk(
        index=len(boundaries),
        start_sample=start,
        end_sample=total_samples,
        open_ended=True,
        guard_before_samples=guard_before,
    )


async def sequential_chunks(
    recording: Recording,
    params: TranscribeParams,
    spool: WorkRun | None = None,
    skip: Container[int] = (),
) -> AsyncIterator[PlannedChunk]:
    """Decode the recording once, cut it while it streams, and yield each chunk when complete.

    The audio of every chunk whose index is not in `skip` is written to `spool`.
    """
    cutter = MacroCutter(params)
    damage = DamageReport()
    writer = _SpoolWriter(spool, skip, damage, recording.media.channel)
    async with aclosing(extract_all(recording, damage)) as blocks:
        async for block in blocks:
            for event in await asyncio.to_thread(cutter.push, block):
                if (chunk := await writer.take(event)) is not None:
                    yield chunk
    for event in cutter.finish():
        if (chunk := await writer.take(event)) is not None:
            yield chunk


class _SpoolWriter:
    """Turns the cutter's events into files, and into chunks when those are complete."""

    def __init__(
        self,
        spool: WorkRun | None,
        skip: Container[int],
        damage: DamageReport,
        channel: int | None,
    ) -> None:
        self._damage = damage
        self._prefix = "" if channel is None else f"channel{channel}-"
        self._spool = spool
        self._skip = skip
        self._open: PcmWriter | None = None

    async def take(self, event: MacroEvent) -> PlannedChunk | None:
        """Follow one event; return the chunk that it completes, if it does."""
        if self._open is None and self._spool is not None and event.index not in self._skip:
            self._open = self._spool.writer(f"{self._prefix}{event.index:06}.s16")
        if isinstance(event, ChunkAudio):
            if self._open is not None:
                await self._open.write(event.pcm)
            return None
        audio = await self._open.close() if self._open is not None else None
        self._open = None
        is_last = event.split is None
        return PlannedChunk(
            index=event.index,
            start_sample=event.span.start_sample,
            end_sample=event.span.end_sample,
            split=event.split,
            guard_before_samples=event.guard_before_samples,
            guard_after_samples=event.guard_after_samples,
            audio=audio,
            damaged=self._damage.within(
                event.span.start_sample, None if is_last else event.span.end_sample
            ),
        )


async def open_recording(
    media_url: str, settings: Settings, scratch_dir: Path, audio_stream: int | None = None
) -> Recording:
    """Open and probe a recording under the operator's rules."""
    policy = source_policy(settings)
    source = await open_source(media_url, policy, scratch_dir)
    media = await probe(source, policy, audio_stream)
    return Recording(source=source, media=media, policy=policy, ffmpeg=settings.ffmpeg)


async def make_plan(recording: Recording, params: TranscribeParams) -> Plan:
    """Plan a recording on this machine alone, without keeping any of its audio."""
    at_a_time = asyncio.Semaphore(PARALLEL_SEARCHES)

    async def find(boundary_sample: int) -> Split:
        async with at_a_time:
            return await find_split(recording, boundary_sample, params)

    chunks = (
        windowed_chunks(recording, params, find)
        if recording.media.access == "windowed"
        else sequential_chunks(recording, params)
    )
    return Plan(access=recording.media.access, chunks=tuple([chunk async for chunk in chunks]))
