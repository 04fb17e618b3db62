"""MQTT as a push stream: QoS 1 in, PUBACK only when the records are fsynced in the buffer."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from paho.mqtt.client import MQTTMessage

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.contracts.iot import IotSensorReading
from emdata.errors import SourceUnavailable
from emdata.telemetry import get_logger
from scrapers.push import metrics
from scrapers.push.link import Broker, MqttLink
from scrapers.push.readings import readings
from stream_manager.polls.poll import RECORD_ERRORS
from stream_manager.push.door import PushDoor, PushItem

log = get_logger(__name__)
MESSAGES_A_BATCH = 100
WAITING_QOS_0 = 10_000
BACKOFF_FIRST, BACKOFF_LONGEST = 1.0, 60.0


class MqttConnector:
    """Sensor readings from one broker; connects again by itself, ever more seldom.

    ``broker`` is asked before every connection, because a password may change.
    """

    name = "iot_mqtt"
    source = IotSensorReading.dataset.source
    emits: ClassVar[Sequence[type[Record]]] = (IotSensorReading,)

    def __init__(self, broker: Callable[[], Broker], clock: Clock) -> None:
        self._broker, self._clock = broker, clock
        self._inbox: deque[MQTTMessage] = deque()
        self._arrival = asyncio.Event()

    async def run_push(self, door: PushDoor) -> None:
        """Stay connected and hand over what arrives until cancelled."""
        failures = 0
        while True:
            broker = self._broker()
            link = MqttLink(broker, self._arrived)
            try:
                had_session = await link.connect()
                log.info("mqtt_connected", broker=broker.name, had_session=had_session)
                failures = 0
                metrics.CONNECTED.set(1)
                await self._pump(link, door)
                raise SourceUnavailable(f"{broker.name}: {link.lost.result()}")
            except SourceUnavailable as error:
                failures += 1
                log.warning("mqtt_disconnected", error=str(error), failures=failures)
                await door.failed(error)
            finally:
                metrics.CONNECTED.set(0)
                link.close()
                # The broker sends again what was not acknowledged.
                self._inbox.clear()
            await asyncio.sleep(backoff_seconds(failures))

    async def _pump(self, link: MqttLink, door: PushDoor) -> None:
        """Hand over batch after batch; returns when the connection is lost."""
        link.lost.add_done_callback(lambda _: self._arrival.set())
        await door.beat()
        while not link.lost.done():
            if not await self._some(link, door.heartbeat_seconds):
                await door.beat()
                continue
            count = min(len(self._inbox), MESSAGES_A_BATCH)
            batch = [self._inbox.popleft() for _ in range(count)]
            received_at = self._clock.now()
            await door.take([item_of(message, received_at) for message in batch])
            for message in batch:
                link.acknowledge(message)

    async def _some(self, link: MqttLink, patience: float) -> bool:
        """Wait for a message; False when none came.

        A batch is what arrived while the one before was written: no message waits for others.
        """
        try:
            async with asyncio.timeout(patience):
                while not self._inbox and not link.lost.done():
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError:
            pass
        return bool(self._inbox)

    def _arrived(self, message: MQTTMessage) -> None:
        kind = "retained" if message.retain else "redelivered" if message.dup else "new"
        if not message.qos and len(self._inbox) >= WAITING_QOS_0:
            metrics.MESSAGES.labels(
                "dropped_qos_0"
            ).inc()  # QoS 0 promises nothing; memory has an end
            return
        metrics.MESSAGES.labels(kind).inc()
        self._inbox.append(message)
        self._arrival.set()


def item_of(message: MQTTMessage, received_at: datetime) -> PushItem:
    """Return what the door takes: the records of a message, or why it has none."""
    raw = bytes(message.payload)
    if not raw:
        return PushItem(raw)  # clears a retained message: nothing was measured
    try:
        records = readings(raw, topic=message.topic, received_at=received_at)
    except RECORD_ERRORS as error:
        return PushItem(raw, error=error)
    return PushItem(raw, records, is_repeat_likely=message.retain or message.dup)


def backoff_seconds(failures: int) -> float:
    """Return the wait before the next try: 1 s doubling to a minute, spread by a fifth."""
    doubled = min(BACKOFF_FIRST * 2.0 ** min(failures - 1, 20), BACKOFF_LONGEST)
    return doubled * random.uniform(0.8, 1.2)  # noqa: S311  spreading
