"""Definitions of RANGE and LIST partitions: read from SQL, checked, and written again.

Source: StarRocks 3.5 documentation, "CREATE TABLE", "ALTER TABLE", "List partitioning".
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.dialect import TokenType
from embedded_starrocks.sql.partitionbatch import batch
from embedded_starrocks.sql.partitions import LIST, RANGE, Scheme, scheme_of
from embedded_starrocks.sql.types import INTEGER_BITS, ColumnType
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.metadata import Relation, is_valid_name
from embedded_starrocks.storage.partitions import Partition, Values

_DAY_ZERO = "0000-01-01"
# Sorts before and behind every value.
_MIN: tuple[int, Any] = (0, 0)
_MAX: tuple[int, Any] = (2, 0)


def with_partitions(relation: Relation) -> Relation:
    """A new table with its PARTITION BY RANGE or LIST clause read; others as they are."""
    text = relation.partition_by
    kind = next((each for each in (RANGE, LIST) if text.upper().startswith(each)), "")
    if not kind:
        return relation
    words = Words(dialect.tokenize(text), text)
    words.expect(kind)
    head = _bracketed(words)
    relation = dataclasses.replace(relation, partition_by=f"{kind}({head})", partitions=())
    scheme = scheme_of(relation)
    if scheme is None:
        return relation
    shown = ", ".join(scheme.expressions)
    relation = dataclasses.replace(relation, partition_by=f"{kind}({shown})")
    words.expect("(")
    while not words.accept(")"):
        relation, _ = added(relation, scheme, words)
        words.accept(",")
    words.finish()
    if not relation.partitions and kind == LIST:
        raise semantic_error("a table PARTITION BY LIST needs partitions")
    return relation


def _bracketed(words: Words) -> str:
    """The text between the parenthesis that comes next and the one that closes it."""
    words.expect("(")
    depth = 1
    parts: list[str] = []
    while True:
        text = words.raw()
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth == 0:
            return " ".join(parts)
        parts.append(text)


def added(
    relation: Relation, scheme: Scheme, words: Words
) -> tuple[Relation, tuple[Partition, ...]]:
    """The table with the partition, or the batch of them, that comes next; and what is new."""
    if words.peek() == "START":
        new = read_batch(relation, scheme, words)
        skip_known = False
    else:
        words.expect("PARTITION")
        skip_known = words.accept("IF", "NOT", "EXISTS")
        new = (_read_one(relation, scheme, words),)
    fresh: tuple[Partition, ...] = ()
    for partition in new:
        if any(each.name.lower() == partition.name.lower() for each in relation.partitions):
            if skip_known:
                continue
            raise SqlError(1517, "HY000", f"Duplicate partition name {partition.name}")
        relation = _inserted(relation, scheme, partition)
        fresh += (partition,)
    return relation, fresh


def _inserted(relation: Relation, scheme: Scheme, new: Partition) -> Relation:
    """Raises SqlError where the new partition takes what another one has."""
    if scheme.kind == LIST:
        taken = {row for each in relation.partitions for row in each.listed}
        if taken & set(new.listed):
            raise semantic_error(f"Duplicate values in partition {new.name}")
        return dataclasses.replace(relation, partitions=(*relation.partitions, new))
    low, high = _bounds(new, scheme)
    if low >= high:
        raise semantic_error(f"partition {new.name}: its lower bound is not below its upper one")
    for each in relation.partitions:
        other_low, other_high = _bounds(each, scheme)
        if low < other_high and other_low < high:
            raise semantic_error(
                f"Range {_shown_range(new, scheme)} is intersected with {each.name}"
            )
    found = sorted((*relation.partitions, new), key=lambda each: _bounds(each, scheme)[0])
    return dataclasses.replace(relation, partitions=tuple(found))


_Bound = tuple[tuple[int, Any], ...]


def _bounds(partition: Partition, scheme: Scheme) -> tuple[_Bound, _Bound]:
    count = len(scheme.types)
    lower = (_MIN,) * count if partition.lower is None else _sortable(partition.lower, scheme)
    upper = (_MAX,) * count if partition.upper is None else _sortable(partition.upper, scheme)
    return lower, upper


def _sortable(values: Values, scheme: Scheme) -> _Bound:
    found = []
    for value, kind in zip(values, scheme.types, strict=True):
        if value is None:
            found.append(_MAX)
        elif value == smallest(kind):
            found.append(_MIN)
        else:
            found.append((1, int(value) if kind.name in INTEGER_BITS else value))
    return tuple(found)


def smallest(kind: ColumnType) -> str:
    """The smallest value of a type, as StarRocks shows the bound of a first partition."""
    if kind.name == "DATE":
        return _DAY_ZERO
    if kind.name == "DATETIME":
        return f"{_DAY_ZERO} 00:00:00"
    return str(-(2 ** (INTEGER_BITS[kind.name] - 1)))


def canonical(text: str, kind: ColumnType) -> str:
    """A value as it is kept. Raises SqlError when it is none of the type."""
    try:
        if kind.name in INTEGER_BITS:
            return str(int(text))
        if kind.name in ("DATE", "DATETIME"):
            return _canonical_time(text.strip(), kind)
    except ValueError:
        raise semantic_error(f"Invalid {kind.name} value in a partition: {text[:60]}") from None
    if kind.name == "BOOLEAN":
        return "true" if text.lower() in ("1", "true") else "false"
    return text


def _canonical_time(text: str, kind: ColumnType) -> str:
    if text.startswith(_DAY_ZERO):
        return smallest(kind)
    found = datetime.datetime.fromisoformat(text)
    if kind.name == "DATE":
        return found.date().isoformat()
    return found.replace(tzinfo=None).isoformat(" ")


# Reading


def _read_one(relation: Relation, scheme: Scheme, words: Words) -> Partition:
    name = words.name()
    if not is_valid_name(name):
        raise semantic_error(f"Incorrect partition name '{name}'")
    words.expect("VALUES")
    if scheme.kind == LIST:
        words.expect("IN")
        found = Partition(name=name, listed=_read_list(scheme, words))
    elif words.accept("LESS", "THAN"):
        upper = _read_upper(scheme, words)
        found = Partition(name=name, lower=_below(relation, scheme, upper), upper=upper)
    else:
        words.expect("[")
        low = _read_values(scheme, words)
        words.expect(",")
        high = _read_values(scheme, words)
        words.expect(")")
        found = Partition(name=name, lower=_as_lower(low, scheme), upper=_as_upper(high))
    if words.peek() == "(":
        # Properties of one partition (storage medium, replicas) change no answer here.
        _bracketed(words)
    return found


def _as_lower(values: Values, scheme: Scheme) -> Values | None:
    if values[0] is None:
        raise semantic_error("MAXVALUE can't be a lower bound")
    return None if values == tuple(smallest(kind) for kind in scheme.types) else values


def _as_upper(values: Values) -> Values | None:
    return None if values[0] is None else values


def _read_upper(scheme: Scheme, words: Words) -> Values | None:
    return None if words.accept("MAXVALUE") else _as_upper(_read_values(scheme, words))


def _below(relation: Relation, scheme: Scheme, upper: Values | None) -> Values | None:
    """LESS THAN begins where the partition before it ends."""
    wanted = (_MAX,) * len(scheme.types) if upper is None else _sortable(upper, scheme)
    before: Values | None = None
    for each in relation.partitions:
        if each.upper is not None and _sortable(each.upper, scheme) < wanted:
            before = each.upper
    return None if before is None else _as_lower(before, scheme)


def _read_values(scheme: Scheme, words: Words) -> Values:
    """( value, ... ): columns that are left out have the smallest value."""
    words.expect("(")
    found: list[str | None] = []
    for kind in scheme.types:
        if found and not words.accept(","):
            break
        found.append(None if words.accept("MAXVALUE") else canonical(_read_value(words), kind))
    words.expect(")")
    return (*found, *(smallest(kind) for kind in scheme.types[len(found) :]))


def _read_value(words: Words) -> str:
    sign = "-" if words.accept("-") else ""
    if words.peek() in ("", "(", ")", ","):
        raise words.error("expected a value")
    return sign + words.name()


def _read_list(scheme: Scheme, words: Words) -> tuple[Values, ...]:
    words.expect("(")
    rows: list[Values] = []
    while not words.accept(")"):
        is_row = words.accept("(")
        row: list[str | None] = []
        for kind in scheme.types:
            if row:
                words.expect(",")
            is_null = words.peek() == "NULL" and words.kind() != TokenType.STRING
            text = _read_value(words)
            row.append(None if is_null else canonical(text, kind))
        if is_row:
            words.expect(")")
        if tuple(row) in rows:
            raise semantic_error("Duplicate values in one partition")
        rows.append(tuple(row))
        words.accept(",")
    if not rows:
        raise semantic_error("a LIST partition without values")
    return tuple(rows)


def read_batch(relation: Relation, scheme: Scheme, words: Words) -> tuple[Partition, ...]:
    """START ("a") END ("b") EVERY (INTERVAL n unit | n)."""
    if scheme.kind != RANGE or len(scheme.types) != 1:
        raise semantic_error("START ... END ... EVERY needs RANGE with one partition column")
    kind = scheme.types[0]
    words.expect("START", "(")
    start = canonical(_read_value(words), kind)
    words.expect(")", "END", "(")
    end = canonical(_read_value(words), kind)
    words.expect(")", "EVERY", "(")
    has_unit = words.accept("INTERVAL")
    step = _read_value(words)
    if not step.isdigit() or int(step) == 0:
        raise semantic_error(f"EVERY takes a whole number above 0, not '{step}'")
    unit = words.name().upper() if has_unit else ""
    words.expect(")")
    if words.peek() == "(":
        _bracketed(words)
    names = dict(relation.properties)
    if "dynamic_partition.start_day_of_week" in names:
        raise unsupported("dynamic_partition.start_day_of_week")
    prefix = names.get("dynamic_partition.prefix", "p")
    found = batch(kind, start, end, int(step), unit, prefix)
    return tuple(Partition(name=n, lower=(low,), upper=(high,)) for n, low, high in found)


# Writing


def _quoted(values: Values) -> str:
    return "(" + ", ".join("MAXVALUE" if v is None else f'"{v}"' for v in values) + ")"


def _shown_range(partition: Partition, scheme: Scheme) -> str:
    low = partition.lower or tuple(smallest(kind) for kind in scheme.types)
    high = partition.upper or (None,) * len(scheme.types)
    return f"[{_quoted(low)}, {_quoted(high)})"


def _shown_list(partition: Partition, scheme: Scheme) -> str:
    def one(value: str | None) -> str:
        if value is None:
            return "NULL"
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    rows = [", ".join(one(value) for value in row) for row in partition.listed]
    if len(scheme.types) > 1:
        rows = [f"({row})" for row in rows]
    return "(" + ", ".join(rows) + ")"


def shown_bounds(partition: Partition, scheme: Scheme) -> str:
    """As SHOW PARTITIONS has it in the column Range or List."""
    if scheme.kind == LIST:
        return _shown_list(partition, scheme)
    types = ", ".join(kind.name for kind in scheme.types)
    low = partition.lower or tuple(smallest(kind) for kind in scheme.types)
    high = partition.upper or (None,) * len(scheme.types)
    keys = [", ".join("MAXVALUE" if v is None else v for v in each) for each in (low, high)]
    return f"[types: [{types}]; keys: [{keys[0]}]; ..types: [{types}]; keys: [{keys[1]}]; )"


def partition_clause(relation: Relation) -> str:
    """What follows PARTITION BY in SHOW CREATE TABLE."""
    scheme = scheme_of(relation)
    if scheme is None or scheme.kind not in (RANGE, LIST):
        return relation.partition_by
    lines = []
    for each in relation.partitions:
        if scheme.kind == RANGE:
            lines.append(f"PARTITION {each.name} VALUES {_shown_range(each, scheme)}")
        else:
            lines.append(f"PARTITION {each.name} VALUES IN {_shown_list(each, scheme)}")
    return f"{relation.partition_by}\n(" + ",\n".join(lines) + ")"
