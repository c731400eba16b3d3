"""The live picture of a run on a terminal, which follows its size; lines stay above it."""

import os
import selectors
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from cli.run_view import Place, RunView
from longform.runs.progress_events import RunProgress

# What this process and its children write to stderr, line by line, beside a live picture.
#
# Workers, Prefect and C libraries write to the descriptor and know nothing of the picture, which
# they would tear. While it stands, the descriptor is a pipe, and its lines are shown above it.


STDERR_FD = 2
READ_BYTES = 65_536


class CapturedStderr:
    """Takes stderr over; `terminal` is where it went before."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="stderr", daemon=True)
        self._terminal_fd = os.dup(STDERR_FD)
        self.terminal: TextIO = os.fdopen(
            os.dup(self._terminal_fd), "w", encoding="utf-8", errors="replace"
        )

    def __enter__(self) -> Self:
        sys.stderr.flush()
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.dup2(write_fd, STDERR_FD)
        os.close(write_fd)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give stderr back; what has been written is shown first."""
        sys.stderr.flush()
        os.dup2(self._terminal_fd, STDERR_FD)
        self._ended.set()
        self._thread.join()
        # A child that lives on and still holds the pipe must not keep us.
        self._take_in()
        if self._rest:
            self._show(self._rest)
        os.close(self._read_fd)
        os.close(self._terminal_fd)

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            while not self._ended.is_set():
                if selector.select(timeout=0.1) and not self._take_in():
                    return

    def _take_in(self) -> bool:
        """Show the lines that are there; return whether more may come."""
        while True:
            try:
                block = os.read(self._read_fd, READ_BYTES)
            except BlockingIOError:
                return True
            if not block:
                return False
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self._show(line)

    def _show(self, line: bytes) -> None:
        # Of a bar that was drawn over itself with carriage returns, the last state.
        text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
        if text.strip():
            self._on_line(text)


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
