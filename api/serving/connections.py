"""What one connection, and one process, may hold open."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from emdata.settings import Settings
from emdata.telemetry import get_logger

log = get_logger(__name__)
LIMITS = "connection_limits"
"""Name of the ConnectionLimits in the state that the application's lifespan yields."""
OWN_FILES = 256
"""Descriptors that are left for files and connections of our own."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may do.

    head_seconds: from the connection, or from a request's first byte, to the end of its headers.
    stall_seconds: how long a reader may take nothing of what waits for it.
    """

    connections: int = 12_000
    header_bytes: int = 32 << 10
    headers: int = 100
    head_seconds: float = 10.0
    stall_seconds: float = 60.0


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits of this process, whose files are raised to what the system allows."""
    connections = min(settings.api_max_connections, raise_files() - OWN_FILES)
    if connections < settings.api_max_connections:
        log.warning("api_connections_limited_by_files", connections=connections)
    return ConnectionLimits(connections=connections, header_bytes=settings.api_header_bytes)


def raise_files() -> int:
    """Raise the soft limit of open files to the hard one; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
