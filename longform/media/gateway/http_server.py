"""The part of HTTP/1.1 that ffmpeg speaks: GET and HEAD with byte ranges, over loopback.

Ours, because a range server on the standard library's asyncio is a page of code, and every
ASGI server brings a framework, signal handlers and an access log into the worker process.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SEND_BUFFER_BYTES = 65_536  # bytes; what a reader that hangs up has made us fetch for nothing
HEADER_BYTES = 16_384  # bytes; longest request head

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class Resource(Protocol):
    """What a path stands for."""

    @property
    def length_bytes(self) -> int:
        """Length of the content."""
        ...

    async def send(self, start: int, end: int, writer: asyncio.StreamWriter) -> bool:
        """Write the bytes `[start, end)`; False when some of them could not be had."""
        ...


Lookup = Callable[[str], Resource | None]


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    byte_range: str | None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    start: int = 0
    end: int = 0
    headers: tuple[str, ...] = ()


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lookup: Lookup
) -> None:
    """Answer the requests of one connection until the other side hangs up."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        while (request := await _next_request(reader)) is not None:
            if not await _respond(request, writer, lookup):
                writer.transport.abort()
                return
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # hanging up in the middle is how a media reader seeks
    finally:
        writer.close()


async def _next_request(reader: asyncio.StreamReader) -> _Request | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3:
        return None
    fields = (line.partition(":") for line in lines[1:])
    byte_range = next((v.strip() for k, _, v in fields if k.strip().lower() == "range"), None)
    return _Request(words[0], words[1], byte_range)


async def _respond(request: _Request, writer: asyncio.StreamWriter, lookup: Lookup) -> bool:
    resource = lookup(request.path)
    answer = _choose(request, resource)
    fields = (
        f"HTTP/1.1 {answer.status}",
        f"Content-Length: {answer.end - answer.start}",
        "Content-Type: application/octet-stream",
        "Accept-Ranges: bytes",
        *answer.headers,
    )
    writer.write(("\r\n".join(fields) + "\r\n\r\n").encode("latin-1"))
    await writer.drain()
    if resource is None or request.method == "HEAD":
        return True
    return await resource.send(answer.start, answer.end, writer)


def _choose(request: _Request, resource: Resource | None) -> _Answer:
    if request.method not in ("GET", "HEAD"):
        return _Answer("405 Method Not Allowed", headers=("Allow: GET, HEAD",))
    if resource is None:
        return _Answer("404 Not Found")
    if request.byte_range is None:
        return _Answer("200 OK", 0, resource.length_bytes)
    return _choose_range(request.byte_range, resource.length_bytes)


def _choose_range(byte_range: str, length: int) -> _Answer:
    found = _RANGE.match(byte_range)
    first, last = found.groups() if found else ("", "")
    if first:
        start, end = int(first), min(int(last) + 1 if last else length, length)
    else:
        start, end = max(0, length - int(last or 0)), length
    if start >= end:
        return _Answer("416 Range Not Satisfiable", headers=(f"Content-Range: bytes */{length}",))
    return _Answer(
        "206 Partial Content", start, end, (f"Content-Range: bytes {start}-{end - 1}/{length}",)
    )
