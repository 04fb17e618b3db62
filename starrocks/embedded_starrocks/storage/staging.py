"""The first half of a load: a body in the spool becomes a checked stage table.

A value that does not fit its column makes the whole row bad; it never becomes NULL in silence,
unless the load says `strict_mode: false`, as StarRocks does when nothing is said: this is stricter,
on purpose.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import duckdb

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql.partitions import OUTSIDE, outside
from embedded_starrocks.sql.rowexpr import row_sql, with_generated
from embedded_starrocks.storage.columnvalues import (
    Problem,
    column_value,
    converted_value,
    value_of,
)
from embedded_starrocks.storage.engine import STAGE_DATABASE
from embedded_starrocks.storage.metadata import Catalog, Relation, quoted
from embedded_starrocks.storage.readers import (
    LoadError,
    LoadOptions,
    Reader,
    is_by_line,
    reader_of,
    text_literal,
)
from embedded_starrocks.storage.tables import KEYED, OPERATION, ROW_NUMBER, Merge

KEPT_ERRORS = 50
_BAD = "__bad"
_SKIPPED = "__skipped"
_BROKEN = "__broken"


@dataclasses.dataclass
class Staged:
    """A stage table with its counts; `errors` are reasons with the rows' texts."""

    table: str
    relation: Relation
    total: int
    filtered: int
    unselected: int
    merge: Merge
    errors: list[str]
    size: int

    @property
    def loaded(self) -> int:
        return self.total - self.filtered - self.unselected


class TooManyFiltered(LoadError):
    """More bad rows than max_filter_ratio allows."""

    def __init__(self, message: str, total: int, filtered: int, errors: list[str]) -> None:
        super().__init__(message)
        self.total = total
        self.filtered = filtered
        self.errors = errors


@dataclasses.dataclass
class _Plan:
    """The SQL of a load: rows with their values, and why rows are bad."""

    rows: str
    problems: list[Problem]
    skipped: str
    given: tuple[str, ...]
    has_operation: bool
    reader: Reader


def stage(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    relation: Relation,
    body: Path,
    options: LoadOptions,
    number: int,
) -> Staged:
    """Parse and check a body. Raises LoadError when it can't be read or too many rows are bad."""
    if is_by_line(body, options):
        # What can't be read line by line is read as a whole, which says what is wrong with it.
        with contextlib.suppress(duckdb.Error):
            return _stage(connection, catalog, relation, body, options, number, True)
    return _stage(connection, catalog, relation, body, options, number, False)


