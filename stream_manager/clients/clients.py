"""Buffers of clients: programs that write to Kafka themselves while their manager is away.

A client's buffer lies beside the managers', under its own number as a writer, and is a log like
theirs. A file ``unfinished`` beside it says that the log may hold what Kafka or PostgreSQL lacks.
Whoever finds that file and a free lock finishes the work: the next client, or the manager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.transport.kafka import KafkaAddress
from stream_manager.availability.fence import BufferInUse, Claim, claim
from stream_manager.clients.client import client_buffers
from stream_manager.delivery.producers import KafkaProducer, broker_answers
from stream_manager.intake import Intake, IntakeConfig

HEADERS = [("emdata_degraded", b"true")]
SEGMENT_BYTES, MAX_BYTES = 16 << 20, 256 << 20
UNFINISHED = "unfinished"


@dataclass
class ClientLog:
    """A client's buffer, held by this process."""

    base: Path
    claim: Claim
    intake: Intake

    @property
    def writer(self) -> int:
        """The client's number."""
        return self.intake.config.writer

    def open(self) -> None:
        """Recover the log and start to deliver; from now on it counts as unfinished."""
        (self.base / UNFINISHED).touch()
        self.intake.start(self.intake.open())

    def is_done(self) -> bool:
        """Whether Kafka and PostgreSQL have everything in it."""
        return self.intake.log.segments.undelivered() == 0 and self.intake.applier.depth() == 0

    def close(self) -> None:
        """Stop within about ten seconds; what is left is for whoever opens it next."""
        self.intake.stop()
        if self.is_done():
            (self.base / UNFINISHED).unlink(missing_ok=True)
        self.claim.close()


def hold_client_log(base: Path, engine: Engine, kafka: KafkaAddress, clock: Clock) -> ClientLog:
    """Take a client's buffer without opening it. Raises BufferInUse, OSError."""
    held = claim(base)
    intake = Intake(
        IntakeConfig(
            directory=held.directory,
            writer=int(base.name),
            segment_bytes=SEGMENT_BYTES,
            max_bytes=MAX_BYTES,
        ),
        engine,
        clock,
        make_producer=partial(KafkaProducer, kafka, headers=HEADERS),
        is_up=partial(broker_answers, kafka),
        fence=held.check,
    )
    return ClientLog(base, held, intake)


def first_free(buffers: Path, hold: Callable[[Path], ClientLog]) -> ClientLog | None:
    """Take the first client's buffer that nobody has; None when there is none."""
    for base in client_buffers(buffers):
        try:
            return hold(base)
        except BufferInUse:
            continue
    return None
