"""What sensors report: landings and freshness."""

from __future__ import annotations

from datetime import timedelta

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetObservation,
    DagsterInstance,
    RunRequest,
    SensorResult,
    SkipReason,
    build_sensor_context,
)

from emdata.errors import StateUnavailable
from emdata.state.freshness import STATES, StreamFreshness
from emergency_pipeline import ledger
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.freshness import sensors as freshness_sensors
from emergency_pipeline.defs.freshness.events import freshness_events, read_states
from emergency_pipeline.defs.ingestion.triggers import first_landing_sensor
from emergency_pipeline.defs.landing import sensors as landing_sensors
from emergency_pipeline.defs.landing.events import landing_events, read_marks
from emergency_pipeline.keys import flink_key, raw_key, source_key
from emergency_pipeline.ledger import Position
from emergency_pipeline.site import Site
from tests.dagster.world import NOON, position

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


def _freshness(stream: str, state: str, why: str = "because") -> StreamFreshness:
    return StreamFreshness(
        source=stream,
        stream=stream,
        state=state,
        why=why,
        last_poll_at=NOON,
        newest_event_at=NOON - timedelta(hours=3),
        last_landed_at=None,
        datasets=(),
    )


def test_a_landing_is_recorded_once_with_its_rows(catalog: Catalog) -> None:
    positions = [position("river_levels", 3), position("river_levels", 4, writer=2)]
    events, cursor = landing_events(positions, {}, catalog)
    assert [event.asset_key for event in events] == [
        raw_key("river_levels"),
        flink_key("landing-bulk", "river_levels"),
        source_key(catalog.streams[0]),
    ]
    assert events[0].metadata["dagster/row_count"].value == 7
    assert events[0].metadata["rows added"].value == 7
    assert events[0].metadata["newest event"].value == NOON.timestamp()
    again, same = landing_events(positions, read_marks(cursor), catalog)
    assert again == []
    assert same == cursor


def test_only_the_added_rows_are_reported_as_added(catalog: Catalog) -> None:
    _, cursor = landing_events([position("river_levels", 7)], {}, catalog)
    events, _ = landing_events([position("river_levels", 9)], read_marks(cursor), catalog)
    assert events[0].metadata["rows added"].value == 2
    assert events[0].metadata["dagster/row_count"].value == 9


def test_a_window_is_recorded_with_the_landing_it_counts(catalog: Catalog) -> None:
    events, _ = landing_events([position("sky_warnings", 1)], {}, catalog)
    assert {event.asset_key for event in events} == {
        raw_key("sky_warnings"),
        flink_key("landing-alerts", "sky_warnings"),
        source_key(catalog.streams[1]),
        flink_key("windows-sky", "warnings_hourly"),
        raw_key("warnings_hourly"),
    }


def test_a_table_without_rows_or_without_contract_is_not_recorded(catalog: Catalog) -> None:
    events, _ = landing_events(
        [position("river_levels", 0), position("from_another_release", 5)], {}, catalog
    )
    assert events == []


@pytest.mark.parametrize("state", STATES)
def test_quiet_is_not_broken(catalog: Catalog, state: str) -> None:
    events, _ = freshness_events([_freshness("river", state)], {}, catalog)
    checks = {e.asset_key: e for e in events if isinstance(e, AssetCheckEvaluation)}
    assert set(checks) == {
        source_key(catalog.streams[0]),
        raw_key("river_gauges"),
        raw_key("river_levels"),
    }
    for check in checks.values():
        assert check.passed is (state in {"fresh", "quiet", "off"})
        if state == "broken":
            assert check.severity is AssetCheckSeverity.ERROR
        elif not check.passed:
            assert check.severity is AssetCheckSeverity.WARN
        assert check.metadata["why"].value == "because"
        assert check.metadata["last row landed"].value == "never"


def test_a_change_of_state_is_observed_once(catalog: Catalog) -> None:
    events, cursor = freshness_events([_freshness("sky", "fresh")], {}, catalog)
    assert len([e for e in events if isinstance(e, AssetObservation)]) == 1
    events, cursor = freshness_events([_freshness("sky", "fresh")], read_states(cursor), catalog)
    assert [e for e in events if isinstance(e, AssetObservation)] == []
    events, _ = freshness_events([_freshness("sky", "late")], read_states(cursor), catalog)
    observed = [e for e in events if isinstance(e, AssetObservation)]
    assert [e.description for e in observed] == ["late: because"]


def test_a_stream_without_a_scraper_is_left_out(catalog: Catalog) -> None:
    events, cursor = freshness_events([_freshness("retired", "late")], {}, catalog)
    assert events == []
    assert read_states(cursor) == {}


def _context(site: Site, catalog: Catalog, cursor: str | None = None) -> object:
    return build_sensor_context(
        instance=DagsterInstance.ephemeral(),
        cursor=cursor,
        resources={"site": site, "catalog": catalog},
    )


def test_landing_sensor_keeps_its_place_while_postgresql_is_away(
    site: Site, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_engine: object) -> list[Position]:
        raise StateUnavailable("connection refused")

    monkeypatch.setattr(landing_sensors, "read_positions", away)
    result = landing_sensors.landing_sensor(_context(site, catalog, '{"river_levels": 3}'))
    assert isinstance(result, SkipReason)
    assert "connection refused" in str(result.skip_message)


def test_landing_sensor_reports_and_moves_its_cursor(
    site: Site, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        landing_sensors, "read_positions", lambda _engine: [position("river_levels", 5)]
    )
    result = landing_sensors.landing_sensor(_context(site, catalog, '{"river_levels": 3}'))
    assert isinstance(result, SensorResult)
    assert raw_key("river_levels") in {event.asset_key for event in result.asset_events}
    assert "river_levels" in str(result.skip_reason)
    assert result.cursor is not None
    assert read_marks(result.cursor) == {"river_levels": 5}


def test_first_landing_sensor_requests_one_run_per_new_stream(
    site: Site, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = [position("sky_warnings", 1)]
    monkeypatch.setattr(ledger, "read_positions", lambda _engine: landed)
    result = first_landing_sensor(_context(site, catalog))
    assert isinstance(result, SensorResult)
    requests = list(result.run_requests or [])
    assert [request.run_key for request in requests] == ["first-landing:sky"]
    assert all(isinstance(request, RunRequest) for request in requests)
    again = first_landing_sensor(_context(site, catalog, result.cursor))
    assert isinstance(again, SkipReason)


def test_freshness_sensor_says_when_no_stream_is_known(
    site: Site, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness_sensors, "find_freshness", lambda _site, _catalog: [])
    result = freshness_sensors.data_freshness_sensor(_context(site, catalog))
    assert isinstance(result, SkipReason)
    assert "registered" in str(result.skip_message)
