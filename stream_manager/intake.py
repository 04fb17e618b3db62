"""The intake: buffer, queues, delivery and applier put together; one per writer and directory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.commits import Commit, Dead
from emdata.contracts.base import Priority, utc_text
from emdata.envelope import Accepted
from emdata.errors import BufferUnavailable
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.applier import Applier
from stream_manager.buffer import BufferLog, BufferWriter, Entry, Recovery
from stream_manager.delivery import Delivery
from stream_manager.interrupted import interrupted_commit
from stream_manager.producers import Lane, RecordProducer
from stream_manager.queues import PriorityQueues

log = get_logger(__name__)

# Share of the buffer up to which a priority is admitted; CRITICAL always is.
ROOM = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 0.98}
DISK_RESERVE = 64 << 20


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """Where the buffer lies and how large it may grow, in bytes."""

    directory: Path
    writer: int
    segment_bytes: int
    max_bytes: int


class Intake:
    """Everything between acceptance and Kafka. ``open`` before ``start``."""

    def __init__(
        self,
        config: IntakeConfig,
        engine: Engine,
        clock: Clock,
        *,
        make_producer: Callable[[Lane], RecordProducer],
        is_up: Callable[[], bool],
    ) -> None:
        self.config, self._clock = config, clock
        self.log = BufferLog(
            config.directory, writer=config.writer, segment_bytes=config.segment_bytes
        )
        self.queues = PriorityQueues()
        self.applier = Applier(engine, self.log, config.directory / "unapplied")
        self.delivery = Delivery(
            self.log,
            self.queues,
            clock,
            make_producer=make_producer,
            is_up=is_up,
            on_refused=self._refused,
        )
        self.writer = BufferWriter(self.log, clock, self._durable)
        self.is_numbering_certain = self.is_log_whole = False

    def open(self) -> Recovery:
        """Recover the log and queue what it still holds.

        Raises ServiceError when another process has the buffer.
        """
        recovery = self.log.open()
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
            undelivered=len(recovery.entries),
            unapplied=len(recovery.commits) + len(recovery.deads),
            interrupted_polls=len(recovery.interrupted),
            torn_bytes=recovery.torn_bytes,
            quarantined_bytes=recovery.quarantined_bytes,
        )
        return recovery

    def _without_dead(self, recovery: Recovery) -> list[Entry]:
        """Leave out what died before the end: a record is counted as dead or landed, never both."""
        dead = {one.id for _, one in recovery.deads}
        gone = [
            entry
            for entry in recovery.entries
            if entry.record is not None and entry.record.event_id in dead
        ]
        self.log.delivered(gone)
        known = set(map(id, gone))
        return [entry for entry in recovery.entries if id(entry) not in known]

    def start(self, recovery: Recovery) -> None:
        """Start the threads and end the polls that an earlier process left open."""
        self.writer.start()
        self.applier.start()
        self.delivery.start()
        for poll_id, records in recovery.interrupted.items():
            commit = interrupted_commit(poll_id, self.config.writer, records, self._clock.now())
            self.writer.append([], commit=commit).result()

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
        self, entries: list[Entry], commits: list[Commit], deads: list[Dead], segment: int
    ) -> None:
        frames: list[Commit | Dead] = [*commits, *deads]
        if frames:
            self.applier.put(segment, frames)
        if entries:
            self.delivery.accept(entries)

    def _refused(self, entry: Entry, reason: str) -> None:
        """Move a record that Kafka will never take to the dead letters, through the log."""
        try:
            record = self.log.read(entry)
        except BufferUnavailable as error:
            log.warning("refused_record_unreadable", segment=entry.segment, error=str(error))
            self.queues.put_back([entry])
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
        self.writer.append([], deads=[dead]).add_done_callback(partial(self._buried, entry))

    def _buried(self, entry: Entry, done: Future[list[Accepted]]) -> None:
        # Released only once the dead letter itself is durable; else Kafka is asked once more.
        if done.exception() is None:
            self.log.delivered([entry])
        else:
            self.queues.put_back([entry])
