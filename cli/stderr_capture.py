"""What this process and its children write to stderr, line by line, beside a live picture.

Workers, Prefect and C libraries write to the descriptor and know nothing of the picture, which
they would tear. While it stands, the descriptor is a pipe, and its lines are shown above it.
"""

import os
import selectors
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

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
