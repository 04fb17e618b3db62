"""StarRocks' types of expressions: literals, common types, decimals; and conversions between them.

DuckDB types some expressions otherwise (1 is INTEGER there and TINYINT here, INT + INT is INTEGER
there and BIGINT here), so the rewriter keeps the StarRocks type of every node it knows beside it.
None means: not known. Source: StarRocks 3.5, "Data types", "CAST", "Arithmetic operators".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sqlglot import exp

from embedded_starrocks.sql.calls import data_type, macro
from embedded_starrocks.sql.types import STRING_LENGTH, ColumnType

INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT", "LARGEINT")
_LIMITS = (
    (2**7, "TINYINT"),
    (2**15, "SMALLINT"),
    (2**31, "INT"),
    (2**63, "BIGINT"),
    (2**127, "LARGEINT"),
)
_DIGITS = {"BOOLEAN": 1, "TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 19, "LARGEINT": 38}
_KEY = "starrocks_type"
MAX_DIGITS = 38

BOOLEAN = ColumnType("BOOLEAN")
TINYINT = ColumnType("TINYINT")
INT = ColumnType("INT")
BIGINT = ColumnType("BIGINT")
LARGEINT = ColumnType("LARGEINT")
DOUBLE = ColumnType("DOUBLE")
VARCHAR = ColumnType("VARCHAR", length=STRING_LENGTH)
DATE = ColumnType("DATE")
DATETIME = ColumnType("DATETIME")
JSON = ColumnType("JSON")
NULL = ColumnType("NULL")
BITMAP = ColumnType("BITMAP")
HLL = ColumnType("HLL")


def of(node: exp.Expr) -> ColumnType | None:
    """The StarRocks type of a node that has been rewritten, None if it is not known."""
    found = node.meta.get(_KEY)
    if isinstance(found, ColumnType):
        return found
    if isinstance(node, exp.Paren | exp.Alias | exp.Ordered | exp.Distinct):
        inner = node.expressions[0] if isinstance(node, exp.Distinct) else node.this
        return of(inner) if isinstance(inner, exp.Expr) else None
    if isinstance(node, exp.Literal):
        return literal(node)
    if isinstance(node, exp.Boolean):
        return BOOLEAN
    if isinstance(node, exp.Null):
        return NULL
    return None


def typed(node: exp.Expr, kind: ColumnType | None) -> exp.Expr:
    """The node, with its type noted."""
    if kind is not None:
        node.meta[_KEY] = kind
    return node


def literal(node: exp.Literal) -> ColumnType:
    """Text is VARCHAR; a whole number the smallest type that holds it; others DECIMAL or DOUBLE."""
    written = str(node.this)
    if node.is_string:
        return VARCHAR
    if written.isdigit():
        return _whole(int(written))
    if "e" in written.lower():
        return DOUBLE
    whole, _, fraction = written.partition(".")
    scale = len(fraction)
    precision = max(len(whole.lstrip("0")) + scale, 1)
    return DOUBLE if precision > MAX_DIGITS else decimal(precision, scale)


def _whole(value: int) -> ColumnType:
    for limit, name in _LIMITS:
        if -limit <= value < limit:
            return ColumnType(name)
    return DOUBLE


def decimal(precision: int, scale: int) -> ColumnType:
    return ColumnType("DECIMAL", precision=precision, scale=scale)


def is_integer(kind: ColumnType | None) -> bool:
    return kind is not None and kind.name in INTEGERS


def is_number(kind: ColumnType | None) -> bool:
    return kind is not None and kind.name in (*INTEGERS, "DECIMAL", "DOUBLE", "FLOAT", "BOOLEAN")


def is_text(kind: ColumnType | None) -> bool:
    return kind is not None and kind.is_text


def is_moment(kind: ColumnType | None) -> bool:
    return kind is not None and kind.name in ("DATE", "DATETIME")


def is_floating(kind: ColumnType | None) -> bool:
    return kind is not None and kind.name in ("DOUBLE", "FLOAT")


def wider(kind: ColumnType) -> ColumnType:
    """The type of a sum of two such integers."""
    if kind.name == "BOOLEAN":
        return ColumnType("SMALLINT")
    return ColumnType(INTEGERS[min(INTEGERS.index(kind.name) + 1, 3)]) if kind != LARGEINT else kind


def biggest(first: ColumnType, second: ColumnType) -> ColumnType:
    """The larger of two integer types."""
    names = [TINYINT.name if each.name == "BOOLEAN" else each.name for each in (first, second)]
    return ColumnType(max(names, key=INTEGERS.index))


def as_decimal_type(kind: ColumnType) -> ColumnType:
    """The DECIMAL that holds an integer type."""
    return kind if kind.name == "DECIMAL" else decimal(_DIGITS[kind.name], 0)


def digits(kind: ColumnType) -> tuple[int, int]:
    """Precision and scale of a DECIMAL."""
    return kind.precision or 0, kind.scale or 0


def common(kinds: Iterable[ColumnType | None]) -> ColumnType | None:
    """The type that values of all these types are brought to (CASE, COALESCE, UNION, arrays)."""
    found: ColumnType | None = None
    for kind in kinds:
        if kind is None:
            return None
        found = kind if found is None else _common(found, kind)
        if found is None:
            return None
    return found


def _common(first: ColumnType, second: ColumnType) -> ColumnType | None:
    if second in (first, NULL):
        return first
    if first == NULL:
        return second
    if is_text(first) or is_text(second):
        return VARCHAR if not first.parts and not second.parts else None
    if is_number(first) and is_number(second):
        return _common_number(first, second)
    if is_moment(first) and is_moment(second):
        return DATETIME
    if first.name == second.name == "ARRAY":
        inner = _common(first.parts[0], second.parts[0])
        return None if inner is None else array(inner)
    return None


def _common_number(first: ColumnType, second: ColumnType) -> ColumnType:
    if is_floating(first) or is_floating(second):
        return DOUBLE
    if first.name == "DECIMAL" or second.name == "DECIMAL":
        (p1, s1), (p2, s2) = (digits(as_decimal_type(each)) for each in (first, second))
        scale = max(s1, s2)
        precision = max(p1 - s1, p2 - s2) + scale
        return decimal(precision, scale) if precision <= MAX_DIGITS else DOUBLE
    return biggest(first, second)


def array(kind: ColumnType) -> ColumnType:
    return ColumnType("ARRAY", parts=(kind,))


def element(kind: ColumnType | None) -> ColumnType | None:
    """The type of an element of an ARRAY, or of a value of a MAP."""
    if kind is None or kind.name not in ("ARRAY", "MAP"):
        return None
    return kind.parts[-1]


# Conversions


def cast(node: exp.Expr, kind: ColumnType) -> exp.Expr:
    """The node as DuckDB's type for it; a literal or NULL keeps its text."""
    to = data_type(kind.duckdb())
    return typed(exp.Cast(this=node, to=to), kind)


