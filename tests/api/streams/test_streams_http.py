"""Streams over HTTP: what a listener gets, and what nobody holds who does not listen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from confluent_kafka import Producer
from starlette.requests import Request

from api.access.caller import anonymous
from api.catalog.catalog import Catalog
from api.catalog.datasets import collection_of
from api.context import Api
from api.problems import Problem
from api.routers.streams import stream
from api.streams.hub import Hub, HubLimits
from api.streams.tail import TailConfig
from emdata.contracts.fema import DisasterDeclaration
from emdata.contracts.identity import utc_text
from emdata.contracts.nws import Alert
from emdata.envelope import Accepted, kafka_headers, kafka_value
from tests.api.world import World, running_world

ALERT_STREAM = "/collections/nws_alerts/stream"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALERT = Alert(
    alert_id="urn:oid:made.1",
    event_key="KBOU.FF.W.0001.2026",
    event="Flood Warning",
    severity="Severe",
    status="Actual",
    message_type="Alert",
    sent_at=NOW,
    geometry='{"type":"Point","coordinates":[-105.0,40.0]}',
    point_longitude=-105.0,
    point_latitude=40.0,
)


async def test_a_stream_that_nobody_begins_to_read_is_not_counted() -> None:
    hub = Hub(TailConfig("127.0.0.1:1"), HubLimits(most_of_one=1))
    collection = collection_of(DisasterDeclaration)
    parts = SimpleNamespace(
        hub=hub, catalog=Catalog({collection.id: collection}), is_simulated=True, clock=None
    )
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "headers": [], "path": "/", "state": {},
        "query_string": b"limit=1", "http_version": "1.1",
    }  # fmt: skip

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    try:
        for _ in range(3):
            answer = await stream(
                Request(scope), collection.id, cast(Api, parts), anonymous(), limit=1
            )
            assert hub.open_streams == 0
        # Kafka is away: the place is free again when the answer is a problem.
        with pytest.raises(Problem):
            await answer(scope, nothing, nothing)
        assert hub.open_streams == 0
    finally:
        hub.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(only="postgres,kafka,starrocks,api") as made:
        yield made


def send(world: World, seq: int) -> None:
    """Put the alert on its topic, as the stream manager does."""
    topic = Alert.dataset.topic
    message = Accepted(
        dataset="nws_alerts", source="nws", stream="test", topic=topic, writer=1, seq=seq,
        accepted_at=utc_text(NOW), poll_id="test", record_key=ALERT.record_key(),
        record_version=ALERT.version_text(), kafka_key=ALERT.alert_id, key_hash=b"",
        content_hash=ALERT.content_hash(), priority=int(ALERT.priority()), is_simulated=True,
        payload=ALERT.payload(),
    )  # fmt: skip
    producer = Producer({"bootstrap.servers": world.platform.settings.kafka_servers})
    headers = list(kafka_headers(message))
    producer.produce(topic, kafka_value(message), ALERT.alert_id, headers=headers)
    assert producer.flush(30) == 0


def events(answer: httpx2.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            yield name, json.loads(value)


@pytest.mark.integration
@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize("shown", ["event,severity", "sent_at,accepted_at", "seq", None])
def test_an_event_is_the_feature_that_items_give(world: World, seq: int, shown: str | None) -> None:
    if not world.get("/collections/nws_alerts/items").json()["features"]:
        world.land(ALERT, accepted_at=NOW)
    given = {"limit": "1", "seconds": "60", **({} if shown is None else {"properties": shown})}
    with world.client.stream("GET", world.url + ALERT_STREAM, params=given) as answer:
        found = events(answer)
        assert next(found)[0] == "open"
        send(world, seq)
        name, feature = next(found)
        assert (name, list(found)[-1]) == ("item", ("end", {"reason": "limit"}))
    asked = {} if shown is None else {"properties": shown}
    (item,) = world.get("/collections/nws_alerts/items", asked).json()["features"]
    assert feature["properties"].keys() == item["properties"].keys()
    assert (feature["id"], feature["geometry"]) == (item["id"], item["geometry"])
    same = feature["properties"].keys() - {"seq"}
    assert {n: feature["properties"][n] for n in same} == {n: item["properties"][n] for n in same}


@pytest.mark.integration
def test_head_of_a_stream_says_its_type_and_ends(world: World) -> None:
    head = world.client.head(world.url + ALERT_STREAM)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in head.headers
    refused = world.client.head(world.url + ALERT_STREAM, params={"sortby": "event"})
    assert refused.status_code == 400
