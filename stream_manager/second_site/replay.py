"""Sending what a copied buffer holds to Kafka, under the identities that its records have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message

from emdata.envelope import Regions, kafka_headers, kafka_value
from emdata.errors import EmdataError
from emdata.transport.kafka import KafkaAddress, servers_of
from stream_manager.buffer.blocks import Block
from stream_manager.buffer.inspect import BlockAt, SegmentFiles, SegmentReport, segment_files
from stream_manager.delivery.producers import KafkaProducer, Lane, broker_answers, error_of
from stream_manager.state.resend import KafkaUnavailable

SEND_SECONDS = 60.0


class ReplayRefused(EmdataError):
    """Records that must not be sent into this platform."""

    code = "replay_refused"


@dataclass(frozen=True, slots=True)
class Into:
    """The platform that a replay goes into. own_writers: numbers that its own managers use."""

    kafka: KafkaAddress
    is_simulated: bool
    own_writers: frozenset[int]
    states: Sequence[str]


class Replay:
    """Sends records of segments; may be repeated, because the tables are keyed by identity.

    everything: also what Kafka of the first site had confirmed, for a site that has nothing.
    """

    def __init__(self, into: Into, *, everything: bool = False) -> None:
        self._into, self._everything = into, everything
        self._regions = Regions(into.states)
        self._refused: Counter[str] = Counter()
        self._delivered = self._skipped = self._damaged = 0

    def run(self, directories: Sequence[Path]) -> dict[str, int]:
        """Send the segments of directories in order; returns counts.

        delivered, dead (died at the first site and stays so), damaged (stretches that could not be
        read), refused. Raises ReplayRefused before anything is sent when records are simulated and
        the platform is not, or the other way round, or a writer's number is taken here;
        KafkaUnavailable when not everything was confirmed.
        """
        files = [SegmentFiles(segment_files(directory)) for directory in directories]
        dead: dict[tuple[int, str], set[int]] = {}
        for one in files:
            for report, blocks in one:
                self._check(report, blocks)
                for letter in report.deads:
                    if letter.dataset is not None and letter.seq is not None:
                        key = (report.writer or 0, letter.dataset)
                        dead.setdefault(key, set()).add(letter.seq)
        if not broker_answers(self._into.kafka):
            raise KafkaUnavailable(f"no broker answers at {servers_of(self._into.kafka)}")
        extra = {"message.timeout.ms": int(SEND_SECONDS * 1000)}
        producer = KafkaProducer(self._into.kafka, Lane.BULK, extra=extra)
        for one in files:
            for report, blocks in one:
                self._damaged += len(report.damage)
                for block in blocks:
                    self._send(producer, block, dead)
        left = producer.flush(SEND_SECONDS)
        if left or self._refused:
            said = ", ".join(f"{name} {count}" for name, count in self._refused.items())
            raise KafkaUnavailable(
                f"{self._delivered} records confirmed, {left} not, refused: {said or 'none'}; "
                "the same replay may be run again"
            )
        return {
            "delivered": self._delivered,
            "dead": self._skipped,
            "damaged": self._damaged,
        }

    def _check(self, report: SegmentReport, blocks: Sequence[BlockAt]) -> None:
        if report.writer in self._into.own_writers:
            raise ReplayRefused(
                f"{report.path}: writer {report.writer} is a writer of this platform too, and one "
                "number would name two records; give this platform another EMDATA_WRITER, or say "
                "--own when these are its own records"
            )
        for one in blocks:
            if one.block.head.is_simulated != self._into.is_simulated:
                kind = "simulated" if one.block.head.is_simulated else "real"
                raise ReplayRefused(
                    f"{report.path}: holds {kind} records of {one.block.head.dataset}; simulated "
                    "and real data never mix"
                )

    def _send(
        self, producer: KafkaProducer, at: BlockAt, dead: dict[tuple[int, str], set[int]]
    ) -> None:
        block = at.block
        gone = dead.get((block.writer, block.head.dataset), set())
        for position in range(len(block)) if self._everything else at.undelivered:
            seq = block.head.first_seq + position
            if seq in gone:
                self._skipped += 1
                continue
            record = block.record(position)
            value, headers = kafka_value(record), kafka_headers(record, self._regions)
            self._produce(producer, block, value, record.kafka_key, headers)

    def _produce(
        self,
        producer: KafkaProducer,
        block: Block,
        value: bytes,
        key: str,
        headers: list[tuple[str, bytes]],
    ) -> None:
        report = partial(self._report, block.head.topic)
        while True:
            try:
                producer.produce(block.head.topic, value, key, headers, report)
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                self._refused[f"{block.head.topic}: {error_of(error).name()}"] += 1
                return
            else:
                producer.poll(0)
                return

    def _report(self, topic: str, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._delivered += 1
        else:
            self._refused[f"{topic}: {error.name()}"] += 1
