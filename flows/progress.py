"""The progress of a run: one artifact that moves, and the listener of the caller."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from prefect.artifacts import (
    acreate_link_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from flows.api_outage import best_effort
from longform.audio import clock, to_seconds
from longform.reprocess.batch_report import FAILURES, FileRecord, hours_of
from longform.runs.progress_events import (
    ChunkBegun,
    ChunkEvent,
    MicroDone,
    ProgressListener,
    RunningChunk,
    RunProgress,
    progress_listener,
)
from longform.transcript.markdown import plain
from longform.transcript.segment import ChunkResult

SHOWN_LINES = 12  # of the macro chunk that ended last


class RecordingProgress:
    """Counts what is done of one recording, and tells the listener."""

    def __init__(self, source_name: str, run_url: str, listener: ProgressListener | None) -> None:
        self._began_sec: float | None = None
        self._listener = listener
        self._now = RunProgress(source_name, "opening", run_url=run_url)
        self._running: dict[tuple[int | None, int], RunningChunk] = {}
        self._settled: set[tuple[int | None, int]] = set()
        self._expected: dict[int | None, tuple[int | None, int | None]] = {}
        self._finished_samples = 0

    @property
    def run_url(self) -> str:
        """Where the run can be looked at; empty where the server has no pages."""
        return self._now.run_url

    def stage(self, name: str) -> None:
        """Say what the run is doing now."""
        self._tell(stage=name)

    def channels(self, numbers: Sequence[int | None], total_samples: int | None) -> None:
        """Say which channels are transcribed apart (None: the mix); they add up to the whole."""
        self._expected = dict.fromkeys(numbers, (None, total_samples))

    def expect(
        self, total_chunks: int | None, total_samples: int | None, channel: int | None = None
    ) -> None:
        """Say how much there is of a channel, once it is known."""
        self._expected[channel] = (total_chunks, total_samples)
        self._tell(
            total_chunks=_sum(chunks for chunks, _ in self._expected.values()),
            total_samples=_sum(samples for _, samples in self._expected.values()),
        )

    def chunk_event(self, event: ChunkEvent) -> None:
        """Take in how a macro chunk gets on; what comes after its end is of no use."""
        place = (event.channel, event.macro_chunk)
        if place in self._settled:
            return
        if isinstance(event, ChunkBegun):
            self._began_sec = self._began_sec or time.monotonic()
            self._running[place] = RunningChunk(
                macro_chunk=event.macro_chunk,
                channel=event.channel,
                worker=event.worker,
                start_sample=event.start_sample,
                end_sample=event.end_sample,
            )
            self._tell()
        elif (chunk := self._running.get(place)) is not None:
            self._micro_done(place, chunk, event)

    def _micro_done(
        self, place: tuple[int | None, int], chunk: RunningChunk, event: MicroDone
    ) -> None:
        end_sample = min(event.end_sample, chunk.end_sample)  # a guard reaches over the end
        done = max(chunk.done_samples, end_sample - chunk.start_sample)
        self._running[place] = replace(chunk, done_samples=done)
        heard = {"last_text": event.text, "last_text_sample": event.text_sample}
        self._tell(**(heard if event.text else {}))

    def chunk_done(self, result: ChunkResult, *, cached: bool, channel: int | None = None) -> None:
        """Count a macro chunk whose result is there."""
        self._settle((channel, result.index), result.span.num_samples)
        self._tell(
            done_chunks=self._now.done_chunks + 1,
            cached_chunks=self._now.cached_chunks + int(cached),
            cached_samples=self._now.cached_samples + cached * result.span.num_samples,
        )

    def chunk_failed(self, index: int, num_samples: int, channel: int | None = None) -> None:
        """Count a macro chunk that failed for good."""
        self._settle((channel, index), num_samples)
        self._tell(failed_chunks=self._now.failed_chunks + 1)

    def _settle(self, place: tuple[int | None, int], num_samples: int) -> None:
        self._running.pop(place, None)
        self._settled.add(place)
        self._finished_samples += num_samples

    def _tell(self, **changes: object) -> None:
        self._now = replace(
            self._now,
            done_samples=self._finished_samples
            + sum(chunk.done_samples for chunk in self._running.values()),
            running=tuple(self._running.values()),
            working_sec=time.monotonic() - self._began_sec if self._began_sec else 0.0,
            **changes,  # type: ignore[arg-type]  # fields of RunProgress
        )
        if self._listener is not None:
            self._listener(self._now)


class ProgressReporter(RecordingProgress):
    """The progress of a run of one recording, with its artifact."""

    def __init__(self, source_name: str) -> None:
        super().__init__(source_name, flow_run_url(), progress_listener.get())
        self._lines: tuple[str, ...] = ()
        self._artifact = LiveProgressArtifact(
            "transcription-progress", lambda: self._now.fraction, self._describe
        )

    async def __aenter__(self) -> Self:
        await self._artifact.begin(self._now.source_name)
        self._tell()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._artifact.end()

    def chunk_event(self, event: ChunkEvent) -> None:
        """Take in how a macro chunk gets on, and show the first words at once."""
        is_silent = not self._now.last_text
        super().chunk_event(event)
        if is_silent and self._now.last_text:
            self._artifact.soon()

    def chunk_done(self, result: ChunkResult, *, cached: bool, channel: int | None = None) -> None:
        """Count a macro chunk whose result is there; keep its last lines to be shown."""
        super().chunk_done(result, cached=cached, channel=channel)
        if cached:
            return
        is_first = not self._lines
        shown = result.segments[-SHOWN_LINES:]
        self._lines = tuple(_line(one.start_sample, one.text) for one in shown) or self._lines
        if is_first:
            self._artifact.soon()

    def _describe(self) -> str:
        now = self._now
        chunks = f"{now.done_chunks}/{now.total_chunks or '?'} chunks"
        figures = (
            f"{now.source_name}: {chunks}, {to_seconds(now.done_samples):.0f} s of audio, "
            f"{now.speed:.1f} x real time"
        )
        newest = (_line(now.last_text_sample, now.last_text),) if now.last_text else ()
        return "\n\n".join((figures, *self._lines, *newest))


def _line(sample: int, text: str) -> str:
    return f"`{clock(sample)}` {plain(text.strip())}"


def flow_run_url() -> str:
    """Return where this flow run can be looked at; empty where the server has no pages."""
    url = url_for("flow-run", obj_id=flow_run.id) if flow_run.id else None
    return url or ""


def _sum(parts: Iterable[int | None]) -> int | None:
    """Return the sum; None while a part of it is unknown."""
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


# The progress of a bulk run: one artifact that moves, and the listener of the caller.


class BatchProgress:
    """Adds up what the files in flight tell; of those that have ended it keeps sums alone."""

    def __init__(self) -> None:
        self._began_sec: float | None = None
        self._listener = progress_listener.get()
        self.run_url = flow_run_url()
        self._stage = "reading the lists"
        self._in_flight: dict[int, RunProgress] = {}
        self._num_files = self._num_ended = self._num_failed = 0
        self._ended = RunProgress("", "")
        self._artifact = LiveProgressArtifact(
            "reprocess-progress", lambda: self._fraction, self._describe
        )

    async def __aenter__(self) -> Self:
        await self._artifact.begin(self._stage)
        self._tell()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._artifact.end()

    def stage(self, name: str) -> None:
        """Say what the run is doing now."""
        self._stage = name
        self._tell()

    def expect(self, num_files: int) -> None:
        """Say how many files will be transcribed."""
        self._num_files = num_files
        self.stage("transcribing")

    def recording(self, number: int, name: str) -> RecordingProgress:
        """Return what counts one file; `ended` must be called in the end."""

        def changed(now: RunProgress) -> None:
            self._in_flight[number] = now
            if now.running and self._began_sec is None:
                self._began_sec = time.monotonic()
            self._tell(now.last_text)

        return RecordingProgress(name, self.run_url, changed)

    def ended(self, record: FileRecord) -> None:
        """Count a file that has come to its end, whatever that is."""
        last, sums = self._in_flight.pop(record.number, None), self._ended
        if last is not None:
            self._ended = replace(
                sums,
                done_chunks=sums.done_chunks + last.done_chunks,
                cached_chunks=sums.cached_chunks + last.cached_chunks,
                failed_chunks=sums.failed_chunks + last.failed_chunks,
                done_samples=sums.done_samples + last.done_samples,
                cached_samples=sums.cached_samples + last.cached_samples,
            )
        self._num_ended += 1
        self._num_failed += record.outcome in FAILURES
        self._tell()

    @property
    def _fraction(self) -> float:
        parts = sum(now.fraction for now in self._in_flight.values())
        return min(1.0, (self._num_ended + parts) / self._num_files) if self._num_files else 0.0

    def _now(self) -> RunProgress:
        parts = [self._ended, *self._in_flight.values()]
        done_samples = sum(now.done_samples for now in parts)
        # As if all files were of one length: how long the others are is not known yet.
        total = round(done_samples / self._fraction) if self._fraction else None
        return RunProgress(
            source_name=f"{self._num_ended} of {self._num_files} files",
            stage=self._stage,
            done_chunks=sum(now.done_chunks for now in parts),
            cached_chunks=sum(now.cached_chunks for now in parts),
            failed_chunks=sum(now.failed_chunks for now in parts),
            done_samples=done_samples,
            cached_samples=sum(now.cached_samples for now in parts),
            total_samples=total,
            working_sec=time.monotonic() - self._began_sec if self._began_sec else 0.0,
            running=tuple(chunk for now in parts for chunk in now.running),
            run_url=self.run_url,
        )

    def _tell(self, last_text: str = "") -> None:
        if self._listener is not None:
            self._listener(replace(self._now(), last_text=last_text))

    def _describe(self) -> str:
        now = self._now()
        failed = f", {self._num_failed} failed" if self._num_failed else ""
        names = ", ".join(each.source_name for each in self._in_flight.values())
        return (
            f"{now.source_name}{failed}, {hours_of(to_seconds(now.done_samples))} of audio, "
            f"{now.speed:.1f} x real time: {names or now.stage}"
        )


# The link to the Dask dashboard of a run, there as long as the run can be watched.


async def publish_dashboard(address: str) -> None:
    """Link the dashboard of the cluster, where it has pages that a browser can open."""
    if urlsplit(address).scheme in ("http", "https"):
        await acreate_link_artifact(
            address, link_text="Dask dashboard", key="dask-dashboard", description="Dask dashboard"
        )


# An artifact of a run that moves: made when the work begins, brought up to date until it ends.


ARTIFACT_INTERVAL_SEC = 5.0  # often enough to be seen moving; an update costs 0.05 s of CPU


class LiveProgressArtifact:
    """A progress artifact; an API that is away for a while stops neither it nor the run.

    Args:
        key: of the artifact.
        fraction: returns the share that is done, 0 to 1.
        describe: returns what it says.
    """

    def __init__(
        self, key: str, fraction: Callable[[], float], describe: Callable[[], str]
    ) -> None:
        self._key = key
        self._fraction = fraction
        self._describe = describe
        self._id: UUID | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def begin(self, description: str) -> None:
        """Make the artifact, and begin to bring it up to date."""
        self._id = await acreate_progress_artifact(
            progress=0.0, key=self._key, description=description
        )
        self._refresher = asyncio.create_task(self._refresh())

    def soon(self) -> None:
        """Have it brought up to date now: what it is to show is awaited."""
        self._news.set()

    async def end(self) -> None:
        """Bring it up to date for the last time."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        await self._update()

    async def _refresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ARTIFACT_INTERVAL_SEC):
                    await self._news.wait()
            self._news.clear()
            await self._update()

    async def _update(self) -> None:
        if (artifact_id := self._id) is not None:
            await best_effort(
                lambda: aupdate_progress_artifact(
                    artifact_id, progress=100 * self._fraction(), description=self._describe()
                )
            )
