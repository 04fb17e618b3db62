"""What is known of one day's files, and the list of a dataset's days.

Under ``bulk/<dataset>/`` lie ``index.json`` and for each day ``<day>/manifest.json`` beside its
files, which are named by their content. A file is there before the manifest that names it, and the
manifest before the index: whoever reads in between sees the old state, whole.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import msgspec

from emdata.errors import PermanentError

FORMAT = 1
PREFIX = "bulk"
DATASET = re.compile(r"[a-z0-9_]{1,100}\Z", re.ASCII)


class BulkDamaged(PermanentError):
    """A manifest or an index in object storage cannot be read."""

    code = "bulk_damaged"


class BulkColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the files; type as in emdata.tabular."""

    name: str
    type: str
    description: str
    unit: str | None = None
    is_nullable: bool = True


class BulkFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file; name is how it is downloaded, key where it lies, bytes its length."""

    name: str
    key: str
    media_type: str
    bytes: int
    sha256: str


class WriterRange(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one stream manager: how many, and their sequence numbers."""

    writer: int
    rows: int
    first_seq: int
    last_seq: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Earliest and latest; RFC 3339 in UTC, or days."""

    earliest: str
    latest: str


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the index. is_settled: nothing can come any more, by the ledger."""

    day: date
    rows: int
    bytes: int
    is_settled: bool
    data_version: str
    built_at: datetime


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All about one day. accepted, events: None of a day without rows.

    data_version changes when the rows or the columns do, and only then.
    """

    format: int = FORMAT
    dataset: str
    title: str
    day: date
    built_at: datetime
    rows: int
    is_settled: bool
    is_simulated: bool
    terms: str
    data_version: str
    accepted: Span | None
    events: Span | None
    writers: tuple[WriterRange, ...]
    columns: tuple[BulkColumn, ...]
    files: tuple[BulkFile, ...]

    @property
    def summary(self) -> DaySummary:
        """Return the day's line of the index."""
        return DaySummary(
            day=self.day,
            rows=self.rows,
            bytes=sum(file.bytes for file in self.files),
            is_settled=self.is_settled,
            data_version=self.data_version,
            built_at=self.built_at,
        )


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The days of a dataset that have files, ascending."""

    format: int = FORMAT
    dataset: str
    is_simulated: bool
    days: tuple[DaySummary, ...] = ()


def encode(document: Manifest | Index) -> bytes:
    """Return a manifest or an index as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def decode_manifest(key: str, data: bytes) -> Manifest:
    """Read a manifest. Raises BulkDamaged."""
    return _decode(key, data, Manifest)  # type: ignore[no-any-return]


def decode_index(key: str, data: bytes) -> Index:
    """Read an index. Raises BulkDamaged."""
    return _decode(key, data, Index)  # type: ignore[no-any-return]


def _decode(key: str, data: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BulkDamaged(f"{key}: {error}; remove it and build the bulk files again") from error


def index_key(dataset: str) -> str:
    """Return where the index of a dataset lies."""
    return f"{PREFIX}/{dataset}/index.json"


def manifest_key(dataset: str, day: date) -> str:
    """Return where the manifest of a day lies."""
    return f"{day_prefix(dataset, day)}manifest.json"


def day_prefix(dataset: str, day: date) -> str:
    """Return what the keys of a day begin with."""
    return f"{PREFIX}/{dataset}/{day.isoformat()}/"
