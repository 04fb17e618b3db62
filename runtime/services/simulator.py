"""The simulated sources; part of a platform only in simulator mode."""

from __future__ import annotations

import sys

from runtime.context import Context
from runtime.services.base import LOOPBACK, Service
from runtime.services.rest import get


def service(context: Context) -> Service:
    """The simulator."""
    port = context.settings.simulator_port
    return Service(
        name="simulator",
        title="Simulator",
        command=(sys.executable, "-m", "runtime", "simulator", "run"),
        probe=lambda: probe(context),
        ports={"EMDATA_SIMULATOR_PORT": port},
        stop_stage=3,
        url=f"http://{LOOPBACK}:{port}",
    )


def probe(context: Context) -> str:
    """Ready when it answers for itself."""
    get(context.settings.simulator_port, "/_simulator/health")
    return f"speed {context.settings.simulator_speed:g}"
