"""ALTER TABLE: columns added, dropped, renamed, changed and moved.

Source: StarRocks 3.5 documentation, "ALTER TABLE", "Modify columns".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import (
    duplicate_column,
    semantic_error,
    syntax_error,
    unknown_column,
    unsupported,
)
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.partitions import scheme_of
from embedded_starrocks.sql.rowexpr import generated_columns, parse_row_expression
from embedded_starrocks.sql.tablechecks import check_default
from embedded_starrocks.sql.tabledef import check_name, columns_of
from embedded_starrocks.sql.tablewords import is_word, split_top, take_table_words
from embedded_starrocks.sql.values import converted, default_value
from embedded_starrocks.storage import metadata, tables
from embedded_starrocks.storage.metadata import Column, Relation, qualified, quoted
from embedded_starrocks.storage.tables import KEYED

_VERBS = ("ADD", "DROP", "MODIFY", "RENAME")


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a column goes: FIRST, AFTER another one, or wherever it belongs."""

    is_first: bool = False
    after: str = ""


@dataclasses.dataclass(frozen=True)
class Clause:
    """One clause: its verb, and what follows COLUMN."""

    verb: str
    tokens: list[Token]


def clauses_about_columns(found: list[Token]) -> list[Clause] | None:
    """The clauses behind ALTER TABLE name; None when they are not about columns."""
    clauses: list[Clause] = []
    for index, part in enumerate(split_top(found)):
        tokens = part[1:] if index else part
        if len(tokens) < 3 or not is_word(tokens[0], *_VERBS) or not is_word(tokens[1], "COLUMN"):
            if clauses:
                raise syntax_error(f"a clause about columns expected near '{tokens[0].text}'")
            return None
        clauses.append(Clause(tokens[0].text.upper(), _without_properties(tokens[2:])))
    return clauses


def _without_properties(tokens: list[Token]) -> list[Token]:
    """PROPERTIES (...) behind a clause is about the job (its timeout), not about the table."""
    for index, token in enumerate(tokens):
        if is_word(token, "PROPERTIES"):
            return tokens[:index]
    return tokens


def apply(
    connection: duckdb.DuckDBPyConnection, relation: Relation, clause: Clause, sql: str
) -> None:
    """Change the table and its metadata in the open transaction. Raises SqlError."""
    if clause.verb == "ADD":
        _add(connection, relation, clause.tokens, sql)
    elif clause.verb == "DROP":
        _drop(connection, relation, _single_name(clause.tokens))
    elif clause.verb == "RENAME":
        _rename(connection, relation, clause.tokens)
    else:
        _modify(connection, relation, clause.tokens, sql)


def _single_name(tokens: list[Token]) -> str:
    if len(tokens) != 1:
        raise syntax_error(f"one column name expected near '{tokens[-1].text}'")
    return tokens[0].text


def _write(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    keys: tuple[str, ...],
) -> None:
    if keys != relation.keys:
        metadata.update_relation(connection, relation, key_columns=json.dumps(keys))
    metadata.insert_columns(connection, relation.id, columns, keys)


# Definitions


def _definition(tokens: list[Token], sql: str) -> tuple[Column, bool, _Place]:
    """A column, whether it is said to be a KEY, and its place."""
    tokens, place = _taken_place(tokens)
    kept = [
        token
        for index, token in enumerate(tokens)
        if not (index > 1 and is_word(token, "KEY") and not is_word(tokens[index - 1], "DEFAULT"))
    ]
    text = " ".join(sql[token.start : token.end + 1] for token in kept)
    create = f"CREATE TABLE x ({text})"
    words = take_table_words(dialect.tokenize(create), create)
    tree = dialect.parse_tokens(words.tokens, create)
    if not isinstance(tree, exp.Create):
        raise syntax_error(f"a column definition expected near '{text[:60]}'")
    tree.meta["table_words"] = words
    columns = columns_of(tree)
    if len(columns) != 1:
        raise syntax_error(f"one column definition expected near '{text[:60]}'")
    return columns[0], len(kept) < len(tokens), place


def _taken_place(tokens: list[Token]) -> tuple[list[Token], _Place]:
    if len(tokens) > 2 and is_word(tokens[-1], "FIRST"):
        return tokens[:-1], _Place(is_first=True)
    if len(tokens) > 3 and is_word(tokens[-2], "AFTER"):
        return tokens[:-2], _Place(after=tokens[-1].text)
    return tokens, _Place()


def _require(relation: Relation, name: str) -> Column:
    column = relation.column(name)
    if column is None:
        raise unknown_column(name, relation.name)
    return column


# ADD


def _add(
    connection: duckdb.DuckDBPyConnection, relation: Relation, tokens: list[Token], sql: str
) -> None:
    if tokens[0].token_type != TokenType.L_PAREN:
        _add_one(connection, relation, tokens, sql)
        return
    if tokens[-1].token_type != TokenType.R_PAREN:
        raise syntax_error(f"')' expected near '{tokens[-1].text}'")
    for index, part in enumerate(split_top(tokens[1:-1])):
        _add_one(connection, relation, part[1:] if index else part, sql)
        relation = reread(connection, relation)


