"""ALTER TABLE ... PARTITION, TRUNCATE TABLE ... PARTITION: named partitions made and removed.

Source: StarRocks 3.5 documentation, "ALTER TABLE", "Modify partition"; "TRUNCATE TABLE".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import duckdb

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.partitiondefs import added, read_batch
from embedded_starrocks.sql.partitionlists import require_partitions
from embedded_starrocks.sql.partitions import AUTO, RANGE, Scheme, named, rows_of, scheme_of
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import Relation, is_valid_name, qualified
from embedded_starrocks.storage.partitions import replace_partitions

_VERBS = ("ADD", "DROP", "TRUNCATE", "RENAME", "MODIFY", "REPLACE")
_NOUNS = ("PARTITION", "PARTITIONS", "TEMPORARY")


def is_about_partitions(words: Words) -> bool:
    """Whether the clause behind ALTER TABLE name is about partitions."""
    return words.peek() in _VERBS and words.peek(1) in _NOUNS


def alter(context: Context, words: Words, relation: Relation) -> Done:
    """One clause, behind ALTER TABLE name. Raises SqlError."""
    verb = words.any_of(*_VERBS)
    if words.peek() == "TEMPORARY" or verb in ("REPLACE", "MODIFY"):
        raise unsupported(f"ALTER TABLE ... {verb} {words.peek()}")
    scheme = scheme_of(relation)
    if verb == "TRUNCATE":
        words.name()
        truncate(context, relation, partition_names(words))
        words.finish()
        return Done()
    if scheme is None or (scheme.kind == AUTO and verb != "DROP"):
        raise semantic_error(
            f"{verb} PARTITION needs a table PARTITION BY RANGE or LIST; "
            f"partitions of '{relation.name}' are made while rows are loaded"
        )
    if verb == "ADD":
        return _add(context, words, relation, scheme)
    if verb == "DROP":
        return _drop(context, words, relation, scheme)
    return _rename(context, words, relation)


def partition_names(words: Words) -> tuple[str, ...]:
    """p, or (p, q)."""
    if not words.accept("("):
        return (words.name(),)
    found = [words.name()]
    while words.accept(","):
        found.append(words.name())
    words.expect(")")
    return tuple(found)


def _add(context: Context, words: Words, relation: Relation, scheme: Scheme) -> Done:
    start = words.save()
    if words.accept("PARTITIONS"):
        if words.peek() != "START":
            raise words.error("expected START")
    else:
        words.restore(start)
    relation, _ = added(relation, scheme, words)
    if words.accept("DISTRIBUTED", "BY"):
        words.rest()
    words.finish()
    with context.store.change() as connection:
        replace_partitions(connection, relation.id, relation.partitions)
    return Done()


def _drop(context: Context, words: Words, relation: Relation, scheme: Scheme) -> Done:
    words.name()
    if_exists = words.accept("IF", "EXISTS")
    if words.peek() == "WHERE":
        raise unsupported("ALTER TABLE ... DROP PARTITIONS WHERE")
    if words.peek() == "START" and scheme.kind == RANGE:
        names = tuple(each.name for each in read_batch(relation, scheme, words))
    else:
        names = partition_names(words)
    words.accept("FORCE")
    words.finish()
    names = tuple(_existing(context, relation, names, if_exists))
    if not names:
        return Done()
    gone = {name.lower() for name in names}
    kept = [each for each in relation.partitions if each.name.lower() not in gone]
    condition = rows_of(context.catalog, relation, names)
    with context.store.change() as connection:
        connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)} WHERE {condition}")
        replace_partitions(connection, relation.id, kept)
    context.store.note_change(relation.id)
    return Done()


def _existing(
    context: Context, relation: Relation, names: Iterable[str], if_exists: bool
) -> Iterable[str]:
    for name in names:
        try:
            require_partitions(context.catalog, context.session.connection, relation, (name,))
        except SqlError:
            if not if_exists:
                raise SqlError(
                    1507, "HY000", f"Error in list of partitions to DROP: {name}"
                ) from None
        else:
            yield name


def _rename(context: Context, words: Words, relation: Relation) -> Done:
    words.expect("PARTITION")
    old, new = named(relation, words.name()), words.name()
    words.finish()
    if not is_valid_name(new):
        raise semantic_error(f"Incorrect partition name '{new}'")
    if any(each.name.lower() == new.lower() for each in relation.partitions):
        raise SqlError(1517, "HY000", f"Duplicate partition name {new}")
    changed = [
        dataclasses.replace(each, name=new) if each is old else each for each in relation.partitions
    ]
    with context.store.change() as connection:
        replace_partitions(connection, relation.id, changed)
    return Done()


def truncate(context: Context, relation: Relation, names: tuple[str, ...]) -> None:
    """Remove the rows of the named partitions. Raises SqlError for an unknown one."""
    require_partitions(context.catalog, context.session.connection, relation, names)
    condition = rows_of(context.catalog, relation, names)
    with context.store.write() as connection:
        empty(connection, relation, condition)
    context.store.note_change(relation.id)


def empty(connection: duckdb.DuckDBPyConnection, relation: Relation, condition: str) -> None:
    connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)} WHERE {condition}")
