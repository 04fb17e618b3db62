"""MQTT against a real broker: acknowledged when taken, sent again when not, never by accident."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emdata.clock import SystemClock
from emdata.errors import EmdataError
from emdata.push_keys import mosquitto_line
from scrapers.push import mqtt as mqtt_module
from scrapers.push.link import Broker
from scrapers.push.mqtt import MqttConnector, backoff_seconds
from stream_manager.push.door import PushItem
from tests.support.broker import Mosquitto, running_broker, sender
from tests.support.certificate import make_certificate
from tests.support.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.system("mosquitto")]


class Door:
    """A door that can be shut: then it takes nothing and its caller waits."""

    heartbeat_seconds = 60.0

    def __init__(self) -> None:
        self.batches: list[list[PushItem]] = []
        self.failures: list[str] = []
        self.beats = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.knocks = 0

    async def take(self, items: Sequence[PushItem]) -> int:
        self.knocks += 1
        await self.is_open.wait()
        self.batches.append(list(items))
        return len(items)

    async def beat(self) -> None:
        self.beats += 1

    async def failed(self, error: EmdataError) -> None:
        self.failures.append(str(error))

    def values(self) -> list[float | None]:
        return [
            getattr(record, "value")  # noqa: B009
            for batch in self.batches
            for item in batch
            for record in item.records
        ]


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(door: Door, broker: Broker, *, beats: int = 1) -> AsyncIterator[None]:
    """The connector at work, with ``beats`` connections made."""
    connector = MqttConnector(lambda: broker, SystemClock())
    task = asyncio.create_task(connector.run_push(door))  # type: ignore[arg-type]
    try:
        await until(lambda: door.beats >= beats or task.done())
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_module, "BACKOFF_FIRST", 0.05)
    monkeypatch.setattr(mqtt_module, "BACKOFF_LONGEST", 0.2)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_broker(tmp_path / "broker") as running:
        yield running


def ours(broker: Mosquitto) -> Broker:
    return Broker("127.0.0.1", broker.port, "emdata-1", ("sensors/#",))


def reading(number: int) -> bytes:
    message = {"device_id": "s", "ts": 1_790_000_000 + number, "n": number}
    return json.dumps(message).encode()


async def test_messages_come_in_batches_and_every_one_once(quick: None, broker: Mosquitto) -> None:
    door = Door()
    door.is_open.clear()
    async with connected(door, ours(broker)):
        with sender(broker.port) as device:
            for number in range(1000):
                device.send("sensors/soil", reading(number))
            await asyncio.to_thread(device.wait_confirmed)
        door.is_open.set()
        await until(lambda: len(door.values()) >= 1000)
    assert sorted(door.values()) == [float(number) for number in range(1000)]
    assert max(map(len, door.batches)) == mqtt_module.MESSAGES_A_BATCH
    assert not any(item.is_repeat_likely for batch in door.batches for item in batch)


async def test_a_message_does_not_wait_for_others(quick: None, broker: Mosquitto) -> None:
    door = Door()
    async with connected(door, ours(broker)):
        with sender(broker.port) as device:
            for number in range(3):
                device.send("sensors/soil", reading(number))
                await until(lambda n=number: len(door.values()) > n)
    assert [len(batch) for batch in door.batches] == [1, 1, 1]


async def test_nothing_is_acknowledged_before_the_door_has_it(
    quick: None, broker: Mosquitto
) -> None:
    shut = Door()
    shut.is_open.clear()
    with sender(broker.port) as device:
        async with connected(shut, ours(broker)):
            for number in range(250):
                device.send("sensors/soil", reading(number))
            await asyncio.to_thread(device.wait_confirmed)
            await until(lambda: shut.knocks)
        # The connector ended with everything still in its hands: the broker has to send it again.
        again = Door()
        async with connected(again, ours(broker)):
            await until(lambda: len(again.values()) >= 250)
    assert shut.values() == []
    assert sorted(again.values()) == [float(number) for number in range(250)]
    assert any(item.is_repeat_likely for batch in again.batches for item in batch)


async def test_what_is_sent_while_nobody_listens_waits_in_the_session(
    quick: None, broker: Mosquitto
) -> None:
    async with connected(Door(), ours(broker)):
        pass
    with sender(broker.port) as device:
        for number in range(100):
            device.send("sensors/soil", reading(number))
        device.wait_confirmed()
    door = Door()
    async with connected(door, ours(broker)):
        await until(lambda: len(door.values()) >= 100)
    assert sorted(door.values()) == [float(number) for number in range(100)]


async def test_a_broker_that_goes_and_comes_back_costs_nothing(
    quick: None, broker: Mosquitto
) -> None:
    door = Door()
    async with connected(door, ours(broker)):
        with sender(broker.port) as device:
            for number in range(300):
                device.send("sensors/soil", reading(number))
            await until(lambda: len(door.values()) >= 50)
            await asyncio.to_thread(broker.stop)
            await until(lambda: len(door.failures) >= 2)
            for number in range(300, 600):
                device.send("sensors/soil", reading(number))
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(device.wait_confirmed)
        await until(lambda: len(set(door.values())) >= 600)
    assert set(door.values()) == {float(number) for number in range(600)}
    assert "mqtt://127.0.0.1" in door.failures[0]


async def test_a_retained_message_says_so_at_every_connection(
    quick: None, broker: Mosquitto
) -> None:
    with sender(broker.port) as device:
        device.send("sensors/soil", reading(7), retain=True)
        device.wait_confirmed()
    for _ in range(2):
        door = Door()
        async with connected(door, ours(broker)):
            await until(door.values)
        assert [item.is_repeat_likely for batch in door.batches for item in batch] == [True]


async def test_a_message_that_is_not_understood_keeps_its_bytes_and_is_not_sent_again(
    quick: None, broker: Mosquitto
) -> None:
    door = Door()
    async with connected(door, ours(broker)):
        with sender(broker.port) as device:
            device.send("sensors/soil", b"\xff\x00 nonsense")
            device.send("sensors/soil", reading(1))
            device.send("elsewhere/soil", reading(2))
            device.send("sensors/soil", reading(3), qos=0)
            await asyncio.to_thread(device.wait_confirmed)
        await until(lambda: len(door.values()) >= 2)
    (bad,) = [item for batch in door.batches for item in batch if item.error is not None]
    assert bad.raw == b"\xff\x00 nonsense"
    assert door.values() == [1.0, 3.0]
    later = Door()
    with sender(broker.port) as device:
        async with connected(later, ours(broker)):
            device.send("sensors/soil", reading(4))
            await until(later.values)
    assert [item.raw for batch in later.batches for item in batch] == [reading(4)]


async def test_a_password_that_emdata_made_opens_mosquitto_and_a_wrong_one_does_not(
    quick: None, tmp_path: Path
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(mosquitto_line("emdata", "right") + "\n")
    passwords.chmod(0o600)
    extra = ["allow_anonymous false", f"password_file {passwords}"]
    with running_broker(tmp_path / "broker", extra) as running:
        wrong, right = Door(), Door()
        place = ("127.0.0.1", running.port, "emdata-1", ("sensors/#",), "emdata")
        connector = MqttConnector(lambda: Broker(*place, "wrong"), SystemClock())
        task = asyncio.create_task(connector.run_push(wrong))  # type: ignore[arg-type]
        await until(lambda: wrong.failures)
        task.cancel()
        await asyncio.wait({task})
        assert "refused" in wrong.failures[0]
        assert "wrong" not in wrong.failures[0]
        async with connected(right, Broker(*place, "right")):
            assert right.failures == []


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_tls_is_verified(quick: None, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    extra = [f"certfile {certificate}", f"keyfile {key}"]
    door, strange = Door(), Door()
    with running_broker(tmp_path / "broker", extra) as running:
        place = ("127.0.0.1", running.port, "emdata-1", ("sensors/#",), "", "")
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with connected(door, Broker(*place, trusting)):
            assert door.failures == []
        connector = MqttConnector(
            lambda: Broker(*place, ssl.create_default_context()), SystemClock()
        )
        task = asyncio.create_task(connector.run_push(strange))  # type: ignore[arg-type]
        await until(lambda: strange.failures)
        task.cancel()
        await asyncio.wait({task})
    assert "certificate" in strange.failures[0].lower()
    assert strange.beats == 0


async def test_a_broker_that_is_not_there_is_tried_ever_more_seldom() -> None:
    door = Door()
    nowhere = Broker("127.0.0.1", free_ports(1)[0], "emdata-1", ("sensors/#",))
    connector = MqttConnector(lambda: nowhere, SystemClock())
    task = asyncio.create_task(connector.run_push(door))  # type: ignore[arg-type]
    await until(lambda: door.failures)
    task.cancel()
    await asyncio.wait({task})
    waits = [backoff_seconds(failures) for failures in (1, 2, 3, 10, 1000)]
    assert all(
        abs(wait / expected - 1) <= 0.21
        for wait, expected in zip(waits, (1, 2, 4, 60, 60), strict=True)
    )
