"""What a person sees while recordings are transcribed: a live picture, or plain lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, RenderableType

from longform.audio import to_seconds
from longform.runs.progress_events import RunProgress

LINE_INTERVAL_SEC = 5.0  # between two lines that only say that more chunks are done


class Display(Protocol):
    """Shows the progress of one run after the other; a context manager around all of them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def begin(self, number: int, total: int) -> None:
        """Turn to the next recording, which is `number` of `total`, from 1."""
        ...

    def show(self, now: RunProgress) -> None:
        """Take note of where the run stands."""
        ...

    def say(self, what: RenderableType) -> None:
        """Print something that stays."""
        ...

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to others for a while."""
        yield

    def stop(self) -> None:
        """Say that the run is being stopped; called by a signal handler."""
        ...

    def abandon(self) -> None:
        """Leave the terminal usable, for this process is about to end at once."""
        ...


class PlainDisplay:
    """A line when the run starts, for every stage and failure, and now and then for chunks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
        self._said: tuple[object, ...] = ()
        self._run_url = ""
        self._done = (0, -LINE_INTERVAL_SEC)  # chunks, and when they were told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to take away."""

    def begin(self, number: int, total: int) -> None:
        """Forget the recording before."""
        self._said, self._run_url, self._done = (), "", (0, -LINE_INTERVAL_SEC)

    def show(self, now: RunProgress) -> None:
        """Print a line where something has changed that a log should hold."""
        if now.run_url and now.run_url != self._run_url:
            self._run_url = now.run_url
            self._line(f"watch {now.run_url}")
        news = (now.stage, now.failed_chunks)
        chunks, told_sec = self._done
        is_due = now.done_chunks != chunks and self._clock() - told_sec >= LINE_INTERVAL_SEC
        if now.source_name and (news != self._said or is_due):
            self._said, self._done = news, (now.done_chunks, self._clock())
            self._line(f"{now.source_name}: {now.stage} {figures(now)}".rstrip())

    def say(self, what: RenderableType) -> None:
        """Print it."""
        self._console.print(what, markup=False)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is in the way."""
        yield

    def stop(self) -> None:
        """Print that the run is being stopped."""
        self._line("longform: stopping, once more to end at once")

    def abandon(self) -> None:
        """Nothing was changed."""

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class QuietDisplay(PlainDisplay):
    """Says nothing but errors."""

    def show(self, now: RunProgress) -> None:
        """Ignore it."""

    def stop(self) -> None:
        """Say nothing."""


def figures(now: RunProgress) -> str:
    """Return chunks, seconds, speed and time left as one short text."""
    if now.total_chunks is None and not now.done_samples:
        return ""
    parts = [
        f"{now.done_chunks}/{now.total_chunks or '?'} chunks",
        f"{to_seconds(now.done_samples):.0f} s",
    ]
    if now.speed:
        parts.append(f"{now.speed:.1f}x")
    if now.cached_chunks:
        parts.append(f"{now.cached_chunks} cached")
    if now.failed_chunks:
        parts.append(f"{now.failed_chunks} failed")
    if (left := now.remaining_sec) is not None and left > 0:
        parts.append(f"{int(left // 60)}:{int(left % 60):02} left")
    return ", ".join(parts)


def open_display(*, quiet: bool) -> Display:
    """Return the display that fits: stdout belongs to results, so this writes to stderr."""
    if quiet:
        return QuietDisplay()
    # Not what rich takes for a terminal: FORCE_COLOR is set in many a CI whose log is a pipe.
    if sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal:
        from cli.live_display import terminal_display

        return terminal_display()
    return PlainDisplay()
