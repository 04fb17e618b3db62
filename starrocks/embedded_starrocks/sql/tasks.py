"""SUBMIT TASK and DROP TASK.

A task without a schedule runs at once, before the answer: what StarRocks does in the background is
done here when the client hears of it, so polling `information_schema.task_runs` finds it finished.
One with a schedule is kept, and run by the scheduler with the rights of its owner.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable

import duckdb

from embedded_starrocks.errors import SqlError, semantic_error
from embedded_starrocks.mysql.resultset import Done, ResultSet, table_of
from embedded_starrocks.sql import dialect, mviews, tasklog
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.translate import translated
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import SCHEMA

Run = Callable[[Context, list[Token], str], ResultSet | Done]
_ALLOWED = re.compile(r"\s*(?:/\*.*?\*/\s*)*(INSERT|CREATE\s+TABLE)\b", re.IGNORECASE | re.DOTALL)


def submit(context: Context, found: list[Token], sql: str, run: Run) -> ResultSet:
    """SUBMIT TASK [name] [SCHEDULE [START (time)] EVERY (INTERVAL n unit)] [PROPERTIES] AS ..."""
    words = Words([each for each in found if each.token_type != TokenType.HINT], sql)
    words.expect("SUBMIT", "TASK")
    name = f"ctas-{uuid.uuid4()}"
    is_named = words.peek() not in ("AS", "PROPERTIES", "SCHEDULE")
    if is_named:
        name = words.table().name
    clause = _until_as(words)
    schedule = mviews.parse_schedule(clause)
    if clause.upper().startswith("SCHEDULE") and schedule is None:
        raise semantic_error("SCHEDULE needs EVERY (INTERVAL n unit)")
    words.expect("AS")
    statement = words.rest()
    if not _ALLOWED.match(statement):
        raise semantic_error("SUBMIT TASK takes INSERT and CREATE TABLE AS SELECT only")
    if schedule is None:
        run_task(context, name, statement, run)
        return table_of(["TaskName", "Status"], [(name, "SUBMITTED")])
    starts = schedule.starts_at or datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    with context.store.write() as connection:
        if connection.execute(f"SELECT 1 FROM {SCHEMA}.tasks WHERE name = ?", [name]).fetchall():
            raise semantic_error(f"Task {name} already exists")
        connection.execute(
            f"INSERT INTO {SCHEMA}.tasks VALUES (?, ?, ?, ?, ?, ?, now()::TIMESTAMP)",
            [
                name,
                context.session.database,
                statement,
                starts,
                schedule.every_seconds,
                context.session.user,
            ],
        )
    return table_of(["TaskName", "Status"], [(name, "SUBMITTED")])


def _until_as(words: Words) -> str:
    """The clauses between the name and AS, as text."""
    parts = []
    depth = 0
    while not words.done and not (depth == 0 and words.peek() == "AS"):
        word = words.raw()
        depth += {"(": 1, ")": -1}.get(word, 0)
        parts.append(word)
    return " ".join(parts)


def run_task(
    context: Context,
    name: str,
    statement: str,
    run: Run,
    began: datetime.datetime | None = None,
) -> str | None:
    """Run a task's statement and note the run; the problem it had, if any."""
    began = began or datetime.datetime.now(datetime.UTC)
    noted = tasklog.Run(str(uuid.uuid4()), name, context.session.database, statement, began)
    problem: str | None = None
    try:
        run(context, dialect.tokenize(statement), statement)
    except SqlError as error:
        problem = error.message
    except duckdb.Error as error:
        problem = translated(error).message
    with context.store.write() as connection:
        tasklog.note(connection, noted, problem)
    return problem


def drop_task(context: Context, found: list[Token], sql: str) -> Done:
    """DROP TASK: the schedule ends, and the runs are forgotten."""
    words = Words(found, sql)
    words.expect("DROP", "TASK")
    if_exists = words.accept("IF", "EXISTS")
    name = words.table().name
    words.accept("FORCE")
    words.finish()
    with context.store.write() as connection:
        owners = connection.execute(
            f"SELECT owner FROM {SCHEMA}.tasks WHERE name = ?", [name]
        ).fetchall()
        if any(owner != context.session.user for (owner,) in owners):
            context.require_system("OPERATE", "drop tasks of others")
        connection.execute(f"DELETE FROM {SCHEMA}.tasks WHERE name = ?", [name])
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.task_runs WHERE task_name = ? RETURNING query_id", [name]
        ).fetchall()
    if not gone and not owners and not if_exists:
        raise SqlError(1064, "42000", f"Task {name} is not exist")
    return Done()
