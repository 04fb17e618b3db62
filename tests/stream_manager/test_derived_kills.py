"""Notices from real servers: accepted detections in, each notice once, also under SIGKILL."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from emdata.contracts import contract
from tests.stream_manager.door import read_topic
from tests.stream_manager.test_manager_kills import is_drained, is_up
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
FIRES = "nasa_firms_fire_detections"
NOTICES = "derived_escalation_notices"
PARADISE = (39.76, -121.62)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    settings = {"EMDATA_POLL_FACTOR": "0.07"}  # notices every second
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


def post_fires(platform: Platform, numbers: range) -> None:
    """Have detections accepted, 100 m from each other."""
    at = datetime.now(UTC) - timedelta(hours=1)
    rows = [
        {
            "source_family": "VIIRS", "satellite": "N20", "processing": "NRT", "product_rank": 2,
            "acquired_at": at.replace(second=0, microsecond=0).isoformat(),
            "latitude": round(PARADISE[0] + number * 0.0009, 5), "longitude": PARADISE[1],
        }
        for number in numbers
    ]  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.settings.manager_port}/v1/records/{FIRES}",
        data=json.dumps(rows).encode(),
        headers={"Authorization": f"Bearer {platform.context.credentials.ingest_token}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["accepted"] == len(rows)


def of_paradise(platform: Platform) -> list[dict[str, Any]]:
    """The notices in Kafka about our fire; the simulator may have fires of its own."""
    topic = contract(NOTICES).dataset.topic
    values = read_topic(platform.settings.kafka_servers, topic)
    return [value for value in values if value["place_name"] == "Paradise"]


def test_a_fire_near_a_town_is_noticed_once_a_step_though_the_manager_is_killed(
    platform: Platform,
) -> None:
    wait_for(lambda: is_up(platform, polling=True), 90, "the manager to be up")
    post_fires(platform, range(2))
    post_fires(platform, range(2, 4))
    wait_for(lambda: of_paradise(platform), 60, "the first notice", interval=0.5)
    killed = platform.kill("manager")
    platform.wait_restarted("manager", killed)
    wait_for(lambda: is_up(platform, polling=True), 90, "the manager to be up")
    post_fires(platform, range(4, 7))
    wait_for(lambda: len(of_paradise(platform)) >= 2, 60, "the second notice", interval=0.5)
    wait_for(lambda: is_drained(platform), 60, "the manager to be drained", interval=0.2)
    found = of_paradise(platform)
    assert [(one["step"], one["detection_count"]) for one in found] == [(3, 3), (6, 6)]
    assert len({one["notice_id"] for one in found}) == 1
    fires = read_topic(platform.settings.kafka_servers, contract(FIRES).dataset.topic)
    ids = {f"{one['writer']}-{FIRES}-{one['seq']}" for one in fires}
    assert set(json.loads(found[-1]["cause_ids"])) <= ids
    assert len(json.loads(found[-1]["cause_ids"])) == 6
    assert all(one["is_machine_made"] and one["is_advisory"] for one in found)
    assert {one["priority"] for one in found} == {1}, "HIGH, whatever happens"


def test_a_stream_without_its_broker_is_shown_as_off(platform: Platform) -> None:
    query = "SELECT is_on FROM streams WHERE stream IN ('iot_mqtt', 'escalation_notices')"
    wait_for(
        lambda: sorted(row["is_on"] for row in platform.state_sql(query)) == [False, True],
        60,
        "both streams to be registered",
    )
