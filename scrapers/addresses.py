"""Connects only to addresses that a source may have, and to the very address that was checked.

A name is resolved once, every answer is looked at, and the connection goes to the checked address;
a second, different answer for the same name (DNS rebinding) is never asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2

from emdata.errors import UnsafeAddress

Address = tuple[str, int]


def is_public(address: str) -> bool:
    """Whether an IP address is globally reachable; IPv4 inside IPv6 is looked at as IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Network backend that refuses private addresses but for those it was told of.

    allowed: (address, port) pairs; a host's name stands for whatever address it has, as that of the
    simulator in a container.
    """

    def __init__(self, allowed: Iterable[Address] = ()) -> None:
        self._inner = httpcore2.AnyIOBackend()
        self._allowed = frozenset(allowed)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore2
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check every answer, connect to the first.

        Raises UnsafeAddress for a private answer, httpcore2.ConnectError when there is none.
        """
        address = await self._checked(host, port)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, *_args: object, **_options: object
    ) -> httpcore2.AsyncNetworkStream:
        """Sources never live behind a Unix socket."""
        raise UnsafeAddress("a source may not be reached through a Unix socket")

    async def sleep(self, seconds: float) -> None:
        """Wait, as the interface asks."""
        await self._inner.sleep(seconds)

    async def _checked(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore2.ConnectError(f"cannot resolve {host}: {error}") from error
        addresses = [str(answer[4][0]) for answer in found]
        for address in addresses:
            known = {(address, port), (host, port)} & self._allowed
            if not known and not is_public(address):
                raise UnsafeAddress(
                    f"{host} resolves to {address}, port {port}: "
                    "a source must have a public address"
                )
        if not addresses:
            raise httpcore2.ConnectError(f"cannot resolve {host}: no address")
        return addresses[0]
