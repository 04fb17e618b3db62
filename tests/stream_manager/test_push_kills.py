"""MQTT into the manager's process, which is killed meanwhile: 0 lost and 0 doubled at QoS 1."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import pytest

from emdata.contracts import contract
from tests.stream_manager.door import read_topic
from tests.stream_manager.test_manager_kills import is_drained, status
from tests.support.broker import Mosquitto, Sender, running_broker, sender
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.system("mosquitto"),
    pytest.mark.timeout(300),
]
DATASET = "iot_sensor_readings"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def platform(broker: Mosquitto) -> Iterator[Platform]:
    settings = {"EMDATA_MQTT_URL": f"mqtt://127.0.0.1:{broker.port}"}
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


@dataclass
class Device:
    """Sends readings for as long as it runs."""

    sender: Sender
    name: str
    sent: int = 0
    done: Event = field(default_factory=Event)

    def run(self) -> None:
        """About 10,000 messages a minute."""
        while not self.done.wait(0.03):
            for _ in range(5):
                self.sent += 1
                self.sender.send(f"sensors/{self.name}", reading(self.name, self.sent))


def reading(sensor: str, number: int) -> bytes:
    message = {"device_id": sensor, "ts": 1_790_000_000 + number, "n": number}
    return json.dumps(message).encode()


def mqtt_row(platform: Platform) -> dict[str, Any]:
    """What the manager says of the MQTT stream."""
    rows = status(platform).get("sources", [])
    return next((row for row in rows if row["stream"] == "iot_mqtt"), {})


def is_connected(platform: Platform) -> bool:
    """Whether the stream runs and its last word was good."""
    row = mqtt_row(platform)
    return bool(row) and row["last_outcome"] == "ok" and row["failures"] == 0


def in_kafka(platform: Platform, sensor: str) -> dict[int, list[int]]:
    """Sequence numbers in Kafka by the number that the device sent."""
    found: dict[int, set[int]] = {}
    for value in read_topic(platform.settings.kafka_servers, contract(DATASET).dataset.topic):
        if value["sensor_id"] == sensor:
            found.setdefault(int(value["value"]), set()).add(value["seq"])
    return {number: sorted(seqs) for number, seqs in found.items()}


def wait_all_there(platform: Platform, sensor: str, count: int) -> dict[int, list[int]]:
    """Wait until Kafka has every number that the device sent, and return what it has."""
    wait_for(lambda: is_drained(platform), 90, "the manager to be drained", interval=0.2)
    wait_for(
        lambda: set(in_kafka(platform, sensor)) == set(range(1, count + 1)),
        60,
        f"{count} readings of {sensor}",
        interval=0.5,
    )
    return in_kafka(platform, sensor)


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.long)])
def test_fault_7_a_manager_killed_under_a_flow_of_messages_loses_and_doubles_none(
    platform: Platform, broker: Mosquitto, kills: int
) -> None:
    moments, name = random.Random(kills), f"run-{kills}"
    wait_for(lambda: is_connected(platform), 90, "the MQTT stream")
    with sender(broker.port, name) as made:
        device = Device(made, name)
        thread = Thread(target=device.run)
        thread.start()
        for _ in range(kills):
            before = device.sent
            wait_for(lambda n=before: device.sent > n + 100, 30, "messages")
            moment = time.monotonic() + moments.uniform(0, 0.6)
            wait_for(lambda at=moment: time.monotonic() >= at, 5, "a moment", interval=0.005)
            killed = platform.kill("manager", signal.SIGKILL)
            platform.wait_restarted("manager", killed)
            wait_for(lambda: is_connected(platform), 90, "the MQTT stream")
        device.done.set()
        thread.join()
        made.wait_confirmed()
    found = wait_all_there(platform, name, device.sent)
    assert device.sent > 300
    doubled = {number: seqs for number, seqs in found.items() if len(seqs) > 1}
    assert doubled == {}, "a message that was sent again was taken twice"


def test_a_broker_restart_and_retained_messages_leave_every_reading_once(
    platform: Platform, broker: Mosquitto
) -> None:
    wait_for(lambda: is_connected(platform), 90, "the MQTT stream")
    with sender(broker.port, "still") as made:
        for number in range(1, 51):
            made.send(f"sensors/still/{number}", reading("still", number), retain=True)
        made.wait_confirmed()
        wait_all_there(platform, "still", 50)
        broker.stop()
        wait_for(lambda: mqtt_row(platform).get("failures"), 60, "the loss to be noticed")
        broker.start()
        wait_for(lambda: is_connected(platform), 90, "the MQTT stream")
        # A new process knows the retained messages from PostgreSQL alone.
        killed = platform.kill("manager", signal.SIGKILL)
        platform.wait_restarted("manager", killed)
        wait_for(lambda: is_connected(platform), 90, "the MQTT stream")
        made.send("sensors/still/51", reading("still", 51))
        made.wait_confirmed()
    found = wait_all_there(platform, "still", 51)
    assert {number for number, seqs in found.items() if len(seqs) > 1} == set()


def test_a_sender_with_a_key_of_its_own_posts_its_datasets_and_no_others(
    platform: Platform,
) -> None:
    import urllib.error
    import urllib.request

    def post(dataset: str, token: str) -> int:
        row = {"sensor_id": "posted", "observed_at": "2026-09-21T14:13:20Z", "quantity": "a"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{platform.settings.manager_port}/v1/records/{dataset}",
            data=json.dumps([row]).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    platform.wait_ready("manager")
    token = platform.emdata("push", "add", "county", "--dataset", DATASET).stdout.splitlines()[0]
    assert (post(DATASET, token), post("nws_alerts", token)) == (200, 403)
    rotated = platform.emdata("push", "rotate", "county").stdout.splitlines()[0]
    assert (post(DATASET, token), post(DATASET, rotated)) == (401, 200)
    assert "county" in platform.emdata("push", "ls").stdout
    platform.emdata("push", "rm", "county")
    assert post(DATASET, rotated) == 401
    assert platform.emdata("push", "rm", "county", check=False).returncode == 2
    query = "SELECT accepted FROM polls JOIN poll_datasets USING (poll_id) WHERE stream = '{}'"
    wait_for(
        lambda: (
            [row["accepted"] for row in platform.state_sql(query.format("push-county"))] == [1, 1]
        ),
        30,
        "polls named after the sender",
    )
