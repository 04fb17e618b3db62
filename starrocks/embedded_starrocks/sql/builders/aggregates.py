"""Aggregates and window functions: their types, DISTINCT and ORDER BY within, exact averages."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.arguments import count
from embedded_starrocks.sql.builders.values import concat
from embedded_starrocks.sql.calls import call, macro, text
from embedded_starrocks.sql.comparisons import condition
from embedded_starrocks.sql.operators import quotient
from embedded_starrocks.sql.types import ColumnType

# Type codes: "=" of the argument, "d" DOUBLE, else a type.
SAME = {
    "sum": "sum",
    "min": "min",
    "max": "max",
    "avg": "avg",
    "any_value": "any_value",
    "max_by": "arg_max",
    "min_by": "arg_min",
}
STATISTICS = {
    "stddev": "stddev_pop",
    "stddev_pop": "stddev_pop",
    "std": "stddev_pop",
    "stddev_samp": "stddev_samp",
    "variance": "var_pop",
    "var_pop": "var_pop",
    "variance_pop": "var_pop",
    "var_samp": "var_samp",
    "variance_samp": "var_samp",
    "corr": "corr",
    "covar_pop": "covar_pop",
    "covar_samp": "covar_samp",
}
RANKS = {
    "row_number": kinds.BIGINT,
    "rank": kinds.BIGINT,
    "dense_rank": kinds.BIGINT,
    "ntile": kinds.BIGINT,
    "percent_rank": kinds.DOUBLE,
    "cume_dist": kinds.DOUBLE,
}
_POSITION_NODES: dict[str, type[exp.Expr]] = {
    "lag": exp.Lag,
    "lead": exp.Lead,
    "first_value": exp.FirstValue,
    "last_value": exp.LastValue,
}
POSITIONS = ("lag", "lead", "first_value", "last_value")


def _argument(node: exp.Expr) -> exp.Expr:
    """The value of an argument that may be DISTINCT, ordered, or without NULLs."""
    while isinstance(node, exp.Distinct | exp.Order | exp.IgnoreNulls | exp.RespectNulls):
        node = node.expressions[0] if isinstance(node, exp.Distinct) else node.this
    return node


def _with_argument(argument: exp.Expr, value: exp.Expr) -> exp.Expr:
    if isinstance(argument, exp.Distinct):
        argument.set("expressions", [value])
        return argument
    return value


def simple(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """SUM, AVG, MIN, MAX and their like. SUM of integers is BIGINT; AVG of DECIMALs is exact."""
    by = 2 if name.endswith("_by") else 1
    count(name, arguments, by, by)
    argument = arguments[0]
    kind = kinds.of(_argument(argument))
    if name not in ("sum", "avg"):
        return kinds.typed(call(SAME[name], *arguments), kind)
    value = _argument(argument)
    if kinds.is_text(kind) or kind == kinds.JSON:
        value, kind = kinds.to_double(value), kinds.DOUBLE
    elif kind == kinds.BOOLEAN:
        value, kind = kinds.cast(value, kinds.TINYINT), kinds.TINYINT
    elif kind is not None and kind != kinds.NULL and not kinds.is_number(kind):
        raise semantic_error(f"No matching function with signature: {name}({kind.shown()})")
    if kinds.is_floating(kind):
        value = kinds.to_double(value)
    made = call(SAME[name], _with_argument(argument, value))
    return _summed(name, made, kind)


def _summed(name: str, made: exp.Expr, kind: ColumnType | None) -> exp.Expr:
    if kind is None:
        return made
    if kind.name == "DECIMAL":
        scale = kind.scale or 0
        if name == "sum":
            return kinds.typed(made, kinds.decimal(kinds.MAX_DIGITS, scale))
        made.meta["exact_average"] = kind
        scale = scale + 6 if scale <= 6 else max(scale, 12)
        return kinds.typed(made, kinds.decimal(kinds.MAX_DIGITS, scale))
    if name == "avg" or kinds.is_floating(kind):
        return kinds.typed(made, kinds.DOUBLE)
    result = kinds.LARGEINT if kind == kinds.LARGEINT else kinds.BIGINT
    # DuckDB sums into HUGEINT; the cast goes around the window, if there is one.
    made.meta["cast_to"] = result
    return kinds.typed(made, result)


def finished(node: exp.Expr) -> exp.Expr:
    """An aggregate with what goes around it: a cast, or an exact average of DECIMALs."""
    inner = node
    while isinstance(inner, exp.Window | exp.Filter):
        inner = inner.this
    kind = inner.meta.get("exact_average")
    if isinstance(kind, ColumnType):
        return _exact_average(node, kind)
    if "longest" in inner.meta:
        return _left(node, inner.meta["longest"])
    wanted = inner.meta.get("cast_to")
    if isinstance(wanted, ColumnType):
        return kinds.cast(node, wanted)
    return kinds.typed(node, kinds.of(inner)) if inner is not node else node


def _exact_average(node: exp.Expr, kind: ColumnType) -> exp.Expr:
    parts = []
    for verb in ("sum", "count"):
        part = node.copy()
        inner = part
        while isinstance(inner, exp.Window | exp.Filter):
            inner = inner.this
        inner.set("this", verb)
        inner.meta.pop("exact_average", None)
        parts.append(part)
    total = exp.cast(parts[0], f"DECIMAL(38, {kind.scale or 0})", dialect="duckdb")
    return quotient(
        total, parts[1], kinds.decimal(38, kind.scale or 0), kinds.as_decimal_type(kinds.BIGINT)
    )


def statistics(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    values = [_with_argument(each, kinds.to_double(_argument(each).copy())) for each in arguments]
    return kinds.typed(call(STATISTICS[name], *values), kinds.DOUBLE)


def distinct_values(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """APPROX_COUNT_DISTINCT, NDV, MULTI_DISTINCT_COUNT, MULTI_DISTINCT_SUM."""
    count(name, arguments, 1, 1)
    if name in ("approx_count_distinct", "ndv"):
        return kinds.typed(call("approx_count_distinct", arguments[0]), kinds.BIGINT)
    distinct = exp.Distinct(expressions=[arguments[0]])
    if name == "multi_distinct_count":
        return kinds.typed(call("count", distinct), kinds.BIGINT)
    return simple("sum", [distinct])


def percentile(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """PERCENTILE_CONT and _DISC; PERCENTILE_APPROX is answered exactly, within its bounds."""
    count(name, arguments, 2, 3 if name == "percentile_approx" else 2)
    if name == "percentile_disc":
        return kinds.typed(call("quantile_disc", *arguments), kinds.of(arguments[0]))
    made = call("quantile_cont", kinds.to_double(arguments[0]), arguments[1])
    return kinds.typed(made, kinds.DOUBLE)


def count_if(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 1, 1)
    made = call("count_if", condition(arguments[0]))
    made.meta["cast_to"] = kinds.BIGINT
    return kinds.typed(made, kinds.BIGINT)


def rank(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 1 if name == "ntile" else 0, 1 if name == "ntile" else 0)
    return kinds.typed(call(name, *arguments), RANKS[name])


def position(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """LAG, LEAD, FIRST_VALUE, LAST_VALUE."""
    count(name, arguments, 1, 3 if name in ("lag", "lead") else 1)
    kind = kinds.of(_argument(arguments[0]))
    if not isinstance(arguments[0], exp.IgnoreNulls):
        return kinds.typed(call(name, *arguments), kind)
    parts = dict(zip(("this", "offset", "default"), arguments, strict=False))
    node = _POSITION_NODES[name](**{**parts, "this": _argument(arguments[0])})
    return kinds.typed(exp.IgnoreNulls(this=node), kind)


def array_agg(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_AGG([DISTINCT] x [ORDER BY ...])."""
    count(name, arguments, 1, 1)
    argument = arguments[0]
    kind = kinds.of(_argument(argument))
    if isinstance(argument, exp.Order) and isinstance(argument.this, exp.Distinct):
        for each in argument.expressions:
            if isinstance(each.this, exp.Literal):
                each.set("this", _argument(argument).copy())
    made = call("array_agg", argument)
    return kinds.typed(made, None if kind is None else kinds.array(kind))


