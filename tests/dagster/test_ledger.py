"""What the ingestion job concludes from the ledger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.errors import SettingError
from emdata.state.requests import Request
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.ingestion.first_landing import newly_landed
from emergency_pipeline.defs.ingestion.plan import (
    backfill_arguments,
    chosen_streams,
    failures,
    unanswered,
    wait_until_settled,
)
from emergency_pipeline.ledger import Accepted, not_landed, rows_landed, with_new_rows
from tests.dagster.world import position


def test_a_poll_has_landed_only_when_its_last_record_is_settled() -> None:
    accepted = [Accepted(writer=1, dataset="river_levels", last_seq=10, records=3)]
    assert not_landed(accepted, [position("river_levels", 12, settled=9)]) == accepted
    assert not_landed(accepted, [position("river_levels", 12, settled=10)]) == []


def test_another_writers_rows_do_not_settle_a_poll() -> None:
    accepted = [Accepted(writer=2, dataset="river_levels", last_seq=1, records=1)]
    assert not_landed(accepted, [position("river_levels", 50, writer=1)]) == accepted


def test_rows_are_summed_over_writers() -> None:
    both = [position("river_levels", 3, writer=1), position("river_levels", 4, writer=2)]
    assert rows_landed(both) == {"river_levels": 7}


def test_only_tables_with_other_row_counts_than_built_are_built() -> None:
    rows = {"river_levels": 5, "river_gauges": 2, "sky_warnings": 0}
    assert with_new_rows(rows, {}) == ["river_gauges", "river_levels"]
    assert with_new_rows(rows, {"river_gauges": 2, "river_levels": 4}) == ["river_levels"]
    assert with_new_rows(rows, rows) == []


def test_dropped_partitions_are_a_reason_to_build() -> None:
    assert with_new_rows({"river_levels": 3}, {"river_levels": 9}) == ["river_levels"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9)))
def test_nothing_is_built_twice_for_the_same_rows(rows: dict[str, int]) -> None:
    first = with_new_rows(rows, {})
    assert with_new_rows(rows, {name: rows[name] for name in first}) == []


def test_waiting_ends_at_the_deadline_and_names_what_is_missing() -> None:
    now = [0.0]
    accepted = [Accepted(1, "river_levels", 10, 10)]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    late = wait_until_settled(
        accepted, list, 3.0, monotonic=lambda: now[0], sleep=sleep, interval=0.5
    )
    assert late == accepted
    assert now[0] == 3.0


def test_waiting_ends_as_soon_as_the_ledger_is_settled() -> None:
    answers = iter([[position("river_levels", 10, settled=4)], [position("river_levels", 10)]])
    naps: list[float] = []
    late = wait_until_settled(
        [Accepted(1, "river_levels", 10, 10)],
        lambda: next(answers),
        60.0,
        monotonic=lambda: 0.0,
        sleep=naps.append,
    )
    assert late == []
    assert len(naps) == 1


def test_all_streams_are_polled_unless_some_are_named(catalog: Catalog) -> None:
    assert chosen_streams([], catalog, ()) == ["river", "sky"]
    assert chosen_streams(["sky"], catalog, ()) == ["sky"]


def test_a_stream_that_is_off_is_not_asked(catalog: Catalog) -> None:
    assert chosen_streams([], catalog, {"sky"}) == ["river"]
    with pytest.raises(SettingError, match="river"):
        chosen_streams(["sky"], catalog, {"sky"})


def test_an_unknown_stream_is_refused_with_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(SettingError, match="river, sky"):
        chosen_streams(["skye"], catalog, ())


@pytest.mark.parametrize(
    ("since", "until", "match"),
    [
        ("yesterday", "2026-01-02", "since"),
        ("2026-01-01", "2026-02-30", "until"),
        ("2026-01-03", "2026-01-02", "not before since"),
    ],
)
def test_a_backfill_refuses_days_that_make_no_stretch(since: str, until: str, match: str) -> None:
    with pytest.raises(SettingError, match=match):
        backfill_arguments(since, until)


def test_a_backfill_of_one_day_is_a_stretch() -> None:
    day = "2026-01-02"
    assert backfill_arguments(day, day) == {"since": day, "until": day}


def test_silence_and_failure_are_told_apart() -> None:
    answers = [
        Request(1, "river", "poll", {}, outcome="failed", poll_id="p1", error="HTTP 500"),
        Request(2, "sky", "poll", {}),
        Request(3, "sea", "poll", {}, outcome="ok", poll_id="p3"),
    ]
    assert unanswered(answers) == ["sky"]
    assert failures(answers) == {"river": "HTTP 500"}


def test_the_first_landing_of_each_stream_starts_one_run(catalog: Catalog) -> None:
    new, cursor = newly_landed(catalog.streams, ["sky_warnings"], None)
    assert new == ["sky"]
    new, cursor = newly_landed(catalog.streams, ["sky_warnings", "river_gauges"], cursor)
    assert new == ["river"]
    again, same = newly_landed(catalog.streams, ["river_levels", "sky_warnings"], cursor)
    assert again == []
    assert same == cursor


def test_windows_over_a_changed_dataset_are_built_too(catalog: Catalog) -> None:
    assert catalog.tables_fed_by(["sky_warnings"]) == ("sky_warnings", "warnings_hourly")
    assert catalog.tables_fed_by(["river_levels"]) == ("river_levels",)
