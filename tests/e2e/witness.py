"""Holding what landed against the simulator's own ledger, an independent witness."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emdata.contracts import contracts
from emdata.warehouse import Warehouse


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


def differences(simulator: Simulator, warehouse: Warehouse) -> list[Difference]:
    """Compare, for every dataset and key, versions served with rows landed."""
    found = []
    for name in contracts():
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
