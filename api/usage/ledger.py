"""Counts of requests in a process: bounded, and every request is in exactly one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from emdata.contracts.api_usage import ApiUsage

OPEN_LINES = 5000
JOINED = "*"


class Kind(NamedTuple):
    """What requests of one line have in common; ``second`` is Unix time of its first second."""

    second: int
    organization: str
    collection: str
    format: str
    status_class: str
    route: str


@dataclass(slots=True)
class Counts:
    """What is counted of a kind of request."""

    requests: int = 0
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, other: Counts) -> None:
        """Count what others counted."""
        self.requests += other.requests
        self.rows += other.rows
        self.bytes += other.bytes
        self.seconds += other.seconds
        self.longest = max(self.longest, other.longest)


class Ledger:
    """The open lines. Beyond ``most`` they are joined: by hour and route, then by organization."""

    def __init__(self, process: str, most: int = OPEN_LINES) -> None:
        self._process, self._most, self._number = process, most, 0
        self._lines: dict[Kind, Counts] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, kind: Kind, counts: Counts) -> None:
        """Count one request."""
        known = self._lines.get(kind)
        if known is not None:
            known.add(counts)
            return
        if len(self._lines) >= self._most:
            self._join(_coarser)
            if len(self._lines) >= self._most:
                self._join(_coarsest)
            kind = _coarser(kind)
        self._lines.setdefault(kind, Counts()).add(counts)

    def numbered(self) -> list[ApiUsage]:
        """Return the open lines under new numbers; ``clear`` them once they are safe."""
        return [self._record(kind, counts) for kind, counts in self._lines.items()]

    def clear(self) -> None:
        """Begin anew."""
        self._lines.clear()

    def _record(self, kind: Kind, counts: Counts) -> ApiUsage:
        self._number += 1
        return ApiUsage(
            process=self._process,
            number=self._number,
            counted_from=datetime.fromtimestamp(kind.second, UTC),
            organization=kind.organization,
            collection=kind.collection,
            format=kind.format,
            status_class=kind.status_class,
            route=kind.route,
            requests=counts.requests,
            rows_sent=counts.rows,
            bytes_sent=counts.bytes,
            seconds_total=round(counts.seconds, 6),
            seconds_max=round(counts.longest, 6),
        )

    def _join(self, into: Callable[[Kind], Kind]) -> None:
        lines, self._lines = self._lines, {}
        for kind, counts in lines.items():
            self._lines.setdefault(into(kind), Counts()).add(counts)


def minute_of(now: datetime) -> int:
    """Return the Unix time at which a minute began."""
    return int(now.timestamp()) // 60 * 60


def _coarser(kind: Kind) -> Kind:
    return kind._replace(second=kind.second // 3600 * 3600, route=JOINED)


def _coarsest(kind: Kind) -> Kind:
    return _coarser(kind)._replace(collection=JOINED, format=JOINED)
