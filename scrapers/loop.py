"""The poll loop: drives one scraper and reports every row to the session.

Errors of the source end here, as the outcome of one poll; the next stream does not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from emdata.contracts.base import Record
from emdata.contracts.identity import utc_text
from emdata.errors import BufferUnavailable, EmdataError, SourceUnavailable
from emdata.objects import RawStore
from emdata.telemetry import get_logger
from scrapers.base import Document, EmergencyDataScraper, Watermark
from scrapers.prepared import PreparedRows
from scrapers.reparse import RowsAgain, about_document, parser_code
from stream_manager.connector import PollReport
from stream_manager.polls.poll import RECORD_ERRORS
from stream_manager.polls.session import PollSession

log = get_logger(__name__)
YIELD_EVERY = 200


class PollConnector:
    """A scraper as the stream manager sees it."""

    def __init__(self, scraper: EmergencyDataScraper, raw_store: RawStore | None) -> None:
        self._scraper, self._raw_store = scraper, raw_store
        self._rows_again = RowsAgain(scraper, raw_store)

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._scraper.name

    @property
    def source(self) -> str:
        """The upstream's short name."""
        return self._scraper.emits[0].dataset.source

    @property
    def emits(self) -> Sequence[type[Record]]:
        """The contracts it delivers."""
        return self._scraper.emits

    def code(self) -> str:
        """Return a fingerprint of the code that parses this stream's rows."""
        return parser_code(type(self._scraper))

    def reparse(
        self, raw: bytes, raw_documents: Sequence[str], fetched_at: datetime
    ) -> Sequence[Record]:
        """Parse a rejected row again; raises DocumentError when its document is needed and gone."""
        return self._rows_again.parse(raw, raw_documents, fetched_at)

    async def run_poll(self, session: PollSession, arguments: dict[str, Any]) -> PollReport:
        """Fetch, cut, parse, hand over; then finish the poll with its outcome and cursor."""
        answers: list[float] = []
        retry_after: float | None = None
        cursor = {**session.cursor, **arguments}
        seen = Watermark()
        is_complete = False
        try:
            async for document in self._scraper.scrape_data(cursor):
                answers.append(document.seconds)
                seen.add_document(document)
                is_complete = is_complete or document.complete
                await self._take_document(session, document, seen)
        except BufferUnavailable as error:
            await session.finish("failed", error=error)
        except EmdataError as error:
            log.warning(
                "poll_failed", stream=self.name, error_class=error.code, error=str(error)[:500]
            )
            if isinstance(error, SourceUnavailable):
                retry_after = error.retry_after
            await session.finish("failed", error=error)
        else:
            moved = None if arguments else self._scraper.next_cursor(session.cursor, seen)
            outcome = "not_modified" if session.tally.not_modified else "ok"
            if session.tally.rows:
                outcome = "ok"
            await session.finish(outcome, cursor=moved, is_complete=is_complete)
        return PollReport(tuple(answers), retry_after)

    async def _take_document(
        self, session: PollSession, document: Document, seen: Watermark
    ) -> None:
        if document.not_modified:
            session.not_modified()
            session.document(0)
            return
        session.document(len(document.body), await self._keep(document))
        for text in self._scraper.warnings(document):
            log.warning("source_warning", stream=self.name, text=text)
        prepared = await asyncio.to_thread(self._scraper.prepare, document)
        if prepared is not None:
            await self._take_prepared(session, prepared, seen)
        else:
            await self._take_rows(session, document, seen)
        unknown = self._scraper.fields_unknown(document)
        if unknown:
            log.info("source_fields_unknown", stream=self.name, fields=sorted(unknown)[:50])

    async def _take_prepared(
        self, session: PollSession, prepared: Iterator[PreparedRows], seen: Watermark
    ) -> None:
        while (part := await asyncio.to_thread(next, prepared, None)) is not None:
            for raw, error in part.rejected:
                session.row_rejected(raw, error)
            if part.batch.newest_event is not None:
                seen.add_stamp(part.batch.record.dataset.name, utc_text(part.batch.newest_event))
            await session.batch_prepared(part.batch)

    async def _take_rows(self, session: PollSession, document: Document, seen: Watermark) -> None:
        for count, raw in enumerate(self._scraper.rows(document), start=1):
            await self._take_row(session, raw, document, seen)
            if count % YIELD_EVERY == 0:
                await asyncio.sleep(0)  # ten thousand rows must not hold up the urgent ones

    async def _take_row(
        self, session: PollSession, raw: msgspec.Raw, document: Document, seen: Watermark
    ) -> None:
        try:
            records = self._scraper.parse(raw, document)
        except RECORD_ERRORS as error:
            session.row_rejected(bytes(raw), error)
            return
        if not records:
            session.row_ignored()
            return
        for record in records:
            seen.add(record)
        await session.row_parsed(records)

    async def _keep(self, document: Document) -> str | None:
        if self._raw_store is None:
            return None
        day = document.fetched_at.date()
        try:
            return await asyncio.to_thread(
                self._raw_store.put, self.source, day, document.body, about_document(document)
            )
        except OSError as error:
            # The raw copy serves later study; the records themselves matter more.
            log.warning("raw_document_not_kept", stream=self.name, error=str(error))
            return None
