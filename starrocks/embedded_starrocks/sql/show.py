"""The SHOW family, DESC and EXPLAIN."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from embedded_starrocks.errors import no_database_selected, unknown_database, unsupported
from embedded_starrocks.mysql.resultset import ResultSet, Row, table_of
from embedded_starrocks.sql import dialect, showaccounts, showbackups
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.infoschema import view_names
from embedded_starrocks.sql.query import plan_query, run_plan
from embedded_starrocks.sql.rewrite import Plan, find_relation
from embedded_starrocks.sql.showcreate import show_create_sql
from embedded_starrocks.sql.showpartitions import show_partitions
from embedded_starrocks.sql.showwhere import chosen
from embedded_starrocks.sql.variables import default_variables
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import SCHEMA, Column, Relation

_RESULT = Callable[[Context, Words], ResultSet]


def show(context: Context, found: list[Token], sql: str) -> ResultSet:
    """SHOW ...; what is not known is refused."""
    words = Words(found, sql)
    words.expect("SHOW")
    is_full = words.accept("FULL")
    words.is_global = words.any_of("GLOBAL", "SESSION", "LOCAL") == "GLOBAL"
    first = words.peek()
    if first == "TABLES":
        return _tables(context, words, is_full)
    if first in ("COLUMNS", "FIELDS"):
        return _columns(context, words, is_full)
    if first == "CREATE":
        return _create(context, words)
    handler = _SHOW.get(first)
    if handler is None:
        raise unsupported(dialect.text_of(found, sql)[:120])
    words.name()
    return handler(context, words)


def _database(context: Context, words: Words) -> str:
    """FROM db / IN db, or the current one."""
    if words.any_of("FROM", "IN"):
        name = words.name()
        if words.accept("."):
            name = words.name()
    else:
        name = context.session.database
        if not name:
            raise no_database_selected()
    if name.lower() == "information_schema":
        return "information_schema"
    found = context.catalog.database(name)
    if found is None or not context.sees_database(found):
        raise unknown_database(name)
    return found


def _visible(context: Context, db: str) -> list[Relation]:
    return [relation for relation in context.catalog.in_database(db) if context.sees(relation)]


def _databases(context: Context, words: Words) -> ResultSet:
    if words.accept("FROM"):
        words.name()
    names = sorted(
        ["information_schema", *[n for n in context.catalog.databases if context.sees_database(n)]]
    )
    return _shown(words, ["Database"], [(name,) for name in names])


def _tables(context: Context, words: Words, is_full: bool) -> ResultSet:
    words.expect("TABLES")
    db = _database(context, words)
    if db == "information_schema":
        rows: list[Row] = [(name, "SYSTEM VIEW") for name in view_names()]
    else:
        rows = [
            (relation.name, "BASE TABLE" if relation.kind == "TABLE" else "VIEW")
            for relation in _visible(context, db)
        ]
    names = [f"Tables_in_{db}", "Table_type"]
    rows = chosen(words, names, rows)
    if is_full:
        return table_of(names, rows)
    return table_of(names[:1], [row[:1] for row in rows])


def _table_status(context: Context, words: Words) -> ResultSet:
    words.expect("STATUS")
    db = _database(context, words)
    rows: list[Row] = [
        (relation.name, "" if relation.kind == "VIEW" else "StarRocks", relation.comment)
        for relation in _visible(context, db)
    ]
    return _shown(words, ["Name", "Engine", "Comment"], rows)


def _views(context: Context, words: Words) -> ResultSet:
    db = _database(context, words)
    rows: list[Row] = [(r.name,) for r in _visible(context, db) if r.kind == "VIEW"]
    return _shown(words, [f"Views_in_{db}"], rows)


def _materialized(context: Context, words: Words) -> ResultSet:
    words.expect("VIEWS")
    db = _database(context, words)
    rows: list[Row] = [
        (r.id, db, r.name, r.refresh, "true" if r.is_active else "false", r.definition)
        for r in _visible(context, db)
        if r.kind == "MATERIALIZED VIEW"
    ]
    names = ["id", "database_name", "name", "refresh_type", "is_active", "text"]
    return table_of(names, chosen(words, names, rows, column=2))


_DESC_NAMES = ["Field", "Type", "Null", "Key", "Default", "Extra"]


def _extra(column: Column) -> str:
    if column.generated:
        return f"AS {column.generated}"
    return "auto_increment" if column.auto_increment else column.aggregate


def _described(relation: Relation) -> list[Row]:
    return [
        (
            column.name,
            column.type.shown(),
            "YES" if column.nullable else "NO",
            "true" if column.name in relation.keys else "false",
            column.default,
            _extra(column),
        )
        for column in relation.columns
    ]


def _columns(context: Context, words: Words, is_full: bool) -> ResultSet:
    words.name()
    words.any_of("FROM", "IN")
    table = words.table()
    if words.any_of("FROM", "IN"):
        table.set("db", words.table().this)
    relation = find_relation(context.scope(), table)
    context.require_any(relation)
    rows = chosen(words, _DESC_NAMES, _described(relation))
    if not is_full:
        return table_of(_DESC_NAMES, rows)
    comments = {column.name: column.comment for column in relation.columns}
    names = ["Field", "Type", "Collation", "Null", "Key", "Default", "Extra"]
    full: list[Row] = [(row[0], row[1], None, *row[2:6], "", comments[row[0]]) for row in rows]
    return table_of([*names, "Privileges", "Comment"], full)


def describe(context: Context, found: list[Token], sql: str) -> ResultSet:
    """DESC table; DESC of a query is EXPLAIN."""
    words = Words(found, sql)
    words.name()
    if words.peek() in ("SELECT", "WITH", "INSERT"):
        return explain(context, found, sql)
    words.accept("TABLE")
    table = words.table()
    if words.accept("ALL"):
        raise unsupported("DESC ... ALL")
    words.finish()
    relation = find_relation(context.scope(), table)
    context.require_any(relation)
    return table_of(_DESC_NAMES, _described(relation))


def explain(context: Context, found: list[Token], sql: str) -> ResultSet:
    """DuckDB's plan, under a heading that says so."""
    words = Words(found, sql)
    words.name()
    words.any_of("COSTS", "VERBOSE", "LOGICAL", "ANALYZE")
    tree = dialect.parse(words.rest())
    plan = plan_query(context, tree)
    lines = run_plan(context, Plan(sql=f"EXPLAIN {plan.sql}"))
    shown: list[Row] = [("PLAN OF DUCKDB (embedded StarRocks), not of StarRocks",)]
    for chunk in lines.chunks:
        for row in chunk:
            shown += [(line,) for line in str(row[1]).splitlines()]
    return table_of(["Explain String"], shown)


