"""Which network addresses a source may lie on.

`ipaddress.is_global` alone is not enough: it is true for addresses that carry an IPv4 address
inside an IPv6 one, and for the metadata services of some clouds.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Denied whatever the standard library thinks of them, with what to tell people.
DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), reason)
    for text, reason in (
        ("0.0.0.0/8", "this host"),
        ("127.0.0.0/8", "loopback"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("169.254.0.0/16", "link-local and cloud metadata"),
        ("168.63.129.16/32", "Azure's host service"),
        ("100.100.100.200/32", "Alibaba's metadata service"),
        ("192.0.0.0/24", "reserved, used by Oracle's metadata service"),
        ("192.88.99.0/24", "6to4 relay"),
        ("198.18.0.0/15", "benchmark network"),
        ("224.0.0.0/3", "multicast, reserved or broadcast"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4 inside IPv6"),
        ("::ffff:0:0/96", "IPv4 mapped into IPv6"),
        ("::ffff:0:0:0/96", "IPv4 translated to IPv6"),
        ("64:ff9b::/96", "IPv4 behind NAT64"),
        ("64:ff9b:1::/48", "IPv4 behind local NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/23", "special-purpose (Teredo and others)"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "IPv4 inside 6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)


def denial(address: str) -> str | None:
    """Return why an address may not be opened by default, or None where it may.

    Raises:
        ValueError: when `address` is not an IP address.
    """
    parsed: Address = ip_address(address.partition("%")[0])
    for network, reason in DENIED:
        if parsed.version == network.version and parsed in network:
            return reason
    return None if parsed.is_global else "private or reserved"
