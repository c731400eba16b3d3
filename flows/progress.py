"""The progress of a run: one artifact that moves, and the listener of the caller."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from longform.progress import MicroDone, ProgressListener, RunProgress, progress_listener
from longform.timeline import to_seconds
from longform.transcript.segment import ChunkResult

ARTIFACT_INTERVAL_SEC = 5.0  # often enough to be seen moving; an update costs 0.05 s of CPU


class RecordingProgress:
    """Counts what is done of one recording, and tells whoever watches."""

    def __init__(self, source_name: str, run_url: str, listener: ProgressListener | None) -> None:
        self._started_sec = time.monotonic()
        self._listener = listener
        self._now = RunProgress(source_name, "opening", run_url=run_url)
        self._in_flight: dict[tuple[int | None, int], int] = {}
        self._expected: dict[int | None, tuple[int | None, int | None]] = {}
        self._finished_samples = 0

    @property
    def run_url(self) -> str:
        """Where the run can be looked at; empty where the server has no pages."""
        return self._now.run_url

    def stage(self, name: str) -> None:
        """Say what the run is doing now."""
        self._tell(stage=name)

    def channel(self, number: int | None, total_samples: int | None) -> "ChannelProgress":
        """Return the progress of one channel (None: the mix), which counts towards the whole."""
        if number is not None:
            self._expected.pop(None, None)
        self._expected[number] = (None, total_samples)
        return ChannelProgress(self, number)

    def expect(
        self, total_chunks: int | None, total_samples: int | None, channel: int | None = None
    ) -> None:
        """Say how much there is of a channel, once it is known."""
        self._expected[channel] = (total_chunks, total_samples)
        self._tell(
            total_chunks=_sum(chunks for chunks, _ in self._expected.values()),
            total_samples=_sum(samples for _, samples in self._expected.values()),
        )

    def micro_done(self, event: MicroDone) -> None:
        """Count a micro chunk of a macro chunk that is still running."""
        place = (event.channel, event.macro_chunk)
        self._in_flight[place] = self._in_flight.get(place, 0) + event.num_samples
        self._tell(last_text=event.text or self._now.last_text)

    def chunk_done(self, result: ChunkResult, *, cached: bool, channel: int | None = None) -> None:
        """Count a macro chunk whose result is there."""
        self._settle((channel, result.index), result.span.num_samples)
        self._tell(
            done_chunks=self._now.done_chunks + 1,
            cached_chunks=self._now.cached_chunks + int(cached),
        )

    def chunk_failed(self, index: int, num_samples: int, channel: int | None = None) -> None:
        """Count a macro chunk that failed for good."""
        self._settle((channel, index), num_samples)
        self._tell(failed_chunks=self._now.failed_chunks + 1)

    def _settle(self, place: tuple[int | None, int], num_samples: int) -> None:
        self._in_flight.pop(place, None)
        self._finished_samples += num_samples

    def _tell(self, **changes: object) -> None:
        self._now = replace(
            self._now,
            done_samples=self._finished_samples + sum(self._in_flight.values()),
            elapsed_sec=time.monotonic() - self._started_sec,
            **changes,  # type: ignore[arg-type]  # fields of RunProgress
        )
        if self._listener is not None:
            self._listener(self._now)


class ProgressReporter(RecordingProgress):
    """The progress of a run of one recording, with its artifact."""

    def __init__(self, source_name: str) -> None:
        super().__init__(source_name, flow_run_url(), progress_listener.get())
        self._artifact_id: UUID | None = None
        self._refresher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._artifact_id = await acreate_progress_artifact(
            progress=0.0, key="transcription-progress", description=self._now.source_name
        )
        self._refresher = asyncio.create_task(self._refresh())
        self._tell()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        await self._update_artifact()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(ARTIFACT_INTERVAL_SEC)
            await self._update_artifact()

    async def _update_artifact(self) -> None:
        if self._artifact_id is not None:
            await aupdate_progress_artifact(
                self._artifact_id, progress=100 * self._now.fraction, description=self._describe()
            )

    def _describe(self) -> str:
        now = self._now
        chunks = f"{now.done_chunks}/{now.total_chunks or '?'} chunks"
        return (
            f"{now.source_name}: {chunks}, {to_seconds(now.done_samples):.0f} s of audio, "
            f"{now.speed:.1f} x real time"
        )


@dataclass(frozen=True, slots=True)
class ChannelProgress:
    """The progress of one channel, told as part of the whole."""

    whole: RecordingProgress
    number: int | None

    def expect(self, total_chunks: int | None, total_samples: int | None) -> None:
        """Say how much there is, once it is known."""
        self.whole.expect(total_chunks, total_samples, self.number)

    def chunk_done(self, result: ChunkResult, *, cached: bool) -> None:
        """Count a macro chunk whose result is there."""
        self.whole.chunk_done(result, cached=cached, channel=self.number)

    def chunk_failed(self, index: int, num_samples: int) -> None:
        """Count a macro chunk that failed for good."""
        self.whole.chunk_failed(index, num_samples, self.number)


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
