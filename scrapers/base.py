"""What a source is: one class that fetches documents and one that turns them into records.

Fetching (``scrape_data``) is the only part with I/O; ``rows``, ``parse`` and ``next_cursor`` are
pure, so that a stored document can be parsed again and a bad row costs only itself. The poll loop
counts rows before it parses them, feeds a ``Watermark`` and asks for the next cursor only when a
poll is complete. Sources are found by being in ``scrapers.sources``; there is no list to edit.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.contracts.identity import utc_text
from emdata.errors import ContractError
from emdata.settings import Settings
from scrapers import wire
from scrapers.httpdate import http_date

if TYPE_CHECKING:
    from scrapers.http import HttpClient, Response
    from scrapers.prepared import PreparedRows

_KEPT_HEADERS = frozenset(
    {"age", "cache-control", "content-type", "date", "etag", "expires", "last-modified"}
)

Cursor = dict[str, str | int | None]
"""Where a stream stands; plain JSON in PostgreSQL, ``{}`` before the first complete poll."""


@dataclass(frozen=True, slots=True)
class Document:
    """One answer of a source, decompressed.

    kind: the source's own word for what this is ("page", "probe", "file").
    is_last: the last document of this poll.
    complete: set on the last document when the documents of this poll together list every living
    key in the bounds of the settings, so that a missing key has left the feed.
    not_modified: the source answered 304; the body is empty.
    notes: what the next cursor has to remember beside the records (an ETag, a refresh time).
    seconds: how long the answer took, without waiting for our own limits.
    """

    url: str
    fetched_at: datetime
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    kind: str = "page"
    is_last: bool = True
    complete: bool = False
    not_modified: bool = False
    notes: Mapping[str, str | int | None] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        response: Response,
        fetched_at: datetime,
        *,
        kind: str = "page",
        is_last: bool = True,
        complete: bool = False,
        notes: Mapping[str, str | int | None] | None = None,
    ) -> Document:
        """Make a document of an HTTP answer; only headers that say something are kept."""
        return cls(
            url=response.url,
            fetched_at=fetched_at,
            status=response.status,
            content_type=response.content_type,
            body=response.body,
            headers={k: v for k, v in response.headers.items() if k in _KEPT_HEADERS},
            etag=response.etag,
            last_modified=response.last_modified,
            kind=kind,
            is_last=is_last,
            complete=complete,
            not_modified=response.not_modified,
            notes=notes or {},
            seconds=response.seconds,
        )

    @property
    def served_at(self) -> datetime:
        """The source's own clock (its Date header) where it sent one, else ``fetched_at``."""
        text = self.headers.get("date")
        return (http_date(text) if text is not None else None) or self.fetched_at


def backfill_of(cursor: Cursor) -> tuple[date, date] | None:
    """Return the first and last day of a backfill, both included, or None for a usual poll.

    The loop puts ``since`` and ``until`` into the cursor of a backfill, and keeps the stream's own
    cursor as it was.
    """
    since, until = cursor.get("since"), cursor.get("until")
    if not isinstance(since, str) or not isinstance(until, str):
        return None
    return date.fromisoformat(since), date.fromisoformat(until)


class Watermark:
    """What the parsed records and the documents of one poll say; the loop fills it.

    Only records that were parsed count, never the client's clock. A stamp that lies in the
    future of the source's own clock is clamped to that clock, because the next query starts
    there and would otherwise skip what comes in between.
    """

    def __init__(self) -> None:
        self.notes: Cursor = {}
        self._newest: dict[str, str] = {}
        self._served_at: datetime | None = None

    def add_document(self, document: Document) -> None:
        """Take in a document's notes and the source's clock."""
        self.notes.update(document.notes)
        if self._served_at is None or document.served_at > self._served_at:
            self._served_at = document.served_at

    def add(self, record: Record) -> None:
        """Take in one parsed record, published or unchanged."""
        dataset = record.dataset
        value = getattr(record, dataset.version or dataset.event_time)
        if not isinstance(value, date):  # a version may be a rank, which says nothing of time
            value = getattr(record, dataset.event_time)
        if value is None:
            return
        text = utc_text(value) if isinstance(value, datetime) else str(value)
        self.add_stamp(dataset.name, text)

    def add_stamp(self, dataset: str, text: str) -> None:
        """Take in a stamp of parsed records, as sortable text in UTC."""
        if text > self._newest.get(dataset, ""):
            self._newest[dataset] = text

    def newest(self, dataset: str) -> str | None:
        """Return the greatest version (or event time) seen, as sortable text in UTC, clamped."""
        text = self._newest.get(dataset)
        if text is None or self._served_at is None:
            return text
        return min(text, utc_text(self._served_at)[: len(text)])

    def advance(self, cursor: Cursor, key: str, dataset: str) -> Cursor:
        """Return a copy of ``cursor`` whose ``key`` is the newest stamp; it never moves back."""
        newest, old = self.newest(dataset), cursor.get(key)
        if newest is None or (isinstance(old, str) and old >= newest):
            return dict(cursor)
        return {**cursor, key: newest}


