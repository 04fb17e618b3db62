"""SET, USE, KILL, transactions and ADMIN."""

from __future__ import annotations

import json

from sqlglot import exp

from embedded_starrocks.errors import SqlError, syntax_error, unsupported
from embedded_starrocks.mysql.resultset import Done, ResultSet, table_of
from embedded_starrocks.sql import accounts, dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.query import run_plan
from embedded_starrocks.sql.rewrite import Rewriter
from embedded_starrocks.sql.variables import Value, checked_value
from embedded_starrocks.sql.words import Words, like_pattern
from embedded_starrocks.storage.metadata import SCHEMA


def set_statement(context: Context, found: list[Token], sql: str) -> Done:
    """SET of session and user variables; SET NAMES; passwords and roles are in `accounts`."""
    words = Words(found, sql)
    words.expect("SET")
    if words.peek() in ("PASSWORD", "ROLE", "DEFAULT", "PROPERTY"):
        return accounts.set_statement(context, words)
    if words.peek() in ("NAMES", "CHARSET", "CHARACTER"):
        return Done()
    if words.accept("CATALOG"):
        if words.name().lower() != "default_catalog":
            raise unsupported("catalogs other than default_catalog")
        return Done()
    if words.accept("TRANSACTION") or words.accept("SESSION", "TRANSACTION"):
        return Done()
    tree = dialect.parse_tokens(found, sql)
    if not isinstance(tree, exp.Set):
        raise unsupported(dialect.text_of(found, sql)[:120])
    for item in tree.expressions:
        _set_item(context, item)
    return Done()


def _set_item(context: Context, item: exp.Expr) -> None:
    assignment = item.this
    kind = str(item.args.get("kind") or "").upper()
    if not isinstance(assignment, exp.EQ | exp.PropertyEQ):
        raise unsupported(f"SET {item.sql('starrocks')[:80]}")
    target = assignment.this
    if isinstance(target, exp.SessionParameter):
        kind = str(target.args.get("kind") or kind).upper()
    if kind in ("GLOBAL", "PERSIST"):
        context.require_system("OPERATE", "set global variables")
    value = _value(context, assignment.expression)
    name = target.name.lower()
    if isinstance(target, exp.Parameter):
        # TRUE and FALSE of a user's own variable are numbers.
        is_boolean = isinstance(assignment.expression, exp.Boolean)
        context.session.user_variables[name] = int(value == "true") if is_boolean else value
    elif kind in ("GLOBAL", "PERSIST"):
        _set_global(context, name, checked_value(name, value, is_global=True))
    else:
        context.session.variables[name] = checked_value(name, value)


def _set_global(context: Context, name: str, value: Value) -> None:
    """For sessions to come; the one that sets it keeps what it has, as in StarRocks."""
    before = context.variable(name)
    with context.store.write() as connection:
        connection.execute(f"DELETE FROM {SCHEMA}.variables WHERE name = ?", [name])
        connection.execute(
            f"INSERT INTO {SCHEMA}.variables VALUES (?, ?)", [name, json.dumps(value)]
        )
    context.session.variables.setdefault(name, before)
    context.store.global_variables[name] = value


def _value(context: Context, node: exp.Expr) -> Value:
    """The value of a SET: a word, a literal or an expression."""
    if isinstance(node, exp.Column) and not node.table:
        return None if node.name.upper() == "DEFAULT" else node.name
    if isinstance(node, exp.Literal):
        written = str(node.this)
        return int(written) if written.isdigit() and not node.is_string else written
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Var):
        return None if node.name.upper() == "DEFAULT" else str(node.this)
    plan = Rewriter(context.scope()).query(exp.select(node.copy()))
    for chunk in run_plan(context, plan).chunks:
        value = chunk[0][0]
        return value if isinstance(value, int) or value is None else str(value)
    return None


def use(context: Context, found: list[Token], sql: str) -> Done:
    words = Words(found, sql)
    words.expect("USE")
    table = words.table()
    words.finish()
    context.use(table.name)
    return Done()


def kill(context: Context, found: list[Token], sql: str) -> Done:
    """KILL [CONNECTION | QUERY] id, of one's own sessions or, as root, of any."""
    words = Words(found, sql)
    words.expect("KILL")
    kind = words.any_of("CONNECTION", "QUERY")
    wanted = words.name()
    words.finish()
    if not wanted.isdigit():
        raise syntax_error(f"KILL needs a connection id, not '{wanted}'")
    session = context.sessions.get(int(wanted))
    if session is None:
        raise SqlError(1094, "HY000", f"Unknown thread id: {wanted}")
    if session.user != context.session.user:
        context.require_system("OPERATE", "kill connections of others")
    session.kill(whole_connection=kind != "QUERY")
    return Done()


def accepted(_context: Context, _found: list[Token], _sql: str) -> Done:
    """Statements about statistics, which DuckDB keeps by itself."""
    return Done()


def admin(_context: Context, found: list[Token], sql: str) -> ResultSet:
    """ADMIN SHOW FRONTEND CONFIG [LIKE ...]; nothing else of ADMIN."""
    words = Words(found, sql)
    words.expect("ADMIN")
    if not words.accept("SHOW", "FRONTEND", "CONFIG"):
        raise unsupported(dialect.text_of(found, sql)[:120])
    rows = [("run_mode", "[]", "shared_nothing", "String", "false", "embedded StarRocks")]
    if words.accept("LIKE"):
        pattern = like_pattern(words.string())
        rows = [row for row in rows if pattern.match(row[0])]
    words.finish()
    return table_of(["Key", "AliasNames", "Value", "Type", "IsMutable", "Comment"], [*rows])