def to_text(node: exp.Expr) -> exp.Expr:
    """The value as text, as StarRocks prints it; what is text already stays as it is."""
    kind = of(node)
    if is_text(kind) or kind == NULL:
        return node
    if kind is not None and kind.name == "BOOLEAN":
        return cast(cast(node, TINYINT), VARCHAR)
    if kind is not None and (kind.name in (*INTEGERS, "DECIMAL", "DATE")):
        return cast(node, VARCHAR)
    return typed(macro("to_text", node), VARCHAR)


def to_double(node: exp.Expr) -> exp.Expr:
    """The value as DOUBLE; text that is no number becomes NULL."""
    kind = of(node)
    if kind is not None and kind.name == "DOUBLE":
        return node
    to = data_type("DOUBLE")
    return typed(exp.TryCast(this=node, to=to), DOUBLE)


def to_integer(node: exp.Expr, kind: ColumnType = BIGINT) -> exp.Expr:
    """The value's integer part, NULL where it has none."""
    found = of(node)
    if found is not None and is_integer(found):
        return node if found == kind else cast(node, kind)
    whole = macro("whole_part", node)
    to = data_type(kind.duckdb())
    return typed(exp.TryCast(this=whole, to=to), kind)


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"\d{4}-\d{2}-\d{2} ([01]\d|2[0-3]):\d{2}:\d{2}(\.\d{1,6})?")


def to_moment(node: exp.Expr, kind: ColumnType) -> exp.Expr:
    """The value as DATE or DATETIME; text of no moment becomes NULL."""
    found = of(node)
    if found == kind:
        return node
    if isinstance(node, exp.Literal) and node.is_string:
        written = str(node.this)
        if _DATE.fullmatch(written) or _DATETIME.fullmatch(written):
            to = data_type(kind.duckdb())
            return typed(exp.TryCast(this=node, to=to), kind)
    if found is not None and is_moment(found):
        return cast(node, kind)
    return typed(macro("to_date" if kind == DATE else "to_datetime", node), kind)


def brought_to(node: exp.Expr, kind: ColumnType) -> exp.Expr:
    """The value as another type, as StarRocks converts without being asked."""
    found = of(node)
    if found in (kind, NULL) or found is None:
        return node
    if kind.is_text:
        return to_text(node)
    if kind.name == "DOUBLE" and not is_number(found):
        return to_double(node)
    if is_moment(kind):
        return to_moment(node, kind)
    if kind.name in ("JSON", "BITMAP", "HLL", "VARBINARY"):
        return node
    return cast(node, kind)


def all_brought_to(nodes: Sequence[exp.Expr]) -> tuple[list[exp.Expr], ColumnType | None]:
    """Values brought to their common type, and that type."""
    kind = common(of(node) for node in nodes)
    if kind is None or kind == NULL:
        return list(nodes), kind
    same = all(of(node) in (kind, NULL) for node in nodes)
    return (list(nodes) if same else [brought_to(node, kind) for node in nodes]), kind
