"""Lists of a table's partitions, with their rows: for SHOW PARTITIONS and partitions_meta.

Source: StarRocks 3.5 documentation, "SHOW PARTITIONS", "partitions_meta".
"""

from __future__ import annotations

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


def meta_sql(catalog: Catalog, relations: Iterable[Relation]) -> str:
    """information_schema.partitions_meta over these tables."""
    parts = [_meta(catalog, each) for each in relations if each.has_rows]
    empty = Relation(db="", name="", kind="TABLE", columns=())
    head = _columns(empty, f"(SELECT {_NOTHING})")
    return " UNION ALL ".join([head, *parts])


def _meta(catalog: Catalog, relation: Relation) -> str:
    return _columns(relation, f"({list_sql(catalog, relation)})")


def _columns(relation: Relation, source: str) -> str:
    key, buckets = distribution(relation)
    properties = dict(relation.properties)
    scheme = scheme_of(relation) if relation.columns else None
    columns = ", ".join(scheme.columns) if scheme is not None else ""
    return (
        f'SELECT {_literal(relation.db)} AS "DB_NAME", '
        f'{_literal(relation.name)} AS "TABLE_NAME", name AS "PARTITION_NAME", '
        'CAST(id AS BIGINT) AS "PARTITION_ID", '
        'CAST(CASE WHEN row_count > 0 THEN 2 ELSE 1 END AS BIGINT) AS "VISIBLE_VERSION", '
        f'{_literal(columns)} AS "PARTITION_KEY", bounds AS "PARTITION_VALUE", '
        f'{_literal(key)} AS "DISTRIBUTION_KEY", CAST({buckets} AS INTEGER) AS "BUCKETS", '
        f"CAST({_number(properties.get('replication_num', '1'))} AS INTEGER) "
        'AS "REPLICATION_NUM", 0 AS "IS_IN_MEMORY", 0 AS "IS_TEMP", '
        f'CAST(row_count AS BIGINT) AS "ROW_COUNT" FROM {source}'
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
