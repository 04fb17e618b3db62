"""SET, USE, KILL, transactions, ADMIN, and users with their rights."""

from __future__ import annotations

import re

from sqlglot import exp

from embedded_starrocks.errors import (
    SqlError,
    semantic_error,
    syntax_error,
    unknown_database,
    unsupported,
)
from embedded_starrocks.mysql.auth import stored_hash
from embedded_starrocks.mysql.resultset import Done, ResultSet, table_of
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context, Value
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.query import run_plan
from embedded_starrocks.sql.rewrite import Rewriter
from embedded_starrocks.sql.show import like_pattern
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import SCHEMA
from embedded_starrocks.storage.store import ROOT

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER")
_DATABASE_PRIVILEGES = ("CREATE TABLE", "CREATE VIEW", "CREATE MATERIALIZED VIEW")


def set_statement(context: Context, found: list[Token], sql: str) -> Done:
    """SET of session and user variables; SET NAMES; SET PASSWORD is refused."""
    words = Words(found, sql)
    words.expect("SET")
    if words.peek() in ("NAMES", "CHARSET", "CHARACTER"):
        return Done()
    if words.accept("CATALOG"):
        if words.name().lower() != "default_catalog":
            raise unsupported("catalogs other than default_catalog")
        return Done()
    if words.peek() in ("PASSWORD", "ROLE", "DEFAULT", "PROPERTY"):
        raise unsupported(f"SET {words.peek()}")
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
        context.require_admin("set global variables")
    value = _value(context, assignment.expression)
    name = target.name.lower()
    if isinstance(target, exp.Parameter):
        context.session.user_variables[name] = value
    else:
        context.session.variables[name] = value


def _value(context: Context, node: exp.Expr) -> Value:
    """The value of a SET: a word, a literal or an expression."""
    if isinstance(node, exp.Column) and not node.table:
        return None if node.name.upper() == "DEFAULT" else node.name
    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else int(float(node.this))
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Var):
        return str(node.this)
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
        context.require_admin("kill connections of others")
    session.kill(whole_connection=kind != "QUERY")
    return Done()


def begin(_context: Context, _found: list[Token], _sql: str) -> Done:
    raise unsupported(
        "BEGIN: each statement commits by itself; several loads commit together through the "
        "transaction API on HTTP"
    )


def end_transaction(_context: Context, _found: list[Token], _sql: str) -> Done:
    """COMMIT and ROLLBACK outside of a transaction do nothing, as in StarRocks."""
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


def _user(words: Words) -> str:
    name = words.name()
    if words.accept("@"):
        host = words.name()
        if host != "%":
            raise unsupported(f"user host '{host}'; use '%'")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise semantic_error(f"user name '{name}' is not 1-64 letters, digits, _ . -")
    return name


def _password(words: Words) -> str | None:
    if not words.accept("IDENTIFIED"):
        return None
    if words.accept("BY"):
        return words.string()
    raise unsupported("IDENTIFIED WITH; use IDENTIFIED BY 'password'")


def create_user(context: Context, found: list[Token], sql: str) -> Done:
    context.require_admin("create users")
    words = Words(found, sql)
    words.expect("CREATE", "USER")
    if_not_exists = words.accept("IF", "NOT", "EXISTS")
    name = _user(words)
    password = _password(words)
    words.finish()
    if not password:
        raise unsupported("a user without a password; write IDENTIFIED BY 'password'")
    with context.store.change() as connection:
        if name in context.catalog.users:
            if if_not_exists:
                return Done()
            raise SqlError(1396, "HY000", f"Operation CREATE USER failed for '{name}'@'%'")
        connection.execute(
            f"INSERT INTO {SCHEMA}.users VALUES (?, ?)", [name, stored_hash(password)]
        )
    return Done()


def alter_user(context: Context, found: list[Token], sql: str) -> Done:
    words = Words(found, sql)
    words.expect("ALTER", "USER")
    name = _user(words)
    password = _password(words)
    words.finish()
    if name == ROOT:
        raise unsupported("changing root's password by SQL; it is in the server's password file")
    if name != context.session.user:
        context.require_admin("change passwords of others")
    if not password:
        raise unsupported("an empty password")
    with context.store.change() as connection:
        if name not in context.catalog.users:
            raise SqlError(1396, "HY000", f"Operation ALTER USER failed for '{name}'@'%'")
        connection.execute(
            f"UPDATE {SCHEMA}.users SET password_hash = ? WHERE name = ?",
            [stored_hash(password), name],
        )
    return Done()


