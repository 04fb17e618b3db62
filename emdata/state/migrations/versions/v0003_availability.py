"""Who may write to a shared buffer; clients that write to Kafka themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "leases",
        sa.Column("writer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standby", sa.Text(), nullable=True),
        sa.Column("standby_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_leases")),
    )
    op.add_column(
        "writers",
        sa.Column("kind", sa.Text(), server_default=sa.text("'manager'"), nullable=False),
    )
    op.add_column("writers", sa.Column("name", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_writers_kind_known"), "writers", "kind IN ('manager', 'client')"
    )
