"""A rejected row parsed again: as its own document would have it, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from emdata.contracts.base import Dataset, Record, UtcDatetime
from emdata.errors import DocumentError
from emdata.objects import RawStore
from scrapers.base import Cursor, Document, EmergencyDataScraper, Watermark, find_scrapers
from scrapers.reparse import RowsAgain, about_document, parser_code

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Made(Record, frozen=True, kw_only=True):
    """A record for these tests."""

    name: str
    unit: str
    at: UtcDatetime
    dataset = Dataset(
        name="made_lines",
        source="made",
        domain="test",
        title="Lines",
        key=("name",),
        event_time="at",
        fresh_within="1h",
        terms="none",
    )


class Lines(EmergencyDataScraper):
    """Lines whose unit stands in the address, as with a source that labels nothing."""

    name, emits, every, hosts = "lines", (Made,), "1h", ()

    def __init__(self) -> None:
        self.cut = 0

    async def scrape_data(self, cursor: Cursor) -> Iterator[Document]:  # type: ignore[override]
        raise NotImplementedError(cursor)

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        self.cut += 1
        if not document.body.startswith(b"#"):
            raise DocumentError("no heading")
        return [msgspec.Raw(line) for line in document.body.splitlines()[1:]]

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[Record]:
        unit = document.url.partition("unit=")[2] or "none"
        return (Made(name=bytes(raw).decode(), unit=unit, at=document.fetched_at),)

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        raise NotImplementedError(cursor, seen)


class WholeLines(Lines):
    """Lines that need no document."""

    rows_are_whole = True


def document(body: bytes, url: str = "https://h/p?token=canary&unit=m") -> Document:
    return Document(url=url, fetched_at=AT, status=200, content_type="text/plain", body=body)


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore.local(tmp_path)


def keep(store: RawStore, body: bytes) -> str:
    return store.put("made", date(2026, 11, 21), body, about_document(document(body)))


def test_a_row_is_read_with_the_document_that_holds_it(store: RawStore) -> None:
    keys = [keep(store, b"#\nother\n"), keep(store, b"nonsense"), keep(store, b"#\na\nb\n")]
    scraper = Lines()
    again = RowsAgain(scraper, store)
    (found,) = again.parse(b"b", keys, AT)
    assert found == Made(name="b", unit="m", at=AT)
    cut = scraper.cut
    again.parse(b"a", keys[2:], AT)
    assert scraper.cut == cut, "the document looked at last is not cut again"


def test_without_its_document_a_row_is_not_guessed_at(store: RawStore) -> None:
    key = keep(store, b"#\nother\n")
    for raw_store, keys in ((store, [key]), (store, ["raw/made/2020-01-01/gone.zst"]), (None, [])):
        with pytest.raises(DocumentError, match="in no kept document"):
            RowsAgain(Lines(), raw_store).parse(b"b", keys, AT)
    (found,) = RowsAgain(WholeLines(), None).parse(b"b", [], AT)
    assert found == Made(name="b", unit="none", at=AT)


def test_what_is_kept_about_a_document_shows_no_secret_and_goes_with_it(
    store: RawStore, tmp_path: Path
) -> None:
    key = keep(store, b"#\na\n")
    assert store.about(key)["url"] == "https://h/p?token=REDACTED&unit=m"
    assert store.about("raw/made/2026-11-21/unknown.zst") == {}
    assert b"canary" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert store.remove_before(date(2027, 1, 1), keep=AT - AT) == 1
    assert store.about(key) == {}


def test_every_source_has_a_fingerprint_of_its_own() -> None:
    found = find_scrapers()
    codes = {name: parser_code(scraper) for name, scraper in found.items()}
    of_modules = {scraper.__module__: codes[name] for name, scraper in found.items()}
    assert len(set(codes.values())) >= len(of_modules)
