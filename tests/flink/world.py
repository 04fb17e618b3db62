"""Everything that a test run has sent, and what must be in the tables because of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from confluent_kafka import Producer

from emdata.contracts import Record, contracts
from emdata.derive.starrocks import RAW_DATABASE
from emdata.derive.types import columns_of
from emdata.envelope import Accepted, kafka_headers, kafka_value
from flink_jobs.windows import WindowTable, correction_days, window_tables
from tests.flink import recount
from tests.flink.recount import Counts, Value
from tests.support.platform import Platform
from tests.support.waiting import wait_for

WRITER = 1


class World:
    """Sends records the way a stream manager does and remembers them."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.sent: dict[str, list[Value]] = defaultdict(list)
        self._producer = Producer(
            {
                "bootstrap.servers": platform.settings.kafka_servers,
                "enable.idempotence": True,
                "log_level": 0,
            }
        )

    def send(self, records: Iterable[Record], accepted_at: datetime, *, copies: int = 1) -> None:
        """Accept records and send each ``copies`` times, as redelivery would."""
        for record in records:
            accepted = self._accept(record, accepted_at)
            value = kafka_value(accepted)
            self.sent[accepted.dataset].append(json.loads(value))
            for _ in range(copies):
                self._producer.produce(
                    accepted.topic,
                    key=accepted.kafka_key.encode(),
                    value=value,
                    headers=kafka_headers(accepted),
                )
                self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        left = self._producer.flush(30)
        assert left == 0, f"{left} messages not delivered"

    def wait_landed(self, timeout: float, datasets: Iterable[str] | None = None) -> None:
        """Wait until the raw tables hold exactly what was sent, column by column."""
        for dataset in self.sent if datasets is None else datasets:
            expected = len(self.sent[dataset])
            wait_for(
                lambda dataset=dataset, expected=expected: self.count(dataset) >= expected,
                timeout,
                f"{expected} rows of {dataset}",
                interval=0.3,
            )
            assert self.landed(dataset) == self._expected(dataset)

    def count(self, table: str) -> int:
        """Rows of a table in raw_data."""
        rows = self.platform.sql(f"SELECT COUNT(*) AS n FROM {RAW_DATABASE}.{table}")
        return int(rows[0]["n"])

    def landed(self, dataset: str) -> dict[tuple[Any, ...], Value]:
        """A raw table by its primary key."""
        rows = self.platform.sql(f"SELECT * FROM {RAW_DATABASE}.{dataset}")
        return {_identity(row): row for row in rows}

    def wait_windows_exact(self, timeout: float) -> None:
        """Wait until every window table equals a recount; fails with the first differences."""
        for window in window_tables():
            expected = self.expected_window(window)

            def differs(window: WindowTable = window, expected: Counts = expected) -> str:
                return _difference(expected, self.window(window))

            try:
                wait_for(lambda check=differs: not check(), timeout, window.name, interval=0.3)
            except AssertionError as error:
                raise AssertionError(f"{window.name}: {differs()}") from error

    def window(self, window: WindowTable) -> Counts:
        """A window table, through its view."""
        names = [column.name for column in (*window.keys, *window.measures)]
        rows = self.platform.sql(f"SELECT {', '.join(names)} FROM {RAW_DATABASE}.{window.name}")
        width = len(window.keys)
        return {
            tuple(row[name] for name in names[:width]): tuple(row[name] for name in names[width:])
            for row in rows
        }

    def expected_window(self, window: WindowTable) -> Counts:
        """The recount of a window from everything that was sent."""
        days = correction_days(self.platform.settings.window_state_days)
        values = self.sent[window.dataset]
        counters: dict[str, Callable[[], Counts]] = {
            "alerts_hourly": lambda: recount.alerts_hourly(values, days),
            "disaster_alerts_hourly": lambda: recount.disaster_alerts_hourly(values),
            "disaster_alerts_daily": lambda: recount.disaster_alerts_daily(values),
            "weather_station_daily": lambda: recount.weather_station_daily(values, days),
            "aggregated_emission": lambda: recount.aggregated_emission(values),
        }
        return counters[window.name]()

    def _accept(self, record: Record, at: datetime) -> Accepted:
        dataset = record.dataset
        return Accepted(
            dataset=dataset.name,
            source=dataset.source,
            stream=dataset.source,
            topic=dataset.topic,
            writer=WRITER,
            seq=len(self.sent[dataset.name]) + 1,
            accepted_at=at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds"),
            poll_id="poll-1",
            record_key=record.record_key(),
            record_version=record.version_text(),
            kafka_key=record.kafka_key(),
            key_hash=record.key_hash(),
            content_hash=record.content_hash(),
            priority=int(record.priority()),
            is_simulated=True,
            payload=record.payload(),
        )

    def _expected(self, dataset: str) -> dict[tuple[Any, ...], Value]:
        types = {c.name: c.types.starrocks for c in columns_of(contracts()[dataset])}
        rows = [{k: _stored(v, types[k]) for k, v in sent.items()} for sent in self.sent[dataset]]
        return {_identity(row): row for row in rows}


def _identity(row: Value) -> tuple[Any, ...]:
    return row["accepted_on"], row["writer"], row["seq"]


def _stored(value: Any, type_name: str) -> Any:
    """A JSON value as the MySQL protocol gives it back."""
    if value is None:
        return None
    if type_name == "DATETIME":
        return datetime.fromisoformat(value)
    if type_name == "DATE":
        return date.fromisoformat(value)
    if type_name == "BOOLEAN":
        return int(value)
    return value


def _difference(expected: Counts, found: Counts) -> str:
    missing = {key: expected[key] for key in expected.keys() - found.keys()}
    extra = {key: found[key] for key in found.keys() - expected.keys()}
    wrong = {
        key: (expected[key], found[key])
        for key in expected.keys() & found.keys()
        if not _close(expected[key], found[key])
    }
    if not (missing or extra or wrong):
        return ""
    return (
        f"{len(missing)} missing {_some(missing)}, {len(extra)} too many {_some(extra)}, "
        f"{len(wrong)} wrong (expected, found) {_some(wrong)}"
    )


def _close(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Equal, with the last bit of a mean left to the division."""
    return all(
        a == b
        or (isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 1e-12 * max(1, abs(a)))
        for a, b in zip(one, other, strict=True)
    )


def _some(items: dict[Any, Any]) -> list[Any]:
    return list(items.items())[:3]
