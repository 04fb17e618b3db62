"""The manager's way to Kafka in one thread: a seed decides what happens next, and what breaks.

Real are the log, its recovery, the group commit, queues, delivery, sender, parking, breaker and the
intake around them. Stand-ins are disk, broker, PostgreSQL and clock. The same seed plays the same
history.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from confluent_kafka import KafkaError
from sqlalchemy import Engine

from emdata.clock import ManualClock
from emdata.commits import Dead
from emdata.envelope import Accepted
from emdata.errors import BufferUnavailable
from stream_manager.buffer import Run
from stream_manager.buffer import log as log_module
from stream_manager.control.breaker import Breaker, DestinationBreaker
from stream_manager.delivery import delivery as delivery_module
from stream_manager.delivery.producers import Lane
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.polls.interrupted import interrupted_commit
from stream_manager.state.applier import LogFrame
from tests.stream_manager.making import commit, draft
from tests.stream_manager.simulation.broker import POISON, Broken, Broker
from tests.stream_manager.simulation.disk import Crashed, FaultyDisk
from tests.stream_manager.simulation.ledger import Ledger, number_of

TOPICS = ("made-things", "other-things")
WEIGHTS = (6, 3, 2, 1)
SETTLING_STEPS = 3000


class Pauses:
    """Stands in for the delivery's stop event: a wait moves the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def wait(self, timeout: float) -> bool:
        self._clock.advance(timeout)
        return False


class Postgres:
    """Stands in for the applier: frames in order, each idempotent by its id; a table survives."""

    def __init__(self, world: World, intake: Intake) -> None:
        self._world, self._intake = world, intake
        self._waiting: list[tuple[int, LogFrame]] = []

    def put(self, segment: int, frames: list[LogFrame]) -> None:
        self._waiting += [(segment, frame) for frame in frames]

    def depth(self) -> int:
        return len(self._waiting)

    def step(self) -> None:
        if not self._waiting:
            return
        segment, frame = self._waiting[0]
        ledger = self._world.ledger
        if not isinstance(frame, Dead):
            ledger.commits.add(frame.poll_id)
            poll_id: str | None = frame.poll_id
        else:
            assert frame.seq is not None
            assert frame.payload is not None
            ledger.dead[frame.seq] = number_of(frame.payload)
            poll_id = None
        self._intake.log.applied(segment, poll_id=poll_id)
        self._waiting.pop(0)


