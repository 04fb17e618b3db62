"""GDAL's driver for OGC API - Features, which QGIS and ogr2ogr use too, reads collections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyogrio
import pyogrio.raw
import pytest

from emdata.contracts.coagmet import Station
from emdata.contracts.fema import DisasterDeclaration
from tests.api.world import World, running_world

pytestmark = pytest.mark.integration
COUNT = 1300  # more than the 1,000 that anybody gets at once
T0 = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as started:
        started.land(*map(_station, range(COUNT)))
        started.land(
            *(
                DisasterDeclaration(disaster_number=number, place_code="0", refreshed_at=T0)
                for number in range(30)
            )
        )
        yield started


def _station(number: int) -> Station:
    return Station(
        station_id=f"s{number:05}",
        name=f"Station {number}",
        latitude=30 + number / 1000,
        longitude=-110 + number / 1000,
        elevation_m=1000.5 + number,
        is_active=number % 2 == 0,
        timestep_seconds=300,
        last_observed_at=T0 + timedelta(minutes=number),
    )


@pytest.fixture(scope="module")
def source(world: World) -> str:
    return f"OAPIF:{world.url}"


def test_gdal_lists_the_collections_as_layers(world, source):
    layers = {str(name) for name, _ in pyogrio.list_layers(source)}
    listed = world.get("/collections").json()["collections"]
    assert layers == {one["id"] for one in listed}


def test_gdal_reads_all_pages_of_a_layer(source):
    meta, _, geometry, fields = pyogrio.raw.read(source, layer="coagmet_stations")
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert meta["geometry_type"] == "Point"
    assert sorted(columns["station_id"]) == [f"s{number:05}" for number in range(COUNT)]
    assert all(one is not None for one in geometry)


def test_gdal_knows_the_types_of_properties(source):
    info = pyogrio.read_info(source, layer="coagmet_stations")
    types = dict(zip(map(str, info["fields"]), map(str, info["dtypes"]), strict=True))
    assert types["station_id"] == "object"
    assert types["elevation_m"] == "float64"
    assert types["is_active"] == "bool"
    assert types["timestep_seconds"].startswith("int")
    assert types["last_observed_at"].startswith("datetime64")


def test_gdal_reads_what_lies_in_a_box(source):
    box = (-109.5, 30.0, -109.0, 31.0)
    meta, _, _, fields = pyogrio.raw.read(source, layer="coagmet_stations", bbox=box)
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert sorted(columns["station_id"]) == [f"s{number:05}" for number in range(500, 1001)]


def test_gdal_filters_by_attributes(source):
    where = "timestep_seconds = 300 AND elevation_m > 2290 AND is_active = 1"
    meta, _, _, fields = pyogrio.raw.read(source, layer="coagmet_stations", where=where)
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert sorted(columns["station_id"]) == [f"s{n:05}" for n in range(1290, COUNT, 2)]


def test_gdal_reads_a_layer_without_a_geometry(source):
    meta, _, _, fields = pyogrio.raw.read(source, layer="fema_disaster_declarations")
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert sorted(columns["disaster_number"]) == list(range(30))
