"""The stream manager's process: composes the parts and runs until a signal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Engine

from emdata.clock import SystemClock
from emdata.contracts.base import Record
from emdata.errors import ServiceError
from emdata.objects import RawStore
from emdata.push_keys import PushKeys
from emdata.settings import Settings
from emdata.state.database import connect
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse
from stream_manager.availability.fence import Fenced
from stream_manager.availability.lease import LeaseKeeper, holder_name
from stream_manager.availability.roles import hold_buffer
from stream_manager.clients.adoption import ClientKeeper
from stream_manager.clients.clients import hold_client_log
from stream_manager.connector import Streams, choose_streams
from stream_manager.control.control import ControlConfig
from stream_manager.control.controls import Controls
from stream_manager.control.nearness import Nearness
from stream_manager.dead_letters.redeliver import Redelivery
from stream_manager.dead_letters.redrive import RedriveConfig, Redriver
from stream_manager.dead_letters.reparse import reparsers_of
from stream_manager.delivery.lanes import Lanes
from stream_manager.delivery.producers import broker_answers
from stream_manager.gauges import keep_gauges
from stream_manager.ingest import IngestApp
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.manager import StreamManager
from stream_manager.requests import RequestListener
from stream_manager.second_site.copies import copies_of
from stream_manager.state.ledger import LedgerKeeper
from stream_manager.state.resend import resend_from_topic
from stream_manager.state.retention import keep_polls, keep_retention

log = get_logger(__name__)


@dataclass(frozen=True)
class ServiceConfig:
    """What a manager's process needs beside the settings."""

    settings: Settings
    buffer_directory: Path
    dsn: str
    warehouse: Warehouse
    ingest_token: str
    is_simulated: bool
    records: Mapping[str, type[Record]]
    raw_store: RawStore
    push_keys: PushKeys


async def serve(config: ServiceConfig, streams: Callable[[], Streams]) -> None:
    """Run until SIGTERM or SIGINT; stops within about ten seconds, losing nothing.

    Raises ServiceError when the buffer is in use by another process, SettingError when a stream
    is to run that there is not.
    """
    settings, clock = config.settings, SystemClock()
    running = choose_streams(streams(), settings.streams)
    engine = connect(config.dsn)
    ending, holder = Ending(), holder_name()
    claim = await hold_buffer(config.buffer_directory, engine, settings, clock, holder, ending.stop)
    if claim is None:
        engine.dispose()
        return
    nearness = Nearness()
    nearness.start()
    lanes = Lanes(
        settings.kafka,
        claim.directory,
        settings.writer,
        settings.states,
        level=settings.log_level,
    )
    lanes.prepare()
    copies = copies_of(settings, config.buffer_directory, claim.directory, clock)
    intake = Intake(
        IntakeConfig(
            directory=claim.directory,
            writer=settings.writer,
            segment_bytes=settings.buffer_segment_mb << 20,
            max_bytes=settings.buffer_max_mb << 20,
            states=settings.states,
            disk=None if copies is None else copies.disk,
            queue_bytes=0,
        ),
        engine,
        clock,
        make_producer=lanes,
        is_up=partial(broker_answers, settings.kafka),
        fence=claim.check,
        breaker=ControlConfig.from_settings(settings).new_destination(),
        nearest_km=nearness,
    )
    lease = LeaseKeeper(
        claim,
        engine,
        settings.writer,
        holder=holder,
        seconds=settings.lease_seconds,
        epoch=lambda: intake.log.epoch,
        on_fenced=ending.fence,
    )
    lease.start()
    intake.start(intake.open())
    if copies is not None:
        copies.start()
    controls = Controls(settings, intake, engine, clock, config.records)
    controls.start()
    manager = StreamManager(
        intake, engine, clock, is_simulated=config.is_simulated, control=controls.control
    )
    clients = ClientKeeper(
        config.buffer_directory.parent,
        engine,
        clock,
        hold=partial(hold_client_log, engine=engine, kafka=settings.kafka, clock=clock),
    )
    keeper = LedgerKeeper(
        intake,
        engine,
        config.warehouse,
        config.records,
        clock,
        is_simulated=config.is_simulated,
        resend=partial(resend_from_topic, settings.kafka),
        is_unfinished=clients.is_unfinished,
    )
    keeper.start()
    clients.start()
    app = IngestApp(
        manager,
        config.records,
        config.ingest_token,
        lambda: {**_status(manager, keeper, config, lease), "clients": clients.rows()},
        config.push_keys,
    ).app()
    for connector, stream in running:
        manager.start_streaming(connector, stream)
    tasks = _start_tasks(manager, engine, config, [connector for connector, _ in running])
    tasks.add(asyncio.create_task(controls.run()))
    try:
        await _serve_http(app, settings, ending)
    finally:
        log.info("manager_stopping", crashed=ending.crashed)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1.0)
        await asyncio.gather(
            manager.stop(),
            asyncio.to_thread(keeper.stop),
            asyncio.to_thread(controls.stop),
            asyncio.to_thread(clients.stop),
        )
        await asyncio.to_thread(intake.stop)
        lanes.close()
        if copies is not None:
            await asyncio.to_thread(copies.stop)
        await asyncio.to_thread(lease.stop)
        claim.close()
        engine.dispose()
        log.info("manager_stopped")
    if ending.fenced:
        raise ServiceError(f"another stream manager took over: {ending.fenced}")
    if ending.crashed:
        raise ServiceError(f"thread {ending.crashed} of the stream manager died; see its log")


