"""Which partition a row belongs to, as conditions in DuckDB's SQL.

DuckDB stores a table in one piece: a partition is a condition over its rows. RANGE and LIST
partitions are part of the catalog, and rows outside of all of them are refused. Partitions by
expressions or columns come with the rows, and so do their names.
Source: StarRocks 3.5 documentation, "Data distribution", "Expression partitioning".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.rowexpr import row_sql
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Catalog, Relation
from embedded_starrocks.storage.partitions import Partition

RANGE, LIST, AUTO = "RANGE", "LIST", "AUTO"
OUTSIDE = "The row is out of partition ranges. Please add a new partition."
_NameOf = Callable[[str], str | None]
# Functions over a partition column that RANGE takes, and what they give.
_RANGE_FUNCTIONS = {
    "str2date": "DATE",
    "from_unixtime": "DATETIME",
    "from_unixtime_ms": "DATETIME",
    "to_datetime": "DATETIME",
}
_RANGE_TYPES = ("DATE", "DATETIME", "TINYINT", "SMALLINT", "INT", "BIGINT", "LARGEINT")
LIST_TYPES = (*_RANGE_TYPES, "BOOLEAN", "CHAR", "VARCHAR")
_NAME_FORMATS = {
    "year": "%Y",
    "month": "%Y%m",
    "hour": "%Y%m%d%H",
    "minute": "%Y%m%d%H%M",
    "second": "%Y%m%d%H%M%S",
}


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a table is partitioned: the expressions as they were written, and the columns in them."""

    kind: str
    expressions: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[ColumnType, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether partitions are lists of values; those of one span of time are ranges."""
        if self.kind != AUTO:
            return self.kind == LIST
        return len(self.expressions) > 1 or not _time_format(self.expressions[0])


def scheme_of(relation: Relation) -> Scheme | None:
    """None for a table without partitions. Raises SqlError for columns that can't be used."""
    text = relation.partition_by
    if not text:
        return None
    kind = next((each for each in (RANGE, LIST) if text.upper().startswith(f"{each}(")), AUTO)
    inner = text if kind == AUTO else text[len(kind) + 1 : -1]
    tree = dialect.parse(f"SELECT {inner}")
    parts = list(tree.expressions)
    if len(parts) == 1 and isinstance(parts[0], exp.Tuple | exp.Paren):
        parts = parts[0].expressions or [parts[0].this]
    columns = tuple(dict.fromkeys(c.name for part in parts for c in part.find_all(exp.Column)))
    written = tuple(_written(part) for part in parts)
    types = () if kind == AUTO else tuple(_type_of(relation, kind, part) for part in parts)
    return Scheme(kind, written, columns, types)


def _written(part: exp.Expr) -> str:
    return part.sql(dialect="starrocks", normalize_functions="lower", identify=True)


def has_defined(relation: Relation) -> bool:
    """Whether a table is PARTITION BY RANGE or LIST."""
    return relation.partition_by.startswith((f"{RANGE}(", f"{LIST}("))


def _type_of(relation: Relation, kind: str, part: exp.Expr) -> ColumnType:
    if isinstance(part, exp.Anonymous) and kind == RANGE and part.name.lower() in _RANGE_FUNCTIONS:
        return ColumnType(_RANGE_FUNCTIONS[part.name.lower()])
    if not isinstance(part, exp.Column):
        raise unsupported(f"PARTITION BY {kind}({part.sql('starrocks')[:60]})")
    column = relation.column(part.name)
    if column is None:
        raise semantic_error(f"Partition column[{part.name}] does not exist in table")
    allowed = _RANGE_TYPES if kind == RANGE else LIST_TYPES
    if column.type.name not in allowed or column.generated:
        raise semantic_error(
            f"column '{column.name}' {column.type.shown()} can't be a {kind} partition column"
        )
    return column.type


def plain_names(relation: Relation) -> _NameOf:
    """Columns by their own names."""

    def name_of(name: str) -> str | None:
        column = relation.column(name)
        return None if column is None else column.name

    return name_of


def partition_keys(catalog: Catalog, relation: Relation, scheme: Scheme) -> list[str]:
    """SQL of each partition expression."""
    return _keys(catalog, relation, scheme, plain_names(relation))


def _keys(catalog: Catalog, relation: Relation, scheme: Scheme, name_of: _NameOf) -> list[str]:
    return [row_sql(catalog, each, name_of, relation) for each in scheme.expressions]


def outside(
    catalog: Catalog, relation: Relation, names: Iterable[str] = (), name_of: _NameOf | None = None
) -> str | None:
    """SQL of "the row is in none of the partitions" (those named, or all); None: it can't be."""
    wanted = tuple(names)
    if not wanted and not has_defined(relation):
        # Most loads: nothing is parsed for them.
        return None
    return f"NOT coalesce({_condition(catalog, relation, wanted, name_of)}, false)"


def rows_of(catalog: Catalog, relation: Relation, names: Iterable[str]) -> str:
    """SQL of "the row is in one of the named partitions". Raises SqlError for an unknown one."""
    return _condition(catalog, relation, tuple(names), None)


def _condition(
    catalog: Catalog,
    relation: Relation,
    names: tuple[str, ...],
    name_of: _NameOf | None,
) -> str:
    scheme = scheme_of(relation)
    if scheme is None:
        for name in names:
            if name.lower() != relation.name.lower():
                raise unknown_partition(name, relation)
        return "true"
    name_of = name_of or plain_names(relation)
    if scheme.kind == AUTO:
        shown = ", ".join(_literal(name.lower()) for name in names)
        return f"lower({auto_name(catalog, relation, scheme, name_of)}) IN ({shown})"
    chosen = [named(relation, name) for name in names] if names else list(relation.partitions)
    if not chosen:
        return "false"
    keys = _keys(catalog, relation, scheme, name_of)
    if scheme.kind == LIST:
        return _in_lists(keys, scheme.types, chosen)
    parts = [_in_range(keys, scheme.types, each) for each in _joined(chosen)]
    return "(" + " OR ".join(parts) + ")"


def named(relation: Relation, name: str) -> Partition:
    """The RANGE or LIST partition of that name. Raises SqlError."""
    for partition in relation.partitions:
        if partition.name.lower() == name.lower():
            return partition
    raise unknown_partition(name, relation)


def unknown_partition(name: str, relation: Relation) -> Exception:
    return semantic_error(f"Unknown partition '{name}' in table '{relation.name}'")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _value(text: str, kind: ColumnType) -> str:
    return _literal(text) if kind.is_text else f"CAST({_literal(text)} AS {kind.duckdb()})"


def _joined(chosen: list[Partition]) -> list[Partition]:
    """Ranges that follow each other without a gap, as one: a load compares with two values."""
    found: list[Partition] = []
    for partition in chosen:
        last = found[-1] if found else None
        if last is not None and last.upper is not None and last.upper == partition.lower:
            found[-1] = dataclasses.replace(last, upper=partition.upper)
        else:
            found.append(partition)
    return found


def _in_range(keys: list[str], types: tuple[ColumnType, ...], partition: Partition) -> str:
    if len(keys) == 1:
        return _in_simple_range(keys[0], types[0], partition)
    below = "true" if partition.upper is None else _less(keys, types, partition.upper)
    if partition.lower is None:
        return below
    return f"({below} AND NOT {_less(keys, types, partition.lower)})"


def _in_simple_range(key: str, kind: ColumnType, partition: Partition) -> str:
    """In a form that DuckDB compares with its zone maps; NULL is the smallest value."""
    upper = partition.upper[0] if partition.upper is not None else None
    below = "" if upper is None else f"{key} < {_value(upper, kind)}"
    if partition.lower is None:
        return f"({below} OR {key} IS NULL)" if below else "true"
    from_ = f"{key} >= {_value(partition.lower[0] or '', kind)}"
    return f"({from_} AND {below})" if below else f"({from_})"


def _less(keys: list[str], types: tuple[ColumnType, ...], values: tuple[str | None, ...]) -> str:
    """Row values compared as StarRocks does, column by column; never NULL."""
    if values[0] is None:
        return "true"
    first = f"coalesce({keys[0]} < {_value(values[0], types[0])}, true)"
    if len(values) == 1:
        return first
    same = f"coalesce({keys[0]} = {_value(values[0], types[0])}, false)"
    return f"({first} OR ({same} AND {_less(keys[1:], types[1:], values[1:])}))"


def _in_lists(keys: list[str], types: tuple[ColumnType, ...], chosen: list[Partition]) -> str:
    rows = [row for partition in chosen for row in partition.listed]
    if len(keys) == 1:
        values = [_value(row[0], types[0]) for row in rows if row[0] is not None]
        parts = [f"{keys[0]} IN ({', '.join(values)})"] if values else []
        parts += [f"{keys[0]} IS NULL"] if any(row[0] is None for row in rows) else []
        return "(" + " OR ".join(parts) + ")"
    return (
        "("
        + " OR ".join(
            "("
            + " AND ".join(
                f"{key} IS NULL" if value is None else f"{key} = {_value(value, kind)}"
                for key, kind, value in zip(keys, types, row, strict=True)
            )
            + ")"
            for row in rows
        )
        + ")"
    )


def auto_name(catalog: Catalog, relation: Relation, scheme: Scheme, name_of: _NameOf) -> str:
    """SQL of the name that StarRocks gives the partition of a row."""
    keys = _keys(catalog, relation, scheme, name_of)
    if len(keys) == 1 and (time_format := _time_format(scheme.expressions[0])):
        return f"coalesce('p' || strftime({keys[0]}, '{time_format}'), 'pNULL')"
    return "'p' || " + " || '_' || ".join(_name_part(key) for key in keys)


def auto_values(catalog: Catalog, relation: Relation, scheme: Scheme, name_of: _NameOf) -> str:
    """SQL of the bounds of the partition of a row, as SHOW PARTITIONS has them."""
    keys = _keys(catalog, relation, scheme, name_of)
    span = None if scheme.is_list else _span(scheme.expressions[0])
    column = relation.column(scheme.columns[0])
    if span is not None and column is not None:
        kind, stored = column.type.name, column.type.duckdb()
        low, high = (
            f"CAST(CAST({key} AS {stored}) AS VARCHAR)"
            for key in (keys[0], f"{keys[0]} + INTERVAL '{span[1]} {span[0]}'")
        )
        return (
            f"coalesce('[types: [{kind}]; keys: [' || {low} || ']; ..types: [{kind}]; keys: [' "
            f"|| {high} || ']; )', '')"
        )
    shown = [f"coalesce(chr(39) || CAST({key} AS VARCHAR) || chr(39), 'NULL')" for key in keys]
    return "'((' || " + " || ', ' || ".join(shown) + " || '))'"


def _span(expression: str) -> tuple[str, int] | None:
    """Unit and length of the span of time that a partition has; None for other expressions."""
    tree = dialect.parse(f"SELECT {expression}").expressions[0]
    name = tree.name.lower() if isinstance(tree, exp.Anonymous) else ""
    if name == "date_trunc":
        return tree.expressions[0].name.lower(), 1
    interval = tree.find(exp.Interval) if name == "time_slice" else None
    if interval is None or not interval.this.name.isdigit():
        return None
    return interval.args["unit"].name.lower(), int(interval.this.name)


def _time_format(expression: str) -> str:
    """How the start of a partition is written; "" for one that is no span of time."""
    span = _span(expression)
    return "" if span is None else _NAME_FORMATS.get(span[0], "%Y%m%d")


def _name_part(key: str) -> str:
    """A value inside of a name: letters and digits, the marks of times left out, others in hex."""
    text = f"CAST({key} AS VARCHAR)"
    letters = (
        f"array_to_string(list_transform(string_split({text}, ''), lambda c: "
        "CASE WHEN regexp_full_match(c, '[A-Za-z0-9]') THEN c WHEN c IN ('-', ':', ' ', '*') "
        "THEN '' ELSE format('{:x}', unicode(c)) END), '')"
    )
    return (
        f"coalesce(CASE WHEN {text} LIKE '-%' THEN '_' ELSE '' END || "
        f"CASE WHEN regexp_full_match({text}, '[A-Za-z0-9]*') THEN {text} ELSE {letters} END, "
        "'NULL')"
    )
