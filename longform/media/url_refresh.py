"""New links for old ones: what happens when a signed URL expires while its source is read.

The operator names a function, `LONGFORM_URL_REFRESH=package.module:function`. It is called in
a thread with the sealed address and the reason, and returns a full URL. All readers of an
address in a process share one call.
"""

import asyncio
import re
import threading
from concurrent.futures import Future
from importlib import import_module
from typing import Any

import httpx

from longform.errors import EnvironmentFaultError, SourceExpiredError
from longform.media import address_book
from longform.media.policy import SourcePolicy, redact, scheme_of

HOOK_TIMEOUT_SEC = 60.0  # seconds; a service that signs links answers in one
EXPIRY_STATUSES = frozenset({401, 403, 410})
BODY_BYTES = 65_536  # bytes of an error answer that are looked at

# What S3 and its kin write into a 400.
_EXPIRED = re.compile(rb"ExpiredToken|Request has expired|TokenExpired|token has expired", re.I)

_refreshing: dict[str, Future[str]] = {}
_starting = threading.Lock()


async def expiry_error(response: httpx.Response, shown: str) -> SourceExpiredError | None:
    """Return the error of an answer which says that a link that was good is so no longer."""
    status = response.status_code
    if status not in EXPIRY_STATUSES and not (
        status == httpx.codes.BAD_REQUEST and _EXPIRED.search(await _beginning(response))
    ):
        return None
    return SourceExpiredError(
        f"{shown} gives no access any more ({status}): its link has expired; start again with a "
        "new link (finished chunks are kept), or set LONGFORM_URL_REFRESH"
    )


async def known_address(media_url: str, policy: SourcePolicy) -> str:
    """Return the full address behind a sealed form; where it is unknown, ask the hook.

    Raises:
        SourceExpiredError: unknown, and there is no hook, or it has no link.
    """
    try:
        return address_book.full_address(media_url)
    except SourceExpiredError:
        if policy.url_refresh is None:
            raise
    return await refreshed(media_url, None, policy, "unknown")


async def refreshed(media_url: str, failed: str | None, policy: SourcePolicy, reason: str) -> str:
    """Return a newer full address than `failed`: one that was found meanwhile, or the hook's.

    Raises:
        SourceExpiredError: there is none.
        EnvironmentFaultError: the setting does not name a function.
    """
    hook = load_hook(policy.url_refresh)
    with _starting:
        current = _current(media_url)
        if current != failed and current is not None:
            return current
        running = _refreshing.get(media_url)
        if running is None:
            running = _refreshing[media_url] = Future()
            arguments = (hook, media_url, reason, running)
            threading.Thread(target=_call, args=arguments, name="url-refresh", daemon=True).start()
    shown = redact(media_url)
    try:
        async with asyncio.timeout(HOOK_TIMEOUT_SEC):
            # Shielded: one reader that gives up must not take the answer from the others.
            return await asyncio.shield(asyncio.wrap_future(running))
    except TimeoutError as error:
        raise SourceExpiredError(
            f"{shown} has expired, and LONGFORM_URL_REFRESH gave no new link within "
            f"{HOOK_TIMEOUT_SEC:.0f} s; start again with a new link"
        ) from error


def load_hook(dotted: str | None) -> Any:
    """Return the function that `package.module:function` names.

    Raises:
        EnvironmentFaultError: there is none of that name.
    """
    module, _, name = (dotted or "").partition(":")
    try:
        hook = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise EnvironmentFaultError(
            f"LONGFORM_URL_REFRESH={dotted!r} names no function; write package.module:function"
        ) from error
    return hook


def _call(hook: Any, media_url: str, reason: str, answer: "Future[str]") -> None:
    """Ask the hook, on a thread of its own: a thread of a pool that hangs would be missed."""
    shown = redact(media_url)
    failure = None
    try:
        link = hook(media_url, reason)
    except BaseException as error:  # noqa: BLE001  (whatever the operator's function raises)
        # Its text and its cause stay out: they may hold the very link.
        failure = f"LONGFORM_URL_REFRESH failed ({type(error).__name__})"
    else:
        if not isinstance(link, str) or scheme_of(link) not in ("http", "https"):
            failure = "LONGFORM_URL_REFRESH returned no http(s) link"
    with _starting:
        if failure is None:
            address_book.replace(media_url, link)
        del _refreshing[media_url]
    if failure is None:
        answer.set_result(link)
    else:
        message = f"{shown} has expired, and {failure}; start again with a new link"
        answer.set_exception(SourceExpiredError(message))


def _current(media_url: str) -> str | None:
    try:
        return address_book.full_address(media_url)
    except SourceExpiredError:
        return None


async def _beginning(response: httpx.Response) -> bytes:
    found = bytearray()
    async for part in response.aiter_raw():
        found += part
        if len(found) >= BODY_BYTES:
            break
    return bytes(found)
