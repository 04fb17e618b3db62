"""SHOW PARTITIONS FROM table [WHERE ...] [ORDER BY ...] [LIMIT ...]."""

from __future__ import annotations

from embedded_starrocks.errors import semantic_error
from embedded_starrocks.mysql.resultset import ResultSet, Row, table_of
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.partitionlists import distribution, list_sql
from embedded_starrocks.sql.partitions import scheme_of
from embedded_starrocks.sql.rewrite import find_relation
from embedded_starrocks.sql.showwhere import chosen
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import Relation

_NAMES = (
    "PartitionId", "PartitionName", "VisibleVersion", "VisibleVersionTime", "VisibleVersionHash",
    "State", "PartitionKey", "Range", "DistributionKey", "Buckets", "ReplicationNum",
    "StorageMedium", "CooldownTime", "LastConsistencyCheckTime", "DataSize", "IsInMemory",
    "RowCount",
)  # fmt: skip


def show_partitions(context: Context, words: Words) -> ResultSet:
    """One row for each partition; what StarRocks stores and DuckDB does not is NULL."""
    words.expect("FROM")
    relation = find_relation(context.scope(), words.table())
    context.require_reads([relation])
    if relation.kind == "VIEW":
        raise semantic_error(f"'{relation.name}' is a VIEW and has no partitions")
    scheme = scheme_of(relation)
    names = list(_NAMES)
    if scheme is not None and scheme.is_list:
        names[7] = "List"
    found = context.session.connection.execute(
        f"SELECT name, id, bounds, row_count FROM ({list_sql(context.catalog, relation)})"
    ).fetchall()
    version = str(context.store.versions.of(relation.id))
    rows = [_row(relation, version, *each) for each in found]
    if scheme is not None and not relation.partitions:
        rows.sort(key=lambda row: str(row[1]))
    return table_of(names, chosen(words, names, rows, column=1))


def _row(relation: Relation, version: str, name: str, number: int, bounds: str, count: int) -> Row:
    scheme = scheme_of(relation)
    key, buckets = distribution(relation)
    columns = ", ".join(scheme.columns) if scheme is not None else ""
    properties = dict(relation.properties)
    return (
        str(number), name, version, None, "0", "NORMAL", columns, bounds, key,
        buckets, properties.get("replication_num", "1"), properties.get("storage_medium", "HDD"),
        "9999-12-31 23:59:59", None, None, "false", str(count),
    )  # fmt: skip
