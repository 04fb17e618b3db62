"""A caller's text -> a value of a property's type; the same for filters, keys and cursors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from api.catalog.model import Property
from api.problems import Problem, bad_parameter
from api.query import times

LONGEST_TEXT = 1024
_LONGEST_NUMBER = 40
_INTEGER = re.compile(r"[+-]?\d{1,19}\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\Z", re.ASCII)
_INT64 = 2**63
_BOOLEANS = {"true": True, "false": False}
Parser = Callable[[str, str], Any]


def value_of(parameter: str, one: Property, text: str) -> Any:
    """Return a text as a value of a property: str, int, float, bool, date, or datetime in UTC.

    Raises Problem ``bad-parameter`` naming ``parameter`` for a text that is none.
    """
    return _PARSERS[one.type](parameter, text)


def filterable(collection_properties: dict[str, Property]) -> list[str]:
    """Return the names of properties that may be filtered and sorted by."""
    return [name for name, one in collection_properties.items() if one.is_filterable]


def number(parameter: str, text: str) -> float:
    """Return a finite number. Raises Problem ``bad-parameter`` for anything else."""
    if len(text) > _LONGEST_NUMBER or _NUMBER.match(text) is None:
        raise bad_parameter(parameter, text, "a number")
    return finite(parameter, float(text))


def finite(parameter: str, value: float) -> float:
    """Return a number that is finite. Raises Problem ``bad-parameter`` for another."""
    if not math.isfinite(value):
        raise bad_parameter(parameter, value, "a finite number")
    return value


def integer(parameter: str, text: str) -> int:
    """Return an integer of 64 bits. Raises Problem ``bad-parameter`` for anything else."""
    if _INTEGER.match(text) is None or not is_int64(int(text)):
        raise bad_parameter(parameter, text, "an integer of 64 bits")
    return int(text)


def is_int64(value: int) -> bool:
    """Whether an integer fits a BIGINT."""
    return -_INT64 <= value < _INT64


def plain_text(parameter: str, text: str) -> str:
    """Return a text of at most LONGEST_TEXT characters without NUL."""
    if len(text) > LONGEST_TEXT or "\0" in text:
        raise bad_parameter(parameter, text, f"at most {LONGEST_TEXT} characters, none of them NUL")
    return text


def boolean(parameter: str, text: str) -> bool:
    """Return true or false. Raises Problem ``bad-parameter`` for anything else."""
    if text not in _BOOLEANS:
        raise bad_parameter(parameter, text, "true or false")
    return _BOOLEANS[text]


def _not_filterable(parameter: str, text: str) -> Problem:
    raise bad_parameter(parameter, text, "a property that is not JSON")


_PARSERS: dict[str, Parser] = {
    "string": plain_text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "date": times.day,
    "date-time": times.instant,
    "json": _not_filterable,
}
