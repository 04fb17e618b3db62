"""A prepared file, of a bare file server that sends the same one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from emdata.bulk.build import Builder
from emdata.bulk.shelf import Shelf
from emdata.clock import SystemClock
from emdata.contracts import contracts
from emdata.state.database import connect, dsn_of
from tests.api.world import World
from tests.bench.api.client import measure
from tests.bench.api.controls import Given, running_control
from tests.bench.api.world import COLLECTION, save
from tests.bench.figures import Figure

CONNECTIONS = 4


def bulk_figures(world: World, folder: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """Bytes a second of ``/bulk`` by those of FileResponse in a bare handler."""
    path = _built(world)
    answer = world.get(path)
    body = save(folder, answer.content)
    print(f"INFO bulk file of {len(answer.content) / 1e6:,.1f} MB", flush=True)
    ratios = []
    with running_control(Given(body, "application/octet-stream", file=body)) as control:
        for number in range(rounds + 1):
            bare = measure(f"{control}/file", connections=CONNECTIONS, seconds=seconds)
            mine = measure(world.url + path, connections=CONNECTIONS, seconds=seconds)
            if bare.failed or mine.failed:
                raise SystemExit(f"answers that are none: {bare.statuses} {mine.statuses}")
            if number:
                ratios.append((mine.bytes / mine.seconds) / (bare.bytes / bare.seconds))
    yield Figure(
        "bulk_file_of_bare_server", statistics.median(ratios), "x", 0.8, 0.9, is_floor=True
    )


def _built(world: World) -> str:
    """Build the days that have rows; the path of the largest file."""
    context = world.platform.context
    shelf = Shelf.of(context.paths)
    engine = connect(dsn_of(context.settings, context.credentials.postgres_password))
    try:
        builder = Builder(shelf, world.platform.warehouse(timeout=600), engine, SystemClock())
        (day,) = builder.bring_up_to_date(contracts()[COLLECTION]).built
    finally:
        engine.dispose()
    manifest = shelf.manifest(COLLECTION, day)
    assert manifest is not None
    largest = max(manifest.files, key=lambda one: one.bytes)
    return f"/bulk/{COLLECTION}/{day.isoformat()}/{largest.name}"
