"""FIRMS as a client meets it: products, days, areas, better products, errors as text."""

from __future__ import annotations

import csv
import io

import pytest

from tests.simulator.running import Simulator

HOST = "firms.modaps.eosdis.nasa.gov/api/area/csv"
PRODUCTS = ("MODIS_NRT", "VIIRS_SNPP_NRT", "VIIRS_NOAA20_NRT", "VIIRS_NOAA21_NRT")


def rows(
    world: Simulator, product: str = "VIIRS_NOAA20_NRT", area: str = "world", days: str = "2"
) -> list[dict[str, str]]:
    """Return the rows of an answer."""
    reply = world.get(f"{HOST}/KEY/{product}/{area}/{days}")
    assert reply.status == 200, reply.body
    return list(csv.DictReader(io.StringIO(reply.body.decode())))


def test_every_product_sees_fires_in_its_own_columns(world: Simulator) -> None:
    for product in PRODUCTS:
        found = rows(world, product, days="5")
        family = product.partition("_")[0]
        assert len(found) > 20
        assert {row["instrument"] for row in found} == {family}
        assert ("brightness" in found[0]) == (family == "MODIS")
        assert all(row["acq_time"] == str(int(row["acq_time"])) for row in found), "no zeros lead"
        places = {tuple(row[name] for name in list(row)[:8]) for row in found}
        assert len(places) == len(found)
    assert {row["satellite"] for row in rows(world, "MODIS_NRT")} == {"Terra", "Aqua"}


def test_days_end_with_today_or_begin_at_a_date(world: Simulator) -> None:
    # The clock stands at 2026-01-01 00:00 UTC.
    assert {row["acq_date"] for row in rows(world, days="2")} <= {"2025-12-31", "2026-01-01"}
    begun = rows(world, days="3/2025-12-20")
    assert {row["acq_date"] for row in begun} == {"2025-12-20", "2025-12-21", "2025-12-22"}


def test_an_area_bounds_what_is_served(world: Simulator) -> None:
    inside = rows(world, area="-109.1,36.9,-102,41.1", days="5")
    assert 0 < len(inside) < len(rows(world, days="5"))
    assert all(36.9 <= float(row["latitude"]) <= 41.1 for row in inside)


def test_a_first_product_is_replaced_by_a_better_one_at_the_same_place(world: Simulator) -> None:
    world.mutate(firms="new_fire", latitude=39.76, longitude=-121.62, pixels=9)
    near = "-121.7,39.7,-121.5,39.9"

    def newest() -> dict[tuple[str, ...], str]:
        keys = ("satellite", "acq_date", "acq_time", "latitude", "longitude")
        return {
            tuple(row[key] for key in keys): row["version"]
            for product in PRODUCTS
            for row in rows(world, product, near)
        }

    before = newest()
    assert {version.lstrip("0123456789.") for version in before.values()} >= {"RT"}
    world.advance(4 * 3600)
    after = newest()
    assert before.keys() <= after.keys()
    assert all(after[key].endswith("NRT") for key in before)


def test_old_days_are_in_the_archive_only(world: Simulator) -> None:
    assert rows(world, "VIIRS_NOAA20_NRT", days="5/2025-10-01") == []
    old = rows(world, "VIIRS_NOAA20_SP", days="5/2025-10-01")
    assert old
    assert {row["type"] for row in old} == {"0"}
    assert {row["version"] for row in old} == {"2.0"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("KEY/VIIRS_NOAA20_NRT/world/6", b"Invalid day range. Expects [1..5]."),
        ("KEY/VIIRS_NOAA99_NRT/world/2", b"Invalid source."),
        ("K-Y/VIIRS_NOAA20_NRT/world/2", b"Invalid MAP_KEY."),
        ("KEY/VIIRS_NOAA20_NRT/here/2", b"Invalid area coordinates."),
    ],
)
def test_errors_are_text(world: Simulator, path: str, text: bytes) -> None:
    reply = world.get(f"{HOST}/{path}")
    assert (reply.status, reply.body) == (400, text)


def test_a_throttled_key_gets_text_with_status_200(world: Simulator) -> None:
    world.mutate(firms="throttle", seconds=60)
    reply = world.get(f"{HOST}/KEY/MODIS_NRT/world/2")
    assert (reply.status, reply.body) == (200, b"Exceeding allowed transaction limit")
    world.advance(61)
    assert rows(world, "MODIS_NRT")


def test_ledger_has_a_version_per_product_of_a_pixel(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    found = rows(world) + rows(world)
    versions = world.ledger("nasa_firms_fire_detections")
    assert len(versions) == len(found) / 2
    assert {line["key"].split("|")[1] for line in versions} == {"N20"}
