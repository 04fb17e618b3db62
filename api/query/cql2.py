"""CQL2 text and CQL2 JSON (OGC 21-065r2) -> a condition; what a caller may ask is listed here.

Understood: AND, OR, NOT; property and literal compared by = <> < <= > >=; LIKE with % and _,
BETWEEN, IN, IS NULL; DATE and TIMESTAMP; S_INTERSECTS(geometry, BBOX(...)), by the box of the
geometry. That is Basic CQL2 and the advanced comparison operators of the standard.

The text is parsed by an LALR(1) grammar, in time that grows with its length only. Both forms
become the same tree, and only ``expression`` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from api.catalog.model import Collection
from api.problems import Problem, bad_parameter
from api.query.cql2_conditions import MAX_DEPTH, expression
from api.query.model import Expression

LONGEST = 4000
_GRAMMAR = r"""
start: either
either: both (_OR both)*
both: negated (_AND negated)*
?negated: _NOT negated -> negation
    | "(" either ")"
    | predicate
?predicate: operand COMPARISON operand -> comparison
    | name _LIKE STRING -> like
    | name _NOT _LIKE STRING -> not_like
    | name _BETWEEN literal _AND literal -> between
    | name _NOT _BETWEEN literal _AND literal -> not_between
    | name _IN "(" literal ("," literal)* ")" -> member
    | name _NOT _IN "(" literal ("," literal)* ")" -> not_member
    | name _IS _NULL -> missing
    | name _IS _NOT _NULL -> present
    | _INTERSECTS "(" name "," _BBOX "(" NUMBER ("," NUMBER)* ")" ")" -> intersects
?operand: name | literal
name: NAME | QUOTED
?literal: STRING -> text
    | NUMBER -> number
    | _TRUE -> true
    | _FALSE -> false
    | _DATE "(" STRING ")" -> day
    | _TIMESTAMP "(" STRING ")" -> instant

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_LIKE.2: /like\b/i
_BETWEEN.2: /between\b/i
_IN.2: /in\b/i
_IS.2: /is\b/i
_NULL.2: /null\b/i
_TRUE.2: /true\b/i
_FALSE.2: /false\b/i
_DATE.3: /date(?=\s{0,9}\()/i
_TIMESTAMP.3: /timestamp(?=\s{0,9}\()/i
_BBOX.3: /bbox(?=\s{0,9}\()/i
_INTERSECTS.3: /s_intersects(?=\s{0,9}\()/i
COMPARISON: "<>" | "<=" | ">=" | "=" | "<" | ">"
NAME: /[A-Za-z_][A-Za-z0-9_]{0,63}/
QUOTED: /"[A-Za-z_][A-Za-z0-9_]{0,63}"/
STRING: /'(?:[^']|'')*'/
NUMBER: /[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?/
%ignore /[ \t\r\n]+/
"""


def text_filter(collection: Collection, text: str) -> Expression:
    """Return the condition of a CQL2 text. Raises Problem ``bad-parameter``."""
    _check_length(text)
    try:
        tree = _TREE.transform(_parser().parse(text))
    except UnexpectedInput as error:
        place = getattr(error, "pos_in_stream", None)
        is_within = isinstance(place, int) and 0 <= place < len(text)
        found = f"from {text[place:][:20]!r} on" if is_within else "at its end"
        raise bad_parameter("filter", text, f"CQL2 text; it cannot be read {found}") from None
    except (VisitError, RecursionError):
        raise _too_deep(text) from None
    return expression(collection, tree)


def json_filter(collection: Collection, text: str) -> Expression:
    """Return the condition of a CQL2 JSON document. Raises Problem ``bad-parameter``."""
    _check_length(text)
    try:
        tree = msgspec.json.decode(text)
    except RecursionError:
        raise _too_deep(text) from None
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise bad_parameter("filter", text, f"CQL2 JSON; {error}") from None
    return expression(collection, tree)


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise bad_parameter("filter", text, f"at most {LONGEST} characters")


def _too_deep(text: str) -> Problem:
    return bad_parameter("filter", text, f"at most {MAX_DEPTH} levels within each other")


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=False)


class _ToTree(Transformer[Token, Any]):
    """The parse -> the tree that CQL2 JSON writes."""

    def start(self, parts: Sequence[Any]) -> Any:
        return parts[0]

    def either(self, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else _op("or", *parts)

    def both(self, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else _op("and", *parts)

    def negation(self, parts: list[Any]) -> Any:
        return _op("not", *parts)

    def comparison(self, parts: list[Any]) -> Any:
        left, operator, right = parts
        return _op(str(operator), left, right)

    def like(self, parts: list[Any]) -> Any:
        return _op("like", parts[0], _unquoted(parts[1]))

    def not_like(self, parts: list[Any]) -> Any:
        return _op("not", self.like(parts))

    def between(self, parts: list[Any]) -> Any:
        return _op("between", *parts)

    def not_between(self, parts: list[Any]) -> Any:
        return _op("not", self.between(parts))

    def member(self, parts: list[Any]) -> Any:
        return _op("in", parts[0], parts[1:])

    def not_member(self, parts: list[Any]) -> Any:
        return _op("not", self.member(parts))

    def missing(self, parts: list[Any]) -> Any:
        return _op("isNull", *parts)

    def present(self, parts: list[Any]) -> Any:
        return _op("not", self.missing(parts))

    def intersects(self, parts: list[Any]) -> Any:
        return _op("s_intersects", parts[0], {"bbox": [float(one) for one in parts[1:]]})

    def name(self, parts: list[Any]) -> Any:
        return {"property": str(parts[0]).strip('"')}

    def text(self, parts: list[Any]) -> Any:
        return _unquoted(parts[0])

    def number(self, parts: list[Any]) -> Any:
        written = str(parts[0])
        return int(written) if written.lstrip("+-").isdigit() else float(written)

    def true(self, _parts: list[Any]) -> Any:
        return True

    def false(self, _parts: list[Any]) -> Any:
        return False

    def day(self, parts: list[Any]) -> Any:
        return {"date": _unquoted(parts[0])}

    def instant(self, parts: list[Any]) -> Any:
        return {"timestamp": _unquoted(parts[0])}


def _op(name: str, *args: Any) -> dict[str, Any]:
    return {"op": name, "args": list(args)}


def _unquoted(token: Token) -> str:
    return str(token)[1:-1].replace("''", "'")


_TREE = _ToTree()