def _stage(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    relation: Relation,
    body: Path,
    options: LoadOptions,
    number: int,
    by_line: bool,
) -> Staged:
    """The same in one way; a body that was to be read line by line raises duckdb.Error."""
    table = f"{STAGE_DATABASE}.main.s{number}"
    size = body.stat().st_size
    reader = reader_of(relation, body, options, number, by_line)
    try:
        plan = _plan(connection, catalog, relation, options, reader)
        _create(connection, catalog, relation, plan, table)
        return _checked(connection, relation, options, plan, table, size)
    except duckdb.Error as error:
        drop(connection, table)
        if by_line:
            raise
        raise LoadError(_first_line(error)) from None
    except SqlError as error:
        drop(connection, table)
        raise LoadError(error.message) from None
    except UnicodeDecodeError:
        # DuckDB's error quotes the bytes that it can't read.
        drop(connection, table)
        raise LoadError("the body is not UTF-8") from None
    except LoadError:
        drop(connection, table)
        raise
    finally:
        if reader.rejects:
            for name in (reader.rejects, f"{reader.rejects}_scan"):
                connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def drop(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {table}")


def _checked(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    options: LoadOptions,
    plan: _Plan,
    table: str,
    size: int,
) -> Staged:
    """Count and remove what is bad or not wanted."""
    keys = ", ".join(quoted(key) for key in relation.keys) or "NULL"
    # A row of one key is slower; NULL, which a single one leaves out, counts as repeated.
    key = keys if len(relation.keys) == 1 else f"row({keys})"
    distinct = f"count(DISTINCT {key})" if relation.key_model in KEYED else "0"
    ((total, filtered, unselected, keys_found),) = connection.execute(
        f"SELECT count(*), count(*) FILTER ({_BAD}), "
        f"count(*) FILTER ({_SKIPPED} AND NOT {_BAD}), {distinct} FROM {table}"
    ).fetchall()
    has_repeats = bool(filtered or unselected) or keys_found < total
    errors = _reasons(connection, plan) if filtered else []
    if plan.reader.rejects:
        broken = connection.execute(
            f"SELECT line, error_message, csv_line FROM temp.{plan.reader.rejects} ORDER BY line"
        ).fetchall()
        lines = {line for line, _, _ in broken}
        total, filtered = total + len(lines), filtered + len(lines)
        errors += [f"row {line}: {why}: {text[:60]}" for line, why, text in broken][:KEPT_ERRORS]
    _check_ratio(total, filtered, options.max_filter_ratio, errors)
    if filtered or unselected:
        connection.execute(f"DELETE FROM {table} WHERE {_BAD} OR {_SKIPPED}")
    if has_repeats and relation.key_model in KEYED and not _has_numbers(relation):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {ROW_NUMBER} BIGINT")
        connection.execute(f"UPDATE {table} SET {ROW_NUMBER} = rowid")
    merge = Merge(
        has_operation=plan.has_operation,
        has_repeats=has_repeats,
        columns=plan.given if options.partial_update else (),
        condition=_condition(relation, options),
    )
    if merge.condition and plan.has_operation:
        _refuse_conditional_deletes(connection, table)
    return Staged(table, relation, total, filtered, unselected, merge, errors, size)


def _condition(relation: Relation, options: LoadOptions) -> str:
    column = relation.column(options.merge_condition) if options.merge_condition else None
    return column.name if column is not None else ""


def _refuse_conditional_deletes(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    if connection.execute(f"SELECT 1 FROM {table} WHERE {OPERATION} = 1 LIMIT 1").fetchall():
        raise LoadError("merge_condition and deletes in one load are not supported")


def _check_ratio(total: int, filtered: int, allowed: float, errors: list[str]) -> None:
    if filtered and filtered > allowed * total:
        example = errors[0] if errors else ""
        raise TooManyFiltered(
            f"too many filtered rows: {filtered} of {total}; the first: {example}",
            total,
            filtered,
            errors,
        )


def _first_line(error: duckdb.Error) -> str:
    text = str(error).split("\n")[0]
    # DuckDB names the spool file; the client knows nothing of it.
    return text.replace("Invalid Input Error: ", "")[:500]


def check_options(relation: Relation, options: LoadOptions) -> None:
    """Raises LoadError for partial and conditional updates that StarRocks has not either."""
    if (options.partial_update or options.merge_condition) and relation.key_model != "PRIMARY":
        raise LoadError("partial_update and merge_condition need a PRIMARY KEY table")
    if options.partial_update and not (options.columns or options.derived):
        raise LoadError("partial_update needs the header columns with the columns that are given")
    if options.merge_condition:
        column = relation.column(options.merge_condition)
        if column is None:
            raise LoadError(f"merge_condition names no column: {options.merge_condition}")
        if column.name in relation.keys:
            raise LoadError("merge_condition can't be a key column")
    if options.partial_update:
        named = {name.lower() for name in (*options.columns, *(n for n, _ in options.derived))}
        for key in relation.keys:
            if key.lower() not in named:
                raise LoadError(f"partial_update without key column {key}")


def _plan(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    relation: Relation,
    options: LoadOptions,
    reader: Reader,
) -> _Plan:
    check_options(relation, options)
    given = {field for field in reader.fields if relation.column(field) is not None}
    derived = _derived(catalog, relation, options, reader)
    inner: list[str] = []
    problems: list[Problem] = []
    for column in relation.columns:
        if column.generated or column.name in derived:
            continue
        value, found = column_value(column, column.name in given, options)
        inner.append(f"{value} AS {value_of(column)}")
        problems += found
    rows = f"SELECT s.*{_also(inner)} FROM {reader.sql} AS s"
    if derived:
        rows, found = _with_derived(connection, relation, options, rows, derived)
        problems += found
    if reader.sql.find(_BROKEN) >= 0:
        problems.insert(0, (_BROKEN, "'the number of fields is not that of the columns'"))
    has_operation = relation.key_model == "PRIMARY" and OPERATION in reader.fields
    if has_operation:
        problems.append(
            (
                f"coalesce({OPERATION}, '0') NOT IN ('0', '1', 'upsert', 'delete')",
                f"'{OPERATION} is ' || left({OPERATION}, 40) || ', not 0 or 1'",
            )
        )
    skipped = "false"
    if options.where:
        names = _names_of(relation, reader)
        skipped = f"NOT coalesce({row_sql(catalog, options.where, names, relation)}, false)"
    if gone := outside(catalog, relation, options.partitions, _values_of(relation)):
        wanted = "" if skipped == "false" else f"NOT ({skipped}) AND "
        problems.append((f"{wanted}{gone}", text_literal(OUTSIDE)))
    columns = tuple(
        column.name for column in relation.columns if column.name in given or column.name in derived
    )
    return _Plan(rows, problems, skipped, columns, has_operation, reader)


def _also(outputs: list[str]) -> str:
    return "".join(f", {output}" for output in outputs)


def _values_of(relation: Relation) -> Callable[[str], str | None]:
    """What a column's name means in a condition over converted values."""

    def name_of(name: str) -> str | None:
        column = relation.column(name)
        return None if column is None else f"__v_{column.name}"

    return name_of


def _names_of(relation: Relation, reader: Reader) -> Callable[[str], str | None]:
    """What a name means in an expression: the column's value, else a temporary field's text."""
    fields = {field.lower(): field for field in reader.fields}

    def name_of(name: str) -> str | None:
        column = relation.column(name)
        if column is not None and not column.generated:
            return f"__v_{column.name}"
        return fields.get(name.lower())

    return name_of


def _derived(
    catalog: Catalog, relation: Relation, options: LoadOptions, reader: Reader
) -> dict[str, str]:
    """SQL of the columns that the header `columns` computes."""
    found = {}
    fields = {field.lower(): field for field in reader.fields}
    direct = {field for field in reader.fields if relation.column(field) is not None}
    names = {name.lower() for name, _ in options.derived}

    def name_of(name: str) -> str | None:
        column = relation.column(name)
        if column is not None and column.name in direct and name.lower() not in names:
            return f"__v_{column.name}"
        return fields.get(name.lower())

    for name, text in options.derived:
        column = relation.column(name)
        if column is None or column.generated:
            raise LoadError(f"column {name} of header columns is not in the table")
        found[column.name] = row_sql(catalog, text, name_of, relation)
    return found


def _with_derived(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    options: LoadOptions,
    rows: str,
    derived: dict[str, str],
) -> tuple[str, list[Problem]]:
    """The rows with computed columns, converted by the type that the expression has."""
    outputs = [f"{sql} AS {quoted('__x_' + name)}" for name, sql in derived.items()]
    rows = f"SELECT *{_also(outputs)} FROM ({rows})"
    described = connection.execute(f"DESCRIBE {rows}").fetchall()
    types = {str(name): str(kind) for name, kind, *_ in described}
    values: list[str] = []
    problems: list[Problem] = []
    for name in derived:
        column = relation.column(name)
        if column is None:
            raise LoadError(f"column {name} of header columns is not in the table")
        source = quoted(f"__x_{name}")
        value, found = converted_value(column, source, types[f"__x_{name}"], options)
        values.append(f"{value} AS {value_of(column)}")
        problems += found
    return f"SELECT *{_also(values)} FROM ({rows})", problems


def _create(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    relation: Relation,
    plan: _Plan,
    table: str,
) -> None:
    """Values are computed once, inside; the check compares them with their sources, outside."""
    outputs = [
        f"{value_of(column)} AS {quoted(column.name)}"
        for column in relation.columns
        if not column.generated
    ]
    others = [f"{_any(plan.problems)} AS {_BAD}", f"{plan.skipped} AS {_SKIPPED}"]
    numbers = [ROW_NUMBER] if _has_numbers(relation) else []
    others += [f"row_number() OVER () AS {name}" for name in numbers]
    if plan.has_operation:
        others.append(f"CASE WHEN {OPERATION} IN ('1', 'delete') THEN 1 ELSE 0 END AS {OPERATION}")
    rows = f"SELECT {', '.join([*outputs, *others])} FROM ({plan.rows})"
    kept = [_BAD, _SKIPPED, *numbers] + ([OPERATION] if plan.has_operation else [])
    rows = with_generated(catalog, relation, rows, ", ".join(kept))
    connection.execute(f"CREATE TABLE {table} AS {rows}")


def _has_numbers(relation: Relation) -> bool:
    """Whether every row gets its number; else only those of a stage that has keys twice."""
    return relation.key_model == "AGGREGATE"


def _any(problems: list[Problem]) -> str:
    return " OR ".join(f"({condition})" for condition, _ in problems) or "false"


def _reasons(connection: duckdb.DuckDBPyConnection, plan: _Plan) -> list[str]:
    """Why rows are bad; the body is read a second time, which only bad loads pay for."""
    cases = " ".join(f"WHEN {condition} THEN {text}" for condition, text in plan.problems)
    found = connection.execute(
        f"SELECT {ROW_NUMBER}, reason FROM (SELECT row_number() OVER () AS {ROW_NUMBER}, "
        f"CASE {cases or 'WHEN false THEN NULL'} END AS reason FROM ({plan.rows})) "
        f"WHERE reason IS NOT NULL ORDER BY 1 LIMIT {KEPT_ERRORS}"
    ).fetchall()
    return [f"row {row}: {reason}" for row, reason in found]
