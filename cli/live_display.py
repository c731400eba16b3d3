"""The live picture of a run on a terminal, which follows its size; lines stay above it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from cli.run_view import Place, RunView
from cli.stderr_capture import CapturedStderr
from longform.runs.progress_events import RunProgress

FRAME_SEC = 0.1
SHOW_CURSOR = "\x1b[?25h"


class LiveDisplay:
    """Draws a `RunView` ten times a second, from a thread of its own."""

    def __init__(self, console: Console, capture: CapturedStderr | None = None) -> None:
        self._console = console
        self._capture = capture
        self._view = RunView(Place(1, 1))
        self._live: Live | None = None
        self._drawing = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="display", daemon=True)
        self._run_url = ""

    def __enter__(self) -> Self:
        if self._capture is not None:
            self._capture.__enter__()
        self._start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the picture away; what it said at the end is in the summary."""
        self._ended.set()
        self._thread.join()
        if self._capture is not None:
            self._capture.__exit__(kind, error, traceback)
        self._stop()

    def begin(self, number: int, total: int) -> None:
        """Clear the picture for the next recording."""
        with self._drawing:
            self._view, self._run_url = RunView(Place(number, total)), ""
            if self._live is not None:
                self._live.update(self._view)

    def show(self, now: RunProgress) -> None:
        """Take note of where the run stands; the next frame shows it."""
        with self._drawing:
            self._view.take_in(now, time.monotonic())
        if now.run_url != self._run_url:
            self._run_url = now.run_url
            if self._view.place.total == 1:
                self.say(Text(f"watch {now.run_url}", style=f"dim link {now.run_url}"))

    def say(self, what: RenderableType) -> None:
        """Print something above the picture."""
        with self._drawing:
            self._follow_size()
            self._console.print(what, markup=False, emoji=False, highlight=False, soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the picture away for a while."""
        with self._drawing:
            self._stop()
            try:
                yield
            finally:
                self._start()

    def stop(self) -> None:
        """Have the next frame say that the run is being stopped."""
        self._view.stop()

    def abandon(self) -> None:
        """Bring the cursor back."""
        with suppress(OSError, ValueError):
            os.write(self._console.file.fileno(), f"{SHOW_CURSOR}\r\n".encode())

    def _start(self) -> None:
        self._live = Live(
            self._view,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        while not self._ended.wait(FRAME_SEC):
            with self._drawing:
                if self._live is not None:
                    self._follow_size()
                    self._view.tick(time.monotonic())
                    self._live.refresh()

    def _follow_size(self) -> None:
        """Take in the terminal's size; where it became narrower, wipe what it has wrapped.

        Terminals wrap the lines that no longer fit, and the picture is then taller than what
        the next frame would erase.
        """
        with suppress(OSError, ValueError):  # no terminal: a size that the user has set
            size = os.get_terminal_size(self._console.file.fileno())
            if size.columns < self._console.width:
                widths = self._view.line_widths
                extra = sum(max(0, width - 1) // size.columns for width in widths)
                wipe = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)]
                self._console.control(Control(*wipe * extra))
            self._console.size = (size.columns, size.lines)


def terminal_display() -> LiveDisplay:
    """Return a display on the terminal behind stderr, which it takes over while it stands."""
    capture = CapturedStderr(lambda line: display.say(Text.from_ansi(line)))
    console = Console(file=capture.terminal)
    display = LiveDisplay(console, capture)
    return display
