"""A real HTTP server on 127.0.0.1 with the good and bad habits of those out there."""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


@dataclass
class Habits:
    """How the server treats every path; change the fields at any time.

    Attributes:
        files: content by path ("/talk.mp3"); the query string is ignored.
        ranges: whether byte ranges are served.
        etag: "strong", "weak", "same" (one for all files) or None.
        last_modified: the Last-Modified header, or None.
        statuses: statuses for the next requests, before any is answered properly.
        status: a status for all requests.
        retry_after: the Retry-After header of 429 and 503.
        cut_after: body bytes after which the connection is cut.
        cuts: how many bodies are cut; None: all of them.
        dead_from: offset in the file from which on no byte is ever sent; the connection is cut.
        stall_after: body bytes after which nothing more is sent until the server ends.
        redirects: where paths redirect to.
        chunked: no Content-Length on whole answers.
        wrong_range: answer with another range than was asked for.
        admitted: query strings with which files may be read; None: with any.
        refusal: status and body of the answer to any other query string.
        good_requests: after this many requests for files, `refusal` is the answer to all.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = "strong"
    last_modified: str | None = "Sat, 01 Nov 2025 10:00:00 GMT"
    statuses: list[int] = field(default_factory=list)
    status: int | None = None
    retry_after: str | None = None
    cut_after: int | None = None
    cuts: int | None = None
    dead_from: int | None = None
    stall_after: int | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    wrong_range: bool = False
    admitted: set[str] | None = None
    refusal: tuple[int, bytes] = (403, b"")
    good_requests: int | None = None


class RangeServer:
    """The running server: its address, its habits, and what was asked of it."""

    def __init__(self) -> None:
        self.habits = Habits()
        self.requests: list[tuple[str, str | None]] = []  # path with query, Range header
        self.bytes_sent: Counter[str] = Counter()
        self.ending = threading.Event()
        server = self

        class Handler(_Handler):
            owner = server

        self._http = _Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def add(self, content: bytes | Path, path: str = "/talk.bin") -> str:
        """Serve some content under a path; return its address."""
        self.habits.files[path] = content if isinstance(content, bytes) else content.read_bytes()
        return self.url(path)

    def close(self) -> None:
        """Stop listening and let stalled connections go."""
        self.ending.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def range_server() -> Iterator[RangeServer]:
    """Run a server for as long as the context lasts."""
    server = RangeServer()
    try:
        yield server
    finally:
        server.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # with 5, a burst of connections waits a second for a second SYN


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: RangeServer

    def handle(self) -> None:
        with suppress(ConnectionError):  # clients hang up when they have seen enough
            super().handle()

    def do_GET(self) -> None:
        habits, path = self.owner.habits, urlsplit(self.path).path
        self.owner.requests.append((self.path, self.headers.get("Range")))
        if status := self._bad_status():
            self._reply(status, {"Retry-After": habits.retry_after}, b"")
        elif path in habits.redirects:
            self._reply(302, {"Location": habits.redirects[path]}, b"")
        elif self._is_expired():
            self._reply(habits.refusal[0], {}, habits.refusal[1])
        elif path not in habits.files:
            self._reply(404, {}, b"")
        else:
            self._send_file(habits.files[path])

    do_HEAD = do_GET  # noqa: N815  (its name there)

    def _bad_status(self) -> int | None:
        habits = self.owner.habits
        return habits.statuses.pop(0) if habits.statuses else habits.status

    def _is_expired(self) -> bool:
        habits = self.owner.habits
        if habits.good_requests is not None and len(self.owner.requests) > habits.good_requests:
            return True
        return habits.admitted is not None and urlsplit(self.path).query not in habits.admitted

    def _send_file(self, content: bytes) -> None:
        habits = self.owner.habits
        headers = {"ETag": self._etag(content), "Last-Modified": habits.last_modified}
        found = _RANGE.match(self.headers.get("Range", "")) if habits.ranges else None
        pinned = self.headers.get("If-Range")
        if found is None or (pinned is not None and pinned != headers["ETag"]):
            self._reply(200, headers, content)
            return
        start = int(found[1])
        end = min(int(found[2]) + 1 if found[2] else len(content), len(content))
        if start >= end:
            self._reply(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        start += habits.wrong_range
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        headers["Accept-Ranges"] = "bytes"
        self._reply(206, headers, content[start:end], start)

    def _etag(self, content: bytes) -> str | None:
        digest = hashlib.sha256(content).hexdigest()[:12]
        kinds = {"strong": f'"{digest}"', "weak": f'W/"{digest}"', "same": '"one"', None: None}
        return kinds[self.owner.habits.etag]

    def _reply(
        self, status: int, headers: dict[str, str | None], body: bytes, offset: int = 0
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if self.owner.habits.chunked and status == 200:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, offset)

    def _send_body(self, body: bytes, offset: int) -> None:
        habits = self.owner.habits
        allowed = len(body)
        if habits.cut_after is not None and allowed > habits.cut_after and habits.cuts != 0:
            allowed = habits.cut_after
            habits.cuts = None if habits.cuts is None else habits.cuts - 1
        if habits.dead_from is not None:
            allowed = min(allowed, max(0, habits.dead_from - offset))
        if habits.stall_after is not None:
            allowed = min(allowed, habits.stall_after)
        # Counted before, so that whoever has the bytes finds them counted.
        self.owner.bytes_sent[urlsplit(self.path).path] += allowed
        try:
            self.wfile.write(body[:allowed])
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            return
        if allowed < len(body):
            self.close_connection = True
            if habits.stall_after is not None:
                self.owner.ending.wait()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
        """Be quiet."""
