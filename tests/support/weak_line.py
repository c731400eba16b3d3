"""A TCP proxy in front of a server, which can be taken away and brought back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READ_BYTES = 65_536


class WeakLine:
    """Forwards connections to a port of this machine while it is up."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    def take_away(self) -> None:
        """Refuse connections, and cut those there are."""
        with self._lock:
            _close(self._listener)
            for connection in self._connections:
                _close(connection)
            self._connections.clear()

    def bring_back(self) -> None:
        """Accept connections again, at the same port."""
        self._listener = self._listen(self.port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                with self._lock:
                    self._connections += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_forward, args=pair, daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(READ_BYTES):
            sink.sendall(data)
    _close(source)
    _close(sink)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def weak_line(target_port: int) -> Iterator[WeakLine]:
    """Run such a proxy."""
    line = WeakLine(target_port)
    try:
        yield line
    finally:
        line.take_away()
