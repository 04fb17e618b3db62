"""SHOW PARTITIONS FROM table [WHERE ...] [ORDER BY ...] [LIMIT ...]."""

from __future__ import annotations

from collections.abc import Callable

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.mysql.resultset import ResultSet, Row, table_of
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.partitionlists import distribution, list_sql
from embedded_starrocks.sql.partitions import scheme_of
from embedded_starrocks.sql.rewrite import find_relation
from embedded_starrocks.sql.words import Words, like_pattern
from embedded_starrocks.storage.metadata import Relation

_NAMES = (
    "PartitionId", "PartitionName", "VisibleVersion", "VisibleVersionTime", "VisibleVersionHash",
    "State", "PartitionKey", "Range", "DistributionKey", "Buckets", "ReplicationNum",
    "StorageMedium", "CooldownTime", "LastConsistencyCheckTime", "DataSize", "IsInMemory",
    "RowCount",
)  # fmt: skip
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "!=": lambda left, right: left != right,
}


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
    rows = [_row(relation, *each) for each in found]
    if scheme is not None and not relation.partitions:
        rows.sort(key=lambda row: str(row[1]))
    return table_of(names, _selected(words, names, rows))


def _row(relation: Relation, name: str, number: int, bounds: str, count: int) -> Row:
    scheme = scheme_of(relation)
    key, buckets = distribution(relation)
    columns = ", ".join(scheme.columns) if scheme is not None else ""
    properties = dict(relation.properties)
    return (
        str(number), name, "2" if count else "1", None, "0", "NORMAL", columns, bounds, key,
        buckets, properties.get("replication_num", "1"), properties.get("storage_medium", "HDD"),
        "9999-12-31 23:59:59", None, None, "false", str(count),
    )  # fmt: skip


def _selected(words: Words, names: list[str], rows: list[Row]) -> list[Row]:
    if words.accept("WHERE"):
        rows = _where(words, names, rows)
        while words.accept("AND"):
            rows = _where(words, names, rows)
    if words.accept("ORDER", "BY") or words.accept("ORDER BY"):
        rows = _ordered(words, names, rows)
    if words.accept("LIMIT"):
        count = _whole(words)
        skipped = 0
        if words.accept(","):
            skipped, count = count, _whole(words)
        elif words.accept("OFFSET"):
            skipped = _whole(words)
        rows = rows[skipped : skipped + count]
    words.finish()
    return rows


def _whole(words: Words) -> int:
    text = words.name()
    if not text.isdigit():
        raise words.error("expected a whole number")
    return int(text)


def _index(words: Words, names: list[str]) -> int:
    wanted = words.name().lower()
    for index, name in enumerate(names):
        if name.lower() == wanted:
            return index
    raise semantic_error(f"Unknown column '{wanted}' in SHOW PARTITIONS")


def _where(words: Words, names: list[str], rows: list[Row]) -> list[Row]:
    index = _index(words, names)
    if words.accept("LIKE"):
        pattern = like_pattern(words.string())
        return [row for row in rows if pattern.match(str(row[index]))]
    compare = _COMPARISONS.get(words.peek())
    if compare is None:
        raise unsupported(f"SHOW PARTITIONS WHERE {names[index]} {words.peek()}")
    words.name()
    wanted = words.name()
    return [row for row in rows if compare(str(row[index]), wanted)]


def _ordered(words: Words, names: list[str], rows: list[Row]) -> list[Row]:
    keys: list[tuple[int, bool]] = []
    while not keys or words.accept(","):
        index = _index(words, names)
        keys.append((index, words.any_of("ASC", "DESC") == "DESC"))
    for index, descends in reversed(keys):
        rows = sorted(rows, key=_by_number_or_text(index), reverse=descends)
    return rows


def _by_number_or_text(index: int) -> Callable[[Row], tuple[int, str]]:
    def key(row: Row) -> tuple[int, str]:
        text = str(row[index])
        return (int(text), "") if text.isdigit() else (0, text)

    return key
