"""The models on a server: exact rows from the small world of ``cases``."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from api.problems import Problem
from api.reading.reader import Address, Reader
from api.summaries.alerts import in_force_at
from api.summaries.places import place_of_county, place_of_point
from emdata.warehouse import Warehouse
from tests.dbt import cases, oracle
from tests.dbt.conftest import PASSWORD, World, dbt, results_of
from tests.dbt.grammar import keys_and_columns, reserved_names, statements
from tests.dbt.landing import land

# The first test waits for a server and for the build of all models.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_everything_builds_and_only_the_wrong_windows_warn(world: World) -> None:
    assert {name: status for name, status in world.results.items() if status == "error"} == {}
    warned = {name for name, status in world.results.items() if status in ("warn", "fail")}
    # One window was given a wrong count, one a wrong last digit, and one was left empty.
    assert {name for name in warned if name.startswith("window_")} == {
        "window_alerts_hourly_equals_recount",
        "window_disaster_alerts_hourly_equals_recount",
        "window_aggregated_emission_equals_recount",
    }
    assert world.results["window_disaster_alerts_daily_equals_recount"] == "pass"
    # Observations of 2024 came too late to correct Flink's window, so it is right to be empty.
    assert world.results["window_weather_station_daily_equals_recount"] == "pass"


def test_every_model_has_exactly_the_columns_that_are_described(world: World) -> None:
    nodes = json.loads(world.project.manifest.read_text())["nodes"].values()
    described = {
        node["name"]: sorted(node["columns"])
        for node in nodes
        if node["resource_type"] == "model" and not node["name"].startswith("as_of_")
    }
    built: dict[str, list[str]] = {}
    for row in world.rows(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns "
        "WHERE table_schema = 'emergency_data' ORDER BY table_name, column_name"
    ):
        built.setdefault(row["t"], []).append(row["c"])
    assert {name: sorted(built[name]) for name in described} == described


def test_dbt_writes_its_documentation_site(world: World) -> None:
    dbt(world.project, "docs", "generate", "--static", "--no-compile")
    catalog = json.loads((world.project.target / "catalog.json").read_text())
    names = {node["metadata"]["name"] for node in catalog["nodes"].values()}
    assert {"fct_alerts_in_force", "dim_county", "stg_fema__disaster_declarations"} <= names
    assert "fct_alert_history" in (world.project.target / "static_index.html").read_text()


def test_alerts_in_force_are_exactly_those_that_nothing_ended(world: World) -> None:
    rows = world.rows("SELECT event_key, zone_code FROM emergency_data.fct_alerts_in_force")
    assert {(row["event_key"], row["zone_code"]) for row in rows} == cases.IN_FORCE
    assert len(rows) == len(cases.IN_FORCE)


def test_in_force_tells_the_county_the_successor_and_what_is_still_to_come(world: World) -> None:
    rows = {
        (row["event_key"], row["zone_code"]): row
        for row in world.rows("SELECT * FROM emergency_data.fct_alerts_in_force")
    }
    assert rows["renewed", "COZ001"]["alert_id"] == "renewed-2"
    assert rows["late", "COZ001"]["alert_id"] == "late-2"
    assert rows["town", "S08013"]["county_fips"] == "08013"
    assert rows["eleven", "COC003"]["county_fips"] == "08003"
    assert rows["plain", "COZ036"]["county_fips"] is None
    assert rows["tomorrow", "COZ001"]["has_begun"] == 0
    assert rows["plain", "COZ036"]["has_begun"] == 1
    assert rows["endless", "COZ001"]["in_force_until"] is None


def test_history_says_what_ended_each_message(world: World) -> None:
    rows = world.rows(
        "SELECT event_key, zone_code, alert_id, ended_by, valid_until "
        "FROM emergency_data.fct_alert_zone_history"
    )
    ended = {(row["event_key"], row["zone_code"], row["alert_id"]): row for row in rows}
    now = world.now.replace(tzinfo=None)

    def end(event: str, zone: str, alert: str) -> tuple[str | None, float | None]:
        row = ended[event, zone, alert]
        until = row["valid_until"]
        return row["ended_by"], None if until is None else (until - now) / timedelta(hours=1)

    assert end("closed-cancel", "COZ001", "cancel-1") == ("superseded", -1)
    assert end("closed-cancel", "COZ001", "cancel-2") == ("cancel", -1)
    assert end("hazard-over", "COZ001", "over-1") == ("hazard_end", -1)
    assert end("lapsed", "COZ001", "lapsed-1") == ("product_expired", -1)
    assert end("renewed", "COZ001", "renewed-1") == ("superseded", -2)
    assert end("revised", "COZ001", "revised-1") == ("hazard_end", -0.5)
    assert end("watch", "COZ001", "watch-1") == ("superseded", -2)
    assert end("watch", "COZ001", "warning-1") == ("vtec", -2)
    assert end("watch", "COZ002", "watch-1") == ("hazard_end", 6)
    assert end("endless", "COZ001", "endless-1") == (None, None)


def test_as_of_answers_by_what_was_sent_and_by_what_was_known(world: World) -> None:
    def events(table: str) -> set[str]:
        rows = world.rows(f"SELECT event_key FROM emergency_data.{table}")
        return {row["event_key"] for row in rows}

    closed = {f"closed-{reason}" for reason in ("cancel", "past", "all_clear", "vtec")}
    known = {"eleven", "watch", "lapsed", "renewed", "hazard-over", "revised"}
    assert events("as_of_known") == known
    # Sent at that very instant, or landed only later.
    assert events("as_of_said") == known | closed | {"late"}
    zones = world.rows(
        "SELECT count(*) AS zones FROM emergency_data.as_of_said WHERE event_key = 'eleven'"
    )
    assert zones == [{"zones": 11}]


def test_alert_history_keeps_every_version_of_every_message(world: World) -> None:
    rows = world.rows(
        "SELECT version_number, is_current_version, known_until, in_force_until "
        "FROM emergency_data.fct_alert_history WHERE alert_id = 'revised-1' "
        "ORDER BY version_number"
    )
    assert [(row["version_number"], row["is_current_version"]) for row in rows] == [(1, 0), (2, 1)]
    expected = (world.now - timedelta(minutes=59)).replace(tzinfo=None)
    assert [row["known_until"] for row in rows] == [expected, None]
    superseded = world.rows(
        "SELECT superseded_by, message_number, zone_count FROM emergency_data.fct_alert_history "
        "WHERE alert_id = 'eleven-1'"
    )
    assert superseded == [{"superseded_by": "eleven-2", "message_number": 1, "zone_count": 11}]
    total = world.rows("SELECT count(*) AS n FROM emergency_data.fct_alert_history")
    landed = world.rows("SELECT count(*) AS n FROM raw_data.nws_alerts")
    assert total == landed


def test_zones_are_matched_to_counties_only_by_what_the_alerts_prove(world: World) -> None:
    rows = world.rows("SELECT * FROM emergency_data.bridge_zone_county")
    found = {(r["zone_code"], r["county_fips"]): (r["method"], r["is_exact"]) for r in rows}
    assert found["COC003", "08003"] == ("county_zone", 1)
    assert found["COZ038", "08069"] == ("same_alone", 1)
    # The shared alert named 08031 too, but the zone's other alert did not.
    assert ("COZ038", "08031") not in found
    assert found["COZ039", "08031"] == ("same_common", 0)
    assert found["COZ036", "08013"] == ("same_alone", 1)
    assert ("COZ001", "08013") not in found


def test_declarations_stand_once_per_area_and_program_in_their_newest_version(
    world: World,
) -> None:
    rows = world.rows("SELECT * FROM emergency_data.fct_disaster_declarations")
    found = {
        (r["place_code"], r["program"]): (
            r["declaration_status"], r["area_type"], r["county_fips"], r["county_name"],
        )
        for r in rows
    }  # fmt: skip
    assert found == {
        ("99013", "IA"): ("incident_ended", "county", "08013", "Boulder"),
        ("99013", "PA"): ("incident_ended", "county", "08013", "Boulder"),
        ("0", "PA"): ("incident_open", "statewide", None, None),
        ("0", "HM"): ("incident_open", "statewide", None, None),
        ("95000", "IH"): ("incident_open", "other", None, None),
        ("99069", "NONE"): ("incident_open", "county", "08069", "Larimer"),
    }
    assert {r["incident_days"] for r in rows if r["place_code"] == "99013"} == {5}
    assert {r["state_name"] for r in rows} == {"Colorado"}


def test_a_statewide_declaration_covers_every_county_of_its_state(world: World) -> None:
    rows = world.rows(
        "SELECT place_code, coverage, count(*) AS counties "
        "FROM emergency_data.bridge_declaration_county GROUP BY place_code, coverage"
    )
    assert {(r["place_code"], r["coverage"], r["counties"]) for r in rows} == {
        ("99013", "county", 1),
        ("99069", "county", 1),
        ("0", "statewide", 64),
    }


def test_drought_knows_both_ways_of_counting_and_compares_adjacent_weeks(world: World) -> None:
    rows = {
        (r["county_fips"], r["valid_on"]): r
        for r in world.rows("SELECT * FROM emergency_data.fct_drought_county_week")
    }
    first, second = rows["08013", date(2024, 7, 2)], rows["08013", date(2024, 7, 9)]
    assert (first["max_class"], first["previous_max_class"]) == (1, None)
    assert (second["max_class"], second["max_class_change"]) == (3, 2)
    assert second["d1_up_percent"] == 60
    assert second["d0_only_percent"] == 40
    assert second["severity_coverage_index"] == 182
    assert second["severity_coverage_index_change"] == 182 - 80.5
    third = rows["08069", date(2024, 7, 16)]
    assert third["d0_up_percent"] == 10
    assert third["max_class"] == 3
    # The week between is missing: no change can be told.
    assert (third["previous_max_class"], third["max_class_change"]) == (None, None)
    assert rows["08069", date(2024, 7, 2)]["max_class"] == -1


def test_stations_lie_in_the_county_around_them(world: World) -> None:
    rows = world.rows("SELECT station_id, county_fips FROM emergency_data.dim_station")
    assert {r["station_id"]: r["county_fips"] for r in rows} == {
        name: fips for name, (_, _, fips) in cases.STATIONS.items()
    }


def test_every_county_holds_its_own_point(world: World) -> None:
    """The polygons and the points agree, and no point lies in two counties of one edition."""
    rows = world.rows(
        "SELECT p.county_fips, e.county_fips AS around FROM emergency_data.dim_county p "
        "JOIN emergency_data.dim_county c ON p.point_longitude BETWEEN c.bbox_west AND c.bbox_east "
        "AND p.point_latitude BETWEEN c.bbox_south AND c.bbox_north "
        "JOIN emergency_data.int_county_edges e ON e.county_fips = c.county_fips "
        "WHERE p.is_current AND p.state = 'CO' "
        "AND (e.latitude_1 > p.point_latitude) != (e.latitude_2 > p.point_latitude) "
        "AND p.point_longitude < e.longitude_1 + (p.point_latitude - e.latitude_1) "
        "* (e.longitude_2 - e.longitude_1) / (e.latitude_2 - e.latitude_1) "
        "GROUP BY p.county_fips, e.county_fips HAVING count(*) % 2 = 1"
    )
    assert len(rows) == 64
    assert all(row["county_fips"] == row["around"] for row in rows)


def test_station_days_end_at_midnight_of_standard_time_and_use_the_revised_hour(
    world: World,
) -> None:
    rows = world.rows("SELECT * FROM emergency_data.fct_station_weather_day ORDER BY observed_on")
    assert [r["observed_on"] for r in rows] == [date(2024, 7, 1), date(2024, 7, 2)]
    day, next_day = rows
    assert (day["observation_count"], day["is_complete"], day["county_fips"]) == (24, 1, "08031")
    assert (day["air_temperature_min_c"], day["air_temperature_max_c"]) == (-5, 23)
    assert day["air_temperature_mean_c"] == pytest.approx((sum(range(1, 24)) - 5) / 24)
    # The revised hour has no precipitation any more.
    assert day["precipitation_mm"] == pytest.approx(23 * 0.5)
    assert day["solar_radiation_mj_m2"] == pytest.approx(23 * 100 * 3600 / 1e6)
    assert (next_day["observation_count"], next_day["is_complete"]) == (1, 0)


def test_recounts_equal_what_the_records_say(world: World) -> None:
    rows = world.rows(
        "SELECT sum(alert_count) AS alerts FROM emergency_data.int_alerts_hourly_recount"
    )
    opening = {
        landed.record.alert_id  # type: ignore[attr-defined]
        for landed in cases.alerts(world.now)
        if type(landed.record).__name__ == "AlertZone"
        and landed.record.status == "Actual"  # type: ignore[attr-defined]
        and not landed.record.is_closing  # type: ignore[attr-defined]
    }
    assert rows == [{"alerts": len(opening)}]
    days = world.rows(
        "SELECT observed_on, observation_count FROM "
        "emergency_data.int_weather_station_daily_recount ORDER BY observed_on"
    )
    assert [(r["observed_on"], r["observation_count"]) for r in days] == [
        (date(2024, 7, 1), 24),
        (date(2024, 7, 2), 1),
    ]


def test_totals_of_emissions_are_exact_and_a_correction_stays_in_its_month(world: World) -> None:
    rows = world.rows(
        "SELECT organization_id, month, total, emission_count FROM "
        "emergency_data.int_aggregated_emission_recount ORDER BY organization_id, month"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("acme", date(2024, 10, 1), Decimal("0.500000"), 2),
        ("acme", date(2024, 11, 1), Decimal("999999999.999999"), 1),
        ("umbrella", date(2024, 11, 1), Decimal("-0.000001"), 1),
    ]


def test_usage_of_a_day_counts_every_line_once(world: World) -> None:
    rows = world.rows(
        "SELECT organization, counted_on, requests, requests_refused, requests_failed, rows_sent,"
        " seconds_mean, seconds_max FROM emergency_data.fct_api_usage_day"
        " WHERE collection = 'nws_alerts' AND format = 'geojson' ORDER BY organization, counted_on"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("acme", date(2024, 10, 31), 4, 0, 0, 100, 0.25, 0.5),
        ("acme", date(2024, 11, 1), 21, 3, 1, 200, pytest.approx(10 / 21), 2.0),
        ("umbrella", date(2024, 11, 1), 5, 0, 0, 100, 0.2, 0.5),
    ]


def test_a_new_message_shows_in_force_without_a_build(world: World) -> None:
    say = cases.Alerts(datetime.now(tz=world.now.tzinfo))
    say.send("fresh-1", "fresh", ["COZ099"], sent=-0.01)
    land(world.warehouse, say.landed, first_seq=10_000)
    rows = world.rows(
        "SELECT headline FROM emergency_data.fct_alerts_in_force WHERE zone_code = 'COZ099'"
    )
    assert rows == [{"headline": "about fresh"}]


def test_building_one_source_again_replaces_its_tables_and_leaves_none_behind(
    world: World,
) -> None:
    dbt(world.project, "build", "--select", "tag:fema")
    built = results_of(world.project)
    assert built["fct_disaster_declarations"] == "success"
    assert "fct_drought_county_week" not in built
    rows = world.rows(
        "SELECT table_name AS name FROM information_schema.tables "
        "WHERE table_schema = 'emergency_data' AND table_name LIKE '%__dbt_%'"
    )
    assert rows == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_intervals_agree_with_a_message_by_message_reckoning(world: World, seed: int) -> None:
    landed = oracle.random_messages(seed, world.now, 150)
    land(world.warehouse, landed, first_seq=100_000 * seed)
    rows = world.rows(
        "SELECT event_key, zone_code, valid_from, valid_until "
        f"FROM emergency_data.int_alert_zone_intervals WHERE event_key LIKE 'seed{seed}-%'"
    )
    ever = 0
    for at in oracle.instants(world.now):
        moment = at.replace(tzinfo=None)
        found = {
            (row["event_key"], row["zone_code"])
            for row in rows
            if row["valid_from"] <= moment
            and (row["valid_until"] is None or moment < row["valid_until"])
        }
        assert found == oracle.in_force(landed, at), at
        ever += len(found)
    assert ever > 1000
    # The view works on what is alive only, and still says the same.
    before = datetime.now(tz=world.now.tzinfo)
    view = world.rows(
        "SELECT event_key, zone_code FROM emergency_data.fct_alerts_in_force "
        f"WHERE event_key LIKE 'seed{seed}-%'"
    )
    after = datetime.now(tz=world.now.tzinfo)
    shown = {(row["event_key"], row["zone_code"]) for row in view}
    assert shown in (oracle.in_force(landed, before), oracle.in_force(landed, after))


def test_no_statement_has_a_reserved_word_of_starrocks_as_a_name(world: World) -> None:
    found = {name: reserved_names(text) for name, text in statements(world)}
    assert {name: words for name, (_, words) in found.items() if words} == {}
    assert sum(count for count, _ in found.values()) > 100


def test_key_columns_come_first_in_every_table_made_from_a_query(world: World) -> None:
    """StarRocks takes no other order; the embedded one puts them in front."""
    found = {name: keys_and_columns(text) for name, text in statements(world)}
    wrong = {name: keys for name, (keys, columns) in found.items() if keys != columns}
    assert wrong == {}
    assert sum(bool(keys) for keys, _ in found.values()) >= 10


async def test_the_api_tells_what_is_in_force_at_a_place_within_seconds_of_landing(
    world: World, warehouse: tuple[Warehouse, int]
) -> None:
    say = cases.Alerts(datetime.now(tz=world.now.tzinfo))
    say.send("named-1", "named", ["COC019"], sent=-0.02, severity="Minor")
    say.send("unknown-zone-1", "unknown-zone", ["COZ777"], sent=-0.02, same=("008019", "008031"))
    land(world.warehouse, say.landed, first_seq=900_000)
    reader = Reader(Address("127.0.0.1", warehouse[1], "root", PASSWORD), 2)
    try:
        place = await place_of_county(reader, "emergency_data", "08019", seconds=30)
        found = await in_force_at(reader, "emergency_data", place, seconds=30)
        # A point is in the county around it; the ocean is in none.
        boulder = await place_of_point(reader, "emergency_data", 40.02, -105.27, seconds=30)
        with pytest.raises(Problem) as problem:
            await place_of_point(reader, "emergency_data", 0.0, 0.0, seconds=30)
    finally:
        reader.close()
    ours = {"named", "unknown-zone"}
    shown = [(one["properties"]["event_key"], one["properties"]["match"]) for one in found]
    # The most severe first; a zone whose counties nobody told yet is shown by its message.
    assert [one for one in shown if one[0] in ours] == [
        ("unknown-zone", "message"),
        ("named", "county"),
    ]
    assert (boulder.county_fips, boulder.state) == ("08013", "CO")
    assert problem.value.status == 404
