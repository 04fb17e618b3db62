"""Scrapers and simulator were written apart; the simulator's ledger must equal what was parsed.

Also the recipe for exact tests: freeze the clock, poll, change the world, poll again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.contracts.base import Record
from emdata.errors import ContractError, RowError
from emdata.settings import load_settings
from scrapers.base import Cursor, Document, EmergencyDataScraper, Watermark, find_scrapers
from scrapers.http import HttpClient, user_agent
from tests.simulator.running import Served


class Reader:
    """Polls every scraper and keeps each key's content when it differs from the last one."""

    def __init__(self, world: Served) -> None:
        self._world = world
        self._settings = load_settings({"HISTORY_SINCE": "2024-01-01"}, env_file=None)
        self._cursors: dict[str, Cursor] = defaultdict(dict)
        self.seen: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.rejected: list[str] = []

    async def poll(self) -> None:
        """Poll every source once."""
        clock = ManualClock(at=self._world.clock.at)
        agent = user_agent("tests@example.org")
        base = f"http://127.0.0.1:{self._world.port}"
        async with HttpClient(user_agent=agent, clock=clock, simulator_base=base) as http:
            for name, kind in find_scrapers().items():
                await self._poll(name, kind(http, self._settings, clock))

    async def _poll(self, name: str, scraper: EmergencyDataScraper) -> None:
        watermark = Watermark()
        async for document in scraper.scrape_data(self._cursors[name]):
            watermark.add_document(document)
            for raw in scraper.rows(document):
                for record in self._parse(scraper, raw, document):
                    watermark.add(record)
                    versions = self.seen[record.dataset.name][record.record_key()]
                    if versions[-1:] != [record.content_hash()]:
                        versions.append(record.content_hash())
        self._cursors[name] = scraper.next_cursor(self._cursors[name], watermark)

    def _parse(self, scraper: EmergencyDataScraper, raw: Any, document: Document) -> list[Record]:
        try:
            return list(scraper.parse(raw, document))
        except (RowError, ContractError) as error:
            self.rejected.append(f"{scraper.name}: {error}")
            return []


@pytest.mark.integration
async def test_ledger_equals_what_the_scrapers_parsed_version_by_version(served: Served) -> None:
    world = served
    world.post("clock", {"freeze": True})
    reader = Reader(world)
    await reader.poll()
    for mutation in (
        {"fema": "change_one"}, {"fema": "declare", "state": "CO"}, {"fema": "reload_bump"},
        {"nws": "change_one"}, {"nws": "edit_one"}, {"nws": "new"}, {"nws": "partial_cancel"},
        {"nws": "cancel", "way": "past"}, {"coagmet": "revise"}, {"usda": "revise"},
        {"firms": "new_fire"},
    ):  # fmt: skip
        world.mutate(**mutation)
    await reader.poll()
    world.advance(3 * 3600)
    world.clock.advance(3 * 3600)
    await reader.poll()
    assert reader.rejected == []
    assert len(reader.seen) == 7
    summary = world.get("_simulator/ledger").json()["datasets"]
    for dataset, keys in reader.seen.items():
        versions_of: dict[str, int] = defaultdict(int)
        for line in world.ledger(dataset):
            versions_of[line["key"]] += 1
        assert versions_of == {key: len(versions) for key, versions in keys.items()}, dataset
        total = sum(map(len, keys.values()))
        assert summary[dataset]["acknowledged_versions"] == total
