"""What shows that something was reached that nobody may reach: sockets and files under watch."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_IN_OPEN = 0x20  # inotify(7)
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows


class ListeningTrap:
    """Sockets that listen on this machine's own addresses, TCP and Unix, and count callers.

    They never answer: a caller that sends a request waits, and is counted all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=512)]
        self.port = int(self._sockets[0].getsockname()[1])
        for host in ("127.0.0.2", "127.8.8.8"):
            self._sockets.append(socket.create_server((host, self.port), backlog=512))
        with suppress(OSError):  # a machine without IPv6, or with the port taken there
            six = socket.create_server(("::1", self.port), family=socket.AF_INET6, backlog=512)
            self._sockets.append(six)
        self.unix_path = folder / "trap.sock"
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(self.unix_path))
        unix.listen(512)
        self._sockets.append(unix)
        for one in self._sockets:
            one.setblocking(False)

    def callers(self) -> int:
        """Return how many have connected since this was asked last."""
        return sum(map(_accept_all, self._sockets))

    def close(self) -> None:
        """Stop listening."""
        for one in self._sockets:
            one.close()


def _accept_all(listener: socket.socket) -> int:
    num = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            num += 1
    return num


class FileTrap:
    """Files whose every opening is counted, by whichever process (inotify)."""

    def __init__(self, *paths: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in paths:
            if self._libc.inotify_add_watch(self._descriptor, bytes(path), _IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), f"{path} cannot be watched")

    def openings(self) -> int:
        """Return how often the files have been opened since this was asked last."""
        num = 0
        with suppress(BlockingIOError):
            while events := os.read(self._descriptor, 65_536):
                num += _count_events(events)
        return num

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


def _count_events(events: bytes) -> int:
    num, place = 0, 0
    while place < len(events):
        *_, name_bytes = _EVENT.unpack_from(events, place)
        place += _EVENT.size + name_bytes
        num += 1
    return num


@contextmanager
def traps(folder: Path, *watched: Path) -> Iterator[tuple[ListeningTrap, FileTrap]]:
    """Set both kinds for as long as the context lasts."""
    listening, files = ListeningTrap(folder), FileTrap(*watched)
    try:
        yield listening, files
    finally:
        listening.close()
        files.close()
