"""Bodies of loads as DuckDB sees them: the fields of each row as text, or JSON for nested columns.

Source: StarRocks 3.5 documentation, "STREAM LOAD": CSV and JSON parameters.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from embedded_starrocks.sql.values import default_value
from embedded_starrocks.storage.exactnumbers import DIGITS_OF_A_DOUBLE, quote_numbers
from embedded_starrocks.storage.jsonlines import is_one_object_a_line
from embedded_starrocks.storage.metadata import Column, Relation, quoted
from embedded_starrocks.storage.tables import OPERATION

MAX_OBJECT = 64 * 1024 * 1024
# The longest line that is read as such; DuckDB's threads share a body in pieces of twice as much.
_LINE = 1024 * 1024


class LoadError(Exception):
    """The load fails as a whole; the text goes into the answer's Message."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a body is to be read and merged. Formats are json and csv.

    `columns` are the fields of the body in their order, with the name of the table's column or of
    a temporary one; `derived` are (column, expression) pairs.
    """

    format: str = "json"
    strip_outer_array: bool = False
    columns: tuple[str, ...] = ()
    derived: tuple[tuple[str, str], ...] = ()
    jsonpaths: tuple[str, ...] = ()
    json_root: str = ""
    column_separator: str = "\t"
    row_delimiter: str = "\n"
    enclose: str = ""
    escape: str = ""
    trim_space: bool = False
    skip_header: int = 0
    where: str = ""
    max_filter_ratio: float = 0.0
    strict: bool = True
    partial_update: bool = False
    merge_condition: str = ""
    partitions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Reader:
    """`sql` gives the rows; `fields` are its columns; `rejects` a table of unreadable CSV lines."""

    sql: str
    fields: tuple[str, ...]
    rejects: str = ""


def text_literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def is_nested(column: Column) -> bool:
    return column.type.name in ("JSON", "ARRAY", "MAP", "STRUCT")


def is_nested_field(relation: Relation, field: str) -> bool:
    column = relation.column(field)
    return column is not None and is_nested(column)


def reader_of(
    relation: Relation, body: Path, options: LoadOptions, number: int, by_line: bool = False
) -> Reader:
    """The reader for a body; `by_line` when `is_by_line` says that it may be read so.

    Raises LoadError for options that contradict each other.
    """
    fields = _fields(relation, options)
    if options.format == "csv":
        return _csv_reader(body, options, fields, number)
    return _json_reader(relation, body, options, fields, by_line)


def is_by_line(body: Path, options: LoadOptions) -> bool:
    """Whether DuckDB may read a body line by line, with all its threads."""
    is_plain = not (options.strip_outer_array or options.jsonpaths or options.json_root)
    return options.format == "json" and is_plain and is_one_object_a_line(body)


def _fields(relation: Relation, options: LoadOptions) -> tuple[str, ...]:
    """What the body gives, under the names of the table's columns where they are meant."""
    if options.columns:
        known = {column.name.lower(): column.name for column in relation.columns}
        return tuple(known.get(name.lower(), name) for name in options.columns)
    derived = {name.lower() for name, _ in options.derived}
    return tuple(
        column.name
        for column in relation.columns
        if not column.generated and column.name.lower() not in derived
    )


# JSON


def _json_reader(
    relation: Relation, body: Path, options: LoadOptions, fields: tuple[str, ...], by_line: bool
) -> Reader:
    if not (options.jsonpaths or options.json_root):
        quote_numbers(body, _wide_decimals(relation, fields))
    size = max(1024 * 1024, min(MAX_OBJECT, body.stat().st_size + 1024))
    if OPERATION not in fields and relation.key_model == "PRIMARY":
        fields = (*fields, OPERATION)
    if options.jsonpaths or options.json_root:
        return _jsonpath_reader(relation, body, options, size, fields)
    layout = "array" if options.strip_outer_array else "unstructured"
    if by_line:
        layout, size = "newline_delimited", _LINE
    kinds = {field: "JSON" if is_nested_field(relation, field) else "VARCHAR" for field in fields}
    columns = ", ".join(f"{text_literal(name)}: '{kind}'" for name, kind in kinds.items())
    return Reader(
        f"read_json({text_literal(str(body))}, format = '{layout}', records = true, "
        f"columns = {{{columns}}}, maximum_object_size = {size}, compression = 'none')",
        fields,
    )


def _wide_decimals(relation: Relation, fields: tuple[str, ...]) -> tuple[str, ...]:
    """Fields whose numbers a double may not hold; none where objects may have objects in them."""
    if any(is_nested_field(relation, field) for field in fields):
        return ()
    columns = [(field, relation.column(field)) for field in fields]
    return tuple(
        field
        for field, column in columns
        if column is not None and (column.type.precision or 0) > DIGITS_OF_A_DOUBLE
    )


