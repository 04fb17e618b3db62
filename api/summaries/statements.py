"""The summaries' SQL: names of tables come from the settings, every value is bound.

The rule against SQL made of text is off here for the database's name.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from api.query.conditions import bound
from api.query.model import Statement
from api.query.statement import CURRENT, RANK
from emdata.derive.starrocks import quote

# Even-odd rule: a ray to the east crosses the boundary around a point an odd number of times.
# The text goes through the driver's formatting, where a lone % has to be doubled.
_CROSSINGS = """
SELECT c.county_fips, c.full_name, c.state, c.boundary_detail
FROM {db}.dim_county AS c
INNER JOIN {db}.int_county_edges AS e ON c.county_fips = e.county_fips
WHERE c.is_current
  AND %s BETWEEN c.bbox_west AND c.bbox_east AND %s BETWEEN c.bbox_south AND c.bbox_north
  AND (e.latitude_1 > %s) != (e.latitude_2 > %s)
  AND %s < e.longitude_1 + (%s - e.latitude_1)
    * (e.longitude_2 - e.longitude_1) / (e.latitude_2 - e.latitude_1)
GROUP BY c.county_fips, c.full_name, c.state, c.boundary_detail
HAVING COUNT(*) %% 2 = 1
ORDER BY c.boundary_detail DESC, c.county_fips
LIMIT 1"""
_COUNTY = "SELECT county_fips, full_name, state FROM {db}.dim_county WHERE county_fips = %s"
_FORCE_COLUMNS = (
    "event_key", "zone_code", "code_type", "county_fips", "alert_id", "event", "severity",
    "urgency", "certainty", "message_type", "headline", "sender_name", "sent_at", "onset_at",
    "has_begun", "expires_at", "hazard_ends_at", "in_force_until", "accepted_at", "is_simulated",
)  # fmt: skip
_DETAIL_COLUMNS = ("alert_id", "instruction", "geometry")
_DETAILS = """
SELECT alert_id, instruction, geometry
FROM (
    SELECT alert_id, instruction, geometry, {rank}
    FROM raw_data.nws_alerts WHERE alert_id IN ({marks})
) AS versions
WHERE {current}"""
_NAMING = """
SELECT DISTINCT alert_id FROM raw_data.nws_alert_zones
WHERE zone_code = %s AND alert_id IN ({marks})"""
_DISASTERS = """
SELECT state, YEAR(declared_on) AS year, declaration_type,
  COUNT(DISTINCT disaster_number) AS declarations,
  COUNT(DISTINCT CONCAT(disaster_number, '|', place_code)) AS areas,
  MAX(declared_on) AS last_declared_on, MAX(accepted_at) AS newest_accepted_at
FROM {db}.fct_disaster_declarations
WHERE declared_on >= %s AND declared_on < %s{state}
GROUP BY state, YEAR(declared_on), declaration_type
ORDER BY state, year, declaration_type"""
_DROUGHT_COLUMNS = (
    "county_fips", "county_name", "state", "valid_on", "max_class", "max_class_change",
    "severity_coverage_index", "severity_coverage_index_change", "none_percent", "d0_up_percent",
    "d1_up_percent", "d2_up_percent", "d3_up_percent", "d4_up_percent", "accepted_at",
    "is_simulated",
)  # fmt: skip
_STATIONS = """
SELECT station_id, station_name, latitude, longitude, elevation_m, county_fips, state
FROM {db}.dim_station
WHERE is_active AND latitude BETWEEN %s AND %s AND longitude BETWEEN %s AND %s"""
_WEATHER_COLUMNS = (
    "station_id", "observed_at", "air_temperature_c", "relative_humidity", "wind_speed_m_s",
    "wind_gust_m_s", "precipitation_mm", "accepted_at", "is_simulated",
)  # fmt: skip


def county_of_point(db: str, longitude: float, latitude: float) -> Statement:
    """Return the SELECT of the county around a point."""
    values = (longitude, latitude, latitude, latitude, longitude, latitude)
    columns = ("county_fips", "full_name", "state", "boundary_detail")
    return Statement(_CROSSINGS.format(db=quote(db)), values, columns)


def county_by_code(db: str, fips: str) -> Statement:
    """Return the SELECT of a county by its FIPS code."""
    return Statement(_COUNTY.format(db=quote(db)), (fips,), ("county_fips", "full_name", "state"))


def in_force(db: str, state: str) -> Statement:
    """Return the SELECT of what is in force in a state, and where no state is said."""
    everywhere = in_force_everywhere(db)
    return replace(
        everywhere, sql=f"{everywhere.sql} WHERE state = %s OR state IS NULL", values=(state,)
    )


def in_force_everywhere(db: str) -> Statement:
    """Return the SELECT of everything that is in force."""
    names = ", ".join(map(quote, _FORCE_COLUMNS))
    return Statement(f"SELECT {names} FROM {quote(db)}.fct_alerts_in_force", (), _FORCE_COLUMNS)


def alert_details(ids: Sequence[str]) -> Statement:
    """Return the SELECT of the newest version's instruction and geometry of messages."""
    sql = _DETAILS.format(rank=RANK, current=CURRENT[0], marks=_marks(ids))
    return Statement(sql, tuple(ids), _DETAIL_COLUMNS)


