"""Faults on request: what a client sees, whom they strike, and that the ledger does not count."""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any

import pytest

from tests.simulator.running import Served, Simulator
from tests.support.waiting import wait_for

PATH = "www.fema.gov/api/open/v2/DisasterDeclarationsSummaries"
ASKED = {"$top": 10}
HOST = "www.fema.gov"
DATASET = "fema_disaster_declarations"


def strike(world: Simulator, **fault: Any) -> int:
    """Put a fault in force and return its number."""
    reply = world.post("faults", {"host": HOST, **fault})
    assert reply.status == 200, reply.body
    return int(reply.json()["id"])


@pytest.mark.parametrize(
    "text", ["120", "Fri, 31 Dec 1999 23:59:59 GMT", "-5", "9999999999", "abc"]
)
def test_fault_30_throttling_sends_retry_after_verbatim(world: Simulator, text: str) -> None:
    strike(world, kind="429", retry_after=text)
    reply = world.get(PATH, ASKED)
    assert (reply.status, reply.headers["retry-after"]) == (429, text)


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("500", 500, "application/problem+json"),
        ("503", 503, "application/problem+json"),
        ("html200", 200, "text/html; charset=utf-8"),
        ("empty", 200, "application/json"),
    ],
)
def test_failed_answer_replaces_the_source_and_is_not_counted(
    world: Simulator, kind: str, status: int, content_type: str
) -> None:
    strike(world, kind=kind)
    reply = world.get(PATH, ASKED)
    assert (reply.status, reply.headers["content-type"]) == (status, content_type)
    assert reply.headers["x-emdata-simulated"] == "true"
    assert world.ledger(DATASET) == []


@pytest.mark.integration
def test_cut_off_answer_is_shorter_than_announced_and_not_counted(served: Served) -> None:
    world = served
    strike(world, kind="cut_off", count=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        world.get(PATH, ASKED)
    assert caught.value.partial
    assert world.ledger(DATASET) == []
    assert world.get(PATH, ASKED).status == 200


@pytest.mark.integration
def test_slow_answer_takes_its_time_and_is_counted_when_complete(served: Served) -> None:
    world = served
    strike(world, kind="slow", seconds=0.5, count=1)
    begun = time.monotonic()
    reply = world.get(PATH, ASKED)
    assert time.monotonic() - begun >= 0.4
    assert len(reply.json()["DisasterDeclarationsSummaries"]) == 10
    assert {line["acknowledged_times"] for line in world.ledger(DATASET)} == {1}


@pytest.mark.integration
def test_client_that_leaves_midway_has_acknowledged_nothing(served: Served) -> None:
    world = served
    strike(world, kind="slow", seconds=60, count=1)
    with socket.create_connection(("127.0.0.1", world.port)) as client:
        client.sendall(f"GET /{PATH}?$top=10 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(100)
    lines = wait_for(lambda: world.ledger(DATASET), 10, "the ledger to show the answer")
    assert {line["acknowledged_at"] for line in lines} == {None}
    assert world.get("_simulator/ledger").json()["datasets"][DATASET]["acknowledged_keys"] == 0
    world.get(PATH, ASKED)
    assert {line["acknowledged_times"] for line in world.ledger(DATASET)} == {1}


@pytest.mark.integration
def test_hanging_source_holds_the_connection_without_a_byte(served: Served) -> None:
    world = served
    strike(world, kind="hang", seconds=30)
    with pytest.raises(TimeoutError):
        world.get(PATH, ASKED, timeout=0.5)
    assert world.get("_simulator/health").status == 200


@pytest.mark.integration
def test_huge_answer_goes_on_until_its_size_or_the_client_leaves(served: Served) -> None:
    world = served
    strike(world, kind="huge", size=300_000)
    reply = world.get(PATH, ASKED)
    assert 300_000 <= len(reply.body) < 400_000
    assert "content-length" not in reply.headers


def test_fault_strikes_only_the_host_and_path_it_names_as_often_as_it_says(
    world: Simulator,
) -> None:
    strike(world, kind="500", path_prefix=f"/{HOST}/api/open/v1", count=2)
    assert world.get(PATH, ASKED).status == 200
    assert world.get("coagmet.colostate.edu/data/metadata.json").status == 200
    sets = f"{HOST}/api/open/v1/OpenFemaDataSets"
    assert [world.get(sets).status for _ in range(3)] == [500, 500, 200]
    (fault,) = world.get("_simulator/faults").json()
    assert fault["struck"] == 2


def test_fault_ends_at_its_instant_or_when_it_is_lifted(world: Simulator) -> None:
    strike(world, kind="500", until="2026-01-01T00:10:00Z")
    assert world.get(PATH, ASKED).status == 500
    world.clock.advance(601)
    assert world.get(PATH, ASKED).status == 200
    number = strike(world, kind="503")
    assert world.send("DELETE", f"/_simulator/faults/{number}").status == 200
    assert world.send("DELETE", f"/_simulator/faults/{number}").status == 404
    strike(world, kind="503")
    assert world.send("DELETE", "/_simulator/faults").json()["removed"] >= 1
    assert world.get(PATH, ASKED).status == 200


@pytest.mark.parametrize(
    "body", [{"kind": "explode"}, {}, {"kind": "500", "cuont": 1}, {"kind": "500", "count": 0}]
)
def test_fault_that_cannot_be_understood_is_refused(world: Simulator, body: object) -> None:
    reply = world.post("faults", body)
    assert reply.status == 400
    assert reply.json()["detail"]
