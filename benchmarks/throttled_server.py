"""A server with byte ranges that gives every connection a few MB/s and no more.

So do object stores, CDNs and podcast hosts: whoever wants more opens several connections.
GET /stats gives what was asked of it since the last time.
"""

import argparse
import json
import re
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE_BYTES = 16_384  # bytes between two looks at the clock
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class ThrottledServer(ThreadingHTTPServer):
    """Serves the files of a folder; counts bytes, requests and connections in use."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, bytes_per_sec: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.bytes_per_sec = bytes_per_sec
        self._lock = threading.Lock()
        self._sending = 0
        self._reset()

    def sending(self, change: int, num_bytes: int = 0) -> None:
        """Note that a body begins (1) or ends (-1)."""
        with self._lock:
            self._sending += change
            self._counts["requests"] += max(0, change)
            self._counts["bytes"] += num_bytes
            self._counts["connections"] = max(self._counts["connections"], self._sending)

    def take_stats(self) -> dict[str, int]:
        """Return what was counted, and begin anew."""
        with self._lock:
            counts = self._counts
            self._reset()
            return counts

    def _reset(self) -> None:
        self._counts = {"requests": 0, "bytes": 0, "connections": 0}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ThrottledServer

    def setup(self) -> None:
        super().setup()
        self._due_sec = 0.0  # when the connection's last piece will have been sent

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        if self.path == "/stats":
            body = json.dumps(self.server.take_stats()).encode()
            self._head(200, len(body))
            self.wfile.write(body)
            return
        path = self.server.folder / Path(self.path).name
        length = path.stat().st_size
        found = _RANGE.match(self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        end = min(int(found[2]) + 1, length) if found and found[2] else length
        part = f"bytes {start}-{end - 1}/{length}" if found else None
        self._head(206 if found else 200, end - start, part)
        self._send(path, start, end)

    def _head(self, status: int, length: int, part: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"benchmark"')
        self.send_header("Accept-Ranges", "bytes")
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()

    def _send(self, path: Path, start: int, end: int) -> None:
        self.server.sending(1)
        # Time in which nothing was asked for is lost: no credit is saved up.
        self._due_sec = max(self._due_sec, time.monotonic())
        position = start
        try:
            with path.open("rb") as file:
                file.seek(start)
                while position < end:
                    piece = file.read(min(PIECE_BYTES, end - position))
                    self._wait(len(piece))
                    self.wfile.write(piece)
                    position += len(piece)
        finally:
            self.server.sending(-1, position - start)

    def _wait(self, num_bytes: int) -> None:
        self._due_sec += num_bytes / self.server.bytes_per_sec
        time.sleep(max(0.0, self._due_sec - time.monotonic()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
        """Be quiet."""


def main() -> None:
    """Serve a folder until the process is ended; print the port first."""
    parser = argparse.ArgumentParser(prog="benchmarks.throttled_server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mb-per-sec", type=float, default=2.0, help="of every connection")
    given = parser.parse_args()
    server = ThrottledServer(given.folder, given.mb_per_sec * 1e6)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
