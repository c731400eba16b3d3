"""A transcription server on 127.0.0.1 that answers what a test tells it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fields = dict[str, list[str]]


@dataclass
class Answer:
    """One answer: a document, or bytes that are none."""

    document: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False  # close the connection instead
    late: threading.Event | None = None  # what it waits for

    @property
    def content(self) -> bytes:
        """The body."""
        return json.dumps(self.document).encode() if self.raw is None else self.raw


@dataclass
class SpeechServer:
    """`answers` come in order, the last one again and again; `asked` is what came."""

    url: str = ""
    models: Answer = field(default_factory=lambda: Answer({"data": [{"id": "m"}]}))
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, Fields]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self) -> Answer:
        """Return the answer to the next request."""
        with self._lock:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def count(self, change: int) -> None:
        """Count requests that are being answered."""
        with self._lock:
            self._now += change
            self.most_at_once = max(self.most_at_once, self._now)


@contextmanager
def speech_server(*answers: Answer) -> Iterator[SpeechServer]:
    """Run a server for as long as the context lasts."""
    state = SpeechServer(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.keys.append(self.headers.get("Authorization"))
            self._send(state.models)

        def do_POST(self) -> None:
            state.count(+1)
            try:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                state.keys.append(self.headers.get("Authorization"))
                state.asked.append((self.path, _fields(self.headers["Content-Type"], body)))
                self._send(state.next_answer())
            finally:
                state.count(-1)

        def _send(self, answer: Answer) -> None:
            if answer.late is not None:
                answer.late.wait(60)
            if answer.cut:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _fields(content_type: str, body: bytes) -> Fields:
    message = message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=HTTP
    )
    found: Fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        found.setdefault(str(name), []).append(content.decode("latin-1"))
    return found
