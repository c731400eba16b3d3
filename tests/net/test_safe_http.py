"""What a request of ours leaves in the log of the program that awaits it."""

import logging

import pytest

from longform.net.policy import SourcePolicy
from longform.net.safe_http import make_client
from tests.support.range_server import range_server

NAMES = ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection")


def _settings() -> list[object]:
    loggers = [logging.getLogger(name) for name in NAMES]
    return [(one.level, one.disabled, list(one.filters), list(one.handlers)) for one in loggers]


async def test_signatures_stay_out_of_every_log(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, neither an address, its user, nor where it redirects to is shown with its query."""
    caplog.set_level("DEBUG")
    with range_server() as server:
        server.habits.redirects["/old"] = "/talk.bin?sig=secret2"
        server.add(b"x" * 100)
        url = server.url("/old?sig=secret1").replace("//", "//secret3:secret4@")
        async with make_client(SourcePolicy(allow_private_hosts=True)) as client:
            response = await client.get(url)
        assert response.headers["Location"] == "/talk.bin?sig=secret2"
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert "secret" not in lines
    assert f"HTTP Request: GET {server.url('/old')} " in lines
    assert "receive_response_headers.complete" in lines


async def test_loggers_are_as_they_were_even_meanwhile() -> None:
    """Level, filters and handlers of httpx's and httpcore's loggers belong to the program."""
    before = _settings()
    async with make_client(SourcePolicy()):
        assert _settings() == before
    assert _settings() == before
