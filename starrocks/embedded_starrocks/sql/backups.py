"""Repositories, BACKUP and RESTORE.

A repository is a folder below the data directory's `backups`; nothing else can be one. StarRocks
does these jobs in the background; here they are done when the client hears of it.
Source: StarRocks 3.5 documentation, "BACKUP", "RESTORE", "CREATE REPOSITORY".
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import (
    SqlError,
    execution_error,
    semantic_error,
    unknown_database,
    unknown_table,
    unsupported,
)
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.showcreate import show_create_sql
from embedded_starrocks.sql.tabledef import check_name, columns_of, relation_from
from embedded_starrocks.sql.tablewords import take_table_words
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import metadata, snapshots, tables
from embedded_starrocks.storage.metadata import SCHEMA, Relation, qualified, quoted
from embedded_starrocks.storage.snapshots import Snapshot, SnapshotError

_RESTORED = ("backup_timestamp", "replication_num", "timeout", "meta_version", "allow_load")


@dataclasses.dataclass(frozen=True)
class Repository:
    name: str
    location: str
    is_read_only: bool


def create_repository(context: Context, found: list[Token], sql: str) -> Done:
    """CREATE [READ ONLY] REPOSITORY name WITH BROKER ON LOCATION "file://backups/NAME"."""
    context.require_system("REPOSITORY", "create repositories")
    words = Words(found, sql)
    words.expect("CREATE")
    is_read_only = words.accept("READ", "ONLY")
    words.expect("REPOSITORY")
    name = check_name(words.name())
    words.expect("WITH", "BROKER")
    words.expect("ON", "LOCATION")
    location = words.string()
    properties = _properties(words)
    if properties:
        raise unsupported(f"a repository's property {next(iter(properties))}")
    with _as_sql_errors():
        snapshots.folder_of(context.store.engine.backups, location)
    if _repositories(context, name):
        raise semantic_error(f"Repository {name} already exists")
    with context.store.write() as connection:
        connection.execute(
            f"INSERT INTO {SCHEMA}.repositories VALUES "
            f"(nextval('{SCHEMA}.object_ids'), ?, ?, ?, now()::TIMESTAMP)",
            [name, location, is_read_only],
        )
    return Done()


def drop_repository(context: Context, found: list[Token], sql: str) -> Done:
    """DROP REPOSITORY name: the snapshots stay where they are, as in StarRocks."""
    context.require_system("REPOSITORY", "drop repositories")
    words = Words(found, sql)
    words.expect("DROP", "REPOSITORY")
    repository = find_repository(context, words.name())
    words.finish()
    with context.store.write() as connection:
        connection.execute(f"DELETE FROM {SCHEMA}.repositories WHERE name = ?", [repository.name])
    return Done()


def _repositories(context: Context, name: str) -> list[Repository]:
    rows = context.session.connection.execute(
        f"SELECT name, location, is_read_only FROM {SCHEMA}.repositories WHERE name = ?", [name]
    ).fetchall()
    return [Repository(*row) for row in rows]


def find_repository(context: Context, name: str) -> Repository:
    found = _repositories(context, name)
    if not found:
        raise semantic_error(f"Repository {name} does not exist")
    return found[0]


def folder(context: Context, repository: Repository) -> Path:
    with _as_sql_errors():
        return snapshots.folder_of(context.store.engine.backups, repository.location)


class _as_sql_errors:  # noqa: N801 - reads like the statement that it is
    """What is wrong with a snapshot or its files, as the client hears of it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SnapshotError):
            raise semantic_error(str(error)) from None
        if isinstance(error, OSError):
            raise execution_error(f"the repository's files: {error.strerror}") from None


def _properties(words: Words) -> dict[str, str]:
    found: dict[str, str] = {}
    if not words.accept("PROPERTIES"):
        words.finish()
        return found
    words.expect("(")
    while not words.accept(")"):
        name = words.string()
        words.expect("=")
        found[name] = words.string()
        words.accept(",")
    words.finish()
    return found


def _tables(words: Words) -> list[tuple[str, str]]:
    """ON (t [AS other], ...): names, and those that they are to have."""
    found: list[tuple[str, str]] = []
    if not words.accept("ON"):
        return found
    words.expect("(")
    while not found or words.accept(","):
        name = words.name()
        if words.peek() in ("PARTITION", "PARTITIONS"):
            raise unsupported("BACKUP and RESTORE of single partitions")
        found.append((name, words.name() if words.accept("AS") else name))
    words.expect(")")
    return found


