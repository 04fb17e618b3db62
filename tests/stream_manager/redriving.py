"""A manager with a re-driver on real servers, whose parser a test can mend."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.clock import ManualClock
from emdata.contracts.base import Dataset, LongText, Record, UtcDatetime
from emdata.errors import RowError
from emdata.state.dead_letters import Filter, find_letters
from stream_manager.dead_letters.redeliver import Redelivery
from stream_manager.dead_letters.redrive import RedriveConfig, Redriver
from stream_manager.manager import StreamManager
from stream_manager.polls.prepared import Keys
from stream_manager.polls.session import PollSession
from tests.stream_manager.door import Door
from tests.support.waiting import wait_for

MORNING = datetime(2026, 11, 21, 6, 20, tzinfo=UTC)
NOON = datetime(2026, 11, 21, 12, 5, tzinfo=UTC)


def contract_for(
    topic: str, *, is_mended: bool = False, version: str | None = None
) -> type[Record]:
    """A contract of a topic of its own; before it is mended, its text may not be long."""
    dataset = Dataset(
        name=topic.replace("-", "_"),
        source="made",
        domain="test",
        title="Letters of a test",
        key=("letter_id",),
        event_time="at",
        fresh_within="1h",
        terms="none",
        topic_name=topic,
        version=version,
    )
    text: Any = LongText if is_mended else str
    made: Any = msgspec.defstruct(
        "Made",
        [("letter_id", str), ("text", text), ("at", UtcDatetime)],
        bases=(Record,),
        namespace={"dataset": dataset, "__doc__": "A record."},
        frozen=True,
        kw_only=True,
        module=__name__,
    )
    return cast("type[Record]", made)


@dataclass
class Parser:
    """Reads ``id=text`` lines; ``version`` 1 cannot read a line with a tilde."""

    name: str
    contract: type[Record]
    version: int = 1
    is_bored: bool = False
    source: str = "made"
    asked: list[bytes] = field(default_factory=list)

    def code(self) -> str:
        """The version is the fingerprint."""
        return f"v{self.version}"

    def reparse(self, raw: bytes, _documents: Sequence[str], _at: datetime) -> list[Record]:
        """Parse one line."""
        self.asked.append(raw)
        return self.parse(raw)

    def parse(self, raw: bytes) -> list[Record]:
        """Parse one line; ``-`` is of no interest."""
        if raw == b"-" or self.is_bored:
            return []
        if b"~" in raw and self.version == 1:
            raise RowError(f"no tilde is known: {raw[:20]!r}")
        name, _, text = raw.decode().partition("=")
        return [self.contract(letter_id=name, text=text, at=MORNING)]


class World:
    """One door, one stream, one re-driver. The clock stands still until it is moved."""

    def __init__(self, door: Door, engine: Engine, *, max_attempts: int = 3) -> None:
        self.door, self.engine = door, engine
        self.clock = ManualClock(MORNING)
        self.parser = Parser(f"made-{door.writer}", contract_for(door.topic))
        self.records = {self.parser.contract.dataset.name: self.parser.contract}
        self.max_attempts = max_attempts
        self.make()

    def make(self) -> None:
        """Make manager and re-driver anew, as after a start."""
        self.manager = StreamManager(self.door.intake, self.engine, self.clock, is_simulated=True)
        self.redriver = Redriver(
            self.manager,
            self.engine,
            self.clock,
            reparsers={self.parser.name: self.parser},
            records=self.records,
            redelivery=Redelivery(self.door.servers),
            config=RedriveConfig(self.door.writer, True, max_attempts=self.max_attempts),
        )

    async def poll(self, *lines: bytes) -> str:
        """Do one poll over lines and wait until PostgreSQL has it; returns its id."""
        await self.manager.be_certain_of_numbers()
        session: PollSession = self.manager.new_session(
            self.parser.name, "made", cursor={}, batch_size=10, keys=Keys.REMEMBERED
        )
        for line in lines:
            try:
                records = self.parser.parse(line)
            except RowError as error:
                session.row_rejected(line, error)
            else:
                if records:
                    await session.row_parsed(records)
                else:
                    session.row_ignored()
        await session.finish("ok")
        await asyncio.to_thread(self.applied)
        return session.context.poll_id

    def applied(self) -> None:
        """Wait until PostgreSQL has everything of the log."""
        wait_for(lambda: self.door.intake.applier.depth() == 0, 60, "the log to be applied")

    def letters(self, **wanted: Any) -> list[dict[str, Any]]:
        """The letters of this stream, oldest first."""
        found = find_letters(self.engine, Filter(stream=self.parser.name, **wanted))
        return sorted(found, key=lambda one: (one["first_at"], one["id"]))

    def hours(self) -> list[dict[str, Any]]:
        """The ledger at the door by hour: rows of polls and of the dataset."""
        return self.rows(
            "SELECT to_char(hour, 'HH24') AS hour, sum(rows)::int AS rows,"
            " sum(rows_rejected)::int AS rejected, sum(rows_parsed)::int AS parsed,"
            " sum(rows_ignored)::int AS ignored,"
            " coalesce(sum(d.records), 0)::int AS records,"
            " coalesce(sum(d.accepted), 0)::int AS accepted,"
            " coalesce(sum(d.unchanged), 0)::int AS unchanged,"
            " coalesce(sum(d.rejected), 0)::int AS refused"
            " FROM polls LEFT JOIN poll_datasets d USING (poll_id)"
            f" WHERE polls.writer = {self.door.writer} GROUP BY hour ORDER BY hour"
        )

    def history(self) -> list[tuple[str, str, str | None]]:
        """Who did what to this writer's letters, and how it ended, in order."""
        found = self.rows(
            "SELECT a.by, a.action, a.outcome FROM dead_letter_attempts a"
            " JOIN dead_letters l ON l.id = a.letter_id"
            f" WHERE l.writer = {self.door.writer} ORDER BY a.id"
        )
        return [(one["by"], one["action"], one["outcome"]) for one in found]

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query on the state."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def hour(name: str, rows: int, **counts: int) -> dict[str, Any]:
    """An hour's ledger; what is not named is 0."""
    columns = ("rejected", "parsed", "ignored", "records", "accepted", "unchanged", "refused")
    return {"hour": name, "rows": rows, **dict.fromkeys(columns, 0), **counts}
