"""What the stream manager asks of a connector, and how a stream is configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from emdata.contracts.base import Record
from emdata.errors import SettingError
from stream_manager.polls.prepared import Keys
from stream_manager.polls.session import PollSession
from stream_manager.push.door import PushDoor


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How a stream runs: seconds between polls, and records a batch; chosen at its start.

    batch_size None chooses by interval: 1,000 above an hour (batch), 500 from 30 s (real time),
    100 below (continuous). is_push: continuous whatever the interval, which then says how often
    a silent sender is recorded as connected. keys: what is done with the content of each
    key; a stream whose records are all new may forget it.
    """

    every_seconds: float
    batch_size: int | None = None
    is_push: bool = False
    keys: Keys = Keys.COMPARED

    @property
    def mode(self) -> str:
        """Return batch, real_time or continuous, by polling interval."""
        if self.is_push:
            return "continuous"
        if self.every_seconds > 3600:
            return "batch"
        return "real_time" if self.every_seconds >= 30 else "continuous"

    @property
    def records_a_batch(self) -> int:
        """Return how many records are appended to the buffer at once."""
        sizes = {"batch": 1000, "real_time": 500, "continuous": 100}
        return self.batch_size or sizes[self.mode]


@dataclass(frozen=True, slots=True)
class PollReport:
    """What a poll tells of its source, for the breaker.

    answers_s: how long each answer took, in seconds, without waiting for our own limits.
    retry_after_s: how long the source wants to be left alone.
    """

    answers_s: tuple[float, ...] = ()
    retry_after_s: float | None = None


class Streamed(Protocol):
    """What a polled and a pushed stream have in common."""

    @property
    def name(self) -> str:
        """The stream's name, unique in a platform."""
        ...

    @property
    def source(self) -> str:
        """The upstream's short name."""
        ...

    @property
    def emits(self) -> Sequence[type[Record]]:
        """The contracts it delivers."""
        ...


class Connector(Streamed, Protocol):
    """One stream of records into the manager; fails alone."""

    async def run_poll(self, session: PollSession, arguments: dict[str, Any]) -> PollReport | None:
        """Do one poll: report every row to the session, then finish it.

        Returns what is known of the source's answers. ``arguments`` is empty, or a backfill's
        ``since`` and ``until``. Errors of the source end in ``session.finish``; only bugs and
        cancellation are raised.
        """
        ...


@runtime_checkable
class PushConnector(Streamed, Protocol):
    """A stream whose source sends by itself; fails alone."""

    async def run_push(self, door: PushDoor) -> None:
        """Connect and hand over what arrives until cancelled; reconnect by itself.

        A message is acknowledged to its sender only after ``door.take`` returned.
        """
        ...


Streams = list[tuple[Connector | PushConnector, StreamConfig]]


def choose_streams(streams: Streams, names: Sequence[str]) -> Streams:
    """Return the streams of these names, or all for none; raises SettingError for an unknown."""
    known = [connector.name for connector, _ in streams]
    for name in names:
        if name not in known:
            raise SettingError("EMDATA_STREAMS", value=name, allowed=", ".join(known))
    return [one for one in streams if not names or one[0].name in names]