class World:
    """One seed's history. ``play`` raises Broken when something does not hold."""

    def __init__(self, folder: Path, seed: int, *, is_lying_disk: bool = False) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.clock, self.ledger = ManualClock(), Ledger()
        self.disk = FaultyDisk(random.Random(seed + 1), is_lying=is_lying_disk)
        self.broker = Broker(self.dice, set(TOPICS))
        self.trace: list[str] = []
        self.lives = 0
        self._is_alone = False
        self._n = self._polls = 0
        self._offers: list[tuple[Future[list[Accepted]], str | None]] = []
        self._open()

    def play(self, steps: int = 150) -> list[str]:
        """Live, heal, and check; returns what happened."""
        self.broker.meanwhile = self._meanwhile
        for _ in range(steps):
            action = self.dice.choices(self._actions, self._weights)[0]
            self._attempt(action)
        self.broker.meanwhile = lambda: None
        self._settle()
        self.ledger.check(self.broker.stored)
        self._check_shares()
        self._settle()
        self.ledger.check(self.broker.stored)
        self.trace += [f"{one.topic} {one.key} {one.seq}" for one in self.broker.stored]
        return self.trace

    # -- the process

    def _open(self) -> None:
        """Start a process on what lies on the disk; it may crash while it starts."""
        while True:
            self.lives += 1
            self.intake = self._new_intake()
            try:
                recovery = self.intake.open()
                for poll_id, blocks in recovery.interrupted.items():
                    ended = interrupted_commit(poll_id, 1, blocks, self.clock.now())
                    self.intake.writer.append_blocks([], commit=ended)
                    self.intake.writer.step()
                self._note(f"life {self.lives}: {sum(map(len, recovery.runs))} waiting")
                return
            except Crashed:
                self._die()
            except BufferUnavailable:
                self.intake.log.close()  # the supervisor starts it again
                self.disk.errors = []

    def _new_intake(self) -> Intake:
        config = IntakeConfig(self.folder, 1, 1500, 1 << 40, disk=self.disk)
        intake = Intake(
            config,
            cast(Engine, None),
            self.clock,
            make_producer=self.broker.open,
            is_up=lambda: self.broker.is_listening,
            breaker=DestinationBreaker(Breaker(jitter=lambda: self.dice.uniform(0.8, 1.2))),
        )
        self.postgres = Postgres(self, intake)
        replaced = cast(Any, intake)
        replaced.applier = self.postgres
        replaced.delivery._stop = Pauses(self.clock)
        replaced.queues.wait = lambda *_arguments: None
        release = intake.log.delivered

        def delivered(runs: list[Run]) -> None:
            release(runs)
            for run in runs:
                self.broker.released |= {run.head.first_seq + at for at in run.positions}

        replaced.log.delivered = delivered
        return intake

    def _die(self, *, has_power: bool | None = None) -> None:
        self._harvest()
        self._offers = []
        self.intake.log.close()
        self.broker.process_died()
        if has_power is None:
            has_power = self.dice.random() < 0.5
        if has_power:
            self.disk.restarted()
        else:
            self.disk.power_loss(self.folder)
            self.broker.released.clear()
            self.clock.seconds = self.dice.uniform(0, 100)
        self._note(f"died, power {'stayed' if has_power else 'lost'}")

    def _attempt(self, action: Callable[[World], None]) -> None:
        self._note(action.__name__)
        try:
            action(self)
        except Crashed:
            self._is_alone = False
            self._die()
            self._open()
        self._harvest()

    def _harvest(self) -> None:
        """Note what was answered; an answer once given counts, whatever comes after."""
        left = []
        for future, poll_id in self._offers:
            if not future.done():
                left.append((future, poll_id))
            elif future.exception() is None:
                self.ledger.took(future.result())
                if poll_id is not None:
                    self.ledger.ended.add(poll_id)
            elif not isinstance(future.exception(), BufferUnavailable):
                raise Broken(f"an append failed with {future.exception()!r}")
        self._offers = left

    def _note(self, text: str) -> None:
        self.trace.append(f"{self.clock.seconds:.3f} {text}")

    # -- what may happen

    def _offer(self) -> None:
        self._append(self.dice.randint(1, 12), lambda: self.dice.randrange(4))

    def _append(self, count: int, priority: Callable[[], int]) -> None:
        if self._polls == 0 or self.dice.random() < 0.4:
            self._polls += 1
        poll_id, drafts = f"p{self._polls}", []
        for _ in range(count):
            self._n += 1
            level, key = priority(), f"k{self.dice.randrange(4)}"
            if self.dice.random() < 0.02:
                key = POISON
            made = draft(self._n, priority=level, size=self.dice.randrange(60), poll_id=poll_id)
            topic = TOPICS[self.dice.random() < 0.2]
            drafts.append(msgspec.structs.replace(made, topic=topic, kafka_key=key))
            self.ledger.tried.add(self._n)
        ends = self.dice.random() < 0.5
        ended = commit(poll_id, accepted=count) if ends else None
        if ends:
            self._polls += 1
        future = self.intake.writer.append(drafts, commit=ended)
        self._offers.append((future, poll_id if ends else None))

    def _write(self) -> None:
        if not self.intake.writer._waiting.empty():
            self.intake.writer.step()

    def _deliver(self) -> None:
        # Messages are given up after a day, not one by one while reports on others are served: then
        # a newer one could overtake, as the documentation says.
        self._is_alone = any(producer.times_out for producer in self.broker.producers)
        self.intake.delivery.step()
        self._is_alone = False

    def _meanwhile(self) -> None:
        """What the writer's thread does while the delivery's is at its producer."""
        if self.dice.random() < 0.15 and not self._is_alone:
            self._offer()
            self._write()

    def _pump(self) -> None:
        self.broker.pump(self.dice.choice((1, 5, 100)))

    def _apply(self) -> None:
        self.postgres.step()

    def _time_passes(self) -> None:
        self.clock.advance(self.dice.choice((0.1, 1.0, 5.0, 30.0, 400.0)))

    def _clock_jumps(self) -> None:
        self.clock.jump_wall(self.dice.choice((-3600, 86_400, 1, -1)))

    def _network(self) -> None:
        """Up, hanging (half open), or gone."""
        self.broker.is_listening, self.broker.is_storing = self.dice.choice(
            ((True, True), (True, True), (True, False), (False, False))
        )

    def _fence(self) -> None:
        for producer in self.broker.producers:
            producer.give_up(KafkaError(KafkaError._FENCED, "fenced", True))
            producer.is_fenced = True

    def _time_out(self) -> None:
        for producer in self.broker.producers:
            producer.times_out = True

    def _topic(self) -> None:
        topic = TOPICS[1]
        if topic in self.broker.topics:
            self.broker.delete(topic)
        elif not self.broker.has_failed(topic):
            self.broker.topics.add(topic)

    def _disk_fails(self) -> None:
        self.disk.errors = [self.dice.choice((errno.EIO, errno.ENOSPC))] * self.dice.randint(1, 3)

    def _disk_mends(self) -> None:
        self.disk.errors = []

    def _crash_soon(self) -> None:
        self.disk.crash_at = self.disk.calls + self.dice.randint(1, 12)
        self.disk.torn_share = self.dice.random()

    def _crash_now(self) -> None:
        raise Crashed

    _schedule: tuple[tuple[Callable[[World], None], int], ...] = (
        (_offer, 20),
        (_write, 25),
        (_deliver, 30),
        (_pump, 25),
        (_apply, 15),
        (_time_passes, 6),
        (_clock_jumps, 2),
        (_network, 5),
        (_fence, 1),
        (_time_out, 1),
        (_topic, 2),
        (_disk_fails, 2),
        (_disk_mends, 2),
        (_crash_soon, 3),
        (_crash_now, 1),
    )
    _actions = tuple(action for action, _ in _schedule)
    _weights = tuple(weight for _, weight in _schedule)

    # -- the end

    def _settle(self) -> None:
        """Mend everything; then all must arrive by itself."""
        self.disk.errors, self.disk.crash_at = [], 0
        self.broker.is_listening = self.broker.is_storing = True
        for _ in range(SETTLING_STEPS):
            self.broker.topics |= {topic for topic in TOPICS if not self.broker.has_failed(topic)}
            for action in (World._write, World._deliver, World._apply):
                action(self)
            self.broker.catch_up()
            self._harvest()
            if self._is_settled():
                return
            self.clock.advance(0.5)
        raise Broken(
            f"everything works and still {self.intake.log.segments.undelivered()} records wait, "
            f"{self.intake.delivery.parked} of them parked; {self.postgres.depth()} frames, "
            f"{len(self._offers)} appends"
        )

    def _is_settled(self) -> bool:
        waiting = self.intake.log.segments.undelivered() + self.postgres.depth()
        return waiting == 0 and not self._offers

    def _check_shares(self) -> None:
        """All four lanes saturated after an outage: records go 6/3/2/1."""
        self._die(has_power=True)
        self._open()
        first, rounds = len(self.broker.handed), 12
        for priority, weight in enumerate(WEIGHTS):
            for _ in range(rounds):
                self._append(weight * 5, lambda level=priority: level)
        while not self.intake.writer._waiting.empty():
            self.intake.writer.step()
        self._harvest()
        lanes = self._priorities()
        while len(self.broker.handed) - first < rounds * 60 // 2:
            self.intake.delivery.step()
            self.broker.catch_up()
        handed = [lanes[seq] for lane, seq in self.broker.handed[first:] if lane is not Lane.ALONE]
        half = handed[: rounds * 60 // 2]
        for priority, weight in enumerate(WEIGHTS):
            share = half.count(priority) / len(half)
            if abs(share - weight / 12) > 0.02:
                raise Broken(f"priority {priority} got {share:.3f} of a saturated backlog")

    def _priorities(self) -> dict[int, int]:
        """The priority of each number that waits in the queues."""
        found = {}
        for priority, lane in self.intake.queues._lanes.items():
            for queue in lane._tenants.values():
                for run in queue:
                    found |= {run.head.first_seq + at: int(priority) for at in run.positions}
        return found


def play(folder: Path, seed: int, **options: Any) -> list[str]:
    """Play a seed from its beginning, and return its trace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery_module, "GROUP", 60)  # small, so that weights show
        world = World(folder, seed, **options)
        patch.setattr(log_module, "append_acks", world.disk.append_acks)
        return world.play()
