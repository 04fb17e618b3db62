"""The intake: buffer, queues, delivery and applier put together; one per writer and directory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.commits import Commit, Dead
from emdata.contracts.base import Priority
from emdata.contracts.identity import utc_text
from emdata.envelope import Regions
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.buffer import Block, BufferLog, BufferWriter, Recovery, Run
from stream_manager.buffer.disk import Disk
from stream_manager.control.breaker import DestinationBreaker
from stream_manager.control.critical import NearestKm
from stream_manager.delivery.delivery import Delivery, DeliveryRules
from stream_manager.delivery.producers import Lane
from stream_manager.delivery.queues import PriorityQueues
from stream_manager.delivery.sending import LaneProducer
from stream_manager.polls.interrupted import interrupted_commit
from stream_manager.state.applier import Applier

log = get_logger(__name__)

# Share of the buffer up to which a priority is admitted; CRITICAL always is.
ROOM = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 0.98}
DISK_RESERVE = 64 << 20
OLDEST = 3600.0  # seconds; what waited longer is as urgent as it will ever be


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """Where the buffer lies and how large it may grow, in bytes; states: whose records are ours.

    disk: the system calls of the buffer, where they are not the operating system's own.
    queue_bytes: how much of what waits is kept in memory as well; 0 where a process of its own
    reads the log.
    """

    directory: Path
    writer: int
    segment_bytes: int
    max_bytes: int
    states: tuple[str, ...] = ("ALL",)
    disk: Disk | None = None
    queue_bytes: int = 64 << 20


class Intake:
    """Everything between acceptance and Kafka. ``open`` before ``start``."""

    def __init__(
        self,
        config: IntakeConfig,
        engine: Engine,
        clock: Clock,
        *,
        make_producer: Callable[[Lane], LaneProducer],
        is_up: Callable[[], bool],
        fence: Callable[[], None] | None = None,
        nearest_km: NearestKm | None = None,
        breaker: DestinationBreaker | None = None,
    ) -> None:
        self.config, self._clock = config, clock
        self.log = BufferLog(
            config.directory,
            writer=config.writer,
            segment_bytes=config.segment_bytes,
            memory_bytes=config.queue_bytes,
            disk=config.disk,
            fence=fence,
        )
        self.queues = PriorityQueues(clock, config.queue_bytes)
        self.applier = Applier(engine, self.log, config.directory / "unapplied")
        self.delivery = Delivery(
            self.log,
            self.queues,
            clock,
            make_producer=make_producer,
            is_up=is_up,
            on_refused=self._refused,
            rules=DeliveryRules(
                Regions(config.states), nearest_km, breaker or DestinationBreaker()
            ),
        )
        self.writer = BufferWriter(self.log, clock, self._durable)
        self.is_numbering_certain = self.is_log_whole = False

    def open(self) -> Recovery:
        """Recover the log and queue what it still holds.

        Raises ServiceError when another process has the buffer.
        """
        recovery = self.log.open(self._monotonic_of)
        metrics.QUARANTINED.inc(recovery.quarantined_bytes)
        metrics.TORN.inc(recovery.torn_bytes)
        damaged = recovery.torn_bytes + recovery.quarantined_bytes
        self.is_log_whole = self.log.epoch > 1 and damaged == 0
        for segment, commit in recovery.commits:
            self.applier.put(segment, [commit])
        for segment, dead in recovery.deads:
            self.applier.put(segment, [dead])
        self.queues.put(self._without_dead(recovery))
        log.info(
            "buffer_opened",
            epoch=self.log.epoch,
            undelivered=sum(map(len, recovery.runs)),
            unapplied=len(recovery.commits) + len(recovery.deads),
            interrupted_polls=len(recovery.interrupted),
            torn_bytes=recovery.torn_bytes,
            quarantined_bytes=recovery.quarantined_bytes,
        )
        return recovery

    def _monotonic_of(self, accepted_at: str) -> float:
        """The monotonic second of an acceptance by an earlier process; its age is what counts.

        The wall clock may have jumped since, so an age is never negative nor beyond an hour.
        """
        accepted = datetime.fromisoformat(accepted_at).replace(tzinfo=UTC)
        age = (self._clock.now() - accepted).total_seconds()
        return self._clock.monotonic() - min(max(age, 0.0), OLDEST)

    def _without_dead(self, recovery: Recovery) -> list[Run]:
        """Leave out what died before the end: a record is counted as dead or landed, never both."""
        dead: dict[str, set[int]] = {}
        for _, one in recovery.deads:
            if one.dataset is not None and one.seq is not None:
                dead.setdefault(one.dataset, set()).add(one.seq)
        if not dead:
            return recovery.runs
        left, gone = [], []
        for run in recovery.runs:
            seqs, first = dead.get(run.head.dataset, set()), run.head.first_seq
            died = [position for position in run.positions if first + position in seqs]
            if died:
                gone.append(run.only(died))
                run.positions = [one for one in run.positions if first + one not in seqs]
            if len(run):
                left.append(run)
        self.log.delivered(gone)
        return left

    def start(self, recovery: Recovery) -> None:
        """Start the threads and end the polls that an earlier process left open."""
        self.writer.start()
        self.applier.start()
        self.delivery.start()
        for poll_id, blocks in recovery.interrupted.items():
            commit = interrupted_commit(poll_id, self.config.writer, blocks, self._clock.now())
            self.writer.append_blocks([], commit=commit).result()

    def stop(self) -> None:
        """Stop within about ten seconds; what Kafka did not confirm stays in the buffer."""
        self.writer.stop()
        self.delivery.stop()
        self.applier.stop()
        self.log.close()

    def admits(self, priority: Priority) -> bool:
        """Whether the buffer has room for a new record of a priority."""
        if priority is Priority.CRITICAL:
            return True
        if self.log.size_bytes() >= ROOM[priority] * self.config.max_bytes:
            return False
        return self.log.free_bytes() > DISK_RESERVE

    def is_ready(self) -> bool:
        """Whether new records can be acknowledged."""
        return not self.writer.failed

    def export_metrics(self) -> None:
        """Set the gauges."""
        for priority, depth in self.queues.depths().items():
            metrics.QUEUE_DEPTH.labels(priority).set(depth)
        metrics.PARKED.set(self.delivery.parked)
        metrics.IN_FLIGHT.set(self.delivery.in_flight)
        metrics.BUFFER_BYTES.set(self.log.size_bytes())
        metrics.BUFFER_SEGMENTS.set(self.log.segment_count())
        metrics.BUFFER_FAILED.set(int(self.writer.failed))
        metrics.UNAPPLIED.set(self.applier.depth())

    def _durable(
        self, runs: list[Run], commits: list[Commit], deads: list[Dead], segment: int
    ) -> None:
        frames: list[Commit | Dead] = [*commits, *deads]
        if frames:
            self.applier.put(segment, frames)
        if runs:
            self.delivery.accept(runs)

    def _refused(self, run: Run, reason: str) -> None:
        """Move a record that Kafka will never take to the dead letters, through the log."""
        try:
            record = self.log.load(run).record(run.positions[0])
        except BufferUnavailable as error:
            log.warning("refused_record_unreadable", segment=run.place.segment, error=str(error))
            self.queues.put_back([run])
            return
        dead = Dead(
            f"{record.writer}-{record.dataset}-{record.seq}",
            record.stream,
            record.dataset,
            record.seq,
            record.poll_id,
            "kafka_refused",
            reason,
            record.payload,
            1,
            utc_text(self._clock.now()),
        )
        log.error("record_refused_by_kafka", id=dead.id, reason=reason)
        self.writer.append_blocks([], deads=[dead]).add_done_callback(partial(self._buried, run))

    def _buried(self, run: Run, done: Future[list[Block]]) -> None:
        # Released only once the dead letter itself is durable; else Kafka is asked once more.
        if done.exception() is None:
            self.log.delivered([run])
        else:
            self.queues.put_back([run])
