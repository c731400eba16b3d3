"""Ctrl-C: the first ends the run cleanly and says how to go on, the second ends at once."""

import asyncio
import os
import shlex
import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from cli.display import Display
from cli.exit_codes import INTERRUPTED
from longform.net.policy import redact
from longform.runs.progress_events import RunProgress

PROGRAM = "longform"
STARTS_OVER = "--no-cache"  # with it the chunks that are kept would not be used


class Interruption:
    """Takes SIGINT over, and knows how far the run had come."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._task: asyncio.Task[int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: RunProgress | None = None
        self.came = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:  # as a shell has what it starts with `&`
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def cancels_this_task(self) -> None:
        """Have the first Ctrl-C cancel the task that calls this."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()

    def note(self, now: RunProgress) -> None:
        """Remember where the run stands."""
        self._now = now

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            self._display.abandon()
            os._exit(INTERRUPTED)
        self.came = True
        self._display.stop()
        if self._task is None or self._loop is None or self._task.done():
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._task.cancel)

    def kept(self, arguments: Sequence[str]) -> str:
        """Return what is kept, and the command that goes on from there."""
        return f"{PROGRAM}: stopped; finished chunks are kept{self._count()}; {going_on(arguments)}"

    def _count(self) -> str:
        now = self._now
        if now is None or not (now.total_chunks or now.done_chunks):
            return ""
        of_all = f" of {now.total_chunks}" if now.total_chunks else ""
        return f" ({now.done_chunks}{of_all} of {now.source_name})"


def going_on(arguments: Sequence[str]) -> str:
    """Return the command to go on with; one that holds a secret is not repeated."""
    if any(_has_secret(argument) for argument in arguments):
        return "the same command goes on from there"
    again = [argument for argument in arguments if argument != STARTS_OVER]
    return f"go on with\n  {shlex.join([PROGRAM, *again])}"


def _has_secret(argument: str) -> bool:
    values = (argument, argument.partition("=")[2])
    return any("://" in value and redact(value) != value for value in values)