def reread(connection: duckdb.DuckDBPyConnection, relation: Relation) -> Relation:
    """The relation as the open transaction sees it now."""
    for each in metadata.read_catalog(connection).relations.values():
        if each.id == relation.id:
            return each
    raise semantic_error(f"table {relation.name} is gone")


def _add_one(
    connection: duckdb.DuckDBPyConnection, relation: Relation, tokens: list[Token], sql: str
) -> None:
    column, is_key, place = _definition(tokens, sql)
    check_default(column)
    if relation.column(column.name) is not None:
        raise duplicate_column(column.name)
    _check_added(relation, column, is_key)
    position = _position(relation, place, is_key, bool(column.generated))
    columns = (*relation.columns[:position], column, *relation.columns[position:])
    if position == len(relation.columns) and column.nullable and not column.generated:
        target, name = qualified(relation.db, relation.name), quoted(column.name)
        connection.execute(f"ALTER TABLE {target} ADD COLUMN {name} {column.type.duckdb()}")
        if column.default is not None:
            connection.execute(f"UPDATE {target} SET {name} = {default_value(column)}")
    else:
        _rebuild(connection, relation, columns, column)
    keys = relation.keys
    if is_key:
        keys = (*keys[:position], column.name, *keys[position:])
    _write(connection, relation, columns, keys)


def _check_added(relation: Relation, column: Column, is_key: bool) -> None:
    if column.auto_increment:
        raise unsupported("ADD COLUMN ... AUTO_INCREMENT")
    if not column.nullable and column.default is None:
        raise semantic_error(f"column '{column.name}' is NOT NULL and has no DEFAULT")
    if is_key and (relation.key_model == "PRIMARY" or column.aggregate or column.generated):
        raise semantic_error(f"column '{column.name}' can't be added as a KEY")
    is_value = relation.key_model == "AGGREGATE" and not is_key
    if is_value and not column.aggregate:
        raise semantic_error(f"column '{column.name}' of an AGGREGATE KEY table has no aggregate")
    if column.aggregate and not is_value:
        raise semantic_error(f"column '{column.name}' is not aggregated here")
    if column.generated and relation.key_model == "AGGREGATE":
        raise semantic_error(f"Generated column '{column.name}' can't be aggregated")


def _position(relation: Relation, place: _Place, is_key: bool, is_generated: bool = False) -> int:
    """Keys stand before values, and generated columns behind all others."""
    count = len(relation.keys)
    ordinary = len([each for each in relation.columns if not each.generated])
    position = count if is_key else ordinary
    if is_generated:
        position = len(relation.columns)
    if place.is_first:
        position = 0
    elif place.after:
        position = relation.columns.index(_require(relation, place.after)) + 1
    if (position > count) if is_key else (position < count):
        raise semantic_error("Invalid column order. value should be after key")
    if (position < ordinary) if is_generated else (position > ordinary):
        raise semantic_error("All generated columns must be defined after ordinary columns")
    return position


def _rebuild(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: tuple[Column, ...],
    added: Column | None,
) -> None:
    """Copy the table with its columns in another order, which DuckDB can't change."""
    new = dataclasses.replace(relation, columns=columns)
    old = dataclasses.replace(relation, name="__rebuilt")
    target, source = qualified(new.db, new.name), qualified(old.db, old.name)
    connection.execute(f"ALTER TABLE {target} RENAME TO {quoted(old.name)}")
    tables.create_table(connection, new)
    catalog = metadata.read_catalog(connection)
    computed = generated_columns(catalog, new) if added is not None and added.generated else {}
    values = ", ".join(_value_of(column, added, computed) for column in columns)
    connection.execute(f"INSERT INTO {target} SELECT {values} FROM {source}")
    connection.execute(f"DROP TABLE {source}")


def _value_of(column: Column, added: Column | None, computed: Mapping[str, str]) -> str:
    if column is not added:
        return quoted(column.name)
    if column.name in computed:
        return computed[column.name]
    return default_value(column)


# DROP and RENAME


def _require_no_partition_column(relation: Relation, column: Column, action: str) -> None:
    scheme = scheme_of(relation)
    names = [name.lower() for name in scheme.columns] if scheme is not None else []
    if column.name.lower() in names:
        raise semantic_error(f"Partition column[{column.name}] cannot be {action}")
    inside = relation.distributed_by.removeprefix("HASH(").partition(")")[0]
    if relation.distributed_by.startswith("HASH(") and column.name.lower() in [
        name.strip().strip("`").lower() for name in inside.split(",")
    ]:
        raise semantic_error(f"Distribution column[{column.name}] cannot be {action}")


def _require_not_used(relation: Relation, column: Column) -> None:
    for other in relation.columns:
        if not other.generated:
            continue
        used = parse_row_expression(other.generated).find_all(exp.Column)
        if column.name.lower() in [each.name.lower() for each in used]:
            raise semantic_error(f"Column '{column.name}' is used by generated column {other.name}")


