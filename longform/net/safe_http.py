"""An httpx client that only ever connects to addresses which the policy has checked.

The check sits where the connection is made: the name is resolved once, every address it
has is judged, and the socket is opened to one of those very addresses, while Host and TLS
names stay as they were. A second resolution, which could answer differently, never happens.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore
import httpx

from longform import __version__
from longform.errors import AddressDeniedError, AddressInvalidError
from longform.net.ip_policy import denial
from longform.net.policy import SourcePolicy, printable, redact

MAX_CONNECTIONS = 16

# Resolvers differ in what they make of anything else ("*" is loopback for one of them).
_NAME = re.compile(r"(?=.{1,254}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$")


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Network backend that resolves, judges and pins; everything else is httpcore's own."""

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the interface is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers, if all of them are allowed.

        Raises:
            AddressDeniedError: one of the addresses is denied.
            AddressInvalidError: this is no host, or no port.
            httpcore.ConnectError: no such name, or no server answers.
        """
        require_well_formed(host, port)
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in await self._allowed_addresses(host, port, timeout):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Sleep, as httpcore asks."""
        await self._inner.sleep(seconds)

    async def _allowed_addresses(self, host: str, port: int, limit: float | None) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._policy.allow_private_hosts:
            for address in addresses:
                require_allowed(host, address)
        return addresses


def require_well_formed(host: str, port: int) -> None:
    """Check that a host is a name or an IP address without a zone, and that the port exists.

    Raises:
        AddressInvalidError: it is neither, so its address cannot be asked for.
    """
    if not (_NAME.match(host) or _IPV6.match(host)) or not 0 < port < 65_536:
        raise AddressInvalidError(
            f"{printable(host)}:{port} is not a valid host and port; check the address"
        )


def require_allowed(host: str, address: str) -> None:
    """Check one address that `host` resolves to.

    Raises:
        AddressDeniedError: with the reason and the way out.
    """
    reason = denial(address)
    if reason is not None:
        raise AddressDeniedError(
            f"{host} is at {address} ({reason}), which may not be opened; "
            "--allow-private-hosts permits it"
        )


def make_client(policy: SourcePolicy) -> httpx.AsyncClient:
    """Return a client for one event loop. It follows no redirect and reads no proxy settings.

    A proxy would resolve names itself, out of reach of the address policy.
    """
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
    transport = httpx.AsyncHTTPTransport(limits=limits)
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=_ssl_context(),
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=CheckedBackend(policy),
    )
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(policy.stall_timeout_sec, connect=policy.connect_timeout_sec),
        # Compressed bodies would shift every byte offset.
        headers={"Accept-Encoding": "identity", "User-Agent": f"longform/{__version__}"},
        event_hooks={"request": [_keep_out_of_logs]},
    )


class _LoggedUrl(httpx.URL):
    """An address that is whole where it is sent, and redacted where it is written out."""

    def __str__(self) -> str:
        return redact(super().__str__())


async def _keep_out_of_logs(request: httpx.Request) -> None:
    """Let httpx and httpcore log no signature of this request, nor of where it redirects to.

    Their loggers belong to the program that awaits us, so the request is changed instead: httpx
    logs its URL as text, and httpcore logs what its trace extension was shown before.
    """
    request.url = _LoggedUrl(request.url)
    request.extensions = {**request.extensions, "trace": _hide_headers}


async def _hide_headers(event: str, info: dict[str, Any]) -> None:
    # Among the headers of a redirect is the address that it leads to.
    if event.endswith("receive_response_headers.complete"):
        info["return_value"] = "(headers not shown)"


@cache
def _ssl_context() -> ssl.SSLContext:
    # Reading the certificates takes longer than many a request; they are the same for all.
    return httpx.create_ssl_context()
