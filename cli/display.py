"""What a person sees while a transcription runs: a live line on a terminal, else plain lines."""

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from longform.progress import RunProgress
from longform.timeline import to_seconds

PREVIEW_CHARACTERS = 60


class Display(Protocol):
    """Shows the progress of one run; used as a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, now: RunProgress) -> None:
        """Take note of where the run stands."""
        ...


class LiveDisplay:
    """One moving line with a bar, and the last words that were transcribed under it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
            TextColumn("{task.fields[last_text]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("opening", total=1.0, figures="", last_text="")
        self._console = console
        self._announced = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the line away; what it said at the end is in the summary."""
        self._progress.stop()

    def show(self, now: RunProgress) -> None:
        """Move the bar."""
        if now.run_url and not self._announced:
            self._announced = True
            self._console.print(f"[dim]watch {now.run_url}", highlight=False, soft_wrap=True)
        self._progress.update(
            self._task,
            description=f"{now.source_name}: {now.stage}",
            completed=now.fraction,
            figures=figures(now),
            last_text=now.last_text[-PREVIEW_CHARACTERS:],
        )


class PlainDisplay:
    """A line when the run starts, for every stage, and whenever a chunk is done."""

    def __init__(self) -> None:
        self._said: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to take away."""

    def show(self, now: RunProgress) -> None:
        """Print a line where something has changed that a log should hold."""
        news = (now.stage, now.done_chunks, now.failed_chunks, now.run_url)
        if news != self._said:
            if now.run_url and now.run_url not in self._said:
                sys.stderr.write(f"watch {now.run_url}\n")
            self._said = news
            sys.stderr.write(f"{now.source_name}: {now.stage} {figures(now)}\n")


class QuietDisplay(PlainDisplay):
    """Says nothing."""

    def show(self, now: RunProgress) -> None:
        """Ignore it."""


def figures(now: RunProgress) -> str:
    """Return chunks, seconds, speed and time left as one short text."""
    if now.total_chunks is None and not now.done_samples:
        return ""
    parts = [
        f"{now.done_chunks}/{now.total_chunks or '?'} chunks",
        f"{to_seconds(now.done_samples):.0f} s",
        f"{now.speed:.1f}x",
    ]
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
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal else PlainDisplay()