def _drop(connection: duckdb.DuckDBPyConnection, relation: Relation, name: str) -> None:
    column = _require(relation, name)
    if column.name in relation.keys and relation.key_model in KEYED:
        raise semantic_error(f"Can not drop key column '{column.name}' ({relation.key_model} KEY)")
    _require_no_partition_column(relation, column, "dropped")
    _require_not_used(relation, column)
    columns = tuple(each for each in relation.columns if each is not column)
    if not columns:
        raise semantic_error(f"'{column.name}' is the last column of {relation.name}")
    target = qualified(relation.db, relation.name)
    connection.execute(f"ALTER TABLE {target} DROP COLUMN {quoted(column.name)}")
    _write(connection, relation, columns, tuple(k for k in relation.keys if k != column.name))


def _rename(connection: duckdb.DuckDBPyConnection, relation: Relation, tokens: list[Token]) -> None:
    """RENAME COLUMN a [TO] b."""
    names = [token.text for token in tokens if not is_word(token, "TO")]
    if len(names) != 2:
        raise syntax_error("RENAME COLUMN takes the old and the new name")
    column = _require(relation, names[0])
    _require_no_partition_column(relation, column, "renamed")
    _require_not_used(relation, column)
    new = check_name(names[1])
    if relation.column(new) is not None:
        raise duplicate_column(new)
    target = qualified(relation.db, relation.name)
    connection.execute(f"ALTER TABLE {target} RENAME {quoted(column.name)} TO {quoted(new)}")
    columns = tuple(
        dataclasses.replace(each, name=new) if each is column else each for each in relation.columns
    )
    keys = tuple(new if key == column.name else key for key in relation.keys)
    _write(connection, relation, columns, keys)


# MODIFY


def _modify(
    connection: duckdb.DuckDBPyConnection, relation: Relation, tokens: list[Token], sql: str
) -> None:
    old = _require(relation, tokens[0].text)
    if is_word(tokens[1], "COMMENT") and len(tokens) == 3:
        _replace(connection, relation, old, dataclasses.replace(old, comment=tokens[2].text))
        return
    new, _, place = _definition(tokens, sql)
    check_default(new)
    _check_modified(relation, old, new)
    if old.type != new.type or old.nullable != new.nullable:
        _convert(connection, relation, old, new)
    changed = dataclasses.replace(new, name=old.name, comment=new.comment or old.comment)
    relation = _replace(connection, relation, old, changed)
    if place.is_first or place.after:
        _move(connection, relation, changed, place)


def _check_modified(relation: Relation, old: Column, new: Column) -> None:
    if old.name in relation.keys and relation.key_model == "PRIMARY":
        raise unsupported("MODIFY of a key column")
    if old.generated or new.generated or old.auto_increment or new.auto_increment:
        raise unsupported("MODIFY of a generated or AUTO_INCREMENT column")
    if old.aggregate != new.aggregate:
        raise semantic_error(f"Can not change aggregation type of column '{old.name}'")
    if old.nullable and not new.nullable:
        raise semantic_error(f"Can not change column '{old.name}' from NULL to NOT NULL")
    scheme = scheme_of(relation)
    if scheme is not None and old.name.lower() in [name.lower() for name in scheme.columns]:
        raise semantic_error(f"Partition column[{old.name}] cannot be modified")


def _convert(
    connection: duckdb.DuckDBPyConnection, relation: Relation, old: Column, new: Column
) -> None:
    target, name = qualified(relation.db, relation.name), quoted(old.name)
    value = converted(name, old.type.duckdb(), new.type)
    ((lost,),) = connection.execute(
        f"SELECT count(*) FROM {target} WHERE {name} IS NOT NULL AND ({value}) IS NULL"
    ).fetchall()
    if lost:
        raise semantic_error(f"{lost} values of '{old.name}' don't fit {new.type.shown()}")
    connection.execute(
        f"ALTER TABLE {target} ALTER COLUMN {name} SET DATA TYPE {new.type.duckdb()} USING {value}"
    )
    if not old.nullable and new.nullable:
        connection.execute(f"ALTER TABLE {target} ALTER COLUMN {name} DROP NOT NULL")


def _replace(
    connection: duckdb.DuckDBPyConnection, relation: Relation, old: Column, new: Column
) -> Relation:
    columns = tuple(new if each is old else each for each in relation.columns)
    _write(connection, relation, columns, relation.keys)
    return dataclasses.replace(relation, columns=columns)


def _move(
    connection: duckdb.DuckDBPyConnection, relation: Relation, column: Column, place: _Place
) -> None:
    others = tuple(each for each in relation.columns if each is not column)
    is_key = column.name in relation.keys
    keys = tuple(key for key in relation.keys if key != column.name)
    position = _position(dataclasses.replace(relation, columns=others, keys=keys), place, is_key)
    columns = (*others[:position], column, *others[position:])
    if is_key:
        keys = (*keys[:position], column.name, *keys[position:])
    _rebuild(connection, relation, columns, None)
    _write(connection, relation, columns, keys)
