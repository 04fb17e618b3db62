"""Dead letters with a class, a history and a way back; requests of kind redrive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_STATES = "state IN ('open', 'redriving', 'redriven', 'dropped')"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "dead_letters",
        sa.Column("class", sa.Text(), server_default=sa.text("'permanent'"), nullable=False),
    )
    op.add_column("dead_letters", sa.Column("last_poll_id", sa.Text(), nullable=True))
    op.add_column(
        "dead_letters",
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("dead_letters", sa.Column("last_attempt_at", sa.DateTime(timezone=True)))
    op.add_column("dead_letters", sa.Column("gate", sa.Text(), nullable=True))
    op.add_column("dead_letters", sa.Column("closed_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE dead_letters SET class = 'transient' WHERE seq IS NOT NULL")
    op.drop_constraint(op.f("ck_dead_letters_state_known"), "dead_letters")
    op.execute("UPDATE dead_letters SET state = 'dropped' WHERE state = 'closed'")
    op.create_check_constraint(op.f("ck_dead_letters_state_known"), "dead_letters", _STATES)
    op.create_check_constraint(
        op.f("ck_dead_letters_class_known"), "dead_letters", "class IN ('transient', 'permanent')"
    )
    op.create_index(
        "ix_dead_letters_waiting",
        "dead_letters",
        ["writer", "first_at"],
        postgresql_where=sa.text("state IN ('open', 'redriving')"),
    )
    op.create_table(
        "dead_letter_attempts",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("letter_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.Column("poll_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "action IN ('redrive', 'drop')", name=op.f("ck_dead_letter_attempts_action_known")
        ),
        sa.ForeignKeyConstraint(
            ["letter_id"],
            ["dead_letters.id"],
            name=op.f("fk_dead_letter_attempts_letter_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter_attempts")),
    )
    op.create_index("ix_dead_letter_attempts_letter_id", "dead_letter_attempts", ["letter_id"])
    op.create_index("ix_dead_letter_attempts_poll_id", "dead_letter_attempts", ["poll_id"])
    op.create_table(
        "stream_code",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "since", name=op.f("pk_stream_code")),
    )
    op.add_column(
        "requests",
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.drop_constraint(op.f("ck_requests_kind_known"), "requests")
    op.create_check_constraint(
        op.f("ck_requests_kind_known"), "requests", "kind IN ('poll', 'backfill', 'redrive')"
    )
