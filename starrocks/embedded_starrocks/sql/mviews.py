"""Materialized views: a physical table that is refreshed, or, as synchronous ones, always fresh.

Source: StarRocks 3.5 documentation, "CREATE MATERIALIZED VIEW" and "REFRESH MATERIALIZED VIEW".
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import uuid

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import SqlError, semantic_error, table_exists, unsupported
from embedded_starrocks.mysql.resultset import Done, ResultSet, table_of
from embedded_starrocks.sql import ddl, dialect, inserting, tasklog
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.rewrite import Plan, Rewriter, find_relation
from embedded_starrocks.sql.tabledef import check_name, clauses_of, relation_from
from embedded_starrocks.sql.translate import translated
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import metadata, rights, tables
from embedded_starrocks.storage.metadata import Relation, qualified

# What the refresh clause of a synchronous one is stored as; StarRocks writes none for it.
SYNC = "SYNC"
_INTERVAL = re.compile(
    r"EVERY\s*\(\s*INTERVAL\s+'?(\d+)'?\s+(SECOND|MINUTE|HOUR|DAY|WEEK)S?\s*\)", re.IGNORECASE
)
_START = re.compile(r"START\s*\(\s*['\"]([^'\"]+)['\"]\s*\)", re.IGNORECASE)
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """START and EVERY of a refresh or a task; instants are UTC without a zone."""

    every_seconds: int
    starts_at: datetime.datetime | None

    def is_due(self, last: datetime.datetime, now: datetime.datetime) -> bool:
        """Whether a run was planned after the last one and is not in the future."""
        if self.starts_at is None:
            return (now - last).total_seconds() >= self.every_seconds
        since = (now - self.starts_at).total_seconds()
        if since < 0:
            return False
        planned = int(since // self.every_seconds) * self.every_seconds
        return last < self.starts_at + datetime.timedelta(seconds=planned)


def parse_schedule(text: str) -> Schedule | None:
    """The schedule in a clause; None without EVERY. Raises SqlError for an unreadable one."""
    if not re.search(r"\bEVERY\b", text, re.IGNORECASE):
        return None
    every = _INTERVAL.search(text)
    if every is None or int(every[1]) == 0:
        raise semantic_error(
            f"'{text[:80]}': write EVERY (INTERVAL n SECOND | MINUTE | HOUR | DAY | WEEK)"
        )
    start = _START.search(text)
    starts_at = None
    if start is not None:
        try:
            starts_at = datetime.datetime.fromisoformat(start[1]).replace(tzinfo=None)
        except ValueError:
            raise semantic_error(f"START('{start[1]}') is no time") from None
    return Schedule(int(every[1]) * _SECONDS[every[2].upper()], starts_at)


def create(context: Context, tree: exp.Create) -> Done:
    """CREATE MATERIALIZED VIEW: filled now, unless it is DEFERRED."""
    db, name = ddl.target(context, tree)
    context.require_database("CREATE MATERIALIZED VIEW", db)
    definition = ddl.definition_text(context, tree.expression)
    plan, columns = ddl.select_columns(context, tree)
    clauses = clauses_of(tree)
    is_sync = not (clauses.refresh or clauses.distributed_by or clauses.partition_by)
    parse_schedule(clauses.refresh)
    relation = dataclasses.replace(
        relation_from(tree, db, name, columns),
        kind="MATERIALIZED VIEW",
        definition=definition,
        refresh=SYNC if is_sync else clauses.refresh or "MANUAL",
        partition_by=clauses.partition_by,
    )
    with context.store.change() as connection:
        if context.catalog.relation(db, name) is not None:
            if tree.args.get("exists"):
                return Done()
            raise table_exists(name)
        relation = metadata.insert_relation(connection, relation)
        if is_sync:
            ddl.put_view(connection, relation, plan)
            return Done()
        tables.create_table(connection, relation)
        if "DEFERRED" not in clauses.refresh.upper():
            inserting.insert_rows(context, connection, relation, relation.columns, plan)
    return Done()


def refresh(context: Context, found: list[Token], sql: str) -> ResultSet | Done:
    """REFRESH MATERIALIZED VIEW name [FORCE] [WITH SYNC MODE]: recomputed at once, in one step."""
    words = Words(found, sql)
    words.expect("REFRESH")
    if words.accept("EXTERNAL"):
        raise unsupported("REFRESH EXTERNAL TABLE")
    words.expect("MATERIALIZED", "VIEW")
    relation = find_relation(context.scope(), words.table())
    if words.peek() == "PARTITION":
        raise unsupported("REFRESH of a PARTITION; the whole view is refreshed")
    words.accept("FORCE")
    words.accept("WITH", "SYNC", "MODE")
    words.accept("WITH", "ASYNC", "MODE")
    if words.accept("WITH", "PRIORITY"):
        words.name()
    words.finish()
    if relation.kind != "MATERIALIZED VIEW":
        raise semantic_error(f"'{relation.name}' is no materialized view")
    context.require("REFRESH", relation.db, relation.name)
    if relation.refresh == SYNC:
        raise semantic_error(f"'{relation.name}' is synchronous: it is always fresh")
    query_id = refresh_now(context, relation)
    return table_of(["QUERY_ID"], [(query_id,)])


def refresh_now(context: Context, relation: Relation) -> str:
    """Compute the view again; the run is in `task_runs`. Raises SqlError, after noting it."""
    query_id = str(uuid.uuid4())
    began = datetime.datetime.now(datetime.UTC)
    text = f"insert overwrite `{relation.name}` {relation.definition}"
    run = tasklog.Run(query_id, f"mv-{relation.id}", relation.db, text, began)
    try:
        plan = Rewriter(context.scope()).query(dialect.parse(relation.definition))
        with context.store.change() as connection:
            _replace_rows(context, connection, relation, plan)
            metadata.update_relation(connection, relation, is_active=True)
            metadata.note_refresh(connection, relation)
            tasklog.note(connection, run, None)
    except (SqlError, duckdb.Error) as error:
        problem = error if isinstance(error, SqlError) else translated(error)
        with context.store.change() as connection:
            # A view whose tables are gone is inactive until it is refreshed by hand.
            metadata.update_relation(connection, relation, is_active=False)
            tasklog.note(connection, run, problem.message)
        raise problem from None
    return query_id


def _replace_rows(
    context: Context, connection: duckdb.DuckDBPyConnection, relation: Relation, plan: Plan
) -> None:
    connection.execute(f"DELETE FROM {qualified(relation.db, relation.name)}")
    inserting.insert_rows(context, connection, relation, relation.columns, plan)
    context.store.note_change(relation.id)


def alter(context: Context, words: Words) -> Done:
    """ALTER MATERIALIZED VIEW name ACTIVE | INACTIVE | RENAME name | REFRESH clause."""
    relation = find_relation(context.scope(), words.table())
    context.require("ALTER", relation.db, relation.name)
    if relation.kind != "MATERIALIZED VIEW":
        raise semantic_error(f"'{relation.name}' is no materialized view")
    with context.store.change() as connection:
        if words.accept("RENAME"):
            new = check_name(words.name())
            if context.catalog.relation(relation.db, new) is not None:
                raise table_exists(new)
            target = qualified(relation.db, relation.name)
            kind = "VIEW" if relation.refresh == SYNC else "TABLE"
            connection.execute(f"ALTER {kind} {target} RENAME TO {metadata.quoted(new)}")
            metadata.update_relation(connection, relation, name=new)
            rights.rename_object(connection, relation.db, relation.name, new)
        elif words.accept("REFRESH"):
            if relation.refresh == SYNC:
                raise semantic_error(f"'{relation.name}' is synchronous: it is always fresh")
            clause = words.rest()
            if not re.match(r"(ASYNC|MANUAL)\b", clause, re.IGNORECASE):
                raise semantic_error(f"REFRESH '{clause[:60]}' is neither ASYNC nor MANUAL")
            parse_schedule(clause)
            metadata.update_relation(connection, relation, refresh=clause)
        elif words.accept("SWAP"):
            raise unsupported("ALTER MATERIALIZED VIEW ... SWAP")
        elif words.accept("ACTIVE"):
            # What can't be computed can't be active: StarRocks says so here, too.
            Rewriter(context.scope()).query(dialect.parse(relation.definition))
            metadata.update_relation(connection, relation, is_active=True)
        elif words.accept("INACTIVE"):
            metadata.update_relation(connection, relation, is_active=False)
        else:
            raise unsupported(f"ALTER MATERIALIZED VIEW ... {words.rest()[:80]}")
    return Done()
