"""The stream manager: polls the sources and is the only door into Kafka."""

from __future__ import annotations

import sys

from runtime.context import Context
from runtime.services.base import LOOPBACK, Service
from runtime.services.rest import get


def service(context: Context) -> Service:
    """The stream manager; it starts its polls once its tables and topics are there."""
    port = context.settings.manager_port
    return Service(
        name="manager",
        title="Stream manager",
        command=(sys.executable, "-m", "runtime", "manager", "run"),
        probe=lambda: probe(context),
        needs=("state", "topics", "simulator"),
        ports={"EMDATA_MANAGER_PORT": port},
        stop_stage=3,
        stop_within=15,
        url=f"http://{LOOPBACK}:{port}",
    )


def probe(context: Context) -> str:
    """Ready when /health says so."""
    get(context.settings.manager_port, "/health")
    return f"writer {context.settings.writer}"
