"""Tables of what the open API's processes share to be fair; read and written by one function.

``api_take_tokens`` of migration 0008 is the only writer of ``api_buckets``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, Index, LargeBinary, Table, Text

from emdata.state.tables import metadata

api_buckets = Table(
    "api_buckets",
    metadata,
    Column("key", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("refilled_at", DateTime(timezone=True), nullable=False),
    Column("used_on", Date, nullable=False),
    Column("used", BigInteger, nullable=False),
    Index("ix_api_buckets_refilled_at", "refilled_at"),
)

api_salts = Table(
    "api_salts",
    metadata,
    Column("day", Date, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
)
