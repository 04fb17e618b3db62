"""`emdata manager`: the stream manager's process."""

from __future__ import annotations

from typing import Annotated

import typer

HEARTBEAT_SECONDS = 60.0  # how often a silent sender is recorded as connected

app = typer.Typer(help="The stream manager.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand."""


@app.command()
def run(
    standby: Annotated[
        bool,
        typer.Option(help="Wait while another manager has the buffer; take it over when it goes."),
    ] = False,
) -> None:
    """Run the stream manager in the foreground until SIGTERM."""
    import asyncio
    import gc

    from emdata.clock import SystemClock
    from emdata.contracts import contracts
    from emdata.contracts.base import duration
    from emdata.contracts.firms import FireDetection
    from emdata.objects import RawStore
    from emdata.push_keys import PushKeys
    from emdata.telemetry import configure_logging, get_logger
    from runtime.context import load_context
    from runtime.tasks import state_dsn
    from runtime.warehouse import warehouse_of
    from scrapers.base import find_scrapers
    from scrapers.http import HttpClient
    from scrapers.loop import PollConnector
    from scrapers.push.streams import push_connectors
    from stream_manager.connector import StreamConfig, Streams
    from stream_manager.derived.streams import EVERY_SECONDS, escalation_notices
    from stream_manager.service import ServiceConfig, serve

    context = load_context()
    settings, paths = context.settings, context.paths
    if standby:
        settings = settings.model_copy(update={"manager_standby": True})
    configure_logging("manager", settings.log_level)
    log = get_logger(__name__)
    clock = SystemClock()
    is_simulated = paths.mode == "simulator"

    raw_store = RawStore.local(paths.objects)
    push_keys = PushKeys(settings.push_keys_file, clock)

    def streams() -> Streams:
        http = HttpClient.from_settings(settings, paths.mode, clock)
        started: Streams = []
        for name, scraper in find_scrapers().items():
            reason = None if is_simulated else scraper.off_because(settings)
            if reason is not None:
                log.warning("stream_off", stream=name, reason=reason)
                continue
            every = duration(scraper.every).total_seconds() * settings.poll_factor
            connector = PollConnector(scraper(http, settings, clock), raw_store)
            started.append((connector, StreamConfig(every)))
        for pushing in push_connectors(settings, paths.mode, push_keys, clock):
            started.append((pushing, StreamConfig(HEARTBEAT_SECONDS, is_push=True)))
        if any(FireDetection in connector.emits for connector, _ in started):
            every = max(1.0, EVERY_SECONDS * settings.poll_factor)
            started.append((escalation_notices(settings, clock), StreamConfig(every)))
        return started

    config = ServiceConfig(
        settings=settings,
        buffer_directory=paths.buffer / str(settings.writer),
        dsn=state_dsn(context),
        warehouse=warehouse_of(context),
        ingest_token=context.credentials.ingest_token,
        is_simulated=is_simulated,
        records=contracts(),
        raw_store=raw_store,
        push_keys=push_keys,
    )
    gc.freeze()  # what is imported by now lives as long as the process
    asyncio.run(serve(config, streams))