def _create(context: Context, words: Words) -> ResultSet:
    words.expect("CREATE")
    kind = words.any_of("TABLE", "VIEW", "DATABASE", "SCHEMA", "MATERIALIZED")
    if kind == "MATERIALIZED":
        words.expect("VIEW")
    if kind in ("DATABASE", "SCHEMA"):
        name = words.name()
        found = context.catalog.database(name)
        if found is None or not context.sees_database(found):
            raise unknown_database(name)
        text = f"CREATE DATABASE `{found}`"
        return table_of(["Database", "Create Database"], [(found, text)])
    if not kind:
        raise words.error("expected TABLE, VIEW, MATERIALIZED VIEW or DATABASE")
    relation = find_relation(context.scope(), words.table())
    words.finish()
    context.require_any(relation)
    text = show_create_sql(relation)
    if relation.kind == "VIEW":
        names = ["View", "Create View", "character_set_client", "collation_connection"]
        return table_of(names, [(relation.name, text, "utf8", "utf8_general_ci")])
    if relation.kind == "MATERIALIZED VIEW":
        return table_of(["Materialized View", "Create Materialized View"], [(relation.name, text)])
    return table_of(["Table", "Create Table"], [(relation.name, text)])


def _variables(context: Context, words: Words) -> ResultSet:
    values = {
        **default_variables(context.store.banner),
        **context.store.global_variables,
        **({} if words.is_global else context.session.variables),
    }
    rows: list[Row] = [(name, _as_text(value)) for name, value in sorted(values.items())]
    return _shown(words, ["Variable_name", "Value"], rows)


def _as_text(value: str | int | None) -> str:
    return "" if value is None else str(value)


