"""The first tables: ledger, log index, requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cursors",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("poll_id", sa.Text(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_cursors")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("writer", sa.Integer(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("poll_id", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'redriven', 'closed')",
            name=op.f("ck_dead_letters_state_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index(
        "ix_dead_letters_dataset_seq",
        "dead_letters",
        ["dataset", "writer", "seq"],
        unique=False,
    )
    op.create_index(
        "ix_dead_letters_stream_last_at",
        "dead_letters",
        ["stream", "last_at"],
        unique=False,
    )
    op.create_table(
        "landed",
        sa.Column("writer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("high_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("landed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dead", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("on_the_way", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("newest_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_landed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("high_seq = landed + dead + on_the_way", name=op.f("ck_landed_balance")),
        sa.CheckConstraint("settled_seq <= high_seq", name=op.f("ck_landed_settled_range")),
        sa.PrimaryKeyConstraint("writer", "dataset", name=op.f("pk_landed")),
    )
    op.create_table(
        "polls",
        sa.Column("poll_id", sa.Text(), nullable=False),
        sa.Column("writer", sa.Integer(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("documents", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_ignored", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "rows_rejected",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("rows_parsed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "raw_documents",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "outcome IN ('ok', 'not_modified', 'failed', 'interrupted')",
            name=op.f("ck_polls_outcome_known"),
        ),
        sa.CheckConstraint(
            "rows = rows_ignored + rows_rejected + rows_parsed",
            name=op.f("ck_polls_rows_balance"),
        ),
        sa.PrimaryKeyConstraint("poll_id", name=op.f("pk_polls")),
    )
    op.create_index("ix_polls_hour", "polls", ["hour"], unique=False)
    op.create_index("ix_polls_stream_finished_at", "polls", ["stream", "finished_at"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "arguments",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("poll_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('poll', 'backfill')", name=op.f("ck_requests_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index(
        "ix_requests_open",
        "requests",
        ["stream"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "seen",
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("writer", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "key_hash", name=op.f("pk_seen")),
    )
    op.create_table(
        "streams",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("writer", sa.Integer(), nullable=False),
        sa.Column("datasets", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_streams")),
    )
    op.create_table(
        "writers",
        sa.Column("writer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_writers")),
    )
    op.create_table(
        "poll_datasets",
        sa.Column("poll_id", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("writer", sa.Integer(), nullable=False),
        sa.Column("records", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("deferred", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("accepted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.Column("newest_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(accepted = 0 AND first_seq IS NULL AND last_seq IS NULL)"
            " OR (accepted > 0 AND first_seq IS NOT NULL AND last_seq IS NOT NULL"
            " AND last_seq - first_seq + 1 >= accepted)",
            name=op.f("ck_poll_datasets_seq_range"),
        ),
        sa.CheckConstraint(
            "records = unchanged + rejected + deferred + accepted",
            name=op.f("ck_poll_datasets_records_balance"),
        ),
        sa.ForeignKeyConstraint(
            ["poll_id"],
            ["polls.poll_id"],
            name=op.f("fk_poll_datasets_poll_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("poll_id", "dataset", name=op.f("pk_poll_datasets")),
    )
    op.create_index(
        "ix_poll_datasets_dataset_last_seq",
        "poll_datasets",
        ["dataset", "writer", "last_seq"],
        unique=False,
    )