def drop_user(context: Context, found: list[Token], sql: str) -> Done:
    context.require_admin("drop users")
    words = Words(found, sql)
    words.expect("DROP", "USER")
    if_exists = words.accept("IF", "EXISTS")
    name = _user(words)
    words.finish()
    if name == ROOT:
        raise semantic_error("root can't be dropped")
    with context.store.change() as connection:
        if name not in context.catalog.users:
            if if_exists:
                return Done()
            raise SqlError(1396, "HY000", f"Operation DROP USER failed for '{name}'@'%'")
        connection.execute(f"DELETE FROM {SCHEMA}.users WHERE name = ?", [name])
        connection.execute(f"DELETE FROM {SCHEMA}.grants WHERE user_name = ?", [name])
    return Done()


def grant(context: Context, found: list[Token], sql: str) -> Done:
    """GRANT privileges ON ... TO [USER] name."""
    return _change_grants(context, Words(found, sql), "GRANT")


def revoke(context: Context, found: list[Token], sql: str) -> Done:
    return _change_grants(context, Words(found, sql), "REVOKE")


def _change_grants(context: Context, words: Words, verb: str) -> Done:
    context.require_admin("change rights")
    words.expect(verb)
    privileges = _privileges(words)
    words.expect("ON")
    places = _places(context, words)
    words.expect("TO" if verb == "GRANT" else "FROM")
    if words.accept("ROLE"):
        raise unsupported("roles")
    words.accept("USER")
    name = _user(words)
    words.finish()
    if name not in context.catalog.users:
        raise semantic_error(f"cannot find user '{name}'@'%'")
    with context.store.change() as connection:
        for privilege in privileges:
            for db, table in places:
                row = [name, privilege, db, table]
                connection.execute(
                    f"DELETE FROM {SCHEMA}.grants WHERE user_name = ? AND privilege = ? "
                    "AND db = ? AND tbl = ?",
                    row,
                )
                if verb == "GRANT":
                    connection.execute(f"INSERT INTO {SCHEMA}.grants VALUES (?, ?, ?, ?)", row)
    return Done()


def _privileges(words: Words) -> list[str]:
    if words.accept("ALL"):
        words.accept("PRIVILEGES")
        return [*_PRIVILEGES, *_DATABASE_PRIVILEGES]
    found = []
    while True:
        name = words.name().upper()
        if name == "CREATE":
            name += " " + words.name().upper()
            if name == "CREATE MATERIALIZED":
                name += " " + words.name().upper()
        if name not in (*_PRIVILEGES, *_DATABASE_PRIVILEGES):
            raise unsupported(f"privilege {name}")
        found.append(name)
        if not words.accept(","):
            return found


def _places(context: Context, words: Words) -> list[tuple[str, str]]:
    """ALL TABLES IN DATABASE db, ALL TABLES IN ALL DATABASES, DATABASE db, [TABLE] db.table."""
    if words.accept("ALL"):
        words.any_of("TABLES", "VIEWS", "MATERIALIZED")
        words.accept("VIEWS")
        words.expect("IN")
        if words.accept("ALL", "DATABASES"):
            return [("*", "*")]
        words.expect("DATABASE")
        return [(_known_database(context, words.name()), "*")]
    if words.accept("DATABASE"):
        return [(_known_database(context, words.name()), "*")]
    words.any_of("TABLE", "VIEW")
    table = words.table()
    if table.name == "*":
        if table.db == "*":
            return [("*", "*")]
        return [(_known_database(context, table.db or context.session.database), "*")]
    db = _known_database(context, table.db or context.session.database)
    relation = context.catalog.relation(db, table.name)
    if relation is None:
        raise semantic_error(f"Table '{db}.{table.name}' doesn't exist")
    return [(relation.db, relation.name)]


def _known_database(context: Context, name: str) -> str:
    found = context.catalog.database(name)
    if found is None:
        raise unknown_database(name)
    return found
