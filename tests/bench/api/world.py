"""The platform of the benchmarks: rows, and policies that no benchmark meets by chance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from api.catalog.catalog import Catalog
from api.catalog.model import Collection
from api.query.model import ItemsQuery
from api.query.statement import items_statement
from api.reading.connections import sql_of
from emdata.settings import REPOSITORY
from tests.api.world import World, running_world
from tests.support.waiting import wait_for

COLLECTION = "coagmet_hourly_observations"
EXPORT_ROWS = 1_000_000
ITEMS_ROWS = 20_000
MANY = 100_000_000
# One row a number: a station's hour, with values of the usual length.
_ROWS = """INSERT INTO raw_data.coagmet_hourly_observations
(accepted_on, writer, seq, accepted_at, poll_id, record_key, record_version, content_hash, priority,
 is_simulated, station_id, observed_at, air_temperature_c, relative_humidity, dewpoint_c,
 precipitation_mm, wind_speed_m_s, wind_direction_deg, wind_gust_m_s)
SELECT '2026-11-01', 1, generate_series, '2026-11-01 10:00:00', 'bench',
 CONCAT('st', generate_series % 500, '|', generate_series), '1', 'bench', 3, TRUE,
 CONCAT('st', generate_series % 500),
 seconds_add('2020-01-01 00:00:00', generate_series * 60), generate_series % 977 / 7.0,
 generate_series % 100 / 100.0, generate_series % 311 / 9.0, generate_series % 50 / 10.0,
 generate_series % 130 / 4.0, generate_series % 360, generate_series % 190 / 5.0
FROM TABLE(generate_series({first}, {last}))"""


@contextmanager
def bench_world(settings: dict[str, str] | None = None, only: str = "") -> Iterator[World]:
    """A world with policies that allow everything."""
    # Limits are off in tests; here they are part of what is measured.
    given = {"EMDATA_API_ACCESS_LOG": "false", "EMDATA_API_LIMITS": "postgres", **(settings or {})}
    with running_world(given, **({"only": only} if only else {})) as world:
        allow(world)
        yield world


def allow(world: World, organization_class: str = "public", **changes: int) -> None:
    """Change a class's policy; without changes, it allows everything."""
    values = {
        "requests_per_minute": MANY,
        "burst": MANY,
        "requests_per_day": MANY,
        "concurrent": 2000,
        "rows_per_export": 10 * EXPORT_ROWS,
        **changes,
    }
    sets = ", ".join(f"{name} = {int(value)}" for name, value in values.items())
    world.platform.state_sql(
        f"UPDATE policies SET {sets} WHERE organization_class = '{organization_class}' "
        "RETURNING organization_class"
    )


def fill(world: World, rows: int, first: int = 1) -> None:
    """Land so many rows of the collection."""
    for start in range(first, first + rows, 200_000):
        last = min(start + 200_000, first + rows) - 1
        world.execute(_ROWS.format(first=start, last=last))


@cache
def collection() -> Collection:
    """The collection, as everybody sees it."""
    found = Catalog.of(REPOSITORY / "dbt_project" / "models", "emergency_data").get(COLLECTION)
    assert found is not None
    return found


def export_sql() -> str:
    """The statement of an export of all items."""
    return sql_of(items_statement(ItemsQuery(collection(), limit=None)))


def mysql_of(world: World) -> dict[str, Any]:
    """PyMySQL's arguments for the platform's StarRocks."""
    settings = world.platform.settings
    return {
        "host": "127.0.0.1",
        "port": settings.starrocks_mysql_port,
        "user": settings.starrocks_user,
        "password": world.platform.context.credentials.starrocks_password,
    }


def save(folder: Path, body: bytes) -> str:
    """Write an answer's body for the control."""
    file = folder / "body"
    file.write_bytes(body)
    return str(file)


def wait_for_version(world: World, path: str) -> None:
    """Wait until the API knows the version of what a path shows."""

    def is_known() -> bool:
        return "emdata-data-version" in world.get(path).headers

    wait_for(is_known, 60, "the version of the data")
