"""Formats, compression, exports and bulk files over HTTP, from StarRocks and object storage."""

from __future__ import annotations

import csv
import gzip
import hashlib
import http.client
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx2
import polars as pl
import psycopg
import pyogrio.raw
import pytest
import shapely
import zstandard

from emdata.bulk.build import Builder
from emdata.bulk.manifest import PREFIX
from emdata.bulk.shelf import Shelf
from emdata.clock import SystemClock
from emdata.contracts.nws import Alert, AlertZone
from emdata.state import connect
from runtime.services.postgres import dsn
from runtime.tasks import state_dsn
from tests.api.formats import cap_rules
from tests.api.world import World, running_world
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SENT = datetime(2026, 11, 19, 15, tzinfo=UTC)
ACCEPTED = SENT + timedelta(seconds=3)
COUNT = 40
ITEMS, EXPORT = "/collections/nws_alerts/items", "/collections/nws_alerts/export"
BULK = "/bulk/nws_alerts/2026-11-19"
MANY = 60_000
SECRET = "not for you"


def _alert(number: int, **changes: Any) -> Alert:
    given: dict[str, Any] = {
        "alert_id": f"urn:oid:made.{number:03d}",
        "event_key": f"KBOU.FF.W.{number:04d}.2026",
        "sent_at": SENT,
        "sent_offset": "-07:00",
        "status": "Actual",
        "message_type": "Alert",
        "category": "Met",
        "scope": "Public",
        "severity": "Severe" if number % 2 else "Minor",
        "event": "Flash Flood Warning",
        "sender": "w-nws.webmaster@noaa.gov",
        "headline": "=HYPERLINK(A1)" if number == 1 else f"Flood {number}",
        "area_description": "Boulder, CO",
        "geometry": '{"type":"Polygon","coordinates":[[[-105,40],[-104,40],[-104,41],[-105,40]]]}',
        "point_longitude": -104.3,
        "point_latitude": 40.3,
        **changes,
    }
    return Alert(**given)