def _start_tasks(
    manager: StreamManager, engine: Engine, config: ServiceConfig, connectors: Sequence[object]
) -> set[asyncio.Task[None]]:
    """Start what goes on beside the streams: requests, dead letters, gauges, what is past."""
    settings, clock = config.settings, SystemClock()
    redriver = _redriver(manager, engine, config, connectors)
    documents = timedelta(days=settings.raw_retention_days)
    polls = timedelta(days=settings.poll_retention_days)
    return {
        asyncio.create_task(RequestListener(manager, engine, redriver.ask).run()),
        asyncio.create_task(redriver.run()),
        asyncio.create_task(keep_retention(config.raw_store, clock, documents)),
        asyncio.create_task(keep_polls(engine, clock, polls)),
        asyncio.create_task(keep_gauges(manager, engine, settings, clock)),
    }


def _redriver(
    manager: StreamManager, engine: Engine, config: ServiceConfig, connectors: Sequence[object]
) -> Redriver:
    settings = config.settings
    return Redriver(
        manager,
        engine,
        SystemClock(),
        reparsers=reparsers_of(connectors, config.records),
        records=config.records,
        redelivery=Redelivery(settings.kafka),
        config=RedriveConfig(
            writer=settings.writer,
            is_simulated=config.is_simulated,
            max_attempts=settings.dead_letter_attempts,
            every_seconds=settings.dead_letter_round_minutes * 60.0,
        ),
    )


class Ending:
    """Why the process ends: a signal, a fence, or a thread without which it only looks alive."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.crashed = self.fenced = ""
        self._loop = asyncio.get_running_loop()
        threading.excepthook = self._thread_died

    def fence(self, error: Fenced) -> None:
        """End because another manager has the buffer; from any thread."""
        self.fenced = str(error)
        self._loop.call_soon_threadsafe(self.stop.set)

    def _thread_died(self, args: threading.ExceptHookArgs) -> None:
        self.crashed = args.thread.name if args.thread is not None else "unknown"
        error = args.exc_value
        log.critical("thread_died", thread=self.crashed, exc_info=error)
        self._loop.call_soon_threadsafe(self.stop.set)


async def _serve_http(app: Any, settings: Settings, ending: Ending) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.bind_host,
            port=settings.manager_port,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
    )
    loop = asyncio.get_running_loop()
    stop = ending.stop
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    # uvicorn's own handlers would raise the signal again after its shutdown.
    running = asyncio.create_task(server._serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = server.force_exit = True
    stopping.cancel()
    await running


def _status(
    manager: StreamManager, keeper: LedgerKeeper, config: ServiceConfig, lease: LeaseKeeper
) -> dict[str, Any]:
    intake = manager.intake
    return {
        "writer": intake.config.writer,
        "epoch": intake.log.epoch,
        "high_availability": lease.row(),
        "is_simulated": config.is_simulated,
        "is_ready": intake.is_ready() and manager.is_loaded(),
        "freshness": keeper.freshness.rows(),
        "sources": manager.status(),
        "tenants": manager.tenants(),
        "control": manager.control.status(),
        "ledger": keeper.rows(),
        "queues": intake.queues.depths(),
        "buffer": {
            "bytes": intake.log.size_bytes(),
            "max_bytes": intake.config.max_bytes,
            "segments": intake.log.segment_count(),
            "in_flight": intake.delivery.in_flight,
            "parked": intake.delivery.parked,
            "unapplied": intake.applier.depth(),
            "is_kafka_connected": intake.delivery.is_connected,
            "is_state_reachable": intake.applier.is_reachable,
            "free_disk_bytes": intake.log.free_bytes(),
        },
    }
