"""The open API."""

from __future__ import annotations

import sys

from runtime.context import Context
from runtime.services.base import LOOPBACK, Service
from runtime.services.rest import get


def service(context: Context) -> Service:
    """The open API; it starts once the tables that it reads are there."""
    port = context.settings.api_port
    return Service(
        name="api",
        title="Open API",
        command=(sys.executable, "-m", "runtime", "api", "serve"),
        probe=lambda: probe(context),
        needs=("state", "tables"),
        ports={
            "EMDATA_API_PORT": port,
            "EMDATA_API_METRICS_PORT": context.settings.api_metrics_port,
        },
        stop_stage=4,
        url=f"http://{LOOPBACK}:{port}",
    )


def probe(context: Context) -> str:
    """Ready when it reads StarRocks."""
    get(context.settings.api_port, "/ready")
    return "reads StarRocks"
