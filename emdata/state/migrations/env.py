"""Alembic's environment: online only, on the connection that ``upgrade`` passes."""

from __future__ import annotations

from alembic import context

from emdata.state import access_tables, limit_tables  # noqa: F401 - their tables join the metadata
from emdata.state.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
