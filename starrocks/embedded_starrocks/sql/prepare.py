"""PREPARE, EXECUTE and DEALLOCATE PREPARE; and what a prepared statement will answer.

Parameters stand in the text at the places of its question marks, and come back as literals.
Source: StarRocks 3.5 documentation, "Prepared statements".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from embedded_starrocks.errors import SqlError, syntax_error
from embedded_starrocks.mysql.resultset import Done, ResultColumn, ResultSet
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.query import plan_query, shown_type
from embedded_starrocks.sql.variables import Value
from embedded_starrocks.sql.words import Words

Run = Callable[[Context, list[Token], str], ResultSet | Done]
MAX_STATEMENTS = 1024
_QUERIES = ("SELECT", "WITH", "(")
_SHOWN = ("SHOW", "DESC", "DESCRIBE", "EXPLAIN")
# A parameter whose value is not known yet: what stands there must not change what is answered.
_STAND_INS = ("NULL", "1", "'1'")
# No database, an unknown one, an unknown table or column, no right: known before any value is.
_CERTAIN = (1044, 1046, 1049, 1054, 1142, 1146)


def placeholders(found: Sequence[Token]) -> list[int]:
    """Where the parameters stand in the text."""
    return [token.start for token in found if token.token_type == TokenType.PLACEHOLDER]


def filled(sql: str, positions: Sequence[int], values: Sequence[str]) -> str:
    """The text with SQL in the places of its parameters."""
    parts: list[str] = []
    at = 0
    for position, value in zip(positions, values, strict=True):
        parts += [sql[at:position], value]
        at = position + 1
    return "".join([*parts, sql[at:]])


def literal(value: Value) -> str:
    """SQL of a value."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def result_columns(context: Context, sql: str, run: Run) -> list[ResultColumn]:
    """The columns that a statement will answer; none when it has no rows, or they can't be known.

    Raises SqlError for what no parameter can mend, such as an unknown table.
    """
    found = dialect.split(dialect.tokenize(sql))[0]
    word = found[0].text.upper()
    positions = placeholders(found)
    if word in _SHOWN and not positions:
        shown = run(context, found, sql)
        return shown.columns if isinstance(shown, ResultSet) else []
    if word not in _QUERIES:
        return []
    for value in _STAND_INS if positions else _STAND_INS[:1]:
        try:
            return _described(context, filled(sql, positions, [value] * len(positions)))
        except (SqlError, duckdb.Error) as error:
            if isinstance(error, SqlError) and error.code in _CERTAIN:
                raise
    return []


def _described(context: Context, sql: str) -> list[ResultColumn]:
    plan = plan_query(context, dialect.parse(sql))
    rows = context.session.connection.execute(f"DESCRIBE {plan.sql}").fetchall()
    return [ResultColumn(name, shown_type(str(kind), plan.has_largeint)) for name, kind, *_ in rows]


def prepare(context: Context, found: list[Token], sql: str) -> Done:
    """PREPARE name FROM statement, or FROM 'statement'."""
    words = Words(found, sql)
    words.expect("PREPARE")
    name = words.name().lower()
    words.expect("FROM")
    if words.kind() == TokenType.STRING:
        statement = words.string()
        words.finish()
    else:
        statement = words.rest()
    parts = dialect.split(dialect.tokenize(statement))
    if len(parts) != 1:
        raise syntax_error("a prepared statement is one statement")
    if parts[0][0].text.upper() in ("PREPARE", "EXECUTE", "DEALLOCATE"):
        raise syntax_error("a prepared statement can't be about prepared statements")
    known = context.session.prepared
    if name not in known and len(known) >= MAX_STATEMENTS:
        raise SqlError(1461, "42000", f"more than {MAX_STATEMENTS} prepared statements")
    known[name] = statement
    return Done()


def execute(context: Context, found: list[Token], sql: str, run: Run) -> ResultSet | Done:
    """EXECUTE name [USING @a, @b, ...]."""
    words = Words(found, sql)
    words.expect("EXECUTE")
    statement = _known(context, words.name(), "EXECUTE")
    values: list[str] = []
    if words.accept("USING"):
        while not values or words.accept(","):
            words.expect("@")
            values.append(literal(context.session.user_variables.get(words.name().lower())))
    words.finish()
    positions = placeholders(dialect.tokenize(statement))
    if len(positions) != len(values):
        raise SqlError(
            1210,
            "HY000",
            f"Incorrect arguments to EXECUTE: {len(values)} values for {len(positions)} parameters",
        )
    text = filled(statement, positions, values)
    return run(context, dialect.split(dialect.tokenize(text))[0], text)


def deallocate(context: Context, found: list[Token], sql: str) -> Done:
    """DEALLOCATE PREPARE name, or DROP PREPARE name."""
    words = Words(found, sql)
    verb = words.any_of("DEALLOCATE", "DROP")
    words.expect("PREPARE")
    name = words.name()
    words.finish()
    _known(context, name, f"{verb} PREPARE")
    del context.session.prepared[name.lower()]
    return Done()


def _known(context: Context, name: str, verb: str) -> str:
    statement = context.session.prepared.get(name.lower())
    if statement is None:
        raise SqlError(
            1243, "HY000", f"Unknown prepared statement handler ({name}) given to {verb}"
        )
    return statement