def group_concat(node: exp.GroupConcat) -> exp.Expr:
    """GROUP_CONCAT([DISTINCT] x, ... [ORDER BY ...] [SEPARATOR s])."""
    separator = node.args.get("separator") or text(",")
    inner = node.this
    order = inner.expressions if isinstance(inner, exp.Order) else []
    value = inner.this if isinstance(inner, exp.Order) else inner
    if isinstance(value, exp.Distinct):
        return _distinct_concat(value.expressions, order, separator)
    last = exp.Order(this=separator, expressions=order) if order else separator
    return kinds.typed(call("string_agg", kinds.to_text(value), last), kinds.VARCHAR)


def cut(made: exp.Expr, longest: int, is_inside: bool) -> exp.Expr:
    """A text of at most so many characters; inside of a window by `finished`."""
    if is_inside:
        made.meta["longest"] = longest
        return made
    return _left(made, longest)


def _left(node: exp.Expr, longest: int) -> exp.Expr:
    return kinds.typed(call("left", node, exp.Literal.number(longest)), kinds.VARCHAR)


def _distinct_concat(
    values: list[exp.Expr], order: list[exp.Expr], separator: exp.Expr
) -> exp.Expr:
    """Distinct values in their own order, or in that of other expressions."""
    value = kinds.to_text(values[0]) if len(values) == 1 else concat("concat", values)
    keys = [each.this for each in order]
    falling = {bool(each.args.get("desc")) for each in order}
    if len(falling) > 1:
        raise unsupported("GROUP_CONCAT(DISTINCT ...) ordered up and down at once")
    # Equal texts with different keys have no place of their own.
    pair = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=part)
            for name, part in [
                *((f"k{index}", key.copy()) for index, key in enumerate(keys)),
                ("v", value.copy()),
            ]
        ]
    )
    collected = exp.Filter(
        this=call("array_agg", exp.Distinct(expressions=[pair])),
        expression=exp.Where(this=exp.not_(exp.Is(this=value.copy(), expression=exp.Null()))),
    )
    direction = text("DESC" if True in falling else "ASC")
    nulls = text("NULLS LAST" if True in falling else "NULLS FIRST")
    ordered = call("list_sort", collected, direction, nulls)
    made = macro("joined_values", ordered, separator)
    return kinds.typed(made, kinds.VARCHAR)