def _processlist(context: Context, words: Words) -> ResultSet:
    words.finish()
    now = datetime.datetime.now(datetime.UTC)
    rows: list[Row] = []
    sees_all = context.allows("OPERATE", "SYSTEM", "*", "*")
    for session in context.sessions.all():
        if session.user != context.session.user and not sees_all:
            continue
        seconds = int((now - session.started).total_seconds()) if session.started else 0
        command = "Query" if session.statement else "Sleep"
        rows.append(
            (
                str(session.id),
                session.user,
                session.host,
                session.database,
                command,
                str(seconds),
                "OK",
                session.statement[:1000],
            )
        )
    names = ["Id", "User", "Host", "Db", "Command", "Time", "State", "Info"]
    return table_of(names, rows)


def _load(context: Context, words: Words) -> ResultSet:
    db = _database(context, words)
    rows = context.session.connection.execute(
        f"SELECT txn_id, label, state, kind, tbl, total_rows, filtered_rows, message, "
        f"CAST(created_at AS VARCHAR) FROM {SCHEMA}.labels WHERE db = ? ORDER BY txn_id",
        [db],
    ).fetchall()
    names = ["JobId", "Label", "State", "Type", "Table", "ScanRows", "FilteredRows", "ErrorMsg"]
    text_rows: list[Row] = [tuple(str(value) for value in row) for row in rows]
    return _shown(words, [*names, "CreateTime"], text_rows)


def _shown(words: Words, names: list[str], rows: list[Row]) -> ResultSet:
    return table_of(names, chosen(words, names, rows))


def _fixed(names: list[str], rows: list[Row]) -> _RESULT:
    """A SHOW whose answer never changes; one without rows has none, whatever follows."""
    return lambda _, words: _shown(words, names, rows) if rows else table_of(names, [])


def _character_set(_context: Context, words: Words) -> ResultSet:
    words.accept("SET")
    return _shown(
        words,
        ["Charset", "Description", "Default collation", "Maxlen"],
        [("utf8", "UTF-8 Unicode", "utf8_general_ci", "3")],
    )


def _catalogs(_context: Context, _words: Words) -> ResultSet:
    return table_of(
        ["Catalog", "Type", "Comment"], [("default_catalog", "Internal", "embedded StarRocks")]
    )


def _nodes(_context: Context, _words: Words) -> ResultSet:
    """One row: this process is frontend and backend in one."""
    names = ["Id", "Name", "IP", "Alive", "Version"]
    return table_of(names, [("1", "embedded", "127.0.0.1", "true", "3.5.0 embedded")])


_SHOW: dict[str, _RESULT] = {
    "DATABASES": _databases,
    "SCHEMAS": _databases,
    "TABLE": _table_status,
    "VIEWS": _views,
    "MATERIALIZED": _materialized,
    "VARIABLES": _variables,
    "PROCESSLIST": _processlist,
    "LOAD": _load,
    "PARTITIONS": show_partitions,
    "REPOSITORIES": showbackups.repositories,
    "SNAPSHOT": showbackups.snapshot,
    "BACKUP": showbackups.backup,
    "RESTORE": showbackups.restore,
    "GRANTS": showaccounts.show_grants,
    "USERS": showaccounts.show_users,
    "ROLES": showaccounts.show_roles,
    "CATALOGS": _catalogs,
    "FRONTENDS": _nodes,
    "BACKENDS": _nodes,
    "WARNINGS": _fixed(["Level", "Code", "Message"], []),
    "ERRORS": _fixed(["Level", "Code", "Message"], []),
    "STATUS": _fixed(["Variable_name", "Value"], []),
    "PLUGINS": _fixed(["Name", "Type", "Description"], []),
    "INDEX": _fixed(["Table", "Non_unique", "Key_name", "Column_name"], []),
    "INDEXES": _fixed(["Table", "Non_unique", "Key_name", "Column_name"], []),
    "KEYS": _fixed(["Table", "Non_unique", "Key_name", "Column_name"], []),
    "TRIGGERS": _fixed(["Trigger", "Event", "Table"], []),
    "ENGINES": _fixed(["Engine", "Support", "Comment"], [("OLAP", "YES", "Default engine")]),
    "CHARSET": _character_set,
    "CHARACTER": _character_set,
    "PROCEDURE": _fixed(["Db", "Name", "Type", "Comment"], []),
    "FUNCTION": _fixed(["Db", "Name", "Type", "Comment"], []),
    "EVENTS": _fixed(["Db", "Name", "Definer", "Time zone", "Type", "Status"], []),
    "COLLATION": _fixed(
        ["Collation", "Charset", "Id", "Default"], [("utf8_general_ci", "utf8", "33", "Yes")]
    ),
}
