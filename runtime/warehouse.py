"""The warehouse of the platform at hand."""

from __future__ import annotations

from emdata.warehouse import Warehouse
from runtime.context import Context


def warehouse_of(context: Context, *, timeout: float = 10.0) -> Warehouse:
    """Return a client with the platform's host, port and credentials; ``timeout`` in seconds."""
    return Warehouse.of(context.settings, context.credentials.starrocks_password, timeout=timeout)
