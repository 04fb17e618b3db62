"""Arithmetic with StarRocks' meaning: results that widen, exact quotients, NULL by zero.

Operands are rewritten already and carry their types (see `kinds.py`). Where a type is not known the
operator is left to DuckDB, which refuses what it cannot add.
"""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.dates import shifted
from embedded_starrocks.sql.calls import call, macro, number
from embedded_starrocks.sql.kinds import BIGINT, BOOLEAN, DOUBLE
from embedded_starrocks.sql.types import ColumnType

_MAX_QUOTIENT_SCALE = 12


def arithmetic(node: exp.Binary) -> exp.Expr:
    """a + b, a - b, a * b, and INTERVALs added to or taken from moments."""
    left, right = node.this, node.expression
    if isinstance(right, exp.Interval) and isinstance(node, exp.Add | exp.Sub):
        return shifted(left, right, "sub" if isinstance(node, exp.Sub) else "add")
    if isinstance(left, exp.Interval) and isinstance(node, exp.Add):
        return shifted(right, left, "add")
    operands = _numbers(node, left, right)
    if operands is None:
        return node
    left, right, first, second = operands
    if kinds.is_floating(first) or kinds.is_floating(second):
        made = type(node)(this=kinds.to_double(left), expression=kinds.to_double(right))
        return kinds.typed(made, DOUBLE)
    if first.name == "DECIMAL" or second.name == "DECIMAL":
        return kinds.typed(_kept(node, left, right), _decimal_result(node, first, second))
    result = kinds.wider(kinds.biggest(first, second))
    made = type(node)(this=_as(left, result), expression=_as(right, result))
    return kinds.typed(made, result)


