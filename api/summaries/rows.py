"""Rows of a statement by the names of its columns."""

from __future__ import annotations

from typing import Any

from api.query.model import Statement
from api.reading.reader import Reader


async def dicts(reader: Reader, statement: Statement, seconds: float) -> list[dict[str, Any]]:
    """Return all rows as dicts. Raises as ``Reader.rows``."""
    rows = await reader.rows(statement, seconds=seconds)
    return [dict(zip(statement.columns, row, strict=True)) for row in rows]
