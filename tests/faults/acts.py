"""What servers do wrong: each of these answers one request, badly or oddly."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.support.fault_server import PATH, Exchange, Fault, Served, drip

Act = Callable[[Exchange], None]

DRIP_SEC = 0.02  # between two bytes: 50 bytes a second, far under every rate floor
OTHER = bytes(byte ^ 0x55 for byte in range(256))  # a translation: every byte is another


def _half(exchange: Exchange) -> bytes:
    return exchange.body[: len(exchange.body) // 2]


def cut(num_bytes: int | None = None) -> Act:
    """Send part of the body, then FIN."""

    def act(exchange: Exchange) -> None:
        part = _half(exchange) if num_bytes is None else exchange.body[:num_bytes]
        exchange.send(exchange.head() + part)
        exchange.finish()

    return act


def cut_at_place(exchange: Exchange) -> None:
    """Send nothing from the byte at the fault's place on, then FIN."""
    start, _ = exchange.asked or (0, 0)
    exchange.send(exchange.head() + exchange.body[: max(0, exchange.server.place - start)])
    exchange.finish()


def reset(exchange: Exchange) -> None:
    """Send a little of the body, then RST."""
    exchange.send(exchange.head() + exchange.body[:100])
    exchange.reset()


def cut_head(exchange: Exchange) -> None:
    """End inside the headers."""
    exchange.send(exchange.head()[:40])
    exchange.finish()


def hang_up(exchange: Exchange) -> None:
    """Close without a word."""
    exchange.finish()


def status(line: str, **headers: str) -> Act:
    """Answer with a status."""
    return lambda exchange: exchange.status(line, **headers)


def throttle(line: str) -> Act:
    """Answer with a status and a date as Retry-After."""

    def act(exchange: Exchange) -> None:
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        exchange.status(line, Retry_After=soon)

    return act


def relabel(**changes: str | None) -> Act:
    """Send the right body under a wrong head; {first}, {last}, {total} are filled in."""

    def act(exchange: Exchange) -> None:
        start, end = exchange.asked or (0, 0)
        known = {"first": start, "last": end - 1, "total": len(exchange.served.content)}
        filled = {
            name: value and value.format(**known, shifted=start + 1, length=end - start)
            for name, value in changes.items()
        }
        exchange.send(exchange.head(**filled) + exchange.body)
        exchange.finish()

    return act


def whole(exchange: Exchange) -> None:
    """Send the whole file, as if no range had been asked for."""
    exchange.asked = None
    exchange.send(exchange.head("200 OK") + exchange.body)


def chunked(*, complete: bool = True) -> Act:
    """Send the body in chunks, without a length."""

    def act(exchange: Exchange) -> None:
        exchange.send(exchange.head(Content_Length=None, Transfer_Encoding="chunked"))
        body = exchange.body
        for start in range(0, len(body), 1_000):
            part = body[start : start + 1_000]
            exchange.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if not complete:
                exchange.finish()
        exchange.send(b"0\r\n\r\n")

    return act


def close_delimited(exchange: Exchange) -> None:
    """Send the body without a length; it ends where the connection does."""
    exchange.send(exchange.head(Content_Length=None, Connection="close") + exchange.body)
    exchange.finish()


def compressed(exchange: Exchange) -> None:
    """Compress the part that was asked for."""
    body = gzip.compress(exchange.body)
    exchange.send(exchange.head(Content_Encoding="gzip", Content_Length=str(len(body))) + body)


def deflated(exchange: Exchange) -> None:
    """Compress it in another way, and do not give its length."""
    body = zlib.compress(exchange.body)
    exchange.send(exchange.head(Content_Encoding="deflate", Content_Length=None) + body)
    exchange.finish()


def multipart(exchange: Exchange) -> None:
    """Wrap the part that was asked for into multipart/byteranges."""
    start, end = exchange.asked or (0, 0)
    total = len(exchange.served.content)
    body = (
        f"--B\r\nContent-Range: bytes {start}-{end - 1}/{total}\r\n\r\n".encode()
        + exchange.body
        + b"\r\n--B--\r\n"
    )
    kind = "multipart/byteranges; boundary=B"
    length = str(len(body))
    head = exchange.head(Content_Type=kind, Content_Range=None, Content_Length=length)
    exchange.send(head + body)


