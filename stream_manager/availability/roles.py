"""Active or standby: how a manager's process comes to hold its buffer."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emdata.clock import Clock
from emdata.errors import ServiceError
from emdata.settings import Settings
from emdata.telemetry import get_logger
from stream_manager.availability.fence import Claim, claim
from stream_manager.availability.standby import Standby
from stream_manager.ingest import problem

log = get_logger(__name__)


async def hold_buffer(
    base: Path, engine: Engine, settings: Settings, clock: Clock, holder: str, stop: asyncio.Event
) -> Claim | None:
    """Take the buffer below ``base``, as a standby after waiting for it; None when told to stop.

    Raises ServiceError when another process has it and this one is no standby, or when the disk
    refuses.
    """
    try:
        if not settings.manager_standby:
            return claim(base)
    except OSError as error:
        raise ServiceError(f"buffer {base}: {error}") from error
    standby = Standby(
        base,
        engine,
        settings.writer,
        holder=holder,
        seconds=settings.lease_seconds,
        clock=clock,
    )
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with _door(settings, standby.row):
        return await _wait(standby, stop)


async def _wait(standby: Standby, stop: asyncio.Event) -> Claim | None:
    log.info("standby_waits", **standby.row())
    while not stop.is_set():
        taken = await asyncio.to_thread(standby.look)
        if taken is not None:
            return taken
        try:
            await asyncio.wait_for(stop.wait(), standby.interval)
        except TimeoutError:
            continue
    return None


@asynccontextmanager
async def _door(settings: Settings, row: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
    """Answer for a waiting manager; without a door where the active one has the port."""
    try:
        listening = socket.create_server((settings.bind_host, settings.manager_port))
    except OSError as error:
        log.info("standby_has_no_door", port=settings.manager_port, reason=str(error))
        yield
        return
    server = uvicorn.Server(
        uvicorn.Config(
            _app(settings.writer, row), log_config=None, access_log=False, lifespan="off"
        )
    )
    with listening:
        # uvicorn's own signal handlers would end the process instead of the waiting.
        running = asyncio.create_task(server._serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await running


def _app(writer: int, row: Callable[[], dict[str, Any]]) -> Starlette:
    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "standby"})

    async def status(_request: Request) -> Response:
        return JSONResponse({"writer": writer, "is_ready": False, "high_availability": row()})

    async def refuse(_request: Request) -> Response:
        return problem(503, "standby", "this manager waits for the active one to end")

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/status", status),
            Route("/{path:path}", refuse, methods=["GET", "POST"]),
        ]
    )
