"""How a run shows in the Prefect UI how far it is, and tells the listener of its caller.

The figures are those of `RunProgressTracker`. Here they become a progress artifact, which is made
when the work begins and brought up to date until it ends. An API that is away for a while stops
neither the artifact nor the run.
"""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
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
from longform.reprocess.batch_report import hours_of
from longform.runs.progress_events import ChunkEvent, progress_listener
from longform.runs.progress_tracker import RunProgressTracker
from longform.transcript.markdown import plain
from longform.transcript.segment import ChunkResult

SHOWN_LINES = 12  # of the macro chunk that ended last
ARTIFACT_INTERVAL_SEC = 5.0  # often enough to be seen moving; an update costs 0.05 s of CPU


class PublishedProgress(RunProgressTracker, ABC):
    """The progress of a flow run, shown as an artifact while its context lasts.

    Args:
        key: of the artifact.
        source_name: what the run is about, as it may be shown.
        stage: what the run does first.
        title: what the artifact says at first.
    """

    def __init__(self, key: str, source_name: str, stage: str, title: str) -> None:
        super().__init__(source_name, flow_run_url(), progress_listener.get(), stage)
        self._key = key
        self._title = title
        self._artifact_id: UUID | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._has_news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._artifact_id = await acreate_progress_artifact(
            progress=0.0, key=self._key, description=self._title
        )
        self._refresher = asyncio.create_task(self._refresh())
        self._tell()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
        await self._update()

    @abstractmethod
    def describe(self) -> str:
        """Return what the artifact says, as markdown."""

    def show_soon(self) -> None:
        """Have the artifact brought up to date now: a reader waits for what it is to show."""
        self._has_news.set()

    async def _refresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ARTIFACT_INTERVAL_SEC):
                    await self._has_news.wait()
            self._has_news.clear()
            await self._update()

    async def _update(self) -> None:
        if (artifact_id := self._artifact_id) is not None:
            await best_effort(
                lambda: aupdate_progress_artifact(
                    artifact_id, progress=100 * self.fraction, description=self.describe()
                )
            )


class RecordingProgress(PublishedProgress):
    """The progress of a run of one recording, with the words that were heard last."""

    def __init__(self, source_name: str) -> None:
        super().__init__(
            key="transcription-progress",
            source_name=source_name,
            stage="opening",
            title=source_name,
        )
        self._lines: tuple[str, ...] = ()

    def chunk_event(self, event: ChunkEvent) -> None:
        """Take in how a macro chunk gets on, and show the first words at once."""
        is_silent = not self.now.last_text
        super().chunk_event(event)
        if is_silent and self.now.last_text:
            self.show_soon()

    def chunk_done(self, result: ChunkResult, *, cached: bool, channel: int | None = None) -> None:
        """Count a macro chunk whose result is there; keep its last lines to be shown."""
        super().chunk_done(result, cached=cached, channel=channel)
        if cached:
            return
        is_first = not self._lines
        shown = result.segments[-SHOWN_LINES:]
        self._lines = tuple(_line(one.start_sample, one.text) for one in shown) or self._lines
        if is_first:
            self.show_soon()

    def describe(self) -> str:
        """Return the figures, the lines of the chunk that ended last, and the newest line."""
        now = self.now
        chunks = f"{now.done_chunks}/{now.total_chunks or '?'} chunks"
        figures = (
            f"{now.source_name}: {chunks}, {to_seconds(now.done_samples):.0f} s of audio, "
            f"{now.speed:.1f} x real time"
        )
        newest = (_line(now.last_text_sample, now.last_text),) if now.last_text else ()
        return "\n\n".join((figures, *self._lines, *newest))


class BatchProgress(PublishedProgress):
    """The progress of a bulk run; each file is a part of it."""

    def __init__(self) -> None:
        stage = "reading the lists"
        super().__init__(
            key="reprocess-progress", source_name="0 of 0 files", stage=stage, title=stage
        )

    def describe(self) -> str:
        """Return the figures, and the files that are open."""
        now = self.now
        failed = f", {self._num_parts_failed} failed" if self._num_parts_failed else ""
        names = ", ".join(part.source_name for part in self._parts.values())
        return (
            f"{now.source_name}{failed}, {hours_of(to_seconds(now.done_samples))} of audio, "
            f"{now.speed:.1f} x real time: {names or now.stage}"
        )


def _line(sample: int, text: str) -> str:
    return f"`{clock(sample)}` {plain(text.strip())}"


def flow_run_url() -> str:
    """Return where this flow run can be looked at; empty where the server has no pages."""
    url = url_for("flow-run", obj_id=flow_run.id) if flow_run.id else None
    return url or ""


async def publish_dashboard(address: str) -> None:
    """Link the dashboard of the cluster, where it has pages that a browser can open."""
    if urlsplit(address).scheme in ("http", "https"):
        await acreate_link_artifact(
            address, link_text="Dask dashboard", key="dask-dashboard", description="Dask dashboard"
        )
