"""What StarRocks refuses of a table's definition: contradictions, and names of nothing.

Source: StarRocks 3.5 documentation, "CREATE TABLE", "Data distribution", "Generated columns".
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping

from sqlglot import exp

from embedded_starrocks.errors import duplicate_column, semantic_error, unsupported
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.partitions import AUTO, LIST_TYPES, scheme_of
from embedded_starrocks.sql.types import INTEGER_BITS
from embedded_starrocks.storage.metadata import Column, Relation

_UNITS = ("hour", "day", "month", "year")
_BOOLEANS = ("0", "1", "true", "false")


def check_table(relation: Relation) -> None:
    """Raises SqlError 1064 for a definition that StarRocks does not take."""
    _check_generated_order(relation.columns)
    for column in relation.columns:
        check_default(column)
    check_distribution(relation, relation.distributed_by)
    check_order(relation, relation.order_by)
    _check_partitions(relation)
    check_dynamic(dict(relation.properties))


def check_columns(columns: tuple[Column, ...]) -> None:
    if not columns:
        raise semantic_error("No column in the table")
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise duplicate_column(column.name)
        seen.add(column.name.lower())


def check_values(model: str, keys: tuple[str, ...], columns: tuple[Column, ...]) -> None:
    """Aggregates stand on the value columns of AGGREGATE KEY tables, on all and on no others."""
    if sum(column.auto_increment for column in columns) > 1:
        raise semantic_error("More than one AUTO_INCREMENT column")
    for position, column in enumerate(columns):
        is_value = model == "AGGREGATE" and position >= len(keys)
        if is_value and not column.aggregate:
            raise semantic_error(
                f"AGG_KEYS table should specify aggregate type for non-key column[{column.name}]"
            )
        if column.aggregate and not is_value:
            raise semantic_error(f"column '{column.name}' of a {model} KEY table is not aggregated")
        if column.generated and (position < len(keys) or model == "AGGREGATE"):
            raise semantic_error(f"Generated column '{column.name}' can't be key or aggregated")
        if column.aggregate == "SUM" and column.type.is_text:
            raise semantic_error(f"column '{column.name}' {column.type.shown()} has no SUM")


def _check_generated_order(columns: tuple[Column, ...]) -> None:
    first = next((i for i, column in enumerate(columns) if column.generated), len(columns))
    if not all(column.generated for column in columns[first:]):
        raise semantic_error("All generated columns must be defined after ordinary columns")


def check_default(column: Column) -> None:
    """A default must be a value of the column's type."""
    text = column.default
    if text is None:
        return
    kind = column.type
    if text.upper() == "CURRENT_TIMESTAMP":
        if kind.name not in ("DATETIME", "DATE"):
            raise _invalid_default(column)
        return
    try:
        if kind.name in INTEGER_BITS:
            fits = abs(int(text) + 0.5) <= 2 ** (INTEGER_BITS[kind.name] - 1)
        elif kind.name in ("FLOAT", "DOUBLE"):
            fits = float(text) == float(text)
        elif kind.name == "DECIMAL":
            whole = (kind.precision or 0) - (kind.scale or 0)
            fits = abs(decimal.Decimal(text)) < decimal.Decimal(10) ** whole
        elif kind.name in ("DATE", "DATETIME"):
            fits = bool(datetime.datetime.fromisoformat(text))
        elif kind.name == "BOOLEAN":
            fits = text.lower() in _BOOLEANS
        else:
            fits = not kind.is_text or len(text.encode()) <= (kind.length or 0)
    except (ValueError, decimal.InvalidOperation):
        raise _invalid_default(column) from None
    if not fits:
        raise _invalid_default(column)


def _invalid_default(column: Column) -> Exception:
    return semantic_error(
        f"Invalid default value for '{column.name}' {column.type.shown()}: {column.default}"
    )


def check_distribution(relation: Relation, distributed_by: str) -> None:
    """Rows of one key must lie together, but for DUPLICATE tables."""
    model = relation.key_model
    head, _, buckets = distributed_by.partition(" BUCKETS ")
    if buckets and (not buckets.strip().isdigit() or int(buckets) == 0):
        raise semantic_error("Number of hash distribution is zero")
    if not head:
        raise semantic_error(f"Currently not support default distribution in {model} KEY")
    if head == "RANDOM":
        replaces = any(each.aggregate.startswith("REPLACE") for each in relation.columns)
        if model != "DUPLICATE" and (model != "AGGREGATE" or replaces):
            raise semantic_error(f"{model} KEY must use hash distribution")
        return
    for name in columns_in(head.removeprefix("HASH")):
        column = relation.column(name)
        if column is None:
            raise semantic_error(f"Distribution column({name}) doesn't exist")
        if model != "DUPLICATE" and column.name not in relation.keys:
            raise semantic_error(f"Distribution column[{name}] is not key column ({model} KEY)")


def check_order(relation: Relation, order_by: str) -> None:
    """ORDER BY names columns of the table."""
    for name in columns_in(order_by):
        if relation.column(name) is None:
            raise semantic_error(f"Sort key column {name} doesn't exist")


def columns_in(clause: str) -> list[str]:
    """The names in (a, b)."""
    inside = clause.strip().removeprefix("(").removesuffix(")")
    return [name.strip().strip("`") for name in inside.split(",") if name.strip()]


def check_dynamic(properties: Mapping[str, str]) -> None:
    """Nobody here would make the partitions of tomorrow: rows would be refused one day."""
    if properties.get("dynamic_partition.enable", "false").lower() == "true":
        raise unsupported("dynamic_partition; use PARTITION BY date_trunc('day', column)")


def _check_partitions(relation: Relation) -> None:
    """Rows of one key must lie in one partition, but for DUPLICATE tables."""
    scheme = scheme_of(relation)
    if scheme is None:
        return
    for name in scheme.columns:
        column = relation.column(name)
        if column is None:
            raise semantic_error(f"Partition column[{name}] does not exist in table")
        if relation.key_model != "DUPLICATE" and column.name not in relation.keys:
            if column.generated:
                continue
            raise semantic_error(
                f"The partition column[{name}] must be a key column ({relation.key_model} KEY)"
            )
    if scheme.kind == AUTO:
        for expression in scheme.expressions:
            _check_expression(relation, expression)


def _check_expression(relation: Relation, expression: str) -> None:
    """A column with few values, or a span of a column's time."""
    tree = dialect.parse(f"SELECT {expression}").expressions[0]
    column = relation.column(tree.name) if isinstance(tree, exp.Column) else None
    if column is not None and column.type.name not in LIST_TYPES:
        raise semantic_error(
            f"column '{column.name}' {column.type.shown()} can't be partitioned by"
        )
    if not isinstance(tree, exp.Anonymous) or tree.name.lower() != "date_trunc":
        return
    unit = tree.expressions[0].name.lower()
    over = tree.expressions[-1]
    column = relation.column(over.name) if isinstance(over, exp.Column) else None
    if unit not in _UNITS:
        raise semantic_error(f"date_trunc of partitions takes {', '.join(_UNITS)}, not {unit}")
    if column is not None and column.type.name not in ("DATE", "DATETIME"):
        raise semantic_error(f"partition column '{column.name}' is neither DATE nor DATETIME")
    if column is not None and unit == "hour" and column.type.name == "DATE":
        raise semantic_error(f"partitions by hour need a DATETIME: '{column.name}'")
