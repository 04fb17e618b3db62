"""The ledger of hours whose polls are no longer kept one by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_COUNTS = (
    "polls", "rows", "rows_ignored", "rows_rejected", "rows_parsed",
    "records", "unchanged", "rejected", "deferred", "accepted",
)  # fmt: skip


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ledger_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in _COUNTS
        ),
        sa.CheckConstraint(
            "rows = rows_ignored + rows_rejected + rows_parsed",
            name=op.f("ck_ledger_hours_rows_balance"),
        ),
        sa.CheckConstraint(
            "records = unchanged + rejected + deferred + accepted",
            name=op.f("ck_ledger_hours_records_balance"),
        ),
        sa.PrimaryKeyConstraint("hour", "source", "dataset", name=op.f("pk_ledger_hours")),
    )
    op.create_index("ix_polls_finished_at", "polls", ["finished_at"])
