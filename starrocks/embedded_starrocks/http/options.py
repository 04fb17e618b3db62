"""Headers of a load, read into options; a header that is not supported fails the load.

Source: StarRocks 3.5 documentation, "STREAM LOAD".
"""

from __future__ import annotations

from collections.abc import Mapping

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.storage.metadata import is_valid_name
from embedded_starrocks.storage.readers import (
    LoadError,
    LoadOptions,
    parse_delimiter,
    parse_jsonpaths,
)

# They would change the result, and are not done: refusing is the only honest answer.
_REFUSED = (
    "temporary_partitions",
    "negative",
    "enable_merge_commit",
    "warehouse",
    "format_options",
)
_PARTIAL_MODES = ("row", "column", "auto")
_UTC = ("UTC", "GMT", "+00:00", "Etc/UTC")


def load_options(headers: Mapping[str, str]) -> LoadOptions:
    """Options of one load. Raises LoadError with the header and what is allowed."""
    for name in _REFUSED:
        value = headers.get(name, "")
        if value and value.lower() != "false":
            raise LoadError(f"header {name} is not supported by embedded StarRocks")
    form = headers.get("format", "csv").lower()
    if form not in ("json", "csv"):
        raise LoadError(f"format {form} is not supported; use json or csv")
    if headers.get("timezone", "UTC") not in _UTC:
        raise LoadError(f"timezone {headers['timezone']} is not supported; use UTC")
    mode = headers.get("partial_update_mode", "row").lower()
    if mode not in _PARTIAL_MODES:
        raise LoadError(f"partial_update_mode is '{mode}'; allowed are {', '.join(_PARTIAL_MODES)}")
    columns, derived = parse_columns(headers.get("columns", ""))
    return LoadOptions(
        format=form,
        strip_outer_array=_boolean(headers, "strip_outer_array"),
        columns=columns,
        derived=derived,
        jsonpaths=parse_jsonpaths(headers["jsonpaths"]) if headers.get("jsonpaths") else (),
        json_root=_json_root(headers.get("json_root", "")),
        column_separator=_delimiter(headers, "column_separator", "\\t"),
        row_delimiter=_delimiter(headers, "row_delimiter", "\\n"),
        enclose=_one_byte(headers, "enclose"),
        escape=_one_byte(headers, "escape"),
        trim_space=_boolean(headers, "trim_space"),
        skip_header=_whole_number(headers, "skip_header"),
        where=headers.get("where", ""),
        max_filter_ratio=_ratio(headers.get("max_filter_ratio", "0")),
        strict=_boolean(headers, "strict_mode", default="true"),
        partial_update=_boolean(headers, "partial_update"),
        merge_condition=headers.get("merge_condition", "").strip().strip("`"),
        partitions=_names(headers.get("partitions", "")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().strip("`") for name in text.split(",") if name.strip())


def _boolean(headers: Mapping[str, str], name: str, default: str = "false") -> bool:
    value = headers.get(name, default).lower()
    if value not in ("true", "false"):
        raise LoadError(f"header {name} is '{value}'; allowed are true and false")
    return value == "true"


def parse_columns(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The `columns` header: fields of the body, and columns computed by an expression."""
    if not text.strip():
        return (), ()
    fields: list[str] = []
    derived: list[tuple[str, str]] = []
    try:
        found = dialect.tokenize(text)
    except SqlError as error:
        raise LoadError(f"header columns: {error.message}") from None
    for part in _split(found):
        name = part[0].text
        if name != "__op" and not is_valid_name(name):
            raise LoadError(f"'{name}' in header columns is no column name")
        if len(part) == 1:
            fields.append(name)
        elif part[1].token_type == TokenType.EQ and len(part) > 2:
            derived.append((name, text[part[2].start : part[-1].end + 1]))
        else:
            shown = text[part[0].start : part[-1].end + 1]
            raise LoadError(f"'{shown}' in header columns is neither a name nor name = expression")
    return tuple(fields), tuple(derived)


def _split(found: list[Token]) -> list[list[Token]]:
    """Tokens between the commas that stand in no parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        if token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET):
            depth -= 1
        if token.token_type == TokenType.COMMA and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _json_root(text: str) -> str:
    if text and not text.startswith("$"):
        raise LoadError(f"json_root is '{text}'; a path like $.data is due")
    return text


def _delimiter(headers: Mapping[str, str], name: str, default: str) -> str:
    delimiter = parse_delimiter(headers.get(name, default))
    if not 1 <= len(delimiter.encode()) <= 50:
        raise LoadError(f"{name} must be 1 to 50 bytes")
    return delimiter


def _one_byte(headers: Mapping[str, str], name: str) -> str:
    value = parse_delimiter(headers.get(name, ""))
    if len(value.encode()) > 1:
        raise LoadError(f"{name} must be one byte")
    return value


def _whole_number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "0")
    if not text.isdigit() or len(text) > 6:
        raise LoadError(f"header {name} is '{text}'; a whole number is due")
    return int(text)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise LoadError(f"max_filter_ratio is '{text}'; allowed is 0 to 1")
    return ratio
