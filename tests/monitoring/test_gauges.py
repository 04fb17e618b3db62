"""Gauges that are asked for every few seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import structs
from prometheus_client import REGISTRY
from sqlalchemy import create_engine

from emdata.clock import ManualClock
from emdata.commits import Dead
from emdata.errors import StateUnavailable
from stream_manager.buffer import BufferLog
from stream_manager.gauges import Gauges
from stream_manager.state.applier import Applier
from tests.stream_manager.making import AT, DATASET, commit

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


def test_what_was_accepted_and_what_died_is_counted_once_it_is_durable(tmp_path: Path) -> None:
    def now() -> tuple[float, ...]:
        asked = ({}, {"error_type": "row_error"}, {"error_type": "kafka_refused"})
        return tuple(
            value(
                "stream_records_failed_total" if labels else "stream_records_processed_total",
                {"source_id": "made", **labels},
            )
            or 0
            for labels in asked
        )

    row_error = Dead("1", "s", None, None, "p1", "row_error", "bad", b"{", 2, AT)
    refused = Dead("2", "s", DATASET, 5, "p1", "kafka_refused", "bad", b"{", 1, AT)
    commits = [commit(f"p{n}", accepted=5, stream="s") for n in range(2)]
    found = structs.replace(commits[0], deads=[row_error])
    with BufferLog(tmp_path / "b", writer=1, segment_bytes=1 << 20) as log:
        log.open()
        engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
        applier = Applier(engine, log, tmp_path / "unapplied")
        before = now()
        # What an earlier process left was counted by that one.
        applier.put(1, [commits[1]])
        assert now() == before
        applier.start()
        applier.put(1, [found, refused])
        applier.stop()
        engine.dispose()
    assert now() == (before[0] + 5, before[1] + 2, before[2] + 1)
