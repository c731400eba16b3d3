"""The Prefect API may be away for a while: a run waits for it, and loses nothing.

Prefect's client tries again by itself, but only once it has reached the API before: a client that
is made while the API is away fails at once, as those of subflows on the workers do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError

from longform.errors import ApiUnavailableError, InvariantError

logger = logging.getLogger(__name__)

T = TypeVar("T")

OUTAGE_SEC = 600.0  # seconds; after that the run fails
POLL_SEC = 2.0


def is_outage(error: BaseException | None) -> bool:
    """Tell whether an error means that the API is away; sources fail with errors of ours."""
    if isinstance(error, PrefectHTTPStatusError):
        return error.response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, httpx.TransportError | ApiUnavailableError)


async def picklable_errors(work: Awaitable[T]) -> T:
    """Return what `work` returns; raise errors of ours for what the Prefect API answered it.

    Prefect's own error cannot be unpickled, and Dask sends an error with all that it was raised
    from: so these are raised from nothing.

    Raises:
        ApiUnavailableError: the API fails just now.
        InvariantError: it refuses what it was asked.
    """
    try:
        return await work
    except PrefectHTTPStatusError as error:
        status, may_pass = error.response.status_code, is_outage(error)
        logger.warning("the Prefect API answered %s", status, exc_info=True)
    if may_pass:
        raise ApiUnavailableError(
            f"the Prefect API answered {status} to a worker: give the server Postgres where this "
            "happens often"
        )
    raise InvariantError(f"the Prefect API refused a request of ours: {status}")


async def wait_for_api(outage_sec: float = OUTAGE_SEC, poll_sec: float = POLL_SEC) -> bool:
    """Wait until the API answers; return whether it did within `outage_sec`."""
    logger.warning("the Prefect API does not answer; the run goes on when it does")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + outage_sec
    async with get_client() as client:
        while await client.api_healthcheck() is not None:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(poll_sec)
    return True


async def best_effort(call: Callable[[], Awaitable[object]]) -> None:
    """Tell the API something that a run can do without; an outage is logged and no more."""
    try:
        await call()
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        if not is_outage(error):
            raise
        logger.warning("the Prefect API was not told: %s", type(error).__name__)