def _snapshot_name(context: Context, words: Words) -> tuple[str, str]:
    """db.name, or name in the current database."""
    table = words.table()
    name = table.db or context.session.database
    db = context.catalog.database(name)
    if db is None:
        raise unknown_database(name)
    return db, check_name(table.name)


def _record(
    context: Context, kind: str, snapshot: Snapshot, repository: str, started: datetime.datetime
) -> Callable[[str], None]:
    """Writes the job's row when it is over; the text is its error, or empty."""

    def finish(problem: str) -> None:
        state = "CANCELLED" if problem else "FINISHED"
        objects = ", ".join(f"[{snapshot.db}.{each.name}]" for each in snapshot.tables)
        with context.store.write() as connection:
            connection.execute(
                f"INSERT INTO {SCHEMA}.snapshot_jobs VALUES "
                f"(nextval('{SCHEMA}.object_ids'), ?, ?, ?, ?, ?, ?, ?, ?, now()::TIMESTAMP, ?)",
                [
                    kind, snapshot.db, snapshot.name, repository, snapshot.timestamp, state,
                    objects, started, problem,
                ],
            )  # fmt: skip

    return finish


def backup(context: Context, found: list[Token], sql: str) -> Done:
    """BACKUP SNAPSHOT db.name TO repository [ON (tables)] [PROPERTIES (...)]."""
    context.require_system("REPOSITORY", "back up")
    words = Words(found, sql)
    words.expect("BACKUP", "SNAPSHOT")
    db, name = _snapshot_name(context, words)
    words.expect("TO")
    repository = find_repository(context, words.name())
    chosen = _tables(words)
    properties = _properties(words)
    if properties.get("type", "full").lower() != "full":
        raise semantic_error("only a full backup is possible: 'type' = 'full'")
    if repository.is_read_only:
        raise semantic_error(f"Repository {repository.name} is read only")
    relations = _backed_up(context, db, [each for each, _ in chosen])
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    stamp = f"{now:%Y-%m-%d-%H-%M-%S}-{now.microsecond // 1000:03d}"
    snapshot = Snapshot(name, db, stamp, ())
    finish = _record(context, "BACKUP", snapshot, repository.name, now)
    texts = [(relation, show_create_sql(relation)) for relation in relations]
    reader = context.session.connection
    # One transaction: all tables as of the same moment, while loads go on.
    reader.execute("BEGIN TRANSACTION READ ONLY")
    try:
        with _as_sql_errors():
            snapshot = snapshots.write(
                reader, context.store.engine.spool, folder(context, repository), snapshot, texts
            )
    except (SqlError, duckdb.Error) as error:
        finish(str(error))
        raise
    finally:
        with contextlib.suppress(duckdb.Error):
            # An interrupted statement has ended the transaction already.
            reader.execute("ROLLBACK")
    _record(context, "BACKUP", snapshot, repository.name, now)("")
    return Done()


def _backed_up(context: Context, db: str, wanted: list[str]) -> list[Relation]:
    """The tables to write; views and materialized views are left out, as in StarRocks."""
    found = [each for each in context.catalog.in_database(db) if each.kind == "TABLE"]
    for name in wanted:
        if name.lower() not in [each.name.lower() for each in found]:
            raise unknown_table(db, name)
    names = {name.lower() for name in wanted}
    chosen = [each for each in found if not names or each.name.lower() in names]
    if not chosen:
        raise semantic_error(f"database {db} has no tables to back up")
    for relation in chosen:
        context.require("EXPORT", relation.db, relation.name)
    return chosen


def restore(context: Context, found: list[Token], sql: str) -> Done:
    """RESTORE SNAPSHOT db.name FROM repository [ON (t [AS other])] PROPERTIES (...)."""
    context.require_system("REPOSITORY", "restore")
    words = Words(found, sql)
    words.expect("RESTORE", "SNAPSHOT")
    db, name = _snapshot_name(context, words)
    words.expect("FROM")
    repository = find_repository(context, words.name())
    chosen = _tables(words)
    properties = _properties(words)
    unknown = sorted(set(properties) - set(_RESTORED))
    if unknown:
        raise unsupported(f"RESTORE with the property {unknown[0]}")
    if "backup_timestamp" not in properties:
        raise semantic_error("RESTORE needs the property 'backup_timestamp'; see SHOW SNAPSHOT")
    place = folder(context, repository)
    with _as_sql_errors():
        snapshot = snapshots.read(place, name)
    if snapshot.timestamp != properties["backup_timestamp"]:
        raise semantic_error(
            f"snapshot {name} has the timestamp {snapshot.timestamp}, "
            f"not {properties['backup_timestamp']}"
        )
    _restore(context, db, snapshot, repository, chosen, place / name)
    return Done()


