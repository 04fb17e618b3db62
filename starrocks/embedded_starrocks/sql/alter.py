"""ALTER TABLE and ALTER VIEW."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import (
    semantic_error,
    table_exists,
    unsupported,
)
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import altercolumns, alterpartitions, ddl, dialect, mviews
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.rewrite import find_relation
from embedded_starrocks.sql.tablechecks import check_distribution, check_dynamic, check_order
from embedded_starrocks.sql.tabledef import check_name, clauses_of
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import metadata, rights
from embedded_starrocks.storage.metadata import Relation, qualified, quoted

_MODIFY_COMMENT = re.compile(r"\bMODIFY\s+COMMENT\b", re.IGNORECASE)


def alter(context: Context, found: list[Token], sql: str) -> Done:
    text = _MODIFY_COMMENT.sub("COMMENT =", dialect.text_of(found, sql))
    words = Words(found, sql)
    words.expect("ALTER")
    if words.accept("MATERIALIZED", "VIEW"):
        return mviews.alter(context, words)
    if words.peek() not in ("TABLE", "VIEW"):
        raise unsupported(text[:120])
    if words.accept("TABLE"):
        table = words.table()
        clauses = altercolumns.clauses_about_columns(found[words.save() :])
        if clauses is not None:
            return _alter_columns(context, _altered(context, table), clauses, sql)
        if alterpartitions.is_about_partitions(words):
            return alterpartitions.alter(context, words, _altered(context, table))
        if words.peek() in ("ORDER", "ORDER BY", "DISTRIBUTED"):
            return _layout(context, words, _altered(context, table))
    tree = dialect.parse(text)
    if not isinstance(tree, exp.Alter):
        raise unsupported(text[:120])
    if tree.args.get("kind") == "VIEW":
        relation = find_relation(context.scope(), tree.this)
        context.require("ALTER", relation.db, relation.name)
        return _alter_view(context, tree, relation)
    relation = _altered(context, tree.this)
    with context.store.change() as connection:
        for action in [*(tree.args.get("actions") or []), *(tree.args.get("options") or [])]:
            _apply(context, connection, relation, action)
            relation = altercolumns.reread(connection, relation)
    return Done()


def _altered(context: Context, table: exp.Table) -> Relation:
    """The table to change. Raises SqlError when it is none, or the user may not."""
    relation = find_relation(context.scope(), table)
    context.require("ALTER", relation.db, relation.name)
    if relation.kind != "TABLE":
        raise semantic_error(f"'{relation.name}' is a {relation.kind}, not a TABLE")
    return relation


def _alter_columns(
    context: Context, relation: Relation, clauses: list[altercolumns.Clause], sql: str
) -> Done:
    with context.store.change() as connection:
        for clause in clauses:
            altercolumns.apply(connection, relation, clause, sql)
            relation = altercolumns.reread(connection, relation)
    return Done()


def _layout(context: Context, words: Words, relation: Relation) -> Done:
    """ORDER BY (...) and DISTRIBUTED BY ...: kept and shown, as in CREATE TABLE."""
    clause = words.rest()
    create = dialect.parse(f"CREATE TABLE x (k INT) {clause}")
    if not isinstance(create, exp.Create):
        raise unsupported(clause[:80])
    clauses = clauses_of(create)
    changes = {"distributed_by": clauses.distributed_by, "order_by": clauses.order_by}
    check_order(relation, clauses.order_by)
    check_distribution(relation, clauses.distributed_by or relation.distributed_by)
    with context.store.change() as connection:
        kept = {name: text for name, text in changes.items() if text}
        metadata.update_relation(connection, relation, **kept)
    return Done()


def _apply(
    context: Context, connection: duckdb.DuckDBPyConnection, relation: Relation, action: Any
) -> None:
    if isinstance(action, exp.SwapTable):
        _swap(context, connection, relation, action)
        return
    handler = _ACTIONS.get(type(action))
    if handler is None:
        raise unsupported(f"ALTER TABLE ... {action.sql('starrocks')[:80]}")
    handler(connection, relation, action)


def _comment(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.SchemaCommentProperty
) -> None:
    metadata.update_relation(connection, relation, comment=action.this.name)


def _set_properties(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.AlterSet
) -> None:
    properties = dict(relation.properties)
    for part in action.expressions:
        properties[part.this.name] = part.expression.name
    check_dynamic(properties)
    metadata.update_relation(connection, relation, properties=json.dumps(properties))


def _rename_physical(
    connection: duckdb.DuckDBPyConnection, relation: Relation, new_name: str
) -> None:
    target = qualified(relation.db, relation.name)
    connection.execute(f"ALTER TABLE {target} RENAME TO {quoted(new_name)}")


def _rename(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.AlterRename
) -> None:
    new = check_name(action.this.name)
    known = metadata.read_catalog(connection).relation(relation.db, new)
    if known is not None and known.id != relation.id:
        raise table_exists(new)
    _rename_physical(connection, relation, new)
    metadata.update_relation(connection, relation, name=new)
    rights.rename_object(connection, relation.db, relation.name, new)


def _swap(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    action: exp.SwapTable,
) -> None:
    """Exchange the names of two tables in one transaction."""
    table = action.this
    if not table.db:
        table.set("db", exp.to_identifier(relation.db))
    other = find_relation(context.scope(), table)
    context.require("ALTER", other.db, other.name)
    if other.kind != "TABLE" or other.db != relation.db:
        raise semantic_error(f"'{other.name}' is no table of database '{relation.db}'")
    _rename_physical(connection, relation, "__swapped")
    _rename_physical(connection, other, relation.name)
    _rename_physical(connection, dataclasses.replace(relation, name="__swapped"), other.name)
    metadata.update_relation(connection, relation, name=other.name)
    metadata.update_relation(connection, other, name=relation.name)
    rights.rename_object(connection, relation.db, relation.name, "__swapped")
    rights.rename_object(connection, relation.db, other.name, relation.name)
    rights.rename_object(connection, relation.db, "__swapped", other.name)


_ACTIONS: dict[type[exp.Expr], Callable[[duckdb.DuckDBPyConnection, Relation, Any], None]] = {
    exp.SchemaCommentProperty: _comment,
    exp.AlterSet: _set_properties,
    exp.AlterRename: _rename,
}


def _alter_view(context: Context, tree: exp.Alter, relation: Relation) -> Done:
    """ALTER VIEW v AS SELECT ...: the definition is replaced."""
    actions = tree.args.get("actions") or []
    if relation.kind != "VIEW" or len(actions) != 1 or not isinstance(actions[0], exp.Query):
        raise unsupported(tree.sql("starrocks")[:120])
    create = exp.Create(this=tree.this, kind="VIEW", replace=True, expression=actions[0])
    return ddl.create_view(context, create)
