"""The first half of a load: a body in the spool becomes a checked stage table.

A value that does not fit its column makes the whole row bad; it never becomes NULL in silence
(StarRocks' default outside of strict mode would do that: this is stricter, on purpose).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import duckdb

from embedded_starrocks.sql.values import always_fits, converted, default_value
from embedded_starrocks.storage.engine import STAGE_DATABASE
from embedded_starrocks.storage.metadata import Column, Relation, quoted
from embedded_starrocks.storage.tables import OPERATION, ROW_NUMBER

MAX_OBJECT = 64 * 1024 * 1024
KEPT_ERRORS = 50
_BAD = "__bad"


class LoadError(Exception):
    """The load fails as a whole; the text goes into the answer's Message."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a body is to be read. Formats are json and csv."""

    format: str = "json"
    strip_outer_array: bool = False
    columns: tuple[str, ...] = ()
    jsonpaths: tuple[str, ...] = ()
    column_separator: str = "\t"
    enclose: str = ""
    skip_header: int = 0
    where: str = ""
    max_filter_ratio: float = 0.0


@dataclasses.dataclass
class Staged:
    """A stage table with its counts; `errors` are reasons with the rows' texts."""

    table: str
    relation: Relation
    total: int
    filtered: int
    has_operation: bool
    has_repeats: bool
    errors: list[str]
    size: int

    @property
    def loaded(self) -> int:
        return self.total - self.filtered


def stage(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    body: Path,
    options: LoadOptions,
    number: int,
) -> Staged:
    """Parse and check a body. Raises LoadError when it can't be read or too many rows are bad."""
    table = f"{STAGE_DATABASE}.main.s{number}"
    size = body.stat().st_size
    try:
        has_operation, reasons = _create(connection, relation, body, options, table)
        keys = ", ".join(quoted(key) for key in relation.keys) or "NULL"
        ((total, filtered, distinct),) = connection.execute(
            f"SELECT count(*), count(*) FILTER ({_BAD}), count(DISTINCT row({keys})) FROM {table}"
        ).fetchall()
        found = connection.execute(reasons).fetchall() if filtered else []
        errors = [f"row {row}: {reason}" for row, reason in found]
        _check_ratio(total, filtered, options.max_filter_ratio, errors)
        if filtered:
            connection.execute(f"DELETE FROM {table} WHERE {_BAD}")
    except duckdb.Error as error:
        drop(connection, table)
        raise LoadError(_first_line(error)) from None
    except UnicodeDecodeError:
        # DuckDB's error quotes the bytes that it can't read.
        drop(connection, table)
        raise LoadError("the body is not UTF-8") from None
    except LoadError:
        drop(connection, table)
        raise
    has_repeats = bool(filtered) or distinct < total
    return Staged(table, relation, total, filtered, has_operation, has_repeats, errors, size)


