"""The stream of notices: it goes on where its last COMMIT ended, whatever happened meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.commits import Commit
from emdata.contracts.derived import EscalationNotice
from stream_manager.derived.grid import KM_PER_DEGREE
from stream_manager.derived.notices import EscalationNotices
from stream_manager.derived.places import Place, Places
from stream_manager.derived.rule import Rule
from stream_manager.derived.topic import Offsets
from stream_manager.polls.seen import SeenIndex
from stream_manager.state.resend import KafkaUnavailable
from tests.stream_manager.test_manager import World

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TOWN = Place(1, "Paradise", "CA", 39.76, -121.62, 26_000)


class Message:
    """What Kafka gives back."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def value(self) -> bytes:
        return self._value


class Topic:
    """A topic of one partition in memory; ``sent`` are instants and values."""

    topic = "wildfire-nasa-firms"

    def __init__(self) -> None:
        self.sent: list[tuple[datetime, bytes]] = []
        self.is_away = False
        self.exists = True
        self.reads: list[tuple[int, int]] = []

    def fire(self, number: int, *, hours: float = 1.0, **fields: Any) -> None:
        at = NOW - timedelta(hours=hours)
        value = {
            "writer": 1,
            "seq": number,
            "record_key": f"k{number}",
            "acquired_at": at.replace(tzinfo=None).isoformat(timespec="microseconds"),
            "latitude": 39.76 + number * 0.1 / KM_PER_DEGREE,
            "longitude": -121.62,
            "frp_mw": None,
            **fields,
        }
        self.sent.append((at, json.dumps(value).encode()))

    def ends(self) -> Offsets:
        if self.is_away:
            raise KafkaUnavailable("away")
        return {0: len(self.sent)} if self.exists else {}

    def since(self, at: datetime, ends: Offsets) -> Offsets:
        first = next((n for n, (sent, _) in enumerate(self.sent) if sent >= at), len(self.sent))
        return dict.fromkeys(ends, first)

    def read(self, start: Offsets, end: Offsets) -> Iterator[Message]:
        for number in end:
            self.reads.append((start.get(number, 0), end[number]))
            yield from (
                Message(value) for _, value in self.sent[start.get(number, 0) : end[number]]
            )


class Notices:
    """Polls of the stream on a real buffer; ``restart`` is another process with the same state."""

    def __init__(self, world: World) -> None:
        self.world, self.topic = world, Topic()
        self.clock = ManualClock(NOW)
        self.rule = Rule()
        self.cursor: dict[str, Any] = {}
        self.seen = SeenIndex()
        self.restart()

    def restart(self) -> None:
        places = Places([TOWN])
        self.stream = EscalationNotices(self.rule, places, self.topic, self.clock)  # type: ignore[arg-type]

    async def poll(self) -> Commit:
        session = self.world.manager.new_session(
            self.stream.name, "derived", cursor=self.cursor, batch_size=100, seen=self.seen
        )
        await self.stream.run_poll(session, {})
        assert session.commit is not None
        if session.commit.cursor is not None:
            self.cursor = json.loads(json.dumps(session.commit.cursor))
        return session.commit


@pytest.fixture
async def notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notices]:
    world = World(tmp_path, monkeypatch)
    await world.manager.be_certain_of_numbers()
    yield Notices(world)
    await world.manager.stop()
    await asyncio.to_thread(world.intake.stop)


def accepted(commit: Commit) -> int:
    counts = commit.datasets.get(EscalationNotice.dataset.name)
    return 0 if counts is None else counts.accepted


async def test_the_third_fire_makes_a_notice_and_the_ledger_counts_every_detection(
    notices: Notices,
) -> None:
    for number in range(5):
        notices.topic.fire(number)
    commit = await notices.poll()
    assert (commit.rows, commit.rows_parsed, commit.rows_ignored) == (5, 1, 4)
    assert accepted(commit) == 1
    assert (await notices.poll()).outcome == "not_modified"


async def test_a_process_that_starts_again_makes_only_what_is_due_by_then(
    notices: Notices,
) -> None:
    notices.topic.fire(0)
    notices.topic.fire(1)
    assert accepted(await notices.poll()) == 0
    notices.restart()
    notices.topic.fire(2)
    assert accepted(await notices.poll()) == 1
    notices.restart()
    notices.topic.fire(3)
    notices.topic.fire(4)
    assert accepted(await notices.poll()) == 0
    notices.restart()
    notices.topic.fire(5)
    commit = await notices.poll()
    assert accepted(commit) == 1
    assert commit.rows == 1, "what was read before is not a row of this poll"


async def test_a_poll_that_was_not_committed_is_done_again_with_the_same_notice(
    notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        notices.topic.fire(number)
    with monkeypatch.context() as full:
        full.setattr(notices.world.intake, "admits", lambda *_: False)
        refused = await notices.poll()
    assert refused.cursor is None
    assert refused.datasets[EscalationNotice.dataset.name].deferred == 1
    assert accepted(await notices.poll()) == 1
    notices.cursor = {}
    notices.restart()
    again = await notices.poll()
    assert again.datasets[EscalationNotice.dataset.name].unchanged == 1, "the same id and content"


async def test_without_kafka_the_poll_fails_and_the_next_one_has_everything(
    notices: Notices,
) -> None:
    notices.topic.fire(0)
    await notices.poll()
    notices.topic.is_away = True
    failed = await notices.poll()
    assert (failed.outcome, failed.error_class) == ("failed", "kafka_unavailable")
    notices.topic.is_away = False
    notices.topic.fire(1)
    notices.topic.fire(2)
    assert accepted(await notices.poll()) == 1


async def test_what_is_older_than_the_window_or_no_vegetation_fire_counts_for_nothing(
    notices: Notices,
) -> None:
    notices.topic.fire(0, hours=30)
    notices.topic.fire(1, detection_type=1)
    notices.topic.sent.append((NOW, b"not ours"))
    notices.topic.fire(2)
    notices.topic.fire(3)
    commit = await notices.poll()
    assert (commit.rows, accepted(commit)) == (4, 0), "the oldest is not even read"


async def test_another_rule_starts_its_clusters_anew_and_reads_nothing_twice(
    notices: Notices,
) -> None:
    for number in range(3):
        notices.topic.fire(number)
    assert accepted(await notices.poll()) == 1
    notices.rule = Rule(min_detections=4)
    notices.restart()
    notices.topic.fire(3)
    commit = await notices.poll()
    assert (commit.rows, accepted(commit)) == (1, 1)


async def test_no_topic_is_no_error_and_a_topic_made_anew_is_read_from_its_start(
    notices: Notices,
) -> None:
    notices.topic.exists = False
    assert (await notices.poll()).outcome == "ok"
    notices.topic.exists = True
    for number in range(5):
        notices.topic.fire(number)
    assert accepted(await notices.poll()) == 1
    notices.topic.sent = []
    for number in range(10, 13):
        notices.topic.fire(number, latitude=39.70 + number * 0.001)
    commit = await notices.poll()
    assert (commit.rows, accepted(commit)) == (3, 1)
