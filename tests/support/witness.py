"""Holding what landed against the simulator's own ledger, an independent witness."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from emdata.contracts import contracts
from emdata.warehouse import Warehouse

STRADDLE = timedelta(minutes=5)


@dataclass(frozen=True)
class Served:
    """One version of one key that the simulator sent to its last byte."""

    key: str
    version: int
    acknowledged_at: datetime
    values: dict[str, Any]


@dataclass
class Difference:
    """What the witness and the table disagree on, by key: (served versions, landed rows)."""

    dataset: str
    served: int
    landed: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


class Simulator:
    """The simulator's admin interface."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/_simulator"

    def ask(self, path: str, body: object = None, *, method: str | None = None) -> Any:
        """Send JSON and read JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._base}/{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def served(self, dataset: str) -> list[Served]:
        """Return every version that was sent completely."""
        url = f"{self._base}/ledger/{dataset}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            rows = [json.loads(line) for line in answer.read().splitlines() if line.strip()]
        return [
            Served(
                row["key"],
                row["version"],
                datetime.fromisoformat(row["acknowledged_at"]).replace(tzinfo=UTC),
                row["values"],
            )
            for row in rows
            if row["acknowledged_times"]
        ]


def hour_differences(simulator: Simulator, warehouse: Warehouse) -> list[str]:
    """Compare, for every dataset and hour of arrival (UTC), versions served with rows accepted.

    A record served just before the hour may be accepted just after it; so what is compared at each
    hour's end is the sum so far, which may lag by what was served in the last minutes only.
    """
    found = []
    for name in _served_by_sources():
        served = sorted(one.acknowledged_at for one in simulator.served(name))
        rows = warehouse.query(f"SELECT accepted_at AS at FROM raw_data.{name}")
        accepted = sorted(row["at"].replace(tzinfo=UTC) for row in rows)
        for end in sorted({_hour_end(at) for at in (*served, *accepted)}):
            before = sum(at < end for at in served)
            late = sum(end - STRADDLE <= at < end for at in served)
            landed = sum(at < end for at in accepted)
            if not before - late <= landed <= before:
                found.append(f"{name} until {end}: {before} served, {landed} accepted")
        if len(served) != len(accepted):
            found.append(f"{name}: {len(served)} served, {len(accepted)} accepted")
    return found


def _served_by_sources() -> list[str]:
    """Datasets that sources serve: not what the platform derives, nor what its API is given."""
    made_here = {"derived", "api"}
    return [name for name, one in contracts().items() if one.dataset.source not in made_here]


def _hour_end(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def differences(simulator: Simulator, warehouse: Warehouse) -> list[Difference]:
    """Compare, for every dataset and key, versions served with rows landed."""
    found = []
    for name in _served_by_sources():
        served = Counter(one.key for one in simulator.served(name))
        rows = warehouse.query(
            f"SELECT record_key AS k, COUNT(*) AS n FROM raw_data.{name} GROUP BY record_key"
        )
        landed = Counter({row["k"]: int(row["n"]) for row in rows})
        keys = {
            key: (served[key], landed[key])
            for key in served.keys() | landed.keys()
            if served[key] != landed[key]
        }
        if keys:
            found.append(Difference(name, served.total(), landed.total(), keys))
    return found
