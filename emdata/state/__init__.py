"""The state in PostgreSQL: an index of the buffer's log, and the ledger."""

from emdata.state.database import connect, upgrade

__all__ = ["connect", "upgrade"]
