"""What we use of uvicorn beyond its documentation: `longform/serving/{connection,server}.py`."""

from collections.abc import Iterator
from contextlib import contextmanager

import h11
import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.support.library import Library

UVICORN = Library("uvicorn")


def app() -> None:
    """Stand for an application that is never called."""


def config() -> uvicorn.Config:
    """Return a configuration that opens nothing."""
    return uvicorn.Config(app, ws="none", lifespan="off", log_config=None)


async def test_a_connection_shows_what_it_is_doing() -> None:
    """`PatientConnection` times heads by the state of h11 and by the request that is answered."""
    protocol = UVICORN.find("uvicorn.protocols.http.h11_impl.H11Protocol")
    made = protocol(config=config(), server_state=ServerState(), app_state={})
    for name in ("cycle", "conn", "loop", "transport"):
        UVICORN.require(hasattr(made, name), f"H11Protocol.{name}")
    UVICORN.require(made.cycle is None, "a new connection answers no request")
    UVICORN.require(made.conn.their_state is h11.IDLE, "conn is the connection of h11")
    UVICORN.require_attributes(
        "uvicorn.protocols.http.h11_impl.RequestResponseCycle", "response_complete"
    )
    for name in ("connection_made", "data_received", "connection_lost"):
        UVICORN.require_call(f"uvicorn.protocols.http.h11_impl.H11Protocol.{name}", None, None)


async def test_a_server_captures_signals_where_we_say_how() -> None:
    """`ModelServer` stops gracefully because `serve` enters its own `capture_signals`."""

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            raise RuntimeError("entered")
            yield

    UVICORN.require(hasattr(uvicorn.Server, "capture_signals"), "Server.capture_signals")
    with pytest.raises(RuntimeError, match="entered"):
        await Server(config()).serve()
    UVICORN.require_attributes("uvicorn.Server", "should_exit")