def _restore(
    context: Context,
    db: str,
    snapshot: Snapshot,
    repository: Repository,
    chosen: list[tuple[str, str]],
    place: Path,
) -> None:
    wanted = dict(chosen) or {each.name: each.name for each in snapshot.tables}
    present = {each.name: each for each in snapshot.tables}
    for name in wanted:
        if name not in present:
            raise semantic_error(f"table {name} is not in snapshot {snapshot.name}")
    plans = [
        (present[old], _planned(context, db, present[old].create, new))
        for old, new in wanted.items()
    ]
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    told = dataclasses.replace(snapshot, db=db, tables=tuple(table for table, _ in plans))
    finish = _record(context, "RESTORE", told, repository.name, now)
    spool = context.store.engine.spool
    changed: list[int] = []
    try:
        with context.store.change() as connection, _as_sql_errors():
            for table, planned in plans:
                relation = _emptied(context, connection, planned)
                snapshots.load(connection, spool, place, table, relation)
                _count_on(connection, relation)
                changed.append(relation.id)
    except (SqlError, duckdb.Error) as error:
        finish(str(error))
        raise
    for relation_id in changed:
        context.store.note_change(relation_id)
    finish("")


def _planned(context: Context, db: str, create: str, name: str) -> Relation:
    """The table that a snapshot's CREATE TABLE describes, when the user may make or replace it."""
    words = take_table_words(dialect.tokenize(create.rstrip(";")), create)
    tree = dialect.parse_tokens(words.tokens, create)
    if not isinstance(tree, exp.Create):
        raise semantic_error("the snapshot's manifest has no CREATE TABLE")
    tree.meta["table_words"] = words
    relation = relation_from(tree, db, check_name(name), columns_of(tree))
    known = context.catalog.relation(db, name)
    if known is None:
        context.require_database("CREATE TABLE", db)
        return relation
    for privilege in ("INSERT", "DELETE"):
        context.require(privilege, db, name)
    if not _is_same(known, relation):
        raise semantic_error(
            f"table {db}.{known.name} exists with another definition; restore it AS another name"
        )
    return known


def _is_same(known: Relation, wanted: Relation) -> bool:
    def shape(relation: Relation) -> tuple[object, ...]:
        partitions = [dataclasses.replace(each, id=0) for each in relation.partitions]
        return (
            relation.kind, relation.columns, relation.key_model, relation.keys,
            relation.partition_by, partitions,
        )  # fmt: skip

    return shape(known) == shape(wanted)


def _emptied(
    context: Context, connection: duckdb.DuckDBPyConnection, planned: Relation
) -> Relation:
    """The table, made or emptied in the open transaction."""
    if planned.id:
        connection.execute(f"DELETE FROM {qualified(planned.db, planned.name)}")
        return planned
    if context.catalog.relation(planned.db, planned.name) is not None:
        raise semantic_error(f"table {planned.db}.{planned.name} was made meanwhile")
    relation = metadata.insert_relation(connection, planned)
    tables.create_table(connection, relation)
    tables.create_counter(connection, relation)
    return relation


def _count_on(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """AUTO_INCREMENT goes on behind the restored numbers."""
    for column in relation.columns:
        if column.auto_increment:
            ((highest,),) = connection.execute(
                f"SELECT coalesce(max({quoted(column.name)}), 0) "
                f"FROM {qualified(relation.db, relation.name)}"
            ).fetchall()
            counter = tables.counter(relation)
            connection.execute(f"DROP SEQUENCE IF EXISTS {counter}")
            connection.execute(f"CREATE SEQUENCE {counter} START {int(highest) + 1}")


def finished_jobs(context: Context, kind: str, db: str) -> Iterator[tuple[str, ...]]:
    """The last job of that kind in a database: what SHOW BACKUP and SHOW RESTORE are made of."""
    rows = context.session.connection.execute(
        "SELECT CAST(id AS VARCHAR), label, stamp, db, state, objects, repository, "
        "CAST(date_trunc('second', created_at) AS VARCHAR), "
        "CAST(date_trunc('second', finished_at) AS VARCHAR), message "
        f"FROM {SCHEMA}.snapshot_jobs WHERE kind = ? AND db = ? ORDER BY id DESC LIMIT 1",
        [kind, db],
    ).fetchall()
    yield from rows
