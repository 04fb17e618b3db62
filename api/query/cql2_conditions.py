"""The tree of CQL2 JSON -> a condition on the properties of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.catalog.model import Collection, Property
from api.problems import Problem, bad_parameter
from api.query import times
from api.query.boxes import box_of
from api.query.model import AllOf, AnyOf, Expression, Filter, Not, Operator
from api.query.values import finite, is_int64, plain_text

MAX_DEPTH = 16
MAX_CONDITIONS = 100
MAX_VALUES = 200
GEOMETRY = "geometry"
_COMPARISONS: dict[str, Operator] = {
    "=": "=",
    "<>": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_FLIPPED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPERATIONS = "and, or, not, =, <>, <, <=, >, >=, like, between, in, isNull, s_intersects"


def expression(collection: Collection, tree: Any) -> Expression:
    """Return the condition of a tree. Raises Problem ``bad-parameter``."""
    return _Reading(collection).of(tree, 1)


class _Reading:
    """One tree's reading; counts its conditions."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._conditions = 0

    def of(self, tree: Any, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise _bad("nesting", f"at most {MAX_DEPTH} levels within each other")
        operator, args = _operation(tree)
        if operator in ("and", "or"):
            if len(args) < 2:
                raise _bad(operator, "two parts or more")
            parts = tuple(self.of(one, depth + 1) for one in args)
            return AllOf(parts) if operator == "and" else AnyOf(parts)
        if operator == "not":
            return Not(self.of(_exactly(args, 1, operator)[0], depth + 1))
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise _bad("conditions", f"at most {MAX_CONDITIONS} conditions")
        return self._condition(operator, args)

    def _condition(self, operator: str, args: Sequence[Any]) -> Expression:
        if operator == "s_intersects":
            return self._intersects(args)
        if operator in _COMPARISONS:
            return self._comparison(_COMPARISONS[operator], _exactly(args, 2, operator))
        if operator == "isNull":
            one = self._property(_exactly(args, 1, operator)[0])
            return Filter(one.name, "is null")
        if operator == "like":
            return self._like(_exactly(args, 2, operator))
        if operator == "between":
            one = self._property(_exactly(args, 3, operator)[0])
            low, high = (_literal(one, value) for value in args[1:])
            return AllOf((Filter(one.name, ">=", (low,)), Filter(one.name, "<=", (high,))))
        if operator == "in":
            return self._member(_exactly(args, 2, operator))
        raise _bad(operator, _OPERATIONS)

    def _comparison(self, operator: Operator, args: Sequence[Any]) -> Expression:
        left, right = args
        if _is_property(right) and not _is_property(left):
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        if not _is_property(left) or _is_property(right):
            raise _bad(operator, "one property and one literal")
        one = self._property(left)
        return Filter(one.name, operator, (_literal(one, right),))

    def _like(self, args: Sequence[Any]) -> Expression:
        one = self._property(args[0])
        if one.type != "string" or not isinstance(args[1], str):
            raise _bad(f"{one.name} LIKE", "a property of text and a text")
        return Filter(one.name, "like", (plain_text("filter", args[1]),))

    def _member(self, args: Sequence[Any]) -> Expression:
        one, values = self._property(args[0]), args[1]
        if not isinstance(values, list) or not 0 < len(values) <= MAX_VALUES:
            raise _bad("in", f"a list of 1 to {MAX_VALUES} literals")
        return Filter(one.name, "in", tuple(_literal(one, value) for value in values))

    def _intersects(self, args: Sequence[Any]) -> Expression:
        name, box = _exactly(args, 2, "s_intersects")
        if self._collection.geometry is None:
            raise _bad(
                "s_intersects", f"a collection with a geometry; {self._collection.id} is not"
            )
        if name != {"property": GEOMETRY} or not isinstance(box, dict) or set(box) != {"bbox"}:
            raise _bad("s_intersects", "geometry, BBOX(west, south, east, north)")
        numbers = box["bbox"]
        is_right = isinstance(numbers, list) and all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in numbers
        )
        if not is_right:
            raise _bad("bbox", "four numbers or six")
        return box_of("filter", [float(one) for one in numbers])

    def _property(self, tree: Any) -> Property:
        name = tree.get("property") if _is_property(tree) else None
        if not isinstance(name, str):
            raise _bad(tree, "a property's name")
        one = self._collection.by_name.get(name)
        if one is None or not one.is_filterable:
            known = [one.name for one in self._collection.by_name.values() if one.is_filterable]
            raise _bad(name, ", ".join(known))
        return one


def _operation(tree: Any) -> tuple[str, list[Any]]:
    if not isinstance(tree, dict) or set(tree) != {"op", "args"}:
        raise _bad(
            tree, "a condition: an operation with its arguments, not a value or a name alone"
        )
    operator, args = tree["op"], tree["args"]
    if not isinstance(operator, str) or not isinstance(args, list):
        raise _bad(tree, "op as a text and args as a list")
    return operator, args


def _exactly(args: Sequence[Any], count: int, operator: str) -> Sequence[Any]:
    if len(args) != count:
        raise _bad(operator, f"{count} argument{'s' if count > 1 else ''}")
    return args


def _is_property(tree: Any) -> bool:
    return isinstance(tree, dict) and set(tree) == {"property"}


def _literal(one: Property, value: Any) -> Any:
    """Return a literal as the property's type has it."""
    if one.type in ("date", "date-time"):
        return _time(one, value)
    if one.type == "string" and isinstance(value, str):
        return plain_text(f"filter: {one.name}", value)
    if one.type == "boolean" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if one.type == "number":
            return _float(one, value)
        if one.type == "integer" and _is_whole(value) and is_int64(int(value)):
            return int(value)
    allowed = {"integer": "an integer of 64 bits", "number": "a number", "string": "a text in ''"}
    raise _bad(f"{one.name}: {_shown(value)}", allowed.get(one.type, "TRUE or FALSE"))


def _float(one: Property, value: float) -> float:
    try:
        return finite(f"filter: {one.name}", float(value))
    except OverflowError:
        raise _bad(f"{one.name}: a number", "a number that a double holds") from None


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()


def _time(one: Property, value: Any) -> Any:
    kind = "date" if one.type == "date" else "timestamp"
    text = value.get(kind) if isinstance(value, dict) and set(value) == {kind} else value
    if not isinstance(text, str):
        raise _bad(f"{one.name}: {_shown(value)}", f"{kind.upper()}('...') or a text in ''")
    name = f"filter: {one.name}"
    return times.day(name, text) if kind == "date" else times.instant(name, text)


def _shown(value: Any) -> str:
    return repr(value)[:100]


def _bad(what: Any, allowed: str) -> Problem:
    return bad_parameter("filter", what if isinstance(what, str) else _shown(what), allowed)