class Ignored(tuple[Record, ...]):
    """An empty result of ``parse`` that says why the row is of no interest."""

    reason: str

    def __new__(cls, reason: str) -> Ignored:
        made = super().__new__(cls, ())
        made.reason = reason
        return made


class EmergencyDataScraper(ABC):
    """One stream of one source.

    name: the stream's name, as on the command line. emits: the records that ``parse`` gives.
    every: polling interval ("30s", "20min"). relook: how far back a poll reads again, because the
    source revises ("0s": not at all). rate: outbound limit per host ("1/s", "30/min").
    hosts: every host that the scraper may ask. row_type: the struct that rows are decoded into,
    where a row is one flat JSON object. rows_are_whole: ``parse`` needs nothing of a document but
    the row, so that a rejected row can be parsed again when its document is no longer kept.
    """

    name: ClassVar[str]
    emits: ClassVar[tuple[type[Record], ...]]
    every: ClassVar[str]
    relook: ClassVar[str] = "0s"
    rate: ClassVar[str] = "1/s"
    hosts: ClassVar[tuple[str, ...]]
    row_type: ClassVar[type[msgspec.Struct] | None] = None
    rows_are_whole: ClassVar[bool] = False

    def __init__(self, http: HttpClient, settings: Settings, clock: Clock) -> None:
        self.http, self.settings, self.clock = http, settings, clock
        for host in self.hosts:
            http.limit(host, self.rate)

    @classmethod
    def off_because(cls, settings: Settings) -> str | None:  # noqa: ARG003  for those with a key
        """Say why this stream cannot run with these settings, such as for want of a key."""
        return None

    @abstractmethod
    def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Fetch what is new since ``cursor``, or the days of a backfill; I/O only.

        Raises TransientError when it may work later, PermanentError when it will not.
        """

    @abstractmethod
    def rows(self, document: Document) -> Iterable[msgspec.Raw]:
        """Cut a document into rows whose bytes are the source's own; pure.

        Raises DocumentError when the document as a whole is not what the source promises.
        """

    @abstractmethod
    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        """Turn one row into records; pure. An empty result (see ``Ignored``) ignores the row.

        Raises RowError or ContractError, which cost this row only.
        """

    def prepare(self, document: Document) -> Iterator[PreparedRows] | None:
        """Turn a whole table into columns ready for the buffer; None: ``rows`` and ``parse`` do.

        It must say what these two say. Raises DocumentError as ``rows`` does.
        """
        return None

    @abstractmethod
    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Return where the next poll starts; pure, called after a complete poll."""

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name the fields of a document that the contract does not know: additive drift."""
        rows = () if self.row_type is None else tuple(self.rows(document))[:1]
        if self.row_type is None or not rows:
            return frozenset()
        return wire.keys(rows[0]) - wire.wire_names(self.row_type)

    def warnings(self, document: Document) -> tuple[str, ...]:
        """Say what an operator should hear about a document, such as a deprecation notice."""
        return ()


def find_scrapers() -> dict[str, type[EmergencyDataScraper]]:
    """Return every scraper in ``scrapers.sources`` by stream name, sorted by name.

    Raises ContractError when two scrapers claim one name.
    """
    package = importlib.import_module("scrapers.sources")
    found: dict[str, type[EmergencyDataScraper]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if not _is_scraper(value) or value.__module__ != module.__name__:
                continue
            if value.name in found:
                raise ContractError(
                    f"{value.__module__}.{value.__name__}.name",
                    value=value.name,
                    allowed="a stream name of its own",
                )
            found[value.name] = value
    return dict(sorted(found.items()))


def _is_scraper(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, EmergencyDataScraper)
        and not inspect.isabstract(value)
    )
