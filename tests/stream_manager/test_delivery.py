"""Delivery's decisions, with producers that do as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException

from emdata.clock import ManualClock, SystemClock
from emdata.contracts.base import Priority
from emdata.envelope import Headers, Regions
from stream_manager.buffer import BufferLog, Run, blocks_of
from stream_manager.control.breaker import DestinationBreaker
from stream_manager.delivery.delivery import Delivery, DeliveryRules
from stream_manager.delivery.parked import FIRST_WAIT, LONGEST_WAIT, Parked
from stream_manager.delivery.producers import Lane
from stream_manager.delivery.queues import PriorityQueues
from tests.stream_manager.making import AT, draft
from tests.stream_manager.test_queues import run
from tests.support.waiting import wait_for


@dataclass
class Message:
    """What a producer was given, as its report shows it."""

    topic: str
    bytes: bytes
    key: str
    headers: Headers

    def value(self) -> bytes:
        return self.bytes

    @property
    def seq(self) -> int:
        return int(json.loads(self.bytes)["seq"])


Answer = Callable[[Lane, Message], KafkaError | BaseException | None]


@dataclass
class FakeProducer:
    """Answers each record by a rule: None confirms, an error is reported, an exception raised."""

    lane: Lane
    answer: Answer
    sent: list[tuple[Lane, int]]
    out: list[Callable[[], None]] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, key: str, headers: Headers, report: Any) -> None:
        message = Message(topic, value, key, headers)
        answer = self.answer(self.lane, message)
        if isinstance(answer, BaseException):
            raise answer
        self.sent.append((self.lane, message.seq))
        self.out.append(lambda: report(answer, message))

    def poll(self, timeout: float) -> int:
        done, self.out = self.out, []
        for report in done:
            report()
        return len(done)

    def flush(self, timeout: float) -> int:
        return self.poll(timeout)


class Harness:
    """A delivery on a real log."""

    def __init__(self, folder: Path) -> None:
        self.log = BufferLog(folder, writer=1, segment_bytes=1 << 20)
        self.log.open()
        self.queues = PriorityQueues(SystemClock())
        self.answer: Answer = lambda _lane, _record: None
        self.sent: list[tuple[Lane, int]] = []
        self.made: list[Lane] = []
        self.refused: list[tuple[int, str]] = []
        self.is_up = True
        self.delivery = Delivery(
            self.log,
            self.queues,
            SystemClock(),
            make_producer=self._make,
            is_up=lambda: self.is_up,
            on_refused=lambda one, why: self.refused.append((one.order()[1] + 1, why)),
            rules=DeliveryRules(Regions(("CO",)), None, DestinationBreaker()),
        )

    def _make(self, lane: Lane) -> FakeProducer:
        self.made.append(lane)
        return FakeProducer(lane, self.answer, self.sent)

    def offer(self, *numbers: int, priority: int = 3, topic: str = "made-things") -> list[Run]:
        drafts = [
            msgspec.structs.replace(draft(n, priority=priority), topic=topic) for n in numbers
        ]
        runs = self.log.append(blocks_of(drafts), [], [], accepted_at=AT).runs
        self.delivery.accept(runs)
        return runs

    def undelivered(self) -> int:
        return self.log.segments.undelivered()

    def wait_delivered(self, left: int = 0) -> None:
        wait_for(lambda: self.undelivered() == left, 20, f"all but {left} to be delivered")


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    yield made
    made.delivery.stop()
    made.log.close()


def test_records_are_released_on_their_report_only(harness: Harness) -> None:
    harness.is_up = False
    harness.delivery.start()
    harness.offer(1, 2)
    assert harness.undelivered() == 2
    harness.is_up = True
    harness.wait_delivered()
    assert harness.delivery.in_flight == 0


def test_fault_15_a_fenced_producer_is_replaced_and_its_records_go_again(harness: Harness) -> None:
    def fenced_at_first(_lane: Lane, record: Message) -> KafkaError | None:
        first = harness.made.count(Lane.BULK) == 1
        return KafkaError(KafkaError._FENCED, "fenced", True) if first else None

    harness.answer = fenced_at_first
    harness.offer(1, 2, 3)
    harness.delivery.start()
    harness.wait_delivered()
    assert harness.made.count(Lane.BULK) == 2
    assert [seq for _, seq in harness.sent[-3:]] == [1, 2, 3]


def test_fault_15_a_producer_that_refuses_to_take_after_a_fatal_error_is_replaced(
    harness: Harness,
) -> None:
    def dead_at_first(_lane: Lane, record: Message) -> BaseException | None:
        first = harness.made.count(Lane.BULK) == 1
        return KafkaException(KafkaError(KafkaError._FATAL)) if first else None

    harness.answer = dead_at_first
    harness.offer(1, 2, 3)
    harness.delivery.start()
    harness.wait_delivered()


def test_fault_11_a_message_that_timed_out_is_sent_again_and_no_dead_letter(
    harness: Harness,
) -> None:
    tries: list[int] = []

    def late_at_first(_lane: Lane, record: Message) -> KafkaError | None:
        tries.append(record.seq)
        return KafkaError(KafkaError._MSG_TIMED_OUT) if tries.count(record.seq) == 1 else None

    harness.answer = late_at_first
    harness.offer(1, 2)
    harness.delivery.start()
    harness.wait_delivered()
    assert harness.refused == []
    assert tries == [1, 2, 1, 2]


def test_fault_17_of_a_batch_that_is_refused_only_the_culprit_dies(harness: Harness) -> None:
    def refuse_batch(lane: Lane, record: Message) -> KafkaError | None:
        if lane is Lane.ALONE and record.seq != 2:
            return None
        return KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    harness.answer = refuse_batch
    harness.offer(1, 2, 3)
    harness.delivery.start()
    harness.wait_delivered(left=1)  # the culprit is released by its dead letter
    assert [seq for seq, _ in harness.refused] == [2]
    assert "MSG_SIZE_TOO_LARGE" in harness.refused[0][1]


def test_fault_16_records_of_a_missing_topic_are_parked_and_others_go(harness: Harness) -> None:
    is_back: list[bool] = []

    def unknown(_lane: Lane, record: Message) -> BaseException | None:
        missing = record.topic == "gone" and not is_back
        return KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC)) if missing else None

    harness.answer = unknown
    harness.delivery.start()
    harness.offer(1, 2, topic="gone")
    wait_for(lambda: harness.delivery.parked == 2, 20, "the records to be parked")
    harness.offer(*range(10, 1000))
    harness.wait_delivered(left=2)
    is_back.append(True)
    harness.wait_delivered()
    assert [seq for _, seq in harness.sent[-2:]] == [1, 2]


def test_a_full_local_queue_gives_back_in_order(harness: Harness) -> None:
    full = [True]

    def room_later(_lane: Lane, record: Message) -> BaseException | None:
        return BufferError() if full[0] and record.seq > 2 else None

    harness.answer = room_later
    harness.offer(1, 2, 3, 4, 5)
    harness.delivery.start()
    harness.wait_delivered(left=3)
    full[0] = False
    harness.wait_delivered()
    assert [seq for _, seq in harness.sent] == [1, 2, 3, 4, 5]


def test_critical_goes_at_once_by_its_own_producer_but_never_past_older_critical(
    harness: Harness,
) -> None:
    harness.is_up = False
    harness.offer(*range(500))
    harness.offer(1000, 1001, priority=Priority.CRITICAL)
    harness.is_up = True
    harness.delivery.start()
    harness.offer(1002, priority=Priority.CRITICAL)
    harness.wait_delivered()
    critical = [seq for lane, seq in harness.sent if lane is Lane.CRITICAL]
    assert critical == [501, 502, 503]
    harness.offer(*range(2000, 2003), priority=Priority.CRITICAL)
    assert [seq for lane, seq in harness.sent if lane is Lane.CRITICAL][3:] == [504, 505, 506]


def test_an_unreadable_record_waits_and_others_go(harness: Harness, tmp_path: Path) -> None:
    (bad,) = harness.offer(1)
    bad.block = None
    (file,) = tmp_path.glob("*.seg")
    whole = file.read_bytes()
    file.write_bytes(whole[: bad.place.offset + 20] + b"\0" + whole[bad.place.offset + 21 :])
    harness.delivery.start()
    wait_for(lambda: harness.delivery.parked == 1, 20, "the record to be parked")
    file.write_bytes(whole)
    harness.wait_delivered()


def test_parked_entries_wait_longer_each_time_and_come_back_in_log_order() -> None:
    clock = ManualClock()
    parked = Parked(clock)
    waits = []
    for _ in range(8):
        parked.add("topic", [run(2), run(1)])
        assert parked.holds("topic")
        began = clock.seconds
        while not (taken := parked.take_due()):
            clock.advance(0.5)
        waits.append(clock.seconds - began)
        assert [one.place.base for one in taken] == [1, 2]
        assert all(one.block is None for one in taken)
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    parked.freed("topic")
    parked.add("topic", [run(1)])
    clock.advance(FIRST_WAIT)
    assert len(parked.take_due()) == 1
