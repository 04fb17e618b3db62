"""Where a request comes from: the connected address, or what a trusted proxy says it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from starlette.types import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_FORWARDED = b"x-forwarded-for"
NOBODY = ip_address("0.0.0.0")  # noqa: S104 - stands for an unknown address
"""The address of a client whose transport has none, such as a Unix socket."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read CIDR texts. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def client_address(scope: Scope, trusted: Sequence[Network]) -> Address:
    """Return the client's address.

    X-Forwarded-For is read from its end, and only as far as trusted proxies wrote it: what a client
    sends along itself stands before that.
    """
    client = scope.get("client")
    address = _read(client[0]) if client else None
    if address is None:
        return NOBODY
    if not trusted or not _within(address, trusted):
        return address
    said = b",".join(value for name, value in scope["headers"] if name == _FORWARDED)
    for text in reversed(said.decode("latin-1").split(",")):
        found = _read(text.strip())
        if found is None:
            return address
        address = found
        if not _within(address, trusted):
            return address
    return address


def is_within(address: Address, texts: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks; none named: everywhere is right."""
    return not texts or _within(address, networks(texts))


def network_of(address: Address) -> str:
    """Return the network that limits count as one client: /24, of IPv6 /56."""
    length = 24 if address.version == 4 else 56
    return str(ip_network(f"{address}/{length}", strict=False))


def _within(address: Address, among: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in among)


def _read(text: str) -> Address | None:
    """Read an address, with or without a port; IPv4 in IPv6 is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
