"""Lists of a table's partitions, with their rows: for SHOW PARTITIONS and partitions_meta.

Source: StarRocks 3.5 documentation, "SHOW PARTITIONS", "partitions_meta".
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import duckdb

from embedded_starrocks.sql.partitiondefs import shown_bounds
from embedded_starrocks.sql.partitions import (
    AUTO,
    Scheme,
    auto_name,
    auto_values,
    named,
    plain_names,
    rows_of,
    scheme_of,
    unknown_partition,
)
from embedded_starrocks.storage.metadata import Catalog, Relation, qualified
from embedded_starrocks.storage.versions import Versions

_NOTHING = "'' AS name, CAST(0 AS BIGINT) AS id, '' AS bounds, 0 AS row_count WHERE false"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def list_sql(catalog: Catalog, relation: Relation) -> str:
    """A query of name, id, bounds and rows of each partition of a table."""
    target = qualified(relation.db, relation.name)
    scheme = scheme_of(relation)
    if scheme is None:
        return (
            f"SELECT {_literal(relation.name)} AS name, CAST({relation.id} AS BIGINT) AS id, "
            f"'' AS bounds, count(*) AS row_count FROM {target}"
        )
    if scheme.kind == AUTO:
        names = plain_names(relation)
        name = auto_name(catalog, relation, scheme, names)
        values = auto_values(catalog, relation, scheme, names)
        # Such partitions have no number of their own: it is made of the name, and stays.
        return (
            "SELECT name, CAST(hash(name) % 1000000000 + 1000000000 AS BIGINT) AS id, bounds, "
            f"count(*) AS row_count FROM (SELECT {name} AS name, {values} AS bounds FROM {target}) "
            "GROUP BY ALL"
        )
    if not relation.partitions:
        return f"SELECT {_NOTHING}"
    return " UNION ALL ".join(_defined(catalog, relation, scheme))


def _defined(catalog: Catalog, relation: Relation, scheme: Scheme) -> Iterable[str]:
    target = qualified(relation.db, relation.name)
    for each in relation.partitions:
        condition = rows_of(catalog, relation, (each.name,))
        yield (
            f"SELECT {_literal(each.name)} AS name, CAST({each.id} AS BIGINT) AS id, "
            f"{_literal(shown_bounds(each, scheme))} AS bounds, "
            f"(SELECT count(*) FROM {target} WHERE {condition}) AS row_count"
        )


class PartitionLists:
    """The partitions of all tables, looked for again only where a commit has changed something.

    Whoever watches versions asks each second; to count the rows of every partition each time would
    read every table.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._known: dict[int, int] = {}
        self._lock = threading.Lock()

    def sql(
        self, connection: duckdb.DuckDBPyConnection, catalog: Catalog, relations: list[Relation]
    ) -> str:
        """information_schema.partitions_meta over these tables."""
        having_rows = [each for each in relations if each.has_rows]
        about = [_about(each, self._versions.of(each.id)) for each in having_rows]
        with self._lock:
            self._refresh(connection, catalog, having_rows)
        return _META.format(values=", ".join([_NO_TABLE, *about]), lists=_LISTS)

    def _refresh(
        self, connection: duckdb.DuckDBPyConnection, catalog: Catalog, relations: list[Relation]
    ) -> None:
        now = {each.id: self._versions.of(each.id) for each in relations}
        changed = [each for each in relations if self._known.get(each.id) != now[each.id]]
        if not changed and self._known:
            return
        parts = [f"SELECT 0 AS relation_id, {_NOTHING}"]
        parts += [f"SELECT {each.id}, * FROM ({list_sql(catalog, each)})" for each in changed]
        there = {each.id for each in catalog.relations.values()}
        kept = (self._known.keys() & there) - {each.id for each in changed}
        if kept:
            ids = ", ".join(map(str, sorted(kept)))
            parts.append(f"SELECT * FROM {_LISTS} WHERE relation_id IN ({ids})")
        # A new table each time: deleted rows of one in memory would stay.
        connection.execute(f"CREATE OR REPLACE TABLE {_LISTS} AS {' UNION ALL '.join(parts)}")
        self._known = {each: self._known[each] for each in kept} | {
            each.id: now[each.id] for each in changed
        }


_LISTS = "__stage.main.partition_lists"
_NO_TABLE = "(0, '', '', 0, '', '', 1, 1)"
_META = """SELECT t.db AS "DB_NAME", t.name AS "TABLE_NAME", p.name AS "PARTITION_NAME",
CAST(p.id AS BIGINT) AS "PARTITION_ID", CAST(t.version AS BIGINT) AS "VISIBLE_VERSION",
t.columns AS "PARTITION_KEY", p.bounds AS "PARTITION_VALUE", t.key AS "DISTRIBUTION_KEY",
CAST(t.buckets AS INTEGER) AS "BUCKETS", CAST(t.replicas AS INTEGER) AS "REPLICATION_NUM",
0 AS "IS_IN_MEMORY", 0 AS "IS_TEMP", CAST(p.row_count AS BIGINT) AS "ROW_COUNT"
FROM (VALUES {values}) t(id, db, name, version, columns, key, buckets, replicas)
JOIN {lists} p ON p.relation_id = t.id"""


def _about(relation: Relation, version: int) -> str:
    """What is the same for all partitions of a table, as a row of VALUES."""
    key, buckets = distribution(relation)
    scheme = scheme_of(relation)
    columns = ", ".join(scheme.columns) if scheme is not None else ""
    texts = ", ".join(map(_literal, (relation.db, relation.name)))
    replicas = _number(dict(relation.properties).get("replication_num", "1"))
    return (
        f"({relation.id}, {texts}, {version}, {_literal(columns)}, {_literal(key)}, "
        f"{buckets}, {replicas})"
    )


def _number(text: str) -> str:
    return text if text.isdigit() else "1"


def distribution(relation: Relation) -> tuple[str, str]:
    """The distribution key, and the number of buckets; 1 where nothing is said."""
    head, _, buckets = relation.distributed_by.partition(" BUCKETS ")
    key = head.removeprefix("HASH(").removesuffix(")").replace("`", "")
    return key, buckets.strip() or "1"


def require_partitions(
    catalog: Catalog,
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    names: Iterable[str],
) -> None:
    """Raises SqlError for a partition that the table has not."""
    scheme = scheme_of(relation)
    for name in names:
        if scheme is None:
            if name.lower() != relation.name.lower():
                raise unknown_partition(name, relation)
        elif scheme.kind != AUTO:
            named(relation, name)
        else:
            condition = rows_of(catalog, relation, (name,))
            target = qualified(relation.db, relation.name)
            query = f"SELECT 1 FROM {target} WHERE {condition} LIMIT 1"
            if not connection.execute(query).fetchall():
                raise unknown_partition(name, relation)
