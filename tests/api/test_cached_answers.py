"""Answers that are kept: fresh, never another caller's, once for all who ask at the same time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from emdata.contracts.fema import DisasterDeclaration
from emdata.reader_account import READER
from tests.api.world import World, running_world
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
COLLECTION = "fema_disaster_declarations"
ITEMS = f"/collections/{COLLECTION}/items"
# Versions are read each second; the rest is for a busy machine.
FRESH_SECONDS = 5.0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world({"EMDATA_API_ACCESS_LOG": "false"}) as running:
        running.land(*(_declaration(number) for number in range(1, 21)))
        newest = "emdata-newest-accepted-at"
        wait_for(lambda: newest in running.get(ITEMS).headers, 30, "the version with the rows")
        yield running


def _declaration(number: int, **changes: Any) -> DisasterDeclaration:
    given = {"state": "CO", "declared_on": date(2026, 1, 1), **changes}
    refreshed = datetime(2026, 1, 1, tzinfo=UTC)
    return DisasterDeclaration(
        disaster_number=number, place_code="0", refreshed_at=refreshed, **given
    )


def _version(answer: httpx2.Response) -> str | None:
    return answer.headers.get("emdata-data-version")


def _wait_for_version(world: World, other_than: str | None = None) -> httpx2.Response:
    """The first answer of a version that is known, and is another one."""

    def answer() -> httpx2.Response | None:
        found = world.get(ITEMS)
        return found if _version(found) not in (None, other_than) else None

    return wait_for(answer, 30, "a version of the data")


def _metrics(world: World) -> dict[str, float]:
    port = world.platform.settings.api_metrics_port
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found = {}
    for line in text.splitlines():
        if line.startswith("emdata_api_cache_total{"):
            name, _, value = line.partition("} ")
            found[name.split('"')[1]] = float(value)
    return found


def test_an_answer_is_made_once_until_its_data_changes(world: World) -> None:
    first = _wait_for_version(world)
    before = _metrics(world)
    again = [world.get(ITEMS) for _ in range(5)]
    after = _metrics(world)
    assert all(one.content == first.content for one in again)
    assert after["early"] - before.get("early", 0) >= 5
    assert after["miss"] == before["miss"]
    assert again[0].headers["etag"].startswith('W/"')
    world.land(_declaration(100))
    began = time.monotonic()
    later = _wait_for_version(world, _version(first))
    assert time.monotonic() - began < FRESH_SECONDS
    numbers = {one["properties"]["disaster_number"] for one in later.json()["features"]}
    assert 100 in numbers
    assert later.headers["emdata-newest-accepted-at"] > first.headers["emdata-newest-accepted-at"]


def test_a_known_answer_is_304_without_a_body(world: World) -> None:
    first = _wait_for_version(world)
    for given in (first.headers["etag"], f'"x", {first.headers["etag"]}', "*"):
        answer = world.get(ITEMS, headers={"If-None-Match": given})
        assert answer.status_code == 304, given
        assert answer.content == b""
        assert answer.headers["etag"] == first.headers["etag"]
        assert _version(answer) == _version(first)
    assert world.get(ITEMS, headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_another_table_changes_nothing(world: World) -> None:
    first = _wait_for_version(world)
    world.execute("CREATE TABLE IF NOT EXISTS raw_data.beside (k INT) DUPLICATE KEY(k)")
    world.execute("INSERT INTO raw_data.beside VALUES (1)")
    assert _version(world.get(ITEMS)) == _version(first)
    world.execute("DROP TABLE raw_data.beside")


def test_what_is_asked_differently_is_answered_differently(world: World) -> None:
    _wait_for_version(world)
    asked: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"limit": "3"}, {}),
        ({"disaster_number": "7"}, {}),
        ({"f": "csv"}, {}),
        ({}, {"Accept": "application/x-ndjson"}),
        ({"properties": "state"}, {}),
    ]
    for _ in range(2):
        answers = [world.get(ITEMS, parameters, headers) for parameters, headers in asked]
        assert all(one.status_code == 200 for one in answers)
        assert len({one.content for one in answers}) == len(asked)
        assert len({one.headers["etag"] for one in answers}) == len(asked)


def test_encodings_are_kept_apart(world: World) -> None:
    _wait_for_version(world)
    plain = world.get(ITEMS, headers={"Accept-Encoding": "identity"})
    for _ in range(2):
        packed = world.get(ITEMS, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.json() == plain.json()
        assert (
            "content-encoding"
            not in world.get(ITEMS, headers={"Accept-Encoding": "identity"}).headers
        )


def test_a_hundred_equal_requests_are_one_query(world: World) -> None:
    _wait_for_version(world)
    before = _metrics(world)
    url = f"{world.url}{ITEMS}?limit=17&sortby=-disaster_number"
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: httpx2.get(url, timeout=60), range(100)))
    allowed = [one for one in answers if one.status_code == 200]
    assert allowed
    assert {one.content for one in allowed} == {allowed[0].content}
    made = _metrics(world)["miss"] - before["miss"]
    # Those that came while the first was made count as missed, and wait for it.
    assert 1 <= made <= 20
    assert _metrics(world)["early"] > before["early"]


def test_problems_are_not_kept(world: World) -> None:
    _wait_for_version(world)
    for _ in range(2):
        assert world.get(ITEMS, {"nothing": "1"}).status_code == 400
        assert world.get(f"{ITEMS}/999999|0").status_code == 404
    world.land(_declaration(999999))
    wait_for(
        lambda: world.get(f"{ITEMS}/999999|0").status_code == 200, 15, "the item that has landed"
    )


def test_the_api_asks_starrocks_as_its_reader(world: World) -> None:
    world.get(ITEMS, {"limit": "19"})
    users = {str(row[1]) for row in world.execute("SHOW PROCESSLIST")}
    assert READER in users


def test_nothing_is_answered_from_memory_when_starrocks_is_gone_for_long(world: World) -> None:
    _wait_for_version(world)
    pid = world.platform.kill("starrocks")
    world.platform.wait_restarted("starrocks", pid)
    again = _wait_for_version(world)
    assert again.status_code == 200


def test_a_client_that_leaves_ends_its_query(world: World) -> None:
    world.execute(
        "INSERT INTO raw_data.fema_disaster_declarations (accepted_on, writer, seq, accepted_at,"
        " poll_id, record_key, record_version, content_hash, priority, is_simulated,"
        " disaster_number, place_code, refreshed_at, title) SELECT '2026-11-01', 9,"
        " generate_series, '2026-11-01 10:00:00', 'test', CONCAT(generate_series, '|9'), '1', 'x',"
        " 3, TRUE, generate_series, '9', '2026-11-01 10:00:00', REPEAT('a long title ', 40)"
        " FROM TABLE(generate_series(1, 100000))"
    )
    with socket.create_connection(("127.0.0.1", world.platform.settings.api_port)) as client:
        path = f"/collections/{COLLECTION}/export?f=ndjson"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        client.settimeout(60)
        assert b" 200 " in client.recv(1000)
        assert _running(world)
    wait_for(lambda: not _running(world), 20, "the query of the export to end")


def _running(world: World) -> list[str]:
    rows = world.execute("SHOW FULL PROCESSLIST")
    return [str(row) for row in rows if READER in str(row) and "version_rank" in str(row)]