def set_of(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """Aggregates that collect a BITMAP or an HLL, or count what is in one."""
    low, high = (2, 1000) if name == "intersect_count" else (1, 1)
    count(name, arguments, low, high)
    if name == "intersect_count":
        wanted = exp.Array(expressions=arguments[2:])
        made = macro(name, arguments[0], arguments[1], wanted)
        return kinds.typed(made, kinds.BIGINT)
    if name in ("bitmap_agg", "bitmap_union_int"):
        arguments = [kinds.typed(macro("to_bitmap", arguments[0]), kinds.BITMAP)]
    verb = {"bitmap_agg": "bitmap_union", "bitmap_union_int": "bitmap_union_count"}.get(name, name)
    counts = verb in ("bitmap_union_count", "hll_union_agg")
    kind = kinds.BIGINT if counts else kinds.BITMAP if "bitmap" in verb else kinds.HLL
    return kinds.typed(macro(verb, arguments[0]), kind)


BUILDERS = {
    **dict.fromkeys(SAME, simple),
    **dict.fromkeys(STATISTICS, statistics),
    **dict.fromkeys(RANKS, rank),
    **dict.fromkeys(POSITIONS, position),
    **dict.fromkeys(
        ("approx_count_distinct", "ndv", "multi_distinct_count", "multi_distinct_sum"),
        distinct_values,
    ),
    **dict.fromkeys(("percentile_cont", "percentile_disc", "percentile_approx"), percentile),
    **dict.fromkeys(
        (
            "bitmap_union",
            "bitmap_agg",
            "bitmap_union_count",
            "bitmap_union_int",
            "bitmap_intersect",
            "intersect_count",
            "hll_union",
            "hll_raw_agg",
            "hll_union_agg",
        ),
        set_of,
    ),
    "count_if": count_if,
    "array_agg": array_agg,
}
