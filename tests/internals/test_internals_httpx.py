"""What we use of httpx and httpcore beyond their documentation: `longform/net/safe_http.py`."""

import httpcore
import httpx

from longform.net.policy import SourcePolicy
from longform.net.safe_http import _LOGGERS, CheckedBackend
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


def test_requests_are_logged_under_the_names_that_we_filter() -> None:
    """Signatures in URLs and headers are kept out of the log by filters on these two loggers."""
    found = {
        HTTPX.find("httpx._client.logger").name,
        HTTPCORE.find("httpcore._async.http11.logger").name,
    }
    HTTPX.require(found == set(_LOGGERS), f"the loggers are {', '.join(_LOGGERS)}")
    handle = HTTPCORE.find("httpcore._async.http11.AsyncHTTP11Connection.handle_async_request")
    HTTPCORE.require(
        "receive_response_headers" in handle.__code__.co_consts,
        "headers are logged as receive_response_headers",
    )
