"""Which manager drives a letter again: those of clients belong to none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply."""
    op.add_column("dead_letters", sa.Column("driver", sa.Integer(), nullable=True))
