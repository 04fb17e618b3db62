"""Every stream against the simulator: all rows parse, and a second poll brings nothing new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emdata.settings import Settings, load_settings
from scrapers.base import Cursor, Watermark, find_scrapers
from scrapers.http import HttpClient, trusting_nobody
from scrapers.offline import parse_rows
from tests.simulator.running import Served, served_simulator

pytestmark = pytest.mark.integration
SETTINGS = load_settings({"STATES": "CO", "HISTORY_SINCE": "2024-06-01"}, env_file=None)
Identities = dict[tuple[str, str], tuple[str | None, bytes]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One simulator for all streams of this module."""
    with served_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


async def _poll(
    world: Served, name: str, cursor: Cursor, settings: Settings
) -> tuple[Cursor, Identities]:
    kind, found, seen = find_scrapers()[name], Identities(), Watermark()
    http = HttpClient(
        user_agent="emdata-tests (tests@example.org)",
        clock=world.clock,
        simulator_base=f"http://127.0.0.1:{world.port}",
        ssl_context=trusting_nobody(),
    )
    async with http:
        scraper = type(kind.__name__, (kind,), {"rate": "1000/s"})(http, settings, world.clock)
        async for document in scraper.scrape_data(cursor):
            seen.add_document(document)
            for row in parse_rows(scraper, document):
                assert row.rejected is None, (row.rejected, row.raw[:500])
                for record in row.records:
                    seen.add(record)
                    key = (record.dataset.name, record.record_key())
                    found[key] = (record.version_text(), record.content_hash())
    return scraper.next_cursor(cursor, seen), found


@pytest.mark.parametrize(
    "name",
    ["fema", "nws", "coagmet_stations", "coagmet_hourly", "usda_drought", "firms_fire_detections"],
)
async def test_all_rows_of_the_simulator_parse_and_a_second_poll_brings_nothing_new(
    world: Served, name: str
) -> None:
    cursor, first = await _poll(world, name, {}, SETTINGS)
    assert {dataset for dataset, _ in first} == {
        record.dataset.name for record in find_scrapers()[name].emits
    }
    again, second = await _poll(world, name, cursor, SETTINGS)
    assert second.items() <= first.items()
    assert again == cursor
