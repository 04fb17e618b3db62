"""Which producer opens for which lane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emdata.transport.kafka import KafkaAddress, security_of, servers_of
from stream_manager.delivery.producers import KafkaProducer, Lane
from stream_manager.delivery.sender_process import SenderProcess
from stream_manager.delivery.sender_wire import Setup
from stream_manager.delivery.sending import LaneProducer


class Lanes:
    """CRITICAL and suspects are sent by this process, the bulk by one of its own.

    states: as ``Regions`` takes them. extra: more settings of every producer.
    """

    def __init__(
        self,
        kafka: KafkaAddress,
        directory: Path,
        writer: int,
        states: tuple[str, ...] = ("ALL",),
        *,
        extra: dict[str, Any] | None = None,
        level: str = "INFO",
    ) -> None:
        self._servers = servers_of(kafka)
        self._extra = {**security_of(kafka), **(extra or {})}
        self._setup = Setup(self._servers, self._extra, str(directory), writer, states, level)
        self._ready: SenderProcess | None = None

    def prepare(self) -> None:
        """Start the process ahead, while the log is still being read."""
        self._ready = SenderProcess(self._setup)

    def __call__(self, lane: Lane) -> LaneProducer:
        """Open a lane. Raises OSError when the process cannot be started."""
        if lane is not Lane.BULK:
            return KafkaProducer(self._servers, lane, extra=self._extra)
        ready, self._ready = self._ready, None
        return ready or SenderProcess(self._setup)

    def close(self) -> None:
        """End a process that was prepared and never used."""
        if self._ready is not None:
            self._ready.close()
            self._ready = None
