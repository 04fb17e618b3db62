"""Where the processes share their buckets: the interface, and PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Protocol

import psycopg

from api.fairness.budget import Grant, Want
from emdata.errors import StateUnavailable

SALT_BYTES = 32
STATEMENT_MS = 1000
KEPT_DAYS = 2
_TAKE = "SELECT * FROM api_take_tokens(%s, %s, %s, %s, %s::float8[], %s::int[], %s::bigint[])"


class Store(Protocol):
    """Shared buckets. Every call raises StateUnavailable when the store is away."""

    async def take(self, wants: Sequence[Want]) -> list[Grant]:
        """Return what each bucket gives, in the order of the wants."""
        ...

    async def salt(self, day: date) -> bytes:
        """Return the random salt of a UTC day, the same for all; older ones are destroyed."""
        ...

    async def prune(self) -> None:
        """Forget buckets that have been full for days."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class PostgresStore:
    """Buckets in PostgreSQL, by one connection that is opened when it is needed.

    A commit does not wait for the disk: what a crash of PostgreSQL forgets is less than a second
    of spent tokens.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def take(self, wants: Sequence[Want]) -> list[Grant]:
        """See Store."""
        order = sorted(range(len(wants)), key=lambda index: wants[index].key)
        chosen = [wants[index] for index in order]
        rows = await self._rows(
            _TAKE,
            [want.key for want in chosen],
            [want.tokens for want in chosen],
            [want.returned for want in chosen],
            [want.spent for want in chosen],
            [want.budget.rate for want in chosen],
            [want.budget.burst for want in chosen],
            [want.budget.per_day for want in chosen],
        )
        grants: list[Grant] = [Grant(0, 0.0, 0, 0.0)] * len(wants)
        for index, row in zip(order, rows, strict=True):
            grants[index] = Grant(*row)
        return grants

    async def salt(self, day: date) -> bytes:
        """See Store."""
        await self._rows("DELETE FROM api_salts WHERE day < %s RETURNING day", day)
        made = secrets.token_bytes(SALT_BYTES)
        await self._rows(
            "INSERT INTO api_salts VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING day", day, made
        )
        ((salt,),) = await self._rows("SELECT salt FROM api_salts WHERE day = %s", day)
        return bytes(salt)

    async def prune(self) -> None:
        """See Store."""
        old = "DELETE FROM api_buckets WHERE refilled_at < now() - make_interval(days => %s)"
        await self._rows(old + " RETURNING 1", KEPT_DAYS)

    async def close(self) -> None:
        """See Store."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    async def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        is_whole = False
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=2,
                    application_name="emdata-api-limits",
                    options=f"-c synchronous_commit=off -c statement_timeout={STATEMENT_MS}",
                )
            cursor = await self._connection.execute(statement.encode(), values)
            rows = await cursor.fetchall()
            is_whole = True
        except (psycopg.Error, OSError) as error:
            raise StateUnavailable(f"PostgreSQL: {error}") from error
        finally:
            if not is_whole:
                # Also when the caller's deadline cut this short: the answer is still on the way.
                await self.close()
        return rows
