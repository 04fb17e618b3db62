"""The simulator as a process: one uvicorn server on the loopback interface."""

from __future__ import annotations

import gc
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from emdata.clock import Clock, SystemClock
from emdata.settings import REPOSITORY
from emdata.telemetry import get_logger
from simulator.app import create_app
from simulator.clock import SimulatedClock
from simulator.ledger import Ledger
from simulator.world import World

log = get_logger(__name__)

FIXTURES = REPOSITORY / "tests" / "fixtures"
"""Folders named like hosts in here are served as further sources."""

LOOPBACK = "127.0.0.1"
ACTIVE_ALERTS = 150
"""Alerts active at a time, about; a new message comes every half minute or so."""


def build(
    directory: Path,
    *,
    seed: int,
    speed: float,
    clock: Clock,
    active_alerts: int = ACTIVE_ALERTS,
    fixtures: Path = FIXTURES,
) -> ASGIApp:
    """Return the application of the world kept in ``directory`` (made when missing).

    Raises SettingError when that world has another seed, ServiceError when it cannot be read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    simulated = SimulatedClock(
        directory / "clock.json", clock, seed=seed, speed=speed, active_alerts=active_alerts
    )
    world = World(directory, simulated, fixtures)
    return create_app(world, Ledger(directory / "ledger.sqlite"), clock)


def run(
    directory: Path,
    *,
    port: int,
    seed: int,
    speed: float,
    active_alerts: int = ACTIVE_ALERTS,
    host: str = LOOPBACK,
) -> None:
    """Serve on ``host``:``port`` until SIGTERM or SIGINT."""
    app = build(directory, seed=seed, speed=speed, clock=SystemClock(), active_alerts=active_alerts)
    gc.freeze()  # the world is built: no need to look at it again in every collection
    log.info("simulator_started", port=port, seed=seed, speed=speed, directory=str(directory))
    uvicorn.Server(server_config(app, port, host)).run()


def server_config(app: ASGIApp, port: int, host: str = LOOPBACK) -> uvicorn.Config:
    """Return how the simulator is served: small, quiet, to this machine unless told otherwise."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="asyncio",
        http="h11",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
