"""What the COMMIT frame of a re-drive does in PostgreSQL.

A re-drive is a poll of a stream named ``redrive-<stream>``. Which letters it tries is written to
``dead_letter_attempts`` before its first record; its frame, applied once by poll id, moves them in
one transaction: each goes from ``rejected`` of its own poll to what the re-drive counted, and the
re-drive's poll stands in the hour of theirs. So every hour keeps its number of rows, and the CHECK
constraints hold on both sides. A re-drive that was interrupted, deferred or refused moves nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from emdata.commits import Commit
from emdata.state.tables import dead_letter_attempts, dead_letters, poll_datasets, polls

PREFIX = "redrive-"
# What is no fault of the letter costs it no attempt.
UNCOUNTED = ("deferred", "interrupted", "failed")


@dataclass(frozen=True, slots=True)
class Tried:
    """One letter of a re-drive: dataset None is a row that was rejected before it was parsed."""

    letter_id: str
    poll_id: str
    dataset: str | None
    hour: datetime | None


def redrive_stream(stream: str) -> str:
    """Return the stream under which a stream's letters are driven again."""
    return PREFIX + stream


def is_redrive(commit: Commit) -> bool:
    """Whether a frame ends a re-drive."""
    return commit.stream.startswith(PREFIX)


class RedriveFrame:
    """A re-drive's COMMIT and what was planned for it; belongs to one transaction."""

    def __init__(self, connection: Connection, commit: Commit) -> None:
        self._connection = connection
        self._tried = _tried(connection, commit.poll_id)
        self.outcome = _outcome(commit)
        self.is_moved = self.outcome == "redriven" and bool(self._tried)
        self.commit = self._shaped(commit)

    @property
    def hour(self) -> datetime | None:
        """The hour in which the letters were rejected; None leaves the re-drive in its own.

        What an interrupted one had accepted belongs there too: driven again, it is unchanged.
        """
        belongs = self.is_moved or self.outcome == "interrupted"
        hours = {one.hour for one in self._tried} if belongs else set()
        return hours.pop() if len(hours) == 1 else None

    def settle(self, finished: datetime) -> None:
        """Move the letters' counts, or give the letters back."""
        if self.is_moved:
            self._take_from_polls()
        letters = [one.letter_id for one in self._tried]
        counts = dead_letters.c.attempts - (1 if self.outcome in UNCOUNTED else 0)
        self._connection.execute(
            dead_letters.update()
            .where(dead_letters.c.id.in_(letters), dead_letters.c.state == "redriving")
            .values(
                {"state": "redriven", "closed_at": finished}
                if self.is_moved
                else {"state": "open", "attempts": counts}
            )
        )
        self._connection.execute(
            dead_letter_attempts.update()
            .where(
                dead_letter_attempts.c.poll_id == self.commit.poll_id,
                dead_letter_attempts.c.outcome.is_(None),
            )
            .values(outcome=self.outcome, reason=_summary(self.commit))
        )

    def _shaped(self, commit: Commit) -> Commit:
        """Leave out the rows of rejected records: their own poll counted them as parsed."""
        if not self.is_moved:
            return commit
        counted = sum(one.dataset is not None and one.hour is not None for one in self._tried)
        return msgspec.structs.replace(
            commit, rows=commit.rows - counted, rows_parsed=commit.rows_parsed - counted
        )

    def _take_from_polls(self) -> None:
        moved = Counter((one.poll_id, one.dataset) for one in self._tried)
        for (poll_id, dataset), count in sorted(moved.items(), key=str):
            if dataset is None:
                statement = (
                    polls.update()
                    .where(polls.c.poll_id == poll_id)
                    .values(rows=polls.c.rows - count, rows_rejected=polls.c.rows_rejected - count)
                )
            else:
                columns = poll_datasets.c
                statement = (
                    poll_datasets.update()
                    .where(columns.poll_id == poll_id, columns.dataset == dataset)
                    .values(records=columns.records - count, rejected=columns.rejected - count)
                )
            self._connection.execute(statement)


def _tried(connection: Connection, poll_id: str) -> list[Tried]:
    query = (
        sa.select(
            dead_letters.c.id.label("letter_id"),
            dead_letters.c.poll_id,
            dead_letters.c.dataset,
            polls.c.hour,
        )
        .join(dead_letter_attempts, dead_letter_attempts.c.letter_id == dead_letters.c.id)
        .outerjoin(polls, polls.c.poll_id == dead_letters.c.poll_id)
        .where(
            dead_letter_attempts.c.poll_id == poll_id,
            dead_letter_attempts.c.outcome.is_(None),
        )
        .order_by(dead_letters.c.id)
        .with_for_update(of=dead_letters)
    )
    return [Tried(**row) for row in connection.execute(query).mappings()]


def _outcome(commit: Commit) -> str:
    if commit.outcome != "ok":
        return commit.outcome if commit.outcome in UNCOUNTED else "failed"
    if any(counts.deferred for counts in commit.datasets.values()):
        return "deferred"
    if commit.rows_rejected or any(counts.rejected for counts in commit.datasets.values()):
        return "rejected"
    return "redriven"


def _summary(commit: Commit) -> str:
    sums = {
        name: sum(getattr(counts, name) for counts in commit.datasets.values())
        for name in ("accepted", "unchanged", "deferred", "rejected")
    }
    found = [f"{name} {count}" for name, count in sums.items() if count]
    if commit.rows_ignored:
        found.append(f"ignored {commit.rows_ignored}")
    return ", ".join(found) or commit.error or "no records"
