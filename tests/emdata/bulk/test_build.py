"""Bulk files against a real PostgreSQL and an embedded StarRocks."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
import shapely
from sqlalchemy import Engine

from emdata.bulk.build import Builder
from emdata.bulk.files import CSV, PARQUET
from emdata.bulk.manifest import BulkDamaged, BulkFile, Manifest
from emdata.bulk.shelf import Shelf
from emdata.clock import ManualClock
from emdata.contracts import Dataset, Record, UtcDatetime
from tests.emdata.bulk.landing import Landing
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
DAY = date(2026, 11, 19)
NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Buoy(Record, frozen=True, kw_only=True):
    """A reading of a buoy."""

    buoy_id: str
    observed_at: UtcDatetime
    longitude: float
    latitude: float
    remark: str | None = None

    dataset = Dataset(
        name="made_buoys",
        source="made",
        domain="test",
        title="Buoys",
        key=("buoy_id",),
        event_time="observed_at",
        fresh_within="1h",
        terms="public domain",
    )


VALUES = {
    "buoy_id": lambda seq: f"b{seq}",
    "observed_at": NOON,
    "longitude": lambda seq: -70.0 - seq,
    "latitude": 40.5,
    "remark": lambda seq: "=SUM(A1)" if seq == 1 else None,
}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres,starrocks") as running:
        yield running


@pytest.fixture
def landing(platform: Platform, engine: Engine) -> Landing:
    made = Landing(platform.warehouse(), engine, Buoy)
    made.create()
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE polls, landed CASCADE")
    return made


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(f"file://{tmp_path}", is_simulated=False)


def _builder(landing: Landing, shelf: Shelf, now: datetime = LATER) -> Builder:
    return Builder(shelf, landing.warehouse, landing.engine, ManualClock(now))


def _manifest(shelf: Shelf, day: date = DAY) -> Manifest:
    found = shelf.manifest(Buoy.dataset.name, day)
    assert found is not None
    return found


def _file(manifest: Manifest, shelf: Shelf, suffix: str) -> tuple[BulkFile, Path]:
    (found,) = [one for one in manifest.files if one.name.endswith(f".{suffix}")]
    path = shelf.path(found.key)
    assert path is not None
    return found, path


def _land(landing: Landing, seqs: range, *, is_settled: bool = True) -> None:
    landing.rows(NOON, seqs, VALUES)
    landing.poll(NOON, seqs[0], seqs[-1])
    landing.settled(seqs[-1] if is_settled else seqs[0] - 1, high=seqs[-1], now=LATER)


def test_a_day_becomes_two_files_whose_manifest_says_what_they_are(
    landing: Landing, shelf: Shelf
) -> None:
    _land(landing, range(1, 101))
    report = _builder(landing, shelf).bring_up_to_date(Buoy)
    assert (report.built, report.kept, report.rows) == ([DAY], 0, 100)
    manifest = _manifest(shelf)
    assert manifest.rows == 100 == landing.count(DAY)
    assert manifest.is_settled
    assert not manifest.is_simulated
    assert manifest.events is not None
    assert manifest.events.earliest == "2026-11-19T12:00:00Z"
    (writer,) = manifest.writers
    assert (writer.rows, writer.first_seq, writer.last_seq) == (100, 1, 100)
    for file in manifest.files:
        _, path = _file(manifest, shelf, file.name.split(".", 1)[1])
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)


def test_other_readers_read_what_landed_from_both_files(landing: Landing, shelf: Shelf) -> None:
    _land(landing, range(1, 11))
    _builder(landing, shelf).bring_up_to_date(Buoy)
    _, parquet = _file(_manifest(shelf), shelf, PARQUET)
    frame = pl.read_parquet(parquet).sort("seq")
    assert frame["buoy_id"].to_list() == [f"b{seq}" for seq in range(1, 11)]
    assert frame["observed_at"].to_list() == [NOON] * 10
    shapes = shapely.from_wkb(frame["geometry"].to_list())
    assert [(shape.x, shape.y) for shape in shapes[:2]] == [(-71.0, 40.5), (-72.0, 40.5)]
    geo = json.loads(pq.read_metadata(parquet).metadata[b"geo"])
    assert geo["columns"]["geometry"]["bbox"] == [-80.0, 40.5, -71.0, 40.5]
    _, zipped = _file(_manifest(shelf), shelf, CSV)
    with gzip.open(zipped, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seq"] for row in rows] == [str(seq) for seq in range(1, 11)]
    assert rows[0]["remark"] == "'=SUM(A1)"


def test_a_day_that_did_not_change_is_not_built_again(landing: Landing, shelf: Shelf) -> None:
    _land(landing, range(1, 11))
    _builder(landing, shelf).bring_up_to_date(Buoy)
    before = _manifest(shelf)
    later = ManualClock(LATER)
    later.advance(3600)
    report = Builder(shelf, landing.warehouse, landing.engine, later).bring_up_to_date(Buoy)
    assert (report.built, report.kept) == ([], 1)
    assert _manifest(shelf) == before


def test_the_same_rows_make_the_same_bytes(landing: Landing, tmp_path: Path) -> None:
    _land(landing, range(1, 11))
    shelves = [Shelf(f"file://{tmp_path}/{name}", is_simulated=False) for name in "ab"]
    for shelf in shelves:
        _builder(landing, shelf).bring_up_to_date(Buoy)
    first, second = (_manifest(shelf) for shelf in shelves)
    assert [one.sha256 for one in first.files] == [one.sha256 for one in second.files]


def test_late_rows_build_their_day_again_and_readers_of_the_old_files_keep_them(
    landing: Landing, shelf: Shelf
) -> None:
    _land(landing, range(1, 11))
    _builder(landing, shelf).bring_up_to_date(Buoy)
    old = _manifest(shelf)
    landing.rows(NOON, range(11, 14), VALUES)
    landing.settled(13, high=13, now=LATER)
    report = _builder(landing, shelf).bring_up_to_date(Buoy)
    assert report.built == [DAY]
    new = _manifest(shelf)
    assert new.rows == 13 == landing.count(DAY)
    assert new.data_version != old.data_version
    assert all(shelf.path(one.key).is_file() for one in (*old.files, *new.files))  # type: ignore[union-attr]
    landing.rows(NOON, range(14, 15), VALUES)
    _builder(landing, shelf).bring_up_to_date(Buoy)
    assert not any(shelf.path(one.key).exists() for one in old.files)  # type: ignore[union-attr]
    assert all(shelf.path(one.key).is_file() for one in new.files)  # type: ignore[union-attr]


def test_a_day_is_unsettled_while_something_is_on_the_way_and_settles_without_new_rows(
    landing: Landing, shelf: Shelf
) -> None:
    _land(landing, range(1, 11), is_settled=False)
    _builder(landing, shelf).bring_up_to_date(Buoy)
    assert not _manifest(shelf).is_settled
    landing.settled(10, high=10, now=LATER)
    report = _builder(landing, shelf).bring_up_to_date(Buoy)
    assert report.built == [DAY]
    assert _manifest(shelf).is_settled


@pytest.mark.parametrize(
    ("now", "is_settled"),
    [
        (datetime(2026, 11, 19, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 20, 0, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 20, 1, 0, tzinfo=UTC), True),
    ],
)
def test_a_day_is_unsettled_until_an_hour_after_its_end(
    landing: Landing, shelf: Shelf, now: datetime, is_settled: bool
) -> None:
    _land(landing, range(1, 3))
    _builder(landing, shelf, now).bring_up_to_date(Buoy)
    assert _manifest(shelf).is_settled is is_settled


def test_a_poll_of_the_next_day_leaves_the_day_before_settled(
    landing: Landing, shelf: Shelf
) -> None:
    _land(landing, range(1, 3))
    landing.poll(datetime(2026, 11, 20, 8, tzinfo=UTC), 3, 9)
    landing.settled(2, high=9, now=LATER)
    _builder(landing, shelf).bring_up_to_date(Buoy)
    assert _manifest(shelf).is_settled


def test_files_are_never_replaced_by_ones_with_fewer_rows(landing: Landing, shelf: Shelf) -> None:
    _land(landing, range(1, 11))
    _builder(landing, shelf).bring_up_to_date(Buoy)
    before = _manifest(shelf)
    landing.create()
    landing.rows(NOON, range(1, 4), VALUES)
    report = _builder(landing, shelf).bring_up_to_date(Buoy)
    assert (report.built, report.shrunk) == ([], [DAY])
    assert _manifest(shelf) == before


def test_a_build_that_stops_before_the_manifest_shows_nothing_and_goes_on_next_time(
    landing: Landing, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    _land(landing, range(1, 11))

    def full(_manifest: Manifest) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shelf, "put_manifest", full)
        with pytest.raises(OSError, match="No space"):
            _builder(landing, shelf).bring_up_to_date(Buoy)
    assert shelf.manifest(Buoy.dataset.name, DAY) is None
    assert shelf.index(Buoy.dataset.name).days == ()
    assert _builder(landing, shelf).bring_up_to_date(Buoy).built == [DAY]
    assert _manifest(shelf).rows == 10


def test_simulated_and_real_files_never_show_on_the_same_shelf(
    landing: Landing, shelf: Shelf, tmp_path: Path
) -> None:
    _land(landing, range(1, 3))
    _builder(landing, shelf).bring_up_to_date(Buoy)
    other = Shelf(f"file://{tmp_path}", is_simulated=True)
    assert other.manifest(Buoy.dataset.name, DAY) is None
    assert other.index(Buoy.dataset.name).days == ()


def test_a_damaged_manifest_is_named(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "bulk" / "made_buoys" / "2026-11-19" / "manifest.json"
    file.parent.mkdir(parents=True)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(BulkDamaged, match=r"made_buoys/2026-11-19/manifest\.json"):
        shelf.manifest("made_buoys", DAY)


def test_the_asset_builds_the_files_and_its_check_holds_them_against_starrocks(
    landing: Landing, platform: Platform
) -> None:
    import dagster as dg

    from emergency_pipeline.catalog import Catalog
    from emergency_pipeline.defs.bulk.assets import bulk_assets
    from emergency_pipeline.site import Site

    assets = bulk_assets(Catalog({Buoy.dataset.name: Buoy}, (), ()))
    resources = {"site": Site(platform.settings, platform.paths)}

    def passes() -> bool:
        result = dg.materialize(assets, resources=resources)
        (check,) = result.get_asset_check_evaluations()
        return check.passed

    _land(landing, range(1, 11))
    assert passes()
    assert Shelf.of(platform.paths).index(Buoy.dataset.name).days[0].rows == 10
    landing.create()
    landing.rows(NOON, range(1, 4), VALUES)
    assert not passes()