def stall(exchange: Exchange) -> None:
    """Send half of the body, and then nothing."""
    exchange.send(exchange.head() + _half(exchange))
    exchange.wait_until_left()


def say_nothing(exchange: Exchange) -> None:
    """Take the request and never answer."""
    exchange.wait_until_left()


def slow_body(exchange: Exchange) -> None:
    """Send the body byte by byte."""
    exchange.send(exchange.head())
    drip(exchange, exchange.body, DRIP_SEC)


def slow_head(exchange: Exchange) -> None:
    """Send even the headers byte by byte."""
    drip(exchange, exchange.head(X_Padding="x" * 4_000), DRIP_SEC)


def redirect(target: str) -> Act:
    """Redirect to another address; what is asked for there is answered."""

    def act(exchange: Exchange) -> None:
        if exchange.path == PATH:
            exchange.status("302 Found", Location=target)
        else:
            exchange.answer()

    return act


def redirect_loop(exchange: Exchange) -> None:
    """Redirect from every address to another."""
    exchange.status("302 Found", Location=f"{PATH}?{exchange.path.count('x') * 'x'}x")


def redirect_to_other(exchange: Exchange) -> None:
    """Redirect to an address that holds another file of the same length."""
    if exchange.path == PATH:
        exchange.status("302 Found", Location="/other.bin")
        return
    content = exchange.served.content.translate(OTHER)
    exchange.served = Served(content, '"other"', exchange.served.last_modified)
    exchange.answer()


def become(change: Callable[[Exchange], Served]) -> Fault:
    """Change what is served from this request on, and serve it well."""

    def act(exchange: Exchange) -> None:
        exchange.server.served = change(exchange)
        exchange.refresh()
        exchange.answer()

    return Fault(act, times=1)


def other_content(**validators: str | None) -> Fault:
    """Replace the file by another of the same length."""
    return become(
        lambda exchange: replace(
            exchange.served, content=exchange.served.content.translate(OTHER), **validators
        )
    )


def longer(exchange: Exchange) -> Served:
    """Return the content with a little more at its end."""
    return replace(exchange.served, content=exchange.served.content + bytes(100))


def truncated(**validators: str) -> Fault:
    """Cut the file off at the fault's place."""
    return become(
        lambda exchange: replace(
            exchange.served, content=exchange.served.content[: exchange.server.place], **validators
        )
    )


def garbage(exchange: Exchange) -> None:
    """Send what is no HTTP at all."""
    exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n" + exchange.body[:500] + b"\r\n\r\n")
    exchange.finish()


def head_flood(exchange: Exchange) -> None:
    """Send headers without end."""
    exchange.send(b"HTTP/1.1 206 Partial Content\r\n")
    for number in range(400):
        exchange.send(f"X-{number}: {'x' * 1_000}\r\n".encode())
    exchange.finish()


def more_than_announced(exchange: Exchange) -> None:
    """Send bytes after the end of the body."""
    exchange.send(exchange.head() + exchange.body + b"and some more")


def http_10(exchange: Exchange) -> None:
    """Answer in HTTP/1.0, and close."""
    head = exchange.head().replace(b"HTTP/1.1", b"HTTP/1.0")
    exchange.send(head + exchange.body)
    exchange.finish()


def answer_and_close(exchange: Exchange) -> None:
    """Answer well, and close the connection that was to be kept."""
    exchange.answer()
    exchange.finish()


def early_hints(exchange: Exchange) -> None:
    """Send an interim answer first."""
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    exchange.answer()


def short_range(num_bytes: int) -> Act:
    """Answer, honestly, with less than was asked for."""

    def act(exchange: Exchange) -> None:
        if exchange.asked is not None:
            start, end = exchange.asked
            exchange.asked = (start, min(end, start + num_bytes))
        exchange.answer()

    return act


def refuse(seconds: float) -> Act:
    """Stop listening for a while."""

    def act(exchange: Exchange) -> None:
        exchange.server.refuse_for(seconds)
        exchange.reset()

    return act