def _zone(code: str, kind: str) -> AlertZone:
    return AlertZone(
        alert_id="urn:oid:made.001",
        zone_code=code,
        code_type=kind,
        event_key="KBOU.FF.W.0001.2026",
        sent_at=SENT,
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as started:
        started.land(*map(_alert, range(COUNT)), accepted_at=ACCEPTED)
        started.land(_zone("S08013", "same"), _zone("COC013", "ugc"), accepted_at=ACCEPTED)
        yield started


@pytest.fixture(scope="module")
def built(world: World) -> World:
    """The world with bulk files, and a secret beside them."""
    platform = world.platform
    engine = connect(state_dsn(platform.context))
    shelf = Shelf.of(platform.paths)
    try:
        builder = Builder(shelf, platform.warehouse(), engine, SystemClock())
        builder.bring_up_to_date(Alert)
    finally:
        engine.dispose()
    (platform.paths.objects / "secret.txt").write_text(SECRET, encoding="utf-8")
    (platform.paths.objects / PREFIX / "secret.txt").write_text(SECRET, encoding="utf-8")
    return world


def test_the_same_page_comes_in_every_format(world: World) -> None:
    geojson = world.get(ITEMS).json()
    ids = [one["id"] for one in geojson["features"]]
    assert len(ids) == COUNT
    assert geojson["isSimulated"] is True
    flat = world.get(ITEMS, {"f": "json"}).json()["items"]
    assert [one["alert_id"] for one in flat] == ids
    lines = world.get(ITEMS, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(line)["alert_id"] for line in lines] == ids
    rows = list(csv.DictReader(io.StringIO(world.get(ITEMS, {"f": "csv"}).text, newline="")))
    assert [row["alert_id"] for row in rows] == ids
    assert rows[1]["headline"] == "'=HYPERLINK(A1)"
    for name in ("parquet", "geoparquet"):
        frame = pl.read_parquet(io.BytesIO(world.get(ITEMS, {"f": name}).content))
        assert frame["alert_id"].to_list() == ids
        assert shapely.from_wkb(frame["geometry"][0]).geom_type == "Polygon"
    stream = world.get(ITEMS, {"f": "arrow"})
    assert stream.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pl.read_ipc_stream(io.BytesIO(stream.content))["alert_id"].to_list() == ids


def test_pages_of_a_table_have_their_next_link_and_their_origin_in_headers(world: World) -> None:
    page = world.get(ITEMS, {"f": "csv", "limit": "10"})
    assert page.headers["emdata-simulated"] == "true"
    assert page.headers["ogc-numberreturned"] == "10"
    assert "Accept" in page.headers["vary"]
    following = page.links["next"]["url"]
    seen = page.text.splitlines()[1:]
    while following:
        page = world.get(following)
        seen += page.text.splitlines()[1:]
        following = page.links.get("next", {}).get("url")
    assert len(seen) == COUNT


def test_an_alert_is_valid_cap_with_its_areas_and_never_actual_when_simulated(world: World) -> None:
    answer = world.get(f"{ITEMS}/urn:oid:made.001", headers={"Accept": "application/cap+xml"})
    assert answer.status_code == 200, answer.text
    root = fromstring(answer.content)
    cap_rules.check(root)
    space = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
    assert root.findtext("c:status", "", space) == "Test"
    codes = [one.text for one in root.findall("c:info/c:area/c:geocode/c:value", space)]
    assert codes == ["08013", "COC013"]


def test_alerts_are_a_feed(world: World) -> None:
    answer = world.get(ITEMS, {"f": "atom", "limit": "5"})
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = fromstring(answer.content)
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 5


def test_what_is_not_there_is_refused(world: World) -> None:
    answer = world.get(ITEMS, headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable")
    assert world.get(ITEMS, {"f": "xlsx"}).status_code == 400
    assert world.get(ITEMS, {"f": "cap"}).status_code == 406


def _plain(answer: httpx2.Response) -> bytes:
    """The content; the client decodes gzip by itself and leaves zstd to others."""
    if answer.headers["content-encoding"] == "gzip":
        return answer.content
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(answer.content)).read()


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_answers_are_compressed_and_the_same(world: World, coding: str) -> None:
    plain = world.get(ITEMS, {"f": "ndjson"}, {"Accept-Encoding": "identity"})
    small = world.get(ITEMS, {"f": "ndjson"}, {"Accept-Encoding": coding})
    assert small.headers["content-encoding"] == coding
    assert _plain(small) == plain.content
    assert "Accept-Encoding" in plain.headers["vary"]
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 3


def test_a_compressed_answer_is_known_again_by_its_weak_tag(world: World) -> None:
    wanted = {"Accept-Encoding": "gzip"}
    first = world.get(ITEMS, {"limit": "20"}, wanted)
    assert first.headers["etag"].startswith("W/")
    again = world.get(ITEMS, {"limit": "20"}, {**wanted, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_export_has_all_items_that_match(world: World) -> None:
    answer = world.get(EXPORT, {"f": "csv", "severity": "Severe"})
    assert answer.status_code == 200, answer.text
    assert 'filename="nws_alerts.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert {row["alert_id"] for row in rows} == {
        f"urn:oid:made.{number:03d}" for number in range(1, COUNT, 2)
    }
    ordered = world.get(EXPORT, {"f": "ndjson", "sortby": "-alert_id", "properties": "alert_id"})
    found = [json.loads(line)["alert_id"] for line in ordered.text.splitlines()]
    assert found == sorted(found, reverse=True)
    assert len(found) == COUNT


@pytest.mark.parametrize("parameter", ["limit", "cursor", "count", "nonsense"])
def test_an_export_refuses_what_only_pages_have(world: World, parameter: str) -> None:
    answer = world.get(EXPORT, {parameter: "1"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-parameter")


def _allow(world: World, rows: int) -> None:
    """Change how much anybody may export, and wait until the API goes by it."""
    with psycopg.connect(dsn(world.platform.context)) as connection:
        connection.execute(
            "UPDATE policies SET rows_per_export = %s WHERE organization_class = 'public'", (rows,)
        )
    expected = 200 if rows > COUNT else 400

    def is_in_force() -> bool:
        return world.get(EXPORT, {"f": "ndjson"}).status_code == expected

    wait_for(is_in_force, 60, "the changed policy")


def test_more_than_the_caller_may_have_is_refused_and_not_cut(world: World) -> None:
    _allow(world, COUNT - 1)
    try:
        problem = world.get(EXPORT, {"f": "csv"}).json()
        assert problem["type"] == "/problems/too-expensive"
        assert (problem["numberMatched"], problem["allowed"]) == (COUNT, COUNT - 1)
        fewer = world.get(EXPORT, {"f": "ndjson", "severity": "Minor"})
        assert len(fewer.text.splitlines()) == COUNT / 2
        assert fewer.headers["ogc-numbermatched"] == str(COUNT // 2)
    finally:
        _allow(world, 1_000_000)


def test_bulk_lists_datasets_days_and_files(built: World) -> None:
    listed = built.get("/bulk").json()["datasets"]
    assert [one["id"] for one in listed] == ["nws_alerts"]
    days = built.get("/bulk/nws_alerts").json()
    assert [(one["day"], one["rows"]) for one in days["days"]] == [("2026-11-19", COUNT)]
    manifest = built.get(BULK).json()
    assert manifest["rows"] == COUNT
    assert manifest["is_simulated"] is True
    assert manifest["terms"].startswith("US public domain")
    assert all("key" not in file for file in manifest["files"])


def test_bulk_files_are_what_the_manifest_says(built: World) -> None:
    for file in built.get(BULK).json()["files"]:
        answer = built.get(file["href"])
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        assert answer.headers["emdata-simulated"] == "true"
        if file["name"].endswith(".csv.gz"):
            text = gzip.decompress(answer.content).decode()
            assert len(list(csv.DictReader(io.StringIO(text, newline="")))) == COUNT
            assert "content-encoding" not in answer.headers
        else:
            assert pl.read_parquet(io.BytesIO(answer.content)).height == COUNT


def test_a_download_that_broke_goes_on_where_it_was(built: World) -> None:
    file = built.get(BULK).json()["files"][0]
    whole = built.get(file["href"]).content
    tag = f'"{file["sha256"]}"'
    rest = built.get(file["href"], headers={"Range": "bytes=1000-", "If-Range": tag})
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    assert whole[:1000] + rest.content == whole
    other = built.get(file["href"], headers={"Range": "bytes=1000-", "If-Range": '"old"'})
    assert (other.status_code, other.content) == (200, whole)
    behind = built.get(file["href"], headers={"Range": f"bytes={len(whole)}-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{len(whole)}"
    assert built.get(file["href"], headers={"If-None-Match": tag}).status_code == 304


def test_head_says_what_a_download_would_bring(built: World) -> None:
    file = built.get(BULK).json()["files"][0]
    answer = built.client.head(file["href"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(file["bytes"])
    assert answer.headers["accept-ranges"] == "bytes"


def test_head_of_an_export_says_what_it_would_be_and_reads_nothing(world: World) -> None:
    path, given = world.url + EXPORT, {"f": "csv"}
    whole, head = world.client.get(path, params=given), world.client.head(path, params=given)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-disposition", "emdata-simulated", "link"):
        assert head.headers[name] == whole.headers[name]
    assert "content-length" not in head.headers
    refused = world.client.head(path, params={"nonsense": "1"})
    assert (refused.status_code, refused.content) == (400, b"")


def test_gdal_reads_the_end_of_a_bulk_file_over_http(built: World) -> None:
    file = next(one for one in built.get(BULK).json()["files"] if one["name"].endswith(".csv.gz"))
    path = f"/vsigzip//vsicurl/{file['href']}"
    meta, _, _, fields = pyogrio.raw.read(f"CSV:{path}", read_geometry=False)
    assert "alert_id" in meta["fields"]
    assert len(fields[0]) == COUNT


TRAVERSALS = [
    "/bulk/..",
    "/bulk/../secret.txt",
    "/bulk/%2e%2e/%2e%2e/secret.txt",
    "/bulk/..%2f..%2fsecret.txt",
    "/bulk/%2e%2e%2fsecret.txt/2026-11-19/x",
    "/bulk/nws_alerts/../secret.txt",
    "/bulk/nws_alerts/2026-11-19/../../secret.txt",
    "/bulk/nws_alerts/2026-11-19/..%2f..%2fsecret.txt",
    "/bulk/nws_alerts/2026-11-19/%2e%2e%2f%2e%2e%2fsecret.txt",
    "/bulk/nws_alerts/2026-11-19/..%5c..%5csecret.txt",
    "/bulk/nws_alerts/2026-11-19/....//secret.txt",
    "/bulk/nws_alerts/2026-11-19/%00secret.txt",
    "/bulk/nws_alerts/2026-11-19/manifest.json",
    "/bulk/nws_alerts/2026-11-19/" + "a" * 5000,
    "/bulk/nws_alerts/2026-11-19/CON",
    "/bulk/nws_alerts/2026-11-19%2f..%2f..%2fsecret.txt/x",
    "/bulk/nws_alerts/..%2f2026-11-19/x",
    "/bulk/nws_alerts/%2fetc%2fpasswd/x",
    "/bulk/%2fetc/passwd",
    "/bulk/nws_alerts%00/2026-11-19",
    "/bulk/nws_alerts/20261119/x",
    "/bulk/nws_alerts/2026-11-31/x",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_fault_43_no_path_leads_out_of_the_bulk_files(built: World, path: str) -> None:
    # As it stands: clients clean paths before they send them.
    port = built.platform.settings.api_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
    assert answer.status in (400, 404, 431), body
    assert SECRET not in body
    assert "root:" not in body


def test_a_dataset_whose_rows_are_not_everybodys_has_no_bulk_files(built: World) -> None:
    assert built.get("/bulk/api_usage").status_code == 404
    assert built.get("/bulk/fct_alerts_in_force").status_code == 404
    assert built.get("/bulk", {"x": "1"}).status_code == 400


def test_an_export_that_starrocks_ends_breaks_off_and_cannot_be_read_as_whole(
    world: World,
) -> None:
    world.execute(
        "INSERT INTO raw_data.nws_alert_zones (accepted_on, writer, seq, accepted_at, poll_id,"
        " record_key, content_hash, priority, is_simulated, alert_id, zone_code, code_type,"
        " event_key, sent_at, is_closing, same_codes)"
        " SELECT '2026-11-19', 2, generate_series, '2026-11-19 15:00:00', 'p',"
        " CONCAT('k', generate_series), 'h', 3, TRUE, CONCAT('a', generate_series), 'z', 'ugc',"
        " 'e', '2026-11-19 15:00:00', FALSE, CONCAT('[\"', REPEAT('x', 500), '\"]')"
        f" FROM TABLE(generate_series(1, {MANY}))"
    )
    old = world.platform.pid("starrocks")
    got: list[bytes] = []
    with pytest.raises(httpx2.RemoteProtocolError):
        _read_while_starrocks_dies(world, got)
    lines = b"".join(got).split(b"\n")
    assert 0 < len(lines) < MANY
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[-1])
    world.platform.wait_restarted("starrocks", old)


def _read_while_starrocks_dies(world: World, got: list[bytes]) -> None:
    with world.client.stream(
        "GET",
        f"{world.url}/collections/nws_alert_zones/export",
        params={"f": "ndjson"},
        headers={"Accept-Encoding": "identity"},
    ) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            if not got:
                world.platform.kill("starrocks")
            got.append(piece)
