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
    duplicate_column,
    semantic_error,
    table_exists,
    unknown_column,
    unsupported,
)
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import ddl, dialect, mviews
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.rewrite import find_relation
from embedded_starrocks.sql.tabledef import check_name, column_from
from embedded_starrocks.sql.values import converted, default_value
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import metadata, rights, tables
from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted

_MODIFY_COMMENT = re.compile(r"\bMODIFY\s+COMMENT\b", re.IGNORECASE)
_ADD_LIST = re.compile(r"\bADD\s+COLUMN\s*\(", re.IGNORECASE)


def alter(context: Context, found: list[Token], sql: str) -> Done:
    text = _MODIFY_COMMENT.sub("COMMENT =", dialect.text_of(found, sql))
    if _ADD_LIST.search(text):
        raise unsupported("ADD COLUMN (...); write ADD COLUMN a ..., ADD COLUMN b ...")
    words = Words(found, sql)
    words.expect("ALTER")
    if words.accept("MATERIALIZED", "VIEW"):
        return mviews.alter(context, words)
    if words.peek() not in ("TABLE", "VIEW"):
        raise unsupported(text[:120])
    tree = dialect.parse(text)
    if not isinstance(tree, exp.Alter):
        raise unsupported(text[:120])
    relation = find_relation(context.scope(), tree.this)
    context.require("ALTER", relation.db, relation.name)
    if tree.args.get("kind") == "VIEW":
        return _alter_view(context, tree, relation)
    if relation.kind != "TABLE":
        raise semantic_error(f"'{relation.name}' is a {relation.kind}, not a TABLE")
    with context.store.change() as connection:
        for action in [*(tree.args.get("actions") or []), *(tree.args.get("options") or [])]:
            _apply(context, connection, relation, action)
            relation = _reread(connection, relation)
    return Done()


def _reread(connection: duckdb.DuckDBPyConnection, relation: Relation) -> Relation:
    """The relation as the open transaction sees it now."""
    for each in metadata.read_catalog(connection).relations.values():
        if each.id == relation.id:
            return each
    raise semantic_error(f"table {relation.name} is gone")


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


def _add_column(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.ColumnDef
) -> None:
    column = column_from(action)
    if relation.column(column.name) is not None:
        raise duplicate_column(column.name)
    if not column.nullable and column.default is None:
        raise semantic_error(f"column '{column.name}' is NOT NULL and has no DEFAULT")
    position = action.args.get("position")
    if position is not None and str(position.args.get("position")).upper() == "FIRST":
        raise unsupported("ADD COLUMN ... FIRST; the key comes first")
    columns = list(relation.columns)
    after = position.this.name.lower() if position is not None else columns[-1].name.lower()
    names = [each.name.lower() for each in columns]
    if after not in names:
        raise unknown_column(after, relation.name)
    columns.insert(names.index(after) + 1, column)
    if columns[-1] is column and column.nullable:
        target = qualified(relation.db, relation.name)
        name = quoted(column.name)
        connection.execute(f"ALTER TABLE {target} ADD COLUMN {name} {column.type.duckdb()}")
        if column.default is not None:
            connection.execute(f"UPDATE {target} SET {name} = {default_value(column)}")
    else:
        _rebuild(connection, relation, tuple(columns), column)
    metadata.insert_columns(connection, relation.id, tuple(columns), relation.keys)


def _rebuild(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    added: Column,
) -> None:
    """Copy the table with a column in between, which DuckDB can only add at the end."""
    old = dataclasses.replace(relation, name="__rebuilt")
    _rename_physical(connection, relation, old.name)
    tables.create_table(connection, dataclasses.replace(relation, columns=columns))
    values = ", ".join(
        default_value(column) if column is added else quoted(column.name) for column in columns
    )
    target = qualified(relation.db, relation.name)
    source = qualified(old.db, old.name)
    connection.execute(f"INSERT INTO {target} SELECT {values} FROM {source}")
    connection.execute(f"DROP TABLE {source}")


def _require_column(relation: Relation, name: str) -> Column:
    column = relation.column(name)
    if column is None:
        raise unknown_column(name, relation.name)
    return column


def _drop_column(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.Drop
) -> None:
    if action.args.get("kind") != "COLUMN":
        raise unsupported(f"ALTER TABLE ... DROP {action.args.get('kind')}")
    column = _require_column(relation, action.args["tables"][0].name)
    if column.name in relation.keys and relation.key_model == "PRIMARY":
        raise semantic_error(f"can't drop key column '{column.name}'")
    target = qualified(relation.db, relation.name)
    connection.execute(f"ALTER TABLE {target} DROP COLUMN {quoted(column.name)}")
    columns = tuple(each for each in relation.columns if each is not column)
    keys = tuple(key for key in relation.keys if key != column.name)
    metadata.update_relation(connection, relation, key_columns=json.dumps(keys))
    metadata.insert_columns(connection, relation.id, columns, keys)


def _rename_column(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.RenameColumn
) -> None:
    column = _require_column(relation, action.this.name)
    new = check_name(action.args["to"].name)
    if relation.column(new) is not None:
        raise duplicate_column(new)
    target = qualified(relation.db, relation.name)
    connection.execute(f"ALTER TABLE {target} RENAME {quoted(column.name)} TO {quoted(new)}")
    columns = tuple(
        dataclasses.replace(each, name=new) if each is column else each for each in relation.columns
    )
    keys = tuple(new if key == column.name else key for key in relation.keys)
    metadata.update_relation(connection, relation, key_columns=json.dumps(keys))
    metadata.insert_columns(connection, relation.id, columns, keys)


def _modify_column(
    connection: duckdb.DuckDBPyConnection, relation: Relation, action: exp.ModifyColumn
) -> None:
    new = column_from(action.this)
    old = _require_column(relation, new.name)
    target = qualified(relation.db, relation.name)
    name = quoted(old.name)
    if old.name in relation.keys and relation.key_model == "PRIMARY":
        raise unsupported("MODIFY of a key column")
    value = converted(name, old.type.duckdb(), new.type)
    lost = connection.execute(
        f"SELECT count(*) FROM {target} WHERE {name} IS NOT NULL AND ({value}) IS NULL"
    ).fetchone()
    if lost and lost[0]:
        raise semantic_error(f"{lost[0]} values of '{old.name}' don't fit {new.type.shown()}")
    connection.execute(
        f"ALTER TABLE {target} ALTER COLUMN {name} SET DATA TYPE {new.type.duckdb()} USING {value}"
    )
    if old.nullable and not new.nullable:
        connection.execute(f"ALTER TABLE {target} ALTER COLUMN {name} SET NOT NULL")
    if not old.nullable and new.nullable:
        connection.execute(f"ALTER TABLE {target} ALTER COLUMN {name} DROP NOT NULL")
    changed = dataclasses.replace(new, name=old.name, comment=new.comment or old.comment)
    columns = tuple(changed if each is old else each for each in relation.columns)
    metadata.insert_columns(connection, relation.id, columns, relation.keys)


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
    exp.ColumnDef: _add_column,
    exp.Drop: _drop_column,
    exp.RenameColumn: _rename_column,
    exp.ModifyColumn: _modify_column,
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