def _kept(node: exp.Binary, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    node.set("this", left)
    node.set("expression", right)
    return node


def _as(node: exp.Expr, kind: ColumnType) -> exp.Expr:
    """An integer as a wider one; parentheses keep -1 together."""
    return node if kinds.of(node) == kind else kinds.cast(node, kind)


def _numbers(
    node: exp.Expr, left: exp.Expr, right: exp.Expr
) -> tuple[exp.Expr, exp.Expr, ColumnType, ColumnType] | None:
    """Both operands as numbers with their types; None where a type is not known."""
    pairs = [_number(node, operand) for operand in (left, right)]
    if pairs[0] is None or pairs[1] is None:
        return None
    return pairs[0][0], pairs[1][0], pairs[0][1], pairs[1][1]


def _number(node: exp.Expr, operand: exp.Expr) -> tuple[exp.Expr, ColumnType] | None:
    kind = kinds.of(operand)
    if kind is None:
        return None
    if kind in (kinds.NULL, BOOLEAN):
        return kinds.cast(operand, kinds.TINYINT), kinds.TINYINT
    if kinds.is_text(kind):
        return kinds.to_double(operand), DOUBLE
    if kind == kinds.JSON:
        return kinds.to_double(macro("json_text", operand)), DOUBLE
    if not kinds.is_number(kind):
        raise unsupported(
            f"arithmetic with {kind.shown()} ({type(node).__name__}); use date functions or a CAST"
        )
    return operand, kind


def _decimal_result(node: exp.Binary, first: ColumnType, second: ColumnType) -> ColumnType | None:
    (p1, s1), (p2, s2) = (kinds.digits(kinds.as_decimal_type(each)) for each in (first, second))
    if isinstance(node, exp.Mul):
        precision, scale = p1 + p2, s1 + s2
    else:
        scale = max(s1, s2)
        precision = max(p1 - s1, p2 - s2) + scale + 1
    if scale > kinds.MAX_DIGITS:
        raise unsupported(f"a product of DECIMALs with {scale} digits behind the point")
    return kinds.decimal(min(precision, kinds.MAX_DIGITS), scale)


def division(node: exp.Div) -> exp.Expr:
    """a / b: DOUBLE, or DECIMAL where one is a DECIMAL and none is floating; NULL by zero."""
    operands = _numbers(node, node.this, node.expression)
    if operands is None:
        return node
    left, right, first, second = operands
    exact = "DECIMAL" in (first.name, second.name)
    if not exact or kinds.is_floating(first) or kinds.is_floating(second):
        divisor = call("nullif", kinds.to_double(right), number(0))
        return kinds.typed(exp.Div(this=kinds.to_double(left), expression=divisor), DOUBLE)
    return quotient(left, right, kinds.as_decimal_type(first), kinds.as_decimal_type(second))


def quotient(left: exp.Expr, right: exp.Expr, first: ColumnType, second: ColumnType) -> exp.Expr:
    """An exact quotient of DECIMALs, rounded half up at StarRocks' scale, by whole numbers."""
    (p1, s1), (p2, s2) = kinds.digits(first), kinds.digits(second)
    scale = s1 + 6 if s1 <= 6 else max(s1, _MAX_QUOTIENT_SCALE)
    # left / 10^s1 / (right / 10^s2) * 10^scale, with whole numbers only.
    up = scale - s1 + s2
    dividend = macro("unscaled", left.copy(), number(p1), number(s1))
    divisor = macro("unscaled", right.copy(), number(p2), number(s2))
    whole = macro("divided", dividend, divisor, number(10**up))
    result = kinds.decimal(kinds.MAX_DIGITS, scale)
    unit = exp.Literal.number("0." + "0" * (scale - 1) + "1" if scale else "1")
    kept = exp.cast(whole, f"DECIMAL({kinds.MAX_DIGITS - scale}, 0)", dialect="duckdb")
    return kinds.typed(exp.Paren(this=exp.Mul(this=kept, expression=unit)), result)


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a DIV b, cut towards zero; NULL by zero."""
    operands = _numbers(node, node.this, node.expression)
    if operands is None:
        divisor = call("nullif", node.expression, number(0))
        return exp.IntDiv(this=node.this, expression=divisor)
    left, right, first, second = operands
    whole = kinds.is_integer(first) and kinds.is_integer(second)
    result = kinds.biggest(first, second) if whole else BIGINT
    divisor = call("nullif", kinds.to_integer(right, result), number(0))
    made = exp.IntDiv(this=kinds.to_integer(left, result), expression=divisor)
    return kinds.typed(exp.Paren(this=made), result)


def modulo(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """a % b with the sign of a; NULL by zero."""
    operands = _numbers(left, left, right)
    if operands is None:
        return macro("mod", left, right)
    left, right, first, second = operands
    result = kinds.common((first, second))
    if result is not None and result.name in kinds.INTEGERS:
        left, right = _as(left, result), _as(right, result)
    return kinds.typed(macro("mod", left, right), result)


def bits(node: exp.Binary) -> exp.Expr:
    """a & b, a | b, a ^ b of integers."""
    operands = _numbers(node, node.this, node.expression)
    if operands is None:
        return call("xor", node.this, node.expression) if _is_xor(node) else node
    left, right, first, second = operands
    whole = kinds.is_integer(first) and kinds.is_integer(second)
    result = kinds.biggest(first, second) if whole else BIGINT
    left, right = kinds.to_integer(left, result), kinds.to_integer(right, result)
    if _is_xor(node):
        return kinds.typed(call("xor", left, right), result)
    return kinds.typed(exp.Paren(this=_kept(node, left, right)), result)


def _is_xor(node: exp.Expr) -> bool:
    return isinstance(node, exp.BitwiseXor)


def negation(node: exp.Neg) -> exp.Expr:
    kind = kinds.of(node.this)
    if kinds.is_text(kind):
        return kinds.typed(exp.Neg(this=kinds.to_double(node.this)), DOUBLE)
    if isinstance(node.this, exp.Literal) and str(node.this.this) == "9223372036854775808":
        return kinds.typed(exp.cast(exp.Literal.string("-9223372036854775808"), "BIGINT"), BIGINT)
    return kinds.typed(node, kind)