def drop(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {table}")


def _check_ratio(total: int, filtered: int, allowed: float, errors: list[str]) -> None:
    if filtered and filtered > allowed * total:
        example = errors[0] if errors else ""
        raise TooManyFiltered(
            f"too many filtered rows: {filtered} of {total}; the first: {example}",
            total,
            filtered,
            errors,
        )


class TooManyFiltered(LoadError):
    """More bad rows than max_filter_ratio allows."""

    def __init__(self, message: str, total: int, filtered: int, errors: list[str]) -> None:
        super().__init__(message)
        self.total = total
        self.filtered = filtered
        self.errors = errors


def _first_line(error: duckdb.Error) -> str:
    text = str(error).split("\n")[0]
    # DuckDB names the spool file; the client knows nothing of it.
    return text.replace("Invalid Input Error: ", "")[:500]


def _create(
    connection: duckdb.DuckDBPyConnection,
    relation: Relation,
    body: Path,
    options: LoadOptions,
    table: str,
) -> tuple[bool, str]:
    """Make the stage table; whether rows carry an operation, and a query for why rows are bad."""
    sources = _sources(relation, options)
    reader = _csv_reader(body, options) if options.format == "csv" else ""
    reader = reader or _json_reader(relation, body, options, sources)
    names = [quoted(column.name) for column in relation.columns]
    inner: list[str] = []
    problems: list[tuple[str, str]] = []
    for index, column in enumerate(relation.columns):
        value, found = _column(column, f"__v{index}", column.name in sources)
        inner.append(f"{value} AS __v{index}")
        problems += found
    outer = [f"__v{index} AS {name}" for index, name in enumerate(names)]
    has_operation = relation.key_model == "PRIMARY"
    if has_operation:
        outer.append(f"{_operation()} AS {OPERATION}")
        problems.append(
            (
                f"coalesce({OPERATION}, '0') NOT IN ('0', '1', 'upsert', 'delete')",
                f"'{OPERATION} is ' || left({OPERATION}, 40) || ', not 0 or 1'",
            )
        )
    # Values are computed once, inside; the check compares them with their sources, outside.
    rows = f"(SELECT s.*, {', '.join(inner)} FROM {reader} AS s)"
    bad = " OR ".join(f"({condition})" for condition, _ in problems) or "false"
    connection.execute(
        f"CREATE TABLE {table} AS SELECT {', '.join(outer)}, {bad} AS {_BAD}, "
        f"row_number() OVER () AS {ROW_NUMBER} FROM {rows}"
    )
    reason = " ".join(f"WHEN {condition} THEN {text}" for condition, text in problems)
    return has_operation, (
        f"SELECT {ROW_NUMBER}, reason FROM (SELECT row_number() OVER () AS {ROW_NUMBER}, "
        f"CASE {reason or 'WHEN false THEN NULL'} END AS reason FROM {rows}) "
        f"WHERE reason IS NOT NULL ORDER BY 1 LIMIT {KEPT_ERRORS}"
    )


def _operation() -> str:
    return f"CASE WHEN {OPERATION} IN ('1', 'delete') THEN 1 ELSE 0 END"


def _sources(relation: Relation, options: LoadOptions) -> set[str]:
    """The columns that the body gives values for."""
    if not options.columns:
        return {column.name for column in relation.columns}
    known = {column.name.lower(): column.name for column in relation.columns}
    return {known[name.lower()] for name in options.columns if name.lower() in known}


def _is_nested(column: Column) -> bool:
    return column.type.name in ("JSON", "ARRAY", "MAP", "STRUCT")


def _column(column: Column, output: str, given: bool) -> tuple[str, list[tuple[str, str]]]:
    """SQL of the value; and conditions under which a row is bad, each with SQL of the reason."""
    name = column.name.replace("'", "''")
    if not given:
        if not column.nullable and column.default is None:
            return default_value(column), [("true", f"'no value for column {name}'")]
        return default_value(column), []
    source = quoted(column.name)
    source_type = "JSON" if _is_nested(column) else "VARCHAR"
    value = converted(f"s.{source}", source_type, column.type)
    problems = []
    if not always_fits(source_type, column.type):
        shown = f"'column {name} {column.type.shown()} does not take '"
        reason = f"{shown} || left(CAST({source} AS VARCHAR), 60)"
        problems.append((f"{output} IS NULL AND {source} IS NOT NULL", reason))
    if not column.nullable:
        if column.default is not None:
            filled = f"CASE WHEN s.{source} IS NULL THEN {default_value(column)} ELSE {value} END"
            return filled, problems
        problems.append((f"{source} IS NULL", f"'NULL in column {name}, which is NOT NULL'"))
    return value, problems


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _json_reader(relation: Relation, body: Path, options: LoadOptions, sources: set[str]) -> str:
    size = max(1024 * 1024, min(MAX_OBJECT, body.stat().st_size + 1024))
    layout = "array" if options.strip_outer_array else "unstructured"
    if options.jsonpaths:
        return _jsonpath_reader(relation, body, options, size, layout)
    fields = {
        column.name: "JSON" if _is_nested(column) else "VARCHAR"
        for column in relation.columns
        if column.name in sources
    }
    fields[OPERATION] = "VARCHAR"
    columns = ", ".join(f"{_text(name)}: '{kind}'" for name, kind in fields.items())
    return (
        f"read_json({_text(str(body))}, format = '{layout}', records = true, "
        f"columns = {{{columns}}}, maximum_object_size = {size}, compression = 'none')"
    )


def _jsonpath_reader(
    relation: Relation, body: Path, options: LoadOptions, size: int, layout: str
) -> str:
    names = options.columns or tuple(column.name for column in relation.columns)
    if len(names) != len(options.jsonpaths):
        raise LoadError(f"{len(options.jsonpaths)} jsonpaths for {len(names)} columns")
    outputs = []
    for name, path in zip(names, options.jsonpaths, strict=True):
        column = relation.column(name)
        function = "json_extract" if column and _is_nested(column) else "json_extract_string"
        shown = column.name if column else name
        outputs.append(f"{function}(j.json, {_text(path)}) AS {quoted(shown)}")
    if OPERATION not in names:
        outputs.append(f"NULL::VARCHAR AS {OPERATION}")
    return (
        f"(SELECT {', '.join(outputs)} FROM read_json_objects({_text(str(body))}, "
        f"format = '{layout}', maximum_object_size = {size}, compression = 'none') AS j)"
    )


def _csv_reader(body: Path, options: LoadOptions) -> str:
    if not options.columns:
        raise LoadError("CSV needs the header `columns` with the names of its fields")
    fields = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in options.columns)
    quote = _text(options.enclose) if options.enclose else "''"
    inner = (
        f"read_csv({_text(str(body))}, columns = {{{fields}}}, header = false, "
        f"delim = {_text(options.column_separator)}, quote = {quote}, escape = {quote}, "
        f"nullstr = '\\N', skip = {options.skip_header}, auto_detect = false, "
        f"strict_mode = true, compression = 'none')"
    )
    if OPERATION in options.columns:
        return inner
    return f"(SELECT *, NULL::VARCHAR AS {OPERATION} FROM {inner})"


def parse_jsonpaths(text: str) -> tuple[str, ...]:
    """The `jsonpaths` header: a JSON array of paths."""
    try:
        paths = json.loads(text)
    except json.JSONDecodeError as error:
        raise LoadError(f"jsonpaths is no JSON: {error}") from None
    if not isinstance(paths, list) or not all(
        isinstance(path, str) and path.startswith("$") for path in paths
    ):
        raise LoadError('jsonpaths must be an array of paths like ["$.a", "$.b.c"]')
    return tuple(paths)
