"""Free ports for servers that tests start."""

from __future__ import annotations

import random
import socket

# Below the range from which Linux gives outgoing connections their ports.
_LOW, _HIGH = 15_000, 32_000
_ATTEMPTS = 2_000


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports on which nothing listens now."""
    found: list[int] = []
    for port in random.sample(range(_LOW, _HIGH), _ATTEMPTS):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"{count} free ports not found among {_ATTEMPTS} tried")


def free_pair() -> int:
    """A port that is free together with the next one."""
    for port in random.sample(range(_LOW, _HIGH), _ATTEMPTS):
        if _is_free(port) and _is_free(port + 1):
            return port
    raise RuntimeError("no pair of free ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
