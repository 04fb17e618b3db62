"""Gauges that are asked for every few seconds."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from emdata.clock import ManualClock
from emdata.commits import Commit, DatasetCounts, Dead
from emdata.errors import StateUnavailable
from stream_manager import metrics
from stream_manager.gauges import Gauges
from tests.stream_manager.making import commit

PLACE = {"source_id": "made", "stream": "made-hourly"}


def row(*, finished: str | None, every: float = 3600.0) -> dict[str, Any]:
    return {
        "stream": "made-hourly",
        "source": "made",
        "batch_size": 500,
        "every_seconds": every,
        "last_finished_at": finished,
    }


def value(name: str, labels: dict[str, str] | None = None) -> float | None:
    return REGISTRY.get_sample_value(name, labels or {})


async def test_a_stream_without_a_poll_counts_from_when_it_was_first_seen() -> None:
    clock, rows = ManualClock(), [row(finished=None)]
    gauges = Gauges(clock, streams=lambda: rows, dead_letters=lambda: 3, is_kafka_up=lambda: True)
    first = clock.now().timestamp()
    await gauges.look()
    clock.advance(60)
    await gauges.look()
    assert value("stream_last_poll_timestamp_seconds", PLACE) == first
    assert value("stream_interval_seconds", PLACE) == 3600
    assert value("stream_batch_size", PLACE) == 500
    assert value("stream_dlq_size") == 3
    assert value("stream_kafka_connection_status") == 1
    rows[0] = row(finished="2026-01-01T00:10:00.000000")
    await gauges.look()
    assert value("stream_last_poll_timestamp_seconds", PLACE) == first + 600


async def test_a_stopped_stream_leaves_no_gauge_that_would_raise_an_alarm() -> None:
    rows = [row(finished=None)]
    gauges = Gauges(
        ManualClock(), streams=lambda: rows, dead_letters=lambda: 0, is_kafka_up=lambda: False
    )
    await gauges.look()
    assert value("stream_kafka_connection_status") == 0
    rows.clear()
    await gauges.look()
    assert value("stream_last_poll_timestamp_seconds", PLACE) is None


async def test_the_number_of_dead_letters_stays_while_postgresql_is_away() -> None:
    answers: list[int | Exception] = [7, StateUnavailable("away")]

    def dead_letters() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    gauges = Gauges(
        ManualClock(), streams=list, dead_letters=dead_letters, is_kafka_up=lambda: True
    )
    await gauges.look()
    await gauges.look()
    assert value("stream_dlq_size") == 7


def test_a_commit_counts_what_was_accepted_and_what_died_by_cause() -> None:
    before = value("stream_records_processed_total", {"source_id": "made", "tenant": "lab"}) or 0
    dead = Dead("1", "made", None, None, "p1", "row_error", "bad", b"{", 2, "2026-01-01T00:00:00")
    base = commit("p1", accepted=5)
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    datasets = {**base.datasets, "other": DatasetCounts(records=1, accepted=1)}
    metrics.count_commit(Commit(**{**fields, "datasets": datasets, "deads": [dead]}), "lab")
    after = value("stream_records_processed_total", {"source_id": "made", "tenant": "lab"})
    assert after == before + 6
    labels = {"source_id": "made", "error_type": "row_error", "tenant": "lab"}
    assert value("stream_records_failed_total", labels) == 2
