"""Tables of the state, SQLAlchemy Core. Instants are ``timestamptz`` in UTC.

The CHECK constraints on ``polls`` and ``poll_datasets`` are the ledger at the door: a poll that
does not add up cannot be stored.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_ZERO = text("0")


def _at(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=_ZERO)


writers = Table(
    "writers",
    metadata,
    Column("writer", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("is_simulated", Boolean, nullable=False),
    _at("started_at", nullable=False),
    _at("heartbeat_at", nullable=False),
    # client: a program that wrote to Kafka itself while it could not reach its manager.
    Column("kind", Text, nullable=False, server_default=text("'manager'")),
    Column("name", Text),
    CheckConstraint("kind IN ('manager', 'client')", name="kind_known"),
)

leases = Table(
    "leases",
    metadata,
    Column("writer", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    _at("expires", nullable=False),
    Column("standby", Text),
    _at("standby_seen_at"),
)

streams = Table(
    "streams",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("writer", Integer, nullable=False),
    Column("datasets", JSONB, nullable=False),
    Column("every_seconds", Integer, nullable=False),
    Column("is_on", Boolean, nullable=False),
    _at("updated_at", nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("cursor", JSONB, nullable=False),
    Column("poll_id", Text, nullable=False),
    _at("committed_at", nullable=False),
)

polls = Table(
    "polls",
    metadata,
    Column("poll_id", Text, primary_key=True),
    Column("writer", Integer, nullable=False),
    Column("stream", Text, nullable=False),
    Column("source", Text, nullable=False),
    _at("started_at", nullable=False),
    _at("finished_at", nullable=False),
    _at("hour", nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_class", Text),
    Column("error", Text),
    Column("is_complete", Boolean, nullable=False),
    _count("documents"),
    _count("bytes"),
    _count("rows"),
    _count("rows_ignored"),
    _count("rows_rejected"),
    _count("rows_parsed"),
    Column("raw_documents", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    CheckConstraint("rows = rows_ignored + rows_rejected + rows_parsed", name="rows_balance"),
    CheckConstraint(
        "outcome IN ('ok', 'not_modified', 'failed', 'interrupted')",
        name="outcome_known",
    ),
    Index("ix_polls_stream_finished_at", "stream", "finished_at"),
    Index("ix_polls_hour", "hour"),
    Index("ix_polls_finished_at", "finished_at"),
)

poll_datasets = Table(
    "poll_datasets",
    metadata,
    Column(
        "poll_id",
        Text,
        ForeignKey("polls.poll_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("dataset", Text, primary_key=True),
    Column("writer", Integer, nullable=False),
    _count("records"),
    _count("unchanged"),
    _count("rejected"),
    _count("deferred"),
    _count("accepted"),
    Column("first_seq", BigInteger),
    Column("last_seq", BigInteger),
    _at("newest_event_at"),
    CheckConstraint("records = unchanged + rejected + deferred + accepted", name="records_balance"),
    CheckConstraint(
        "(accepted = 0 AND first_seq IS NULL AND last_seq IS NULL)"
        " OR (accepted > 0 AND first_seq IS NOT NULL AND last_seq IS NOT NULL"
        " AND last_seq - first_seq + 1 >= accepted)",
        name="seq_range",
    ),
    Index("ix_poll_datasets_dataset_last_seq", "dataset", "writer", "last_seq"),
)

# What polls counted that are no longer kept one by one; dataset '' holds the polls themselves.
ledger_hours = Table(
    "ledger_hours",
    metadata,
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    _count("polls"),
    _count("rows"),
    _count("rows_ignored"),
    _count("rows_rejected"),
    _count("rows_parsed"),
    _count("records"),
    _count("unchanged"),
    _count("rejected"),
    _count("deferred"),
    _count("accepted"),
    CheckConstraint("rows = rows_ignored + rows_rejected + rows_parsed", name="rows_balance"),
    CheckConstraint("records = unchanged + rejected + deferred + accepted", name="records_balance"),
)

seen = Table(
    "seen",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("content_hash", LargeBinary, nullable=False),
    Column("version", Text),
    Column("writer", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("writer", Integer, nullable=False),
    Column("stream", Text, nullable=False),
    Column("dataset", Text),
    Column("seq", BigInteger),
    Column("poll_id", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("occurrences", BigInteger, nullable=False, server_default=text("1")),
    _at("first_at", nullable=False),
    _at("last_at", nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    # transient: the bytes are right and go as they are, once what refused them is mended.
    Column("class", Text, nullable=False, server_default=text("'permanent'")),
    # poll_id is the poll that counted it as rejected and gives it up; last_poll_id saw it last.
    Column("last_poll_id", Text),
    _count("attempts"),
    _at("last_attempt_at"),
    # Which manager (writer) tried last; letters of clients may be tried by any.
    Column("driver", Integer),
    # Under which code, or which settings of a topic, the last attempt failed.
    Column("gate", Text),
    _at("closed_at"),
    CheckConstraint("state IN ('open', 'redriving', 'redriven', 'dropped')", name="state_known"),
    CheckConstraint("class IN ('transient', 'permanent')", name="class_known"),
    Index("ix_dead_letters_dataset_seq", "dataset", "writer", "seq"),
    Index("ix_dead_letters_stream_last_at", "stream", "last_at"),
    Index(
        "ix_dead_letters_waiting",
        "writer",
        "first_at",
        postgresql_where=text("state IN ('open', 'redriving')"),
    ),
)

dead_letter_attempts = Table(
    "dead_letter_attempts",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("letter_id", Text, ForeignKey("dead_letters.id", ondelete="CASCADE"), nullable=False),
    Column("action", Text, nullable=False),
    _at("at", nullable=False),
    Column("by", Text, nullable=False),
    Column("gate", Text),
    Column("poll_id", Text),
    Column("outcome", Text),
    Column("reason", Text),
    CheckConstraint("action IN ('redrive', 'drop')", name="action_known"),
    Index("ix_dead_letter_attempts_letter_id", "letter_id"),
    Index("ix_dead_letter_attempts_poll_id", "poll_id"),
)

stream_code = Table(
    "stream_code",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("since", DateTime(timezone=True), primary_key=True),
    Column("code", Text, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("stream", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("arguments", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("requested_by", Text, nullable=False),
    _at("requested_at", nullable=False),
    _at("started_at"),
    _at("finished_at"),
    Column("poll_id", Text),
    Column("outcome", Text),
    Column("error", Text),
    Column("result", JSONB),
    CheckConstraint("kind IN ('poll', 'backfill', 'redrive')", name="kind_known"),
    Index("ix_requests_open", "stream", postgresql_where=text("finished_at IS NULL")),
)

landed = Table(
    "landed",
    metadata,
    Column("writer", Integer, primary_key=True, autoincrement=False),
    Column("dataset", Text, primary_key=True),
    _count("high_seq"),
    _count("settled_seq"),
    _count("landed"),
    _count("dead"),
    _count("on_the_way"),
    _at("newest_event_at"),
    _at("newest_landed_at"),
    _at("checked_at", nullable=False),
    CheckConstraint("high_seq = landed + dead + on_the_way", name="balance"),
    CheckConstraint("settled_seq <= high_seq", name="settled_range"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("writer", Integer, nullable=False),
    _at("happened_at", nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("ix_audit_happened_at", "happened_at"),
)
