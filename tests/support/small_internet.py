"""Names, addresses and servers of an internet that fits into a test."""

import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpcore
import pytest

from longform.net.ip_policy import denial

PUBLIC_ADDRESS = "93.184.216.34"
PUBLIC_NAME = "public.example"


class SmallInternet:
    """Answers for the resolver, and sends what is meant for public addresses to a port here.

    Everything that is not public is resolved and connected to for real: numbers by the
    system's own resolver, with all the spellings that it understands.
    """

    def __init__(self, names: Mapping[str, Sequence[tuple[str, ...]]], port: int) -> None:
        self._names = names  # the answers to the first, second, ... question; the last remains
        self._port = port
        self.lookups: Counter[str] = Counter()
        self.outsiders: list[str] = []  # denied addresses to which a connection was begun

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the resolver and of the way out."""
        self._resolve, self._connect = socket.getaddrinfo, httpcore.AnyIOBackend.connect_tcp
        patch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        internet = self

        async def connect_tcp(
            backend: httpcore.AnyIOBackend, host: str, port: int, *rest: Any, **named: Any
        ) -> httpcore.AsyncNetworkStream:
            host, port = internet._route(host, port)
            return await internet._connect(backend, host, port, *rest, **named)

        patch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)

    def _route(self, host: str, port: int) -> tuple[str, int]:
        if host == PUBLIC_ADDRESS:
            return "127.0.0.1", self._port
        if denial(host) is None:
            raise httpcore.ConnectError("nobody is there")
        self.outsiders.append(host)
        return host, port

    def _getaddrinfo(self, host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in self._addresses(host.decode() if isinstance(host, bytes) else host)
            ]
        return list(found)

    def _addresses(self, host: str) -> tuple[str, ...]:
        name = host.lower().rstrip(".")
        self.lookups[name] += 1
        if name == "localhost" or name.endswith(".localhost"):
            return ("127.0.0.1",)
        if name not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self._names[name]
        return answers[min(self.lookups[name], len(answers)) - 1]