def alerts_naming(county_fips: str, ids: Sequence[str]) -> Statement:
    """Return the SELECT of those messages that name a county among all of their areas."""
    return Statement(_NAMING.format(marks=_marks(ids)), (f"S{county_fips}", *ids), ("alert_id",))


def zones_of_counties(db: str, zones: Sequence[str]) -> Statement:
    """Return the SELECT of the counties of zones, as far as alerts have told."""
    sql = f"SELECT zone_code, county_fips FROM {quote(db)}.bridge_zone_county"
    where = f" WHERE zone_code IN ({_marks(zones)})"
    return Statement(sql + where, tuple(zones), ("zone_code", "county_fips"))


def disasters(db: str, start: date, end: date, state: str | None) -> Statement:
    """Return the SELECT of declarations by state, year and type; ``end`` is not included."""
    columns = (
        "state", "year", "declaration_type", "declarations", "areas", "last_declared_on",
        "newest_accepted_at",
    )  # fmt: skip
    sql = _DISASTERS.format(db=quote(db), state=" AND state = %s" if state else "")
    return Statement(sql, (start, end, *([state] if state else ())), columns)


def drought(db: str, column: str, value: str, since: date) -> Statement:
    """Return the SELECT of drought by county and week; ``column`` is county_fips or state."""
    names = ", ".join(map(quote, _DROUGHT_COLUMNS))
    sql = (
        f"SELECT {names} FROM {quote(db)}.fct_drought_county_week"
        f" WHERE {quote(column)} = %s AND valid_on >= %s ORDER BY county_fips, valid_on DESC"
    )
    return Statement(sql, (value, since), _DROUGHT_COLUMNS)


def newest_drought_week(db: str) -> Statement:
    """Return the SELECT of the newest week there is."""
    sql = f"SELECT MAX(valid_on) FROM {quote(db)}.fct_drought_county_week"
    return Statement(sql, (), ("valid_on",))


def stations_within(db: str, south: float, north: float, west: float, east: float) -> Statement:
    """Return the SELECT of active stations in a box."""
    columns = (
        "station_id", "station_name", "latitude", "longitude", "elevation_m", "county_fips",
        "state",
    )  # fmt: skip
    return Statement(_STATIONS.format(db=quote(db)), (south, north, west, east), columns)


def observations(ids: Sequence[str], since: datetime) -> Statement:
    """Return the SELECT of the current version of stations' observations, newest first."""
    names = ", ".join(map(quote, _WEATHER_COLUMNS))
    sql = (
        f"SELECT {names} FROM (SELECT *, {RANK} FROM raw_data.coagmet_hourly_observations"
        f" WHERE station_id IN ({_marks(ids)}) AND observed_at >= %s) AS v"
        f" WHERE {CURRENT[0]} ORDER BY station_id, observed_at DESC"
    )
    return Statement(sql, (*ids, bound(since)), _WEATHER_COLUMNS)


def _marks(values: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))
