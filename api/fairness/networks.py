"""The network that a client belongs to, under a name that no day's end survives."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import MutableMapping
from datetime import date
from typing import Any

Scope = MutableMapping[str, Any]
KEPT = 10_000
NAME_BYTES = 12


class Networks:
    """Names networks by HMAC under the day's salt, which is not kept beyond the day.

    Until the shared salt of a day is known, a random one of this process stands in for it.
    """

    def __init__(self) -> None:
        self._day: date | None = None
        self._salt = secrets.token_bytes(32)
        self._names: OrderedDict[str, str] = OrderedDict()

    def is_salted(self, day: date) -> bool:
        """Whether the shared salt of a day is in use."""
        return self._day == day

    def use(self, day: date, salt: bytes) -> None:
        """Name networks under another salt from now on, and forget the last one."""
        self._day, self._salt = day, salt
        self._names.clear()

    def forget(self, day: date) -> None:
        """End the salt of another day, though the salt of ``day`` is not known yet."""
        if self._day is not None and self._day != day:
            self._day, self._salt = None, secrets.token_bytes(32)
            self._names.clear()

    def name(self, address: str) -> str:
        """Return the name of an address's network: /24 of IPv4, /64 of IPv6."""
        known = self._names.get(address)
        if known is None:
            network = network_of(address).encode()
            known = hmac.digest(self._salt, network, hashlib.sha256)[:NAME_BYTES].hex()
            self._names[address] = known
            if len(self._names) > KEPT:
                self._names.popitem(last=False)
        return known


def network_of(address: str) -> str:
    """Return the network of an address as text; what is no address is its own network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    prefix = 24 if isinstance(found, ipaddress.IPv4Address) else 64
    return str(ipaddress.ip_network((found, prefix), strict=False))


def address_of(scope: Scope) -> str:
    """Return the address that a request came from, as the identity layer saw it."""
    seen = scope.get("state", {}).get("client_address")
    if seen is not None:
        return str(seen)
    client = scope.get("client")
    return str(client[0]) if client else ""
