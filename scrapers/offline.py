"""Parses a file as if a source had just sent it: no network, no state.

What `emdata parse` and the contract suite stand on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from emdata.clock import Clock, SystemClock
from emdata.contracts.base import Record
from emdata.errors import ContractError, DocumentError, EmdataError, RowError
from emdata.settings import Settings
from scrapers.base import Document, EmergencyDataScraper, Ignored, find_scrapers
from scrapers.http import HttpClient, trusting_nobody

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row: records, a reason to ignore it, or a reason to reject it."""

    raw: bytes
    records: Sequence[Record] = ()
    ignored: str | None = None
    rejected: EmdataError | None = None

    @property
    def outcome(self) -> str:
        """parsed, ignored or rejected."""
        if self.rejected is not None:
            return "rejected"
        return "parsed" if self.records else "ignored"


def scrapers_for(word: str) -> dict[str, type[EmergencyDataScraper]]:
    """Return the scrapers that a word names: a stream, a source, a dataset, or a nickname.

    Raises ContractError, which lists what is known, for an unknown word.
    """
    known = find_scrapers()
    word = {"usdm": "usda", "firms": "nasa_firms"}.get(word, word)
    found = {
        name: scraper
        for name, scraper in known.items()
        if word == name
        or any(word in (record.dataset.source, record.dataset.name) for record in scraper.emits)
    }
    if word in known:
        return {word: known[word]}
    if not found:
        words = {r.dataset.name for s in known.values() for r in s.emits}
        words |= {r.dataset.source for s in known.values() for r in s.emits} | known.keys()
        raise ContractError("source", value=word, allowed=", ".join(sorted(words)))
    return found


def idle(
    scraper: type[EmergencyDataScraper], settings: Settings, clock: Clock | None = None
) -> EmergencyDataScraper:
    """Return a scraper for parsing only; it has a client that has never connected."""
    clock = clock or SystemClock()
    http = HttpClient(user_agent="emdata offline", clock=clock, ssl_context=trusting_nobody())
    return scraper(http, settings, clock)


def document_of(body: bytes, url: str, fetched_at: datetime = _EPOCH) -> Document:
    """Return file content as a document; ``url`` is its name, and may carry a query."""
    return Document(url=url, fetched_at=fetched_at, status=200, content_type="", body=body)


def parse_rows(scraper: EmergencyDataScraper, document: Document) -> Iterator[RowOutcome]:
    """Yield the outcome of every row.

    Raises DocumentError when the document as a whole is none of this source's.
    """
    for raw in scraper.rows(document):
        yield parse_row(scraper, raw, document)


def parse_row(scraper: EmergencyDataScraper, raw: msgspec.Raw, document: Document) -> RowOutcome:
    """Return the outcome of one row."""
    data = bytes(raw)
    try:
        records = scraper.parse(raw, document)
    except (RowError, ContractError, DocumentError) as error:
        return RowOutcome(data, rejected=error)
    if records:
        return RowOutcome(data, records=records)
    reason = records.reason if isinstance(records, Ignored) else "of no interest to this stream"
    return RowOutcome(data, ignored=reason)


def parse_with_any(
    scrapers: Sequence[EmergencyDataScraper], document: Document
) -> tuple[EmergencyDataScraper, list[RowOutcome]]:
    """Parse with the first scraper whose kind of document it is.

    Raises the DocumentError of the last scraper when it is none of any.
    """
    failure = DocumentError("no scraper to parse with")
    for scraper in scrapers:
        try:
            return scraper, list(parse_rows(scraper, document))
        except DocumentError as error:
            failure = error
    raise failure


def totals(outcomes: Sequence[RowOutcome]) -> dict[str, int]:
    """Count rows, their outcomes and the records of each dataset."""
    found = Counter({"rows": len(outcomes), "parsed": 0, "ignored": 0, "rejected": 0})
    for row in outcomes:
        found[row.outcome] += 1
        found.update(f"records {record.dataset.name}" for record in row.records)
    return dict(found)
