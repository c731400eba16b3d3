"""The progress of a bulk run: one artifact that moves, and the listener of the caller."""

import time
from dataclasses import replace
from typing import Self

from flows.moving_artifact import MovingArtifact
from flows.progress import RecordingProgress, flow_run_url
from longform.progress import RunProgress, progress_listener
from longform.reprocess.report import FAILURES, FileRecord
from longform.reprocess.summary import hours_of
from longform.timeline import to_seconds


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
        self._artifact = MovingArtifact(
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
