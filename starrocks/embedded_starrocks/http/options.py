"""Headers of a load, read into options; a header that is not supported fails the load."""

from __future__ import annotations

from collections.abc import Mapping

from embedded_starrocks.storage.metadata import is_valid_name
from embedded_starrocks.storage.staging import LoadError, LoadOptions, parse_jsonpaths

# They would change the result, and are not done: refusing is the only honest answer.
_REFUSED = ("where", "partial_update", "merge_condition", "partitions", "temporary_partitions")
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\x01": "\x01", "\\x02": "\x02", "\\\\": "\\"}


def load_options(headers: Mapping[str, str]) -> LoadOptions:
    """Options of one load. Raises LoadError with the header and what is allowed."""
    for name in _REFUSED:
        value = headers.get(name, "")
        if value and value.lower() != "false":
            raise LoadError(f"header {name} is not supported by embedded StarRocks")
    if headers.get("json_root"):
        raise LoadError("header json_root is not supported by embedded StarRocks; use jsonpaths")
    form = headers.get("format", "csv").lower()
    if form not in ("json", "csv"):
        raise LoadError(f"format {form} is not supported; use json or csv")
    if headers.get("row_delimiter", "\\n") not in ("\\n", "\n"):
        raise LoadError("row_delimiter other than \\n is not supported")
    return LoadOptions(
        format=form,
        strip_outer_array=_boolean(headers, "strip_outer_array"),
        columns=_columns(headers.get("columns", "")),
        jsonpaths=parse_jsonpaths(headers["jsonpaths"]) if headers.get("jsonpaths") else (),
        column_separator=_separator(headers.get("column_separator", "\\t")),
        enclose=headers.get("enclose", ""),
        skip_header=_whole_number(headers, "skip_header"),
        max_filter_ratio=_ratio(headers.get("max_filter_ratio", "0")),
    )


def _boolean(headers: Mapping[str, str], name: str) -> bool:
    value = headers.get(name, "false").lower()
    if value not in ("true", "false"):
        raise LoadError(f"header {name} is '{value}'; allowed are true and false")
    return value == "true"


def _columns(text: str) -> tuple[str, ...]:
    names = tuple(part.strip().strip("`") for part in text.split(",") if part.strip())
    for name in names:
        if "=" in name or "(" in name:
            raise LoadError(f"expression '{name}' in header columns is not supported")
        if name != "__op" and not is_valid_name(name):
            raise LoadError(f"'{name}' in header columns is no column name")
    return names


def _separator(text: str) -> str:
    separator = _ESCAPES.get(text, text)
    if len(separator.encode()) > 4 or not separator:
        raise LoadError("column_separator must be 1 to 4 bytes")
    return separator


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
