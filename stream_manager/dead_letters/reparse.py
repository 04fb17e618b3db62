"""Parsing a dead letter again: its bytes, by the code that runs now."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from emdata.contracts.base import Record, fields_of
from emdata.derive import limits
from emdata.errors import ContractError


@runtime_checkable
class Reparser(Protocol):
    """A stream whose rejected rows can be parsed again."""

    @property
    def name(self) -> str:
        """The stream's name."""
        ...

    @property
    def source(self) -> str:
        """The upstream's short name."""
        ...

    def code(self) -> str:
        """Return a fingerprint of the code that parses; another one may parse what this cannot."""
        ...

    def reparse(
        self, raw: bytes, raw_documents: Sequence[str], fetched_at: datetime
    ) -> Sequence[Record]:
        """Turn one rejected row into records; an empty result ignores it. May block.

        ``raw_documents`` names the kept documents of its poll. Raises EmdataError and whatever a
        parser may raise.
        """
        ...


class ContractReparser:
    """Rows that came through the ingest endpoint, in a contract's own field names."""

    def __init__(self, record: type[Record]) -> None:
        self._record = record
        self.name, self.source = f"ingest-{record.dataset.name}", record.dataset.source

    def code(self) -> str:
        """Return a fingerprint of the contract's code."""
        return code_of([self._record])

    def reparse(
        self, raw: bytes, raw_documents: Sequence[str], fetched_at: datetime
    ) -> Sequence[Record]:
        """Decode one row by its contract."""
        return [msgspec.json.decode(raw, type=self._record)]


def record_of(record: type[Record], payload: bytes) -> Record:
    """Return the record whose ``payload()`` this is, under today's contract.

    A nullable field that the contract did not have then is null. Raises ContractError or
    msgspec.MsgspecError when the contract refuses it.
    """
    fields = msgspec.json.decode(payload, type=dict[str, Any])
    for field in fields_of(record):
        value = fields.get(field.name)
        if value is None and field.nullable:
            fields[field.name] = None
        elif field.base is datetime and isinstance(value, str):
            # A payload's instants are UTC and carry no offset.
            fields[field.name] = datetime.fromisoformat(value).replace(tzinfo=UTC)
        elif field.base is date and isinstance(value, str):
            fields[field.name] = date.fromisoformat(value)
    unknown = fields.keys() - {field.name for field in fields_of(record)}
    if unknown:
        raise ContractError(
            record.dataset.name, value=sorted(unknown), allowed="fields of today's contract"
        )
    return msgspec.convert(fields, record)


def code_of(things: Sequence[type], files: Sequence[Path] = ()) -> str:
    """Return a fingerprint of the modules that define classes and their bases, and of ``files``."""
    paths = {Path(limits.__file__), *files}
    for thing in things:
        for base in inspect.getmro(thing):
            if base.__module__.split(".")[0] in ("builtins", "abc", "typing", "msgspec"):
                continue
            paths.add(Path(inspect.getfile(base)))
    return _fingerprint(tuple(sorted(paths)))


@cache
def _fingerprint(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def reparsers_of(
    streams: Sequence[object], records: Mapping[str, type[Record]]
) -> dict[str, Reparser]:
    """Return who parses again, by stream: connectors that can, and the ingest endpoint."""
    doors: list[Reparser] = [ContractReparser(record) for record in records.values()]
    able = [stream for stream in streams if isinstance(stream, Reparser)]
    return {one.name: one for one in (*doors, *able)}
