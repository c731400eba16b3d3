"""Which addresses may be opened."""

import asyncio

import httpcore
import pytest

from longform.errors import SourceRefusedError
from longform.net.ip_policy import denial
from longform.net.policy import SourcePolicy
from longform.net.safe_http import CheckedBackend, require_well_formed

DENIED = """
127.0.0.1 127.8.8.8 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1
100.64.0.1 100.127.255.255 100.100.100.200 169.254.169.254 169.254.0.1 168.63.129.16
192.0.0.192 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1
255.255.255.255
:: ::1 ::7f00:1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:10.0.0.1
64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::
2002:808:808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
""".split()  # noqa: SIM905  (a table of addresses)

ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
]


@pytest.mark.parametrize("address", DENIED)
def test_special_addresses_are_denied(address: str) -> None:
    """Loopback, private, metadata and IPv4-in-IPv6 addresses are denied, with a reason."""
    assert denial(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    """Addresses of the public internet are allowed, up to the edges of denied networks."""
    assert denial(address) is None


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "0x7f000001", "2130706433", "127.1"])
async def test_every_spelling_of_loopback_is_refused(name: str) -> None:
    """The address that the socket would go to is judged, however the host is spelt."""
    with pytest.raises(SourceRefusedError, match="--allow-private-hosts"):
        await CheckedBackend(SourcePolicy()).connect_tcp(name, 9, 1.0)


async def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to a public and a private address is refused as a whole."""

    async def both(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("1.1.1.1", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    with pytest.raises(SourceRefusedError, match=r"10\.0\.0\.1"):
        await CheckedBackend(SourcePolicy()).connect_tcp("two.example", 80, 1.0)


async def test_the_checked_address_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved once; a second answer (DNS rebinding) has no chance."""
    asked: list[object] = []

    async def rebinding(host: object, *_: object, **__: object) -> list[object]:
        asked.append(host)
        address = "1.1.1.1" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, 80))]

    connected: list[str] = []

    async def connect(_: object, host: str, *__: object) -> None:
        connected.append(host)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    await CheckedBackend(SourcePolicy()).connect_tcp("rebinding.example", 80, 1.0)
    assert (asked, connected) == (["rebinding.example"], ["1.1.1.1"])


async def test_a_name_without_address_is_a_connect_error() -> None:
    """A name that does not resolve can be tried again later: DNS fails now and then."""
    with pytest.raises(httpcore.ConnectError):
        await CheckedBackend(SourcePolicy()).connect_tcp("no-such-name.invalid", 80, 2.0)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("*", 80),
        ("a b", 80),
        ("127.0.0.1%00", 80),
        ("::1%lo", 80),
        ("a..b", 80),
        ("a" * 64, 80),
        ("a." * 200, 80),
        ("", 80),
        ("1.1.1.1", 0),
        ("1.1.1.1", 65_536),
        ("1.1.1.1", -80),
    ],
)
async def test_what_is_no_host_and_port_is_not_resolved(host: str, port: int) -> None:
    """Resolvers take strange names for strange addresses: none of these is asked for."""
    with pytest.raises(SourceRefusedError, match="not a valid host and port"):
        await CheckedBackend(SourcePolicy(allow_private_hosts=True)).connect_tcp(host, port, 1.0)


@pytest.mark.parametrize(
    "host", ["example.org", "example.org.", "a_b.example", "xn--a-1ga.de", "1.1"]
)
def test_names_as_people_have_them_are_well_formed(host: str) -> None:
    """Names with underscores, trailing dots and punycode are left to the resolver."""
    require_well_formed(host, 443)
