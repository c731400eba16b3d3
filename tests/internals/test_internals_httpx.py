"""What we use of httpx and httpcore beyond their documentation: `longform/net/safe_http.py`."""

import asyncio
import logging

import httpcore
import httpx

from longform.net.policy import SourcePolicy
from longform.net.safe_http import CheckedBackend
from tests.support.library import Library

HTTPX, HTTPCORE = Library("httpx"), Library("httpcore")


def test_a_transport_sends_through_the_pool_that_it_is_given() -> None:
    """The pool is replaced by one whose connections are judged: were it not used, none would be."""
    transport = httpx.AsyncHTTPTransport()
    pool = getattr(transport, "_pool", None)
    HTTPX.require(isinstance(pool, httpcore.AsyncConnectionPool), "AsyncHTTPTransport._pool")
    send = HTTPX.find("httpx.AsyncHTTPTransport.handle_async_request").__code__
    HTTPX.require("_pool" in send.co_names, "requests go through _pool")


def test_a_pool_connects_through_our_backend() -> None:
    """httpcore takes the backend, and asks it in the way that it answers."""
    HTTPCORE.require_call(
        "httpcore.AsyncConnectionPool",
        ssl_context=None,
        max_connections=1,
        max_keepalive_connections=1,
        keepalive_expiry=1.0,
        network_backend=CheckedBackend(SourcePolicy()),
    )
    HTTPCORE.require_call(
        "httpcore.AnyIOBackend.connect_tcp", None, "127.0.0.1", 80, 1.0, None, None
    )
    HTTPCORE.require_call("httpcore.AnyIOBackend.sleep", None, 0.1)


def test_what_is_logged_of_a_request_can_be_changed_in_the_request() -> None:
    """httpx logs the URL that a hook has set; httpcore logs what its trace was shown before."""
    send = HTTPX.find("httpx.AsyncClient._send_single_request").__code__
    HTTPX.require("url" in send.co_names, "the line of a request is made of request.url")
    hooks = HTTPX.find("httpx.AsyncClient._send_handling_redirects").__code__
    HTTPX.require(
        "_send_single_request" in hooks.co_names and "request" in hooks.co_consts,
        "request hooks run before the request is sent",
    )
    info: dict[str, object] = {"return_value": "secret"}
    lines = asyncio.run(_logged(info))
    HTTPCORE.require(lines == ["test.complete return_value='hidden'"], "Trace.atrace logs `info`")
    handle = HTTPCORE.find("httpcore._async.http11.AsyncHTTP11Connection.handle_async_request")
    HTTPCORE.require(
        "receive_response_headers" in handle.__code__.co_consts,
        "headers are logged as receive_response_headers",
    )


async def _logged(info: dict[str, object]) -> list[str]:
    """Return what a trace logs of `info` when its extension changes it."""

    async def hide(event: str, shown: dict[str, object]) -> None:
        shown["return_value"] = "hidden"

    lines: list[str] = []
    logger = logging.Logger("httpcore.http11", logging.DEBUG)
    logger.addFilter(lambda record: bool(lines.append(record.getMessage())))
    request = httpcore.Request("GET", "http://h/", extensions={"trace": hide})
    trace = HTTPCORE.find("httpcore._trace.Trace")("test", logger, request)
    await trace.atrace("test.complete", info)
    return lines
