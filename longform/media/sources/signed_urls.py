"""Full addresses of signed URLs, kept in memory; everything that is stored holds a sealed form.

A signed URL is a permission. Prefect stores the parameters of flows, and logs, artifacts and
outputs outlive a run, so these carry the address without its user, query and fragment, and
with a keyed hash in their place: `https://host/talk.m4a#sealed-4f0c…`. The hash tells two
addresses apart that differ only there. Only this book, in each process that reads the source,
knows what the sealed form stands for.
"""

import asyncio
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from concurrent.futures import Future
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from longform.errors import EnvironmentFaultError, SourceExpiredError
from longform.media.io_loop import on_io_loop
from longform.net.policy import SourcePolicy, redact, scheme_of
from longform.params import FrozenModel

MAX_ADDRESSES = 10_000  # entries, the least used go first; some 20 MB of signed URLs
HASH_CHARACTERS = 16  # hex; 64 bits

# A key of this process: signatures cannot be tried against a hash that was stored.
_KEY = secrets.token_bytes(32)
_SEAL = re.compile(rf"#sealed-[0-9a-f]{{{HASH_CHARACTERS}}}$")

_book: OrderedDict[str, str] = OrderedDict()
_writing = threading.Lock()


class Credential(FrozenModel):
    """One line of the book, on its way to another process; its repr hides the full address."""

    sealed: str
    full: SecretStr


def seal(media_url: str) -> str:
    """Return what may be stored of an address, and remember the address in this process.

    Paths, and URLs without user, query and fragment, are returned as they are.
    """
    if is_sealed(media_url) or not _has_secret(media_url):
        return media_url
    digest = hmac.new(_KEY, media_url.encode("utf-8", "surrogatepass"), "sha256").hexdigest()
    sealed = f"{redact(media_url)}#sealed-{digest[:HASH_CHARACTERS]}"
    _remember(sealed, media_url)
    return sealed


def is_sealed(media_url: str) -> bool:
    """Tell whether an address is a sealed form."""
    found = _SEAL.search(media_url)
    return found is not None and media_url == redact(media_url) + found[0]


def resolve(media_url: str) -> str:
    """Return the address behind a sealed form; any other address is returned as it is.

    Raises:
        SourceExpiredError: this process does not know what the sealed form stands for.
    """
    with _writing:
        full = _book.get(media_url)
        if full is not None:
            _book.move_to_end(media_url)
            return full
    if not is_sealed(media_url):
        return media_url
    raise SourceExpiredError(
        f"{redact(media_url)}: its signature was not kept, so it cannot be opened again; "
        "start again with the full link"
    )


def credential_for(media_url: str) -> Credential | None:
    """Return what another process must know to open an address; None where that is nothing."""
    full = resolve(media_url)
    return None if full == media_url else Credential(sealed=media_url, full=SecretStr(full))


def register(known: Credential | None) -> None:
    """Take in what another process has sent.

    A newer address that was found here meanwhile stays: links are refreshed where they are read.
    """
    if known is not None:
        with _writing:
            is_new = known.sealed not in _book
        if is_new:
            _remember(known.sealed, known.full.get_secret_value())


def replace(sealed: str, full: str) -> None:
    """Let a sealed form stand for another address from now on: its link was refreshed."""
    _remember(sealed, full)


def _remember(sealed: str, full: str) -> None:
    with _writing:
        _book[sealed] = full
        _book.move_to_end(sealed)
        while len(_book) > MAX_ADDRESSES:
            _book.popitem(last=False)


def _has_secret(media_url: str) -> bool:
    if scheme_of(media_url) in ("", "file"):
        return False
    try:
        parts = urlsplit(media_url)
    except ValueError:
        return True  # what cannot be taken apart may hold anything
    return bool("@" in parts.netloc or parts.query or parts.fragment)


# New links for old ones: what happens when a signed URL expires while its source is read.
#
# The operator names a function, `LONGFORM_URL_REFRESH=package.module:function`. It is called in
# a thread with the sealed address and the reason, and returns a full URL. All readers of an
# address in a process share one call.


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
        f"{shown} no longer gives access ({status}): its link has expired; start again with a "
        "new link (finished chunks are kept), or set LONGFORM_URL_REFRESH"
    )


async def known_address(media_url: str, policy: SourcePolicy) -> str:
    """Return the full address behind a sealed form; where it is unknown, ask the hook.

    Raises:
        SourceExpiredError: unknown, and there is no hook, or it has no link.
    """
    try:
        return resolve(media_url)
    except SourceExpiredError:
        if policy.url_refresh is None:
            raise
    return await on_io_loop(refreshed(media_url, None, policy, "unknown"))


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
            replace(media_url, link)
        del _refreshing[media_url]
    if failure is None:
        answer.set_result(link)
    else:
        message = f"{shown} has expired, and {failure}; start again with a new link"
        answer.set_exception(SourceExpiredError(message))


def _current(media_url: str) -> str | None:
    try:
        return resolve(media_url)
    except SourceExpiredError:
        return None


async def _beginning(response: httpx.Response) -> bytes:
    found = bytearray()
    async for part in response.aiter_raw():
        found += part
        if len(found) >= BODY_BYTES:
            break
    return bytes(found)
