"""An HTTP server on raw sockets that goes wrong where and as it is told.

A library would not let us send half a header, a wrong length or a reset. Content, validators
and the place of the fault can change while requests are answered.
"""

import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s; closing sends RST

PATH = "/talk.bin"


class HangUpError(Exception):
    """Ends a connection from within an answer."""


@dataclass
class Served:
    """What the server has to give, and how it speaks of it."""

    content: bytes = b""
    etag: str | None = '"one"'
    last_modified: str | None = "Sat, 01 Nov 2025 10:00:00 GMT"


@dataclass(frozen=True)
class Fault:
    """How the server goes wrong, from the first request on that covers its place.

    Attributes:
        act: answers a request that is hit.
        times: how many requests are hit; None: all from then on.
    """

    act: "Callable[[Exchange], None]"
    times: int | None = None


@dataclass
class Exchange:
    """One request, and the means to answer it well or badly."""

    server: "FaultServer"
    connection: socket.socket
    path: str
    headers: dict[str, str]
    closing: bool = False
    served: Served = field(init=False)
    asked: tuple[int, int] | None = field(init=False)  # [start, end), clipped

    def __post_init__(self) -> None:
        """Look the request up in what is served just now."""
        self.refresh()

    def refresh(self) -> None:
        """Look the request up again, after what is served has changed."""
        self.served = self.server.served
        found = _RANGE.match(self.headers.get("range", ""))
        length = len(self.served.content)
        self.asked = None
        if found is not None:
            self.asked = (int(found[1]), min(int(found[2]) + 1 if found[2] else length, length))

    @property
    def body(self) -> bytes:
        """The bytes that a right answer holds."""
        start, end = self.asked or (0, len(self.served.content))
        return self.served.content[start:end]

    def head(self, status: str = "206 Partial Content", **changes: str | None) -> bytes:
        """Return a head for `body`; `changes` replace headers, as `Content_Length`; None drops."""
        start, end = self.asked or (0, len(self.served.content))
        headers: dict[str, str | None] = {
            "Content-Length": str(end - start),
            "Content-Type": "application/octet-stream",
            "ETag": self.served.etag,
            "Last-Modified": self.served.last_modified,
        }
        if status.startswith("206"):
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.served.content)}"
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")

    def status(self, status: str, **headers: str | None) -> None:
        """Answer with a status and no body."""
        self.send(self.head(status, Content_Length="0", ETag=None, Last_Modified=None, **headers))

    def answer(self) -> None:
        """Answer as a good server does."""
        pinned = self.headers.get("if-range")
        length = len(self.served.content)
        if self.asked is None or (pinned is not None and pinned != self.served.etag):
            self.asked = None
            self.send(self.head("200 OK") + self.body)
        elif self.asked[0] >= self.asked[1]:
            self.status("416 Range Not Satisfiable", Content_Range=f"bytes */{length}")
        else:
            self.send(self.head() + self.body)

    def send(self, data: bytes) -> None:
        """Send bytes; a client that has gone ends the connection."""
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise HangUpError from error
        self.server.bytes_sent += len(data)

    def finish(self) -> None:
        """Close in good order: the client sees an end (FIN)."""
        raise HangUpError

    def reset(self) -> None:
        """Close with a reset (RST)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        raise HangUpError

    def wait_until_left(self) -> None:
        """Send nothing more until the client leaves or the server ends."""
        while not self.server.ending.is_set():
            if select.select([self.connection], [], [], 0.05)[0] and not self._peek():
                break
        raise HangUpError

    def _peek(self) -> bytes:
        try:
            return self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return b""


class FaultServer:
    """The running server. `hits` counts the requests that the fault has met."""

    def __init__(self) -> None:
        self.served = Served()
        self.fault: Fault | None = None
        self.place = 0
        self.hits = 0
        self.num_connections = 0
        self.num_requests = 0
        self.bytes_sent = 0
        self.num_open = 0
        self.most_open = 0
        self.ending = threading.Event()
        self._counting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The address of what is served."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def arm(self, fault: Fault | None, place: int) -> None:
        """Go wrong from the first request on that covers the byte at `place`."""
        self.fault, self.place, self.hits = fault, place, 0

    def refuse_for(self, seconds: float) -> None:
        """Close the port and all connections, so that all is refused; open it again later."""
        self._stop_listening()
        self._hang_up()
        self._start(lambda: self._listen_again(seconds))

    def close(self) -> None:
        """End everything that runs."""
        self.ending.set()
        self._stop_listening()
        self._hang_up()
        for thread in self._threads:
            thread.join(10)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._start(lambda: self._accept(listener))
        return listener

    def _listen_again(self, seconds: float) -> None:
        if not self.ending.wait(seconds):
            self._listener = self._listen(self.port)

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _hang_up(self) -> None:
        with self._counting:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._counting:
            self._connections.add(connection)
            self.num_connections += 1
        try:
            with connection, suppress(HangUpError, OSError):
                while (exchange := self._next(connection)) is not None:
                    self._answer(exchange)
                    if exchange.closing:
                        return
        finally:
            with self._counting:
                self._connections.discard(connection)

    def _next(self, connection: socket.socket) -> Exchange | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = connection.recv(8_192)
            if not part:
                return None
            head += part
        lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return Exchange(self, connection, lines[0].split(" ")[1], headers)

    def _answer(self, exchange: Exchange) -> None:
        with self._counting:
            self.num_requests += 1
            self.num_open += 1
            self.most_open = max(self.most_open, self.num_open)
            hit = self._is_hit(exchange)
            self.hits += hit
        try:
            if hit and self.fault is not None:
                self.fault.act(exchange)
            else:
                exchange.answer()
        finally:
            with self._counting:
                self.num_open -= 1

    def _is_hit(self, exchange: Exchange) -> bool:
        fault = self.fault
        if fault is None or (fault.times is not None and self.hits >= fault.times):
            return False
        start, end = exchange.asked or (0, len(exchange.served.content))
        return self.hits > 0 or start <= self.place < end


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """Run a server for as long as the context lasts."""
    server = FaultServer()
    try:
        yield server
    finally:
        server.close()


def drip(exchange: Exchange, data: bytes, interval_sec: float) -> None:
    """Send byte after byte, with a pause between them, until the client leaves."""
    for number in range(len(data)):
        if exchange.server.ending.is_set():
            break
        exchange.send(data[number : number + 1])
        time.sleep(interval_sec)
    exchange.finish()
