"""How steps of a job hand small values to the next step: in memory, as all run in one process."""

from __future__ import annotations

from dagster import Out

MEMORY = "memory"
"""Resource key of the in-memory IO manager; files would pile up, one per step and run."""


def handed(kind: type, description: str) -> Out:
    """Return an output that the next step reads from memory."""
    return Out(kind, description=description, io_manager_key=MEMORY)
