"""Parsing a rejected row again: found in its kept document, or by itself if it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from emdata.contracts.base import Record
from emdata.errors import DocumentError
from emdata.objects import RawStore
from scrapers.base import Document, EmergencyDataScraper
from stream_manager.dead_letters.reparse import code_of


class RowsAgain:
    """The rows of one scraper; keeps the document it looked at last. Belongs to one thread."""

    def __init__(self, scraper: EmergencyDataScraper, raw_store: RawStore | None) -> None:
        self._scraper, self._raw_store = scraper, raw_store
        self._last: tuple[str, Document, frozenset[bytes]] | None = None

    def parse(
        self, raw: bytes, raw_documents: Sequence[str], fetched_at: datetime
    ) -> Sequence[Record]:
        """Parse a row as its own document would have it.

        Raises DocumentError when the row needs its document and that is not kept, else what
        ``parse`` raises.
        """
        for key in raw_documents:
            document = self._holds(key, raw, fetched_at)
            if document is not None:
                return self._scraper.parse(msgspec.Raw(raw), document)
        if not self._scraper.rows_are_whole:
            kept = ", ".join(raw_documents) or "none"
            raise DocumentError(
                f"{self._scraper.name}: the row is in no kept document of its poll ({kept}), and "
                "cannot be read without"
            )
        alone = Document(url="", fetched_at=fetched_at, status=200, content_type="", body=raw)
        return self._scraper.parse(msgspec.Raw(raw), alone)

    def _holds(self, key: str, raw: bytes, fetched_at: datetime) -> Document | None:
        if self._last is None or self._last[0] != key:
            self._last = self._read(key, fetched_at)
        return self._last[1] if self._last is not None and raw in self._last[2] else None

    def _read(
        self, key: str, fetched_at: datetime
    ) -> tuple[str, Document, frozenset[bytes]] | None:
        if self._raw_store is None:
            return None
        try:
            body, about = self._raw_store.get(key), self._raw_store.about(key)
        except FileNotFoundError:
            return None
        document = Document(
            url=about.get("url", ""),
            fetched_at=fetched_at,
            status=200,
            content_type=about.get("content_type", ""),
            body=body,
            kind=about.get("kind", "page"),
        )
        try:
            rows = self._scraper.rows(document)
        except DocumentError:
            return None
        return key, document, frozenset(bytes(row) for row in rows)


def about_document(document: Document) -> dict[str, str]:
    """Return what is stored beside a document, so that its rows can be parsed again."""
    return {"url": document.url, "kind": document.kind, "content_type": document.content_type}


def parser_code(scraper: type[EmergencyDataScraper]) -> str:
    """Return a fingerprint of a scraper's module, its contracts and what scrapers share."""
    shared = sorted(Path(__file__).parent.glob("*.py"))
    return code_of([scraper, *scraper.emits], shared)
