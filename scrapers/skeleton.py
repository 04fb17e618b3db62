"""Writes the files of a new source; `docs/add-a-source.md` says what to change in them."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from emdata.errors import ContractError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 40

_CONTRACT = '''\
"""SOURCE: say in a line what it is, with the address of its documentation."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record, UtcDatetime


class CLASSItem(Record, frozen=True, kw_only=True):
    """Say what one record is."""

    item_id: A[str, Doc("Id of the item")]
    updated_at: A[UtcDatetime, Doc("When the source last changed it")]
    value_m: A[float | None, Doc("What was measured", "m")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="SOURCE_items",
        source="SOURCE",
        domain="hazard",
        title="SOURCE items",
        key=("item_id",),
        version="updated_at",
        event_time="updated_at",
        fresh_within="1d",
        terms="Say under which terms the data may be used",
    )

    def priority(self) -> Priority:
        """Say which records are urgent."""
        return Priority.LOW
'''

_SCRAPER = '''\
"""SOURCE: say in a line what it is, with the address of its documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from emdata.contracts.SOURCE import CLASSItem
from scrapers import values, wire
from scrapers.base import Cursor, Document, EmergencyDataScraper, Watermark

URL = "https://example.org/items.json"


class _Row(msgspec.Struct, rename="camel", frozen=True):
    """A row as the source writes it. A field without a default must be there, if only as null."""

    id: str
    updated: str
    value: float | None


class CLASSItems(EmergencyDataScraper):
    """Say what the stream reads, and what it reads again."""

    name = "SOURCE"
    emits = (CLASSItem,)
    every, relook, rate = "5min", "1d", "1/s"
    hosts = ("example.org",)
    row_type = _Row

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield the one document; conditional, so that a quiet source costs little."""
        etag = cursor.get("etag")
        answer = await self.http.get(URL, etag=etag if isinstance(etag, str) else None)
        notes: Cursor = {} if answer.not_modified else {"etag": answer.etag}
        yield Document.of(answer, self.clock.now(), notes=notes)

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut the list of items into rows."""
        if document.not_modified:
            return []
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        return wire.array(body, what=what)

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[CLASSItem]:
        """Turn one row into one record."""
        row = wire.decode(raw, _Row)
        return (
            CLASSItem(
                item_id=values.required(row.id, "id"),
                updated_at=values.instant(row.updated, "updated"),
                value_m=values.number(row.value, "value", low=-500.0, high=9000.0),
            ),
        )

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Keep the newest change and the ETag."""
        return {**seen.advance(cursor, "updated_at", CLASSItem.dataset.name), **seen.notes}
'''

_FIXTURE = """\
[
 {"id": "a1", "updated": "2026-01-02T03:04:05Z", "value": 1.5},
 {"id": "a2", "updated": "2026-01-02T03:05:00Z", "value": null}
]
"""

_TEST = '''\
"""SOURCE: the contract suite runs over tests/fixtures/SOURCE; here is what is special to it."""

from __future__ import annotations

from pathlib import Path

from emdata.settings import load_settings
from scrapers.offline import document_of, idle, parse_rows
from scrapers.sources.SOURCE import CLASSItems

FIXTURES = Path(__file__).parents[1] / "fixtures" / "SOURCE"


def test_items_keep_the_units_of_the_source() -> None:
    scraper = idle(CLASSItems, load_settings({}, env_file=None))
    document = document_of((FIXTURES / "items.json").read_bytes(), "items.json")
    records = [record for row in parse_rows(scraper, document) for record in row.records]
    assert [record.record_key() for record in records] == ["a1", "a2"]
    assert records[0].value_m == 1.5
'''


def write_source(folder: Path, name: str) -> list[Path]:
    """Write contract, scraper, fixture and test of source ``name``; return the files.

    Raises ContractError for a name that is none, or when one of the files exists.
    """
    if len(name) > _LONGEST or not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ContractError(
            "source name", value=name, allowed=f"lower case words joined by _, up to {_LONGEST}"
        )
    title = "".join(part.title() for part in name.split("_"))
    files = {
        folder / "emdata" / "contracts" / f"{name}.py": _CONTRACT,
        folder / "scrapers" / "sources" / f"{name}.py": _SCRAPER,
        folder / "tests" / "fixtures" / name / "items.json": _FIXTURE,
        folder / "tests" / "scrapers" / f"test_{name}.py": _TEST,
    }
    for path in files:
        if path.exists():
            raise ContractError("source name", value=name, allowed=f"a new name; {path} exists")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("SOURCE", name).replace("CLASS", title), encoding="utf-8")
    return list(files)
