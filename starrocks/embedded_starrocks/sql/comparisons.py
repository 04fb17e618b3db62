"""Comparisons and conditions with StarRocks' meaning, across types.

Operands are rewritten already and carry their types (see `kinds.py`). Text and numbers are compared
as numbers, text and moments as moments; text that is none compares as NULL.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from embedded_starrocks.errors import unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.calls import data_type, macro, number
from embedded_starrocks.sql.kinds import BIGINT, BOOLEAN
from embedded_starrocks.sql.scopes import outputs
from embedded_starrocks.sql.types import ColumnType

# Text is compared with an exact number as this type (the variable cbo_eq_base_type is `decimal`).
_COMPARED = kinds.decimal(38, 9)


def _kept(node: exp.Binary, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    node.set("this", left)
    node.set("expression", right)
    return node


_EQUALITIES = (exp.EQ, exp.NEQ, exp.NullSafeEQ)


def comparison(node: exp.Binary) -> exp.Expr:
    """a = b and its siblings, with operands brought to the type in which StarRocks compares."""
    equal = isinstance(node, _EQUALITIES)
    left, right = comparable(node.this, node.expression, equal)
    return kinds.typed(_kept(node, left, right), BOOLEAN)


def comparable(left: exp.Expr, right: exp.Expr, equal: bool) -> tuple[exp.Expr, exp.Expr]:
    """Two operands in the type in which they are compared."""
    first, second = kinds.of(left), kinds.of(right)
    if first is None or second is None or kinds.NULL in (first, second) or first == second:
        if first == second == kinds.JSON and not equal:
            raise unsupported("the order of two JSON values; compare CASTs of them")
        if first == second == kinds.JSON:
            return macro("json_compared", left), macro("json_compared", right)
        return left, right
    for one, other, kind, partner in (
        (left, right, first, second),
        (right, left, second, first),
    ):
        convert = _conversion(kind, partner, equal)
        if convert is not None:
            mine, theirs = convert(one), convert(other)
            return (mine, theirs) if one is left else (theirs, mine)
    return left, right


_Convert = Callable[[exp.Expr], exp.Expr]


def _conversion(kind: ColumnType, partner: ColumnType, equal: bool) -> _Convert | None:
    """What both sides go through when one is of `kind` and the other of `partner`."""
    if kinds.is_text(kind):
        if partner.name in ("DOUBLE", "FLOAT", "BOOLEAN"):
            return kinds.to_double
        if kinds.is_number(partner):
            return _to_compared if equal else kinds.to_double
        if kinds.is_moment(partner):
            return lambda node: _to_moment(node, partner)
    if kind == BOOLEAN and kinds.is_number(partner):
        return lambda node: kinds.cast(node, kinds.TINYINT) if kinds.of(node) == BOOLEAN else node
    if kind == kinds.JSON:
        if kinds.is_text(partner):
            return lambda node: macro("json_is_text", node) if kinds.of(node) == kind else node
        if kinds.is_number(partner):
            return lambda node: _json_number(node) if kinds.of(node) == kind else node
    return None


def _json_number(node: exp.Expr) -> exp.Expr:
    return kinds.to_double(macro("json_text", node))


def _to_compared(node: exp.Expr) -> exp.Expr:
    """Text as the number it says; a literal becomes a number that DuckDB can look up quickly."""
    if not kinds.is_text(kinds.of(node)):
        return node
    to = data_type(_COMPARED.duckdb())
    if isinstance(node, exp.Literal):
        written = str(node.this).strip()
        if written.lstrip("+-").isdigit() and len(written) < 19:
            return kinds.cast(exp.Literal.string(written), BIGINT)
    return kinds.typed(exp.TryCast(this=node, to=to), _COMPARED)


def _to_moment(node: exp.Expr, partner: ColumnType) -> exp.Expr:
    """Text as a moment; a DATE stays one when the text has no time."""
    if not kinds.is_text(kinds.of(node)):
        return node
    if partner == kinds.DATE and isinstance(node, exp.Literal) and len(str(node.this)) <= 10:
        return kinds.to_moment(node, kinds.DATE)
    return kinds.to_moment(node, kinds.DATETIME)


def between(node: exp.Between) -> exp.Expr:
    low_left, low = comparable(node.this, node.args["low"], equal=False)
    high_left, high = comparable(node.this, node.args["high"], equal=False)
    if low_left is node.this and high_left is node.this:
        node.set("low", low)
        node.set("high", high)
        return kinds.typed(node, BOOLEAN)
    made = exp.and_(
        exp.GTE(this=low_left.copy(), expression=low),
        exp.LTE(this=high_left.copy(), expression=high),
    )
    return kinds.typed(exp.Paren(this=made), BOOLEAN)


def is_in(node: exp.In) -> exp.Expr:
    """a IN (b, c): each compared as by =."""
    query = node.args.get("query")
    if query is not None:
        return kinds.typed(_in_query(node, query), BOOLEAN)
    items = node.expressions
    pairs = [comparable(node.this, item, equal=True) for item in items]
    if all(
        left is node.this and right is item
        for (left, right), item in zip(pairs, items, strict=True)
    ):
        return kinds.typed(node, BOOLEAN)
    if all(left is node.this for left, _ in pairs):
        node.set("expressions", [right for _, right in pairs])
        return kinds.typed(node, BOOLEAN)
    tests = [exp.EQ(this=left.copy(), expression=right) for left, right in pairs]
    return kinds.typed(exp.Paren(this=exp.or_(*tests)), BOOLEAN)


def _in_query(node: exp.In, query: exp.Expr) -> exp.Expr:
    found = outputs(query)
    kind = found[0][1] if len(found) == 1 else None
    if kind is None or kinds.of(node.this) is None:
        return node
    stand_in = kinds.typed(exp.column("__partner"), kind)
    left, right = comparable(node.this, stand_in, equal=True)
    if right is not stand_in:
        raise unsupported(
            f"{kinds.of(node.this)} IN a subquery that gives {kind.shown()}; CAST one of them"
        )
    node.set("this", left)
    return node


def condition(node: exp.Expr) -> exp.Expr:
    """A value used as a condition: a number is true when it is not zero."""
    kind = kinds.of(node)
    if kind is None or kind in (BOOLEAN, kinds.NULL):
        return node
    if kinds.is_number(kind):
        return kinds.typed(exp.NEQ(this=node, expression=number(0)), BOOLEAN)
    if kinds.is_text(kind):
        return kinds.typed(macro("to_boolean", node), BOOLEAN)
    raise unsupported(f"a condition of type {kind.shown()}")


def connected(node: exp.Connector) -> exp.Expr:
    """a AND b, a OR b. XOR is no operator of StarRocks."""
    if isinstance(node, exp.Xor):
        raise unsupported("XOR; it is no operator of StarRocks")
    node.set("this", condition(node.this))
    node.set("expression", condition(node.expression))
    return kinds.typed(node, BOOLEAN)


def negated(node: exp.Not) -> exp.Expr:
    node.set("this", condition(node.this))
    return kinds.typed(node, BOOLEAN)


def case(node: exp.Case) -> exp.Expr:
    """CASE: results brought to their common type; the compared operand as by =."""
    branches = node.args["ifs"]
    operand = node.this
    for branch in branches:
        if operand is None:
            branch.set("this", condition(branch.this))
            continue
        left, right = comparable(operand, branch.this, equal=True)
        branch.set("this", exp.EQ(this=left.copy(), expression=right))
    if operand is not None:
        node.set("this", None)
    default = node.args.get("default")
    results = [branch.args["true"] for branch in branches] + ([default] if default else [])
    brought, kind = kinds.all_brought_to(results)
    for branch, result in zip(branches, brought, strict=False):
        branch.set("true", result)
    if default is not None:
        node.set("default", brought[-1])
    return kinds.typed(node, kind)


def is_test(node: exp.Is) -> exp.Expr:
    return kinds.typed(node, BOOLEAN)
