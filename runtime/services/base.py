"""What the platform knows about one server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


class NotReady(Exception):
    """A probe's answer while a server cannot do its work yet; the message says why."""


def nothing_to_prepare() -> None:
    """For servers that need no files before their first start."""


@dataclass(frozen=True)
class Service:
    """One supervised process: how to start it, when it is ready, how to stop it.

    ``prepare`` writes what the server reads and is run before every start; it is idempotent.
    ``probe`` returns a short text (version, slots) when the server does its work and raises
    NotReady otherwise. Times are in seconds. Servers of a higher ``stop_stage`` stop first.
    """

    name: str
    title: str
    command: tuple[str, ...]
    probe: Callable[[], str]
    stop_stage: int
    prepare: Callable[[], None] = nothing_to_prepare
    ports: Mapping[str, int] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    start_within: float = 180.0
    stop_within: int = 10
    stop_signal: str = "TERM"
    url: str = ""


def require_port(port: int, timeout: float = 1.0, host: str = LOOPBACK) -> None:
    """Raise NotReady while nothing accepts on the port.

    Client libraries retry and log loudly against a closed port; this is the quiet first look.
    """
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        raise NotReady(f"port {port}: {error.strerror or error}") from error
