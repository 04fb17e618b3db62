"""`emdata check-live`: ask every live source once and say what came back; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scrapers.base import EmergencyDataScraper

DEADLINE_S = 90.0
ROWS = 500


@dataclass
class LiveCheck:
    """What one source answered: rows by result, or the error that ended it."""

    stream: str
    rows: int = 0
    parsed: int = 0
    ignored: int = 0
    rejected: int = 0
    first_reason: str = ""
    error: str = ""
    off: str = ""

    @property
    def is_good(self) -> bool:
        """Whether rows came and all of them were understood, or nothing was to be asked."""
        return bool(self.off) or (not self.error and self.rejected == 0 and self.parsed > 0)

    def line(self) -> str:
        """Return one line for the terminal."""
        if self.off:
            return f"off   {self.stream}: {self.off}"
        if self.error:
            return f"FAIL  {self.stream}: {self.error}"
        counts = f"{self.rows} rows: {self.parsed} parsed, {self.ignored} ignored, "
        counts += f"{self.rejected} rejected"
        reason = f"; first reason: {self.first_reason}" if self.first_reason else ""
        return f"{'ok  ' if self.is_good else 'FAIL'}  {self.stream}: {counts}{reason}"


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command(name="check-live")(check_live)


def check_live(
    only: Annotated[str, typer.Option(help="One stream instead of all.")] = "",
) -> None:
    """Ask every live source once, parse what it answers, store nothing."""
    import asyncio

    from emdata.clock import SystemClock
    from emdata.errors import SettingError
    from emdata.telemetry import configure_logging
    from runtime.context import fail, load
    from scrapers.base import find_scrapers
    from scrapers.http import HttpClient

    configure_logging("check-live", "ERROR")
    settings, clock = load(), SystemClock()
    scrapers = find_scrapers()
    if only and only not in scrapers:
        fail(SettingError("--only", value=only, allowed=", ".join(scrapers), searched=["options"]))
    try:
        http = HttpClient.from_settings(settings, "live", clock)
    except SettingError as error:
        fail(error)

    async def all_checks() -> list[LiveCheck]:
        async with http:
            return [
                await _check(kind(http, settings, clock))
                for name, kind in scrapers.items()
                if only in ("", name)
            ]

    checks = asyncio.run(all_checks())
    for one in checks:
        print(one.line())
    raise SystemExit(0 if all(one.is_good for one in checks) else 1)


async def _check(scraper: EmergencyDataScraper) -> LiveCheck:
    import asyncio

    from emdata.errors import EmdataError

    result = LiveCheck(scraper.name, off=scraper.off_because(scraper.settings) or "")
    if result.off:
        return result
    try:
        async with asyncio.timeout(DEADLINE_S):
            await _read(scraper, result)
    except TimeoutError:
        result.error = f"no answer within {DEADLINE_S:.0f} s"
    except EmdataError as error:
        result.error = str(error)[:300]
    return result


async def _read(scraper: EmergencyDataScraper, result: LiveCheck) -> None:
    from stream_manager.polls.poll import RECORD_ERRORS

    async for document in scraper.scrape_data({}):
        for raw in scraper.rows(document):
            result.rows += 1
            try:
                records = scraper.parse(raw, document)
            except RECORD_ERRORS as error:
                result.rejected += 1
                result.first_reason = result.first_reason or str(error)[:200]
                continue
            result.parsed += bool(records)
            result.ignored += not records
        if result.rows >= ROWS:
            return
