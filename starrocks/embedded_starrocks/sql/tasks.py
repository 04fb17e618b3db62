"""SUBMIT TASK and DROP TASK, and INSERT with a label.

A task runs at once, before the answer: what StarRocks does in the background is done here when the
client hears of it, so polling `information_schema.task_runs` finds it finished.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from embedded_starrocks.errors import SqlError, unsupported
from embedded_starrocks.mysql.resultset import Done, ResultSet, table_of
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import SCHEMA

Run = Callable[[Context, list[Token], str], ResultSet | Done]


def submit(context: Context, found: list[Token], sql: str, run: Run) -> ResultSet:
    """SUBMIT TASK [name] AS statement."""
    words = Words([each for each in found if each.token_type != TokenType.HINT], sql)
    words.expect("SUBMIT", "TASK")
    name = f"ctas-{uuid.uuid4()}"
    if words.peek() not in ("AS", "PROPERTIES", "SCHEDULE"):
        table = words.table()
        name = table.name
    if words.peek() in ("PROPERTIES", "SCHEDULE"):
        raise unsupported(f"SUBMIT TASK ... {words.peek()}")
    words.expect("AS")
    statement = words.rest()
    query_id = str(uuid.uuid4())
    problem: str | None = None
    try:
        run(context, dialect.tokenize(statement), statement)
    except SqlError as error:
        problem = error.message
    with context.store.write() as connection:
        connection.execute(
            f"INSERT INTO {SCHEMA}.task_runs VALUES "
            "(?, ?, ?, ?, ?, ?, now()::TIMESTAMP, now()::TIMESTAMP)",
            [
                query_id,
                name,
                context.session.database,
                statement,
                "SUCCESS" if problem is None else "FAILED",
                problem,
            ],
        )
    return table_of(["TaskName", "Status"], [(name, "SUBMITTED")])


def drop_task(context: Context, found: list[Token], sql: str) -> Done:
    """DROP TASK: tasks are over when they are answered; only their runs are forgotten."""
    words = Words(found, sql)
    words.expect("DROP", "TASK")
    if_exists = words.accept("IF", "EXISTS")
    name = words.table().name
    words.accept("FORCE")
    words.finish()
    with context.store.write() as connection:
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.task_runs WHERE task_name = ? RETURNING query_id", [name]
        ).fetchall()
    if not gone and not if_exists:
        raise SqlError(1064, "42000", f"Task {name} is not exist")
    return Done()