def _jsonpath_reader(
    relation: Relation, body: Path, options: LoadOptions, size: int, fields: tuple[str, ...]
) -> Reader:
    named = options.columns or tuple(
        column.name for column in relation.columns if not column.generated
    )
    paths = dict(zip(named, options.jsonpaths, strict=False))
    if options.jsonpaths and len(named) != len(options.jsonpaths):
        raise LoadError(f"{len(options.jsonpaths)} jsonpaths for {len(named)} columns")
    outputs = []
    for field in fields:
        path = paths.get(field)
        if path is None:
            known = {name.lower(): value for name, value in paths.items()}
            path = known.get(field.lower(), "" if options.jsonpaths else f'$."{field}"')
        function = "json_extract" if is_nested_field(relation, field) else "json_extract_string"
        value = f"{function}(j.json, {text_literal(path)})" if path else "NULL::VARCHAR"
        outputs.append(f"{value} AS {quoted(field)}")
    return Reader(f"(SELECT {', '.join(outputs)} FROM {_objects(body, options, size)})", fields)


def _objects(body: Path, options: LoadOptions, size: int) -> str:
    """The body's objects as `j(json)`: at the root, or at `json_root`, alone or in an array."""
    if not options.json_root:
        layout = "array" if options.strip_outer_array else "unstructured"
        return (
            f"read_json_objects({text_literal(str(body))}, format = '{layout}', "
            f"maximum_object_size = {size}, compression = 'none') AS j"
        )
    root = (
        f"SELECT json_extract(r.json, {text_literal(options.json_root)}) AS json "
        f"FROM read_json_objects({text_literal(str(body))}, format = 'unstructured', "
        f"maximum_object_size = {size}, compression = 'none') AS r"
    )
    if options.strip_outer_array:
        root = f"SELECT unnest(CAST(json AS JSON[])) AS json FROM ({root})"
    return f"({root}) AS j"


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


# CSV


def _csv_reader(body: Path, options: LoadOptions, fields: tuple[str, ...], number: int) -> Reader:
    delimiter = options.row_delimiter
    if delimiter not in ("\n", "\r\n") or len(options.column_separator.encode()) > 4:
        return _split_reader(body, options, fields)
    kinds = ", ".join(f"{text_literal(name)}: 'VARCHAR'" for name in fields)
    quote = text_literal(options.enclose) if options.enclose else "''"
    escape = text_literal(options.escape) if options.escape else quote
    # DuckDB takes no NULL mark that holds its escape letter: then \\N is replaced afterwards.
    null = "\x01\x01" if "\\" in options.escape else "\\N"
    rejects = f"__rejects_{number}"
    inner = (
        f"read_csv({text_literal(str(body))}, columns = {{{kinds}}}, header = false, "
        f"delim = {text_literal(options.column_separator)}, quote = {quote}, escape = {escape}, "
        f"nullstr = {text_literal(null)}, skip = {options.skip_header}, auto_detect = false, "
        f"strict_mode = true, compression = 'none', store_rejects = true, "
        f"rejects_table = '{rejects}', rejects_scan = '{rejects}_scan', rejects_limit = 0)"
    )
    if options.trim_space:
        inner = _each_field(inner, fields, "trim({})")
    if "\\" in options.escape:
        inner = _each_field(inner, fields, "nullif({}, '\\N')")
    return Reader(inner, fields, rejects)


def _each_field(inner: str, fields: tuple[str, ...], function: str) -> str:
    outputs = ", ".join(f"{function.format(quoted(field))} AS {quoted(field)}" for field in fields)
    return f"(SELECT {outputs} FROM {inner})"


def _split_reader(body: Path, options: LoadOptions, fields: tuple[str, ...]) -> Reader:
    """Delimiters that DuckDB's reader has not: the text is cut at them, nothing is enclosed."""
    if options.enclose or options.escape:
        raise LoadError(
            "enclose and escape go with row_delimiter \\n and a column_separator of 1 to 4 bytes"
        )
    lines = (
        f"(SELECT unnest(string_split(content, {text_literal(options.row_delimiter)})) AS line "
        f"FROM read_text({text_literal(str(body))})) WHERE line <> ''"
    )
    cut = f"string_split(line, {text_literal(options.column_separator)})"
    rows = f"SELECT {cut} AS cells FROM (FROM {lines} OFFSET {options.skip_header})"
    complete = f"len(cells) = {len(fields)}"
    outputs = ", ".join(
        f"CASE WHEN cells[{index}] <> '\\N' THEN cells[{index}] END AS {quoted(field)}"
        for index, field in enumerate(fields, start=1)
    )
    # A line with another number of fields has no columns: it is bad as a whole.
    inner = f"(SELECT {outputs}, NOT ({complete}) AS __broken FROM ({rows}))"
    return Reader(inner, fields)


_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "0": "\0"}
_HEX = re.compile(r"(?:\\x|0x)([0-9a-fA-F]{2})")


def parse_delimiter(text: str) -> str:
    """A delimiter as a header writes it: \\t, \\n, \\x01, 0x01 or the bytes themselves."""
    if _HEX.sub("", text) == "":
        return "".join(chr(int(pair, 16)) for pair in _HEX.findall(text))
    return re.sub(r"\\([tnr0\\])", lambda match: _ESCAPES[match[1]], text)


def missing_value(column: Column) -> str:
    """SQL for a column that the body does not give; a number is given when the row is stored."""
    if column.auto_increment:
        return f"CAST(NULL AS {column.type.duckdb()})"
    return default_value(column)
