"""The query language of OpenFEMA: ``$filter``, ``$orderby``, ``$select``.

Source: https://www.fema.gov/about/openfema/api (URI commands). Supported in ``$filter``: eq, ne,
gt, ge, lt, le, in, and, or, not, parentheses, startswith, endswith, contains, substringof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.instants import read_iso

Row = Mapping[str, Any]
Predicate = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<instant>\d{4}-\d{2}-\d{2}(?:[Tt][0-9:.]+(?:[Zz]|[+-]\d{2}:\d{2})?)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<mark>[(),]))"
)
_COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")
_FUNCTIONS = ("startswith", "endswith", "contains", "substringof")
_MAX_DEPTH = 50


class QueryError(ValueError):
    """A query that OpenFEMA would refuse with 400."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_filter(text: str, fields: Sequence[str]) -> Predicate:
    """Compile a ``$filter``; an empty one keeps every row. Raises QueryError."""
    if not text.strip():
        return lambda _row: True
    parser = _Parser(_tokens(text), fields)
    predicate = parser.alternatives(0)
    parser.end()
    return predicate


def parse_order(text: str, fields: Sequence[str]) -> list[tuple[str, bool]]:
    """Read ``$orderby`` as (field, descending) pairs. Raises QueryError."""
    order = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        words = part.split()
        direction = words[1].lower() if len(words) == 2 else "asc"
        if len(words) > 2 or direction not in ("asc", "desc"):
            raise QueryError(f"$orderby: {part!r} is not 'field', 'field asc' or 'field desc'")
        order.append((_known(words[0], fields, "$orderby"), direction == "desc"))
    return order


def parse_select(text: str, fields: Sequence[str]) -> tuple[str, ...]:
    """Read ``$select``; empty keeps every field. Raises QueryError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(_known(name, fields, "$select") for name in names)


def in_order(rows: Sequence[Row], order: Sequence[tuple[str, bool]]) -> list[Row]:
    """Sort rows by (field, descending) pairs; nulls first, as in ascending MongoDB order."""
    result = list(rows)
    for name, descending in reversed(order):
        result.sort(key=lambda row: _sort_key(row[name]), reverse=descending)
    return result


def _sort_key(value: Any) -> tuple[int, Any]:
    return (0, 0) if value is None else (1, value)


def _known(name: str, fields: Sequence[str], where: str) -> str:
    if name not in fields:
        raise QueryError(f"{where}: unknown field {name!r}; fields: {', '.join(fields)}")
    return name


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"$filter: cannot read {text[at : at + 20]!r} at position {at}")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent; ``or`` binds weaker than ``and``, ``not`` strongest."""

    def __init__(self, tokens: list[_Token], fields: Sequence[str]) -> None:
        self._tokens, self._fields, self._at = tokens, fields, 0

    def end(self) -> None:
        """Check that nothing follows."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            raise QueryError(f"$filter: unexpected {token.text!r} at position {token.at}")

    def alternatives(self, depth: int) -> Predicate:
        """Read ``a or b or ...``."""
        parts = [self._all(depth)]
        while self._skip_word("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self, depth: int) -> Predicate:
        parts = [self._one(depth)]
        while self._skip_word("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _one(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise QueryError(f"$filter: nested deeper than {_MAX_DEPTH}")
        if self._skip_word("not"):
            inner = self._one(depth + 1)
            return lambda row: not inner(row)
        token = self._next("a comparison")
        if token.text == "(":
            inner = self.alternatives(depth + 1)
            self._expect(")")
            return inner
        if token.kind != "name":
            raise QueryError(f"$filter: {token.text!r} at position {token.at} is not a field")
        if token.text in _FUNCTIONS:
            return self._function(token.text)
        return self._comparison(_known(token.text, self._fields, "$filter"))

    def _comparison(self, field: str) -> Predicate:
        operator = self._next("an operator").text.lower()
        if operator == "in":
            self._expect("(")
            values = [self._literal()]
            while self._peek(","):
                self._at += 1
                values.append(self._literal())
            self._expect(")")
            return lambda row: any(_compare("eq", row[field], value) for value in values)
        if operator not in _COMPARISONS:
            raise QueryError(f"$filter: unknown operator {operator!r}; use one of {_COMPARISONS}")
        literal = self._literal()
        return lambda row: _compare(operator, row[field], literal)

    def _function(self, name: str) -> Predicate:
        self._expect("(")
        first = self._literal() if name == "substringof" else self._field()
        self._expect(",")
        second = self._field() if name == "substringof" else self._literal()
        self._expect(")")
        field, needle = (second, first) if name == "substringof" else (first, second)
        needle = str(needle)

        def holds(row: Row) -> bool:
            value = str(row[str(field)] or "")
            if name == "startswith":
                return value.startswith(needle)
            return value.endswith(needle) if name == "endswith" else needle in value

        return holds

    def _field(self) -> str:
        return _known(self._next("a field").text, self._fields, "$filter")

    def _literal(self) -> Any:
        token = self._next("a value")
        if token.kind == "text":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "instant":
            return token.text
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "name" and token.text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token.text]
        raise QueryError(f"$filter: {token.text!r} at position {token.at} is not a value")

    def _next(self, wanted: str) -> _Token:
        if self._at >= len(self._tokens):
            raise QueryError(f"$filter: ends where {wanted} was expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, mark: str) -> None:
        token = self._next(repr(mark))
        if token.text != mark:
            raise QueryError(f"$filter: expected {mark!r} at position {token.at}")

    def _peek(self, text: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].text == text

    def _skip_word(self, word: str) -> bool:
        found = self._at < len(self._tokens) and (
            self._tokens[self._at].kind == "name" and self._tokens[self._at].text.lower() == word
        )
        self._at += found
        return found


def _compare(operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        same = left is None and right is None
        return same if operator == "eq" else (not same if operator == "ne" else False)
    left, right = _alike(left, right)
    if operator == "eq":
        return bool(left == right)
    if operator == "ne":
        return bool(left != right)
    if type(left) is not type(right) and not (_number(left) and _number(right)):
        return False
    return bool(
        {"gt": left > right, "ge": left >= right, "lt": left < right, "le": left <= right}[operator]
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Make both sides numbers, or both instants, where the stored side is one."""
    if isinstance(left, str) and isinstance(right, str) and _looks_dated(left):
        try:
            return read_iso(left), read_iso(right)
        except ValueError:
            return left, right
    if _number(left) and isinstance(right, str):
        try:
            return left, float(right)
        except ValueError:
            return left, right
    if isinstance(left, str) and _number(right):
        return left, str(right)
    return left, right


def _looks_dated(text: str) -> bool:
    return len(text) == 24 and text[10] == "T" and text.endswith("Z")
