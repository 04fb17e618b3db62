"""`emdata manager`: the stream manager's process."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emdata.settings import Settings
    from scrapers.base import EmergencyDataScraper
    from stream_manager.off import OffStream

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

    from emdata.clock import SystemClock
    from emdata.contracts import contracts
    from emdata.contracts.base import duration
    from emdata.contracts.firms import FireDetection
    from emdata.objects import RawStore
    from emdata.push_keys import PushKeys
    from emdata.telemetry import configure_logging
    from runtime.context import load_context
    from runtime.tasks import state_dsn
    from runtime.warehouse import warehouse_of
    from scrapers.base import find_scrapers
    from scrapers.http import HttpClient
    from scrapers.loop import PollConnector
    from scrapers.push.streams import push_connectors
    from scrapers.push.submissions import API_SENDER, api_datasets
    from stream_manager.connector import StreamConfig, Streams
    from stream_manager.derived.streams import EVERY_SECONDS, escalation_notices
    from stream_manager.interpreter import tune_interpreter
    from stream_manager.off import register_off
    from stream_manager.service import ServiceConfig, serve

    context = load_context()
    settings, paths = context.settings, context.paths
    if standby:
        settings = settings.model_copy(update={"manager_standby": True})
    configure_logging("manager", settings.log_level)
    clock = SystemClock()
    is_simulated = paths.mode == "simulator"

    raw_store = RawStore.local(paths.objects)
    push_keys = PushKeys(settings.push_keys_file, clock)
    push_keys.ensure(API_SENDER, context.credentials.api_push_key, datasets=api_datasets())

    off = {} if is_simulated else off_streams(find_scrapers().values(), settings)
    off |= unpolled_off(settings, off)

    def streams() -> Streams:
        http = HttpClient.from_settings(settings, paths.mode, clock)
        started: Streams = []
        for name, scraper in find_scrapers().items():
            if name in off:
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
    tune_interpreter()

    said = register_off(config.dsn, settings.writer, list(off.values()), clock)
    asyncio.run(_beside(said, serve(config, streams)))


async def _beside(side: Coroutine[None, None, None], main: Coroutine[None, None, None]) -> None:
    """Await ``main`` while ``side`` goes on, at most as long."""
    import asyncio

    task = asyncio.create_task(side)
    try:
        await main
    finally:
        task.cancel()
        await asyncio.wait({task})


def unpolled_off(settings: Settings, off: Mapping[str, OffStream]) -> dict[str, OffStream]:
    """Return the chosen streams that poll nothing and are off, by name."""
    from scrapers.unpolled import UNPOLLED, off_unpolled
    from stream_manager.off import OffStream

    datasets = {name for stream in off.values() for name in stream.datasets}
    reasons = off_unpolled(settings, datasets)
    return {
        stream.name: OffStream(
            stream.name,
            stream.emits[0].dataset.source,
            tuple(record.dataset.name for record in stream.emits),
            HEARTBEAT_SECONDS,
            reasons[stream.name],
        )
        for stream in UNPOLLED
        if stream.name in reasons and (not settings.streams or stream.name in settings.streams)
    }


def off_streams(
    scrapers: Iterable[type[EmergencyDataScraper]], settings: Settings
) -> dict[str, OffStream]:
    """Return the chosen streams that cannot run with these settings, by name."""
    from emdata.contracts.base import duration
    from stream_manager.off import OffStream

    found = {}
    for scraper in scrapers:
        reason = scraper.off_because(settings)
        if reason is not None and (not settings.streams or scraper.name in settings.streams):
            found[scraper.name] = OffStream(
                scraper.name,
                scraper.emits[0].dataset.source,
                tuple(record.dataset.name for record in scraper.emits),
                duration(scraper.every).total_seconds(),
                reason,
            )
    return found
