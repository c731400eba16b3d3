"""How far a run has come: plain arithmetic over what is reported of its chunks.

A run of one recording counts its macro chunks, channel beside channel. A bulk run has one part for
each file that is open: what the parts count adds up in it, and stays when a part ends.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from longform.runs.progress_events import (
    ChunkBegun,
    ChunkEvent,
    MicroDone,
    ProgressListener,
    RunningChunk,
    RunProgress,
)
from longform.transcript.segment import ChunkResult

ChunkPlace = tuple[int | None, int]  # the channel of a macro chunk, and its index there

# The figures of a run that are the sums of those of its parts.
SUMS = ("done_chunks", "cached_chunks", "failed_chunks", "done_samples", "cached_samples")


class RunProgressTracker:
    """Counts what is done of a run, or of a part of it.

    Args:
        source_name: what the run is about, as it may be shown.
        run_url: where the run can be looked at; empty where the server has no pages.
        listener: is called after every change.
        stage: what the run does first.
    """

    def __init__(
        self,
        source_name: str,
        run_url: str = "",
        listener: ProgressListener | None = None,
        stage: str = "opening",
    ) -> None:
        self.now = RunProgress(source_name, stage, run_url=run_url)
        self._listener = listener
        self._began_sec: float | None = None
        self._running: dict[ChunkPlace, RunningChunk] = {}
        self._settled: set[ChunkPlace] = set()
        self._expected: dict[int | None, tuple[int | None, int | None]] = {}
        self._ended: Counter[str] = Counter()  # SUMS over the chunks and the parts that have ended
        self._parts: dict[int, RunProgress] = {}  # those that are open, by number
        self._num_parts = self._num_parts_ended = self._num_parts_failed = 0

    @property
    def run_url(self) -> str:
        """Where the run can be looked at; empty where the server has no pages."""
        return self.now.run_url

    @property
    def fraction(self) -> float:
        """Share of the run that is done, 0 to 1; parts count as if all were of one length."""
        if not self._num_parts:
            return self.now.fraction
        shares = sum(part.fraction for part in self._parts.values())
        return min(1.0, (self._num_parts_ended + shares) / self._num_parts)

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
            self._running[place] = RunningChunk(
                macro_chunk=event.macro_chunk,
                channel=event.channel,
                worker=event.worker,
                start_sample=event.start_sample,
                end_sample=event.end_sample,
            )
            self._tell()
        elif place in self._running:
            self._micro_done(place, event)

    def _micro_done(self, place: ChunkPlace, event: MicroDone) -> None:
        chunk = self._running[place]
        end_sample = min(event.end_sample, chunk.end_sample)  # a guard reaches over the end
        done = max(chunk.done_samples, end_sample - chunk.start_sample)
        self._running[place] = replace(chunk, done_samples=done)
        heard = {"last_text": event.text, "last_text_sample": event.text_sample}
        self._tell(**(heard if event.text else {}))

    def chunk_done(self, result: ChunkResult, *, cached: bool, channel: int | None = None) -> None:
        """Count a macro chunk whose result is there."""
        num_samples = result.span.num_samples
        self._settle(
            (channel, result.index),
            done_chunks=1,
            cached_chunks=int(cached),
            done_samples=num_samples,
            cached_samples=cached * num_samples,
        )

    def chunk_failed(self, index: int, num_samples: int, channel: int | None = None) -> None:
        """Count a macro chunk that failed for good."""
        self._settle((channel, index), failed_chunks=1, done_samples=num_samples)

    def _settle(self, place: ChunkPlace, **counted: int) -> None:
        self._running.pop(place, None)
        self._settled.add(place)
        self._ended.update(counted)
        self._tell()

    def expect_parts(self, num_parts: int) -> None:
        """Say of how many parts, such as files, the run consists."""
        self._num_parts = num_parts
        self._tell()

    def part(self, number: int, name: str) -> "RunProgressTracker":
        """Return what counts one part; `part_ended` must be called in the end."""

        def changed(now: RunProgress) -> None:
            self._parts[number] = now
            heard = {"last_text": now.last_text, "last_text_sample": now.last_text_sample}
            self._tell(**(heard if now.last_text else {}))

        return RunProgressTracker(name, self.run_url, changed)

    def part_ended(self, number: int, *, has_failed: bool) -> None:
        """Count a part that has come to its end, and keep no more of it than its sums."""
        if (last := self._parts.pop(number, None)) is not None:
            self._ended.update(_sums(last))
        self._num_parts_ended += 1
        self._num_parts_failed += has_failed
        self._tell()

    def _tell(self, **changes: object) -> None:
        """Bring `now` up to date, and tell the listener."""
        sums = self._ended.copy()
        sums["done_samples"] += sum(chunk.done_samples for chunk in self._running.values())
        running = [*self._running.values()]
        for part in self._parts.values():
            sums.update(_sums(part))
            running.extend(part.running)
        if running and self._began_sec is None:
            self._began_sec = time.monotonic()
        figures = {
            **{name: sums[name] for name in SUMS},
            "running": tuple(running),
            "working_sec": time.monotonic() - self._began_sec if self._began_sec else 0.0,
        }
        if self._num_parts:
            figures |= self._of_parts(sums["done_samples"])
        # The names are those of fields of RunProgress.
        self.now = replace(self.now, **figures, **changes)  # type: ignore[arg-type]
        if self._listener is not None:
            self._listener(self.now)

    def _of_parts(self, done_samples: int) -> dict[str, object]:
        """Return how many parts there are, and the length that they seem to have together."""
        share = self.fraction  # the length of those that are not open yet is unknown
        return {
            "source_name": f"{self._num_parts_ended} of {self._num_parts} files",
            "total_samples": round(done_samples / share) if share else None,
        }


def _sums(part: RunProgress) -> dict[str, int]:
    return {name: getattr(part, name) for name in SUMS}


def _sum(parts: Iterable[int | None]) -> int | None:
    """Return the sum; None while a part of it is unknown."""
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
