"""Which node of a StarRocks tree is rewritten how, but for names and calls (see `rewrite.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import comparisons, kinds, operators, scopes, tablefunctions
from embedded_starrocks.sql.builders import aggregates, collections, dates, jsons, values
from embedded_starrocks.sql.calls import call, data_type, macro
from embedded_starrocks.sql.types import INTEGER_BITS, ColumnType, from_sqlglot

Handler = Callable[[Any], exp.Expr]


def _cast(node: exp.Cast) -> exp.Expr:
    """CAST: what does not fit is NULL."""
    to = node.args["to"]
    if to.this in (exp.DType.UINT, exp.DType.UBIGINT):
        target = kinds.BIGINT
    elif to.this in (exp.DType.VARCHAR, exp.DType.CHAR) and not to.expressions:
        target = kinds.VARCHAR
    else:
        target = from_sqlglot(to)
    return converted(node.this, target)


def converted(operand: exp.Expr, target: ColumnType) -> exp.Expr:
    """A value as another type, NULL where it does not fit."""
    kind = kinds.of(operand)
    if kind == kinds.NULL:
        return kinds.cast(operand, target)
    if target.name in ("BITMAP", "HLL") and kind != target:
        raise semantic_error(f"Invalid type cast to {target.name}")
    if target.name in INTEGER_BITS:
        # DuckDB rounds what StarRocks cuts, so that only integers go straight.
        operand = operand if kinds.is_integer(kind) else macro("whole_part", _plain(operand))
    elif target.name in ("DATE", "DATETIME"):
        return kinds.to_moment(_plain(operand), target)
    elif target.name == "BOOLEAN":
        return kinds.typed(macro("to_boolean", _plain(operand)), kinds.BOOLEAN)
    elif target.is_text:
        return kinds.typed(kinds.to_text(operand), target)
    elif target == kinds.JSON:
        return jsons.to_value(operand)
    elif kinds.is_moment(kind) and target.name in ("DOUBLE", "FLOAT", "DECIMAL"):
        operand = macro("whole_part", operand)
    elif kind == kinds.JSON and not target.parts:
        operand = macro("json_text", operand)
    made = exp.TryCast(this=operand, to=data_type(target.duckdb()))
    return kinds.typed(made, target)


def _plain(operand: exp.Expr) -> exp.Expr:
    """A JSON value as the text of its scalar."""
    if kinds.of(operand) == kinds.JSON:
        return kinds.typed(macro("json_text", operand), kinds.VARCHAR)
    return operand


def _like(node: exp.Like) -> exp.Expr:
    node.set("this", kinds.to_text(node.this))
    node.set("expression", kinds.to_text(node.expression))
    kinds.typed(node, kinds.BOOLEAN)
    # Backslash escapes by default in StarRocks; DuckDB has no default escape.
    if isinstance(node.parent, exp.Escape):
        raise unsupported("LIKE with ESCAPE")
    if "\\" not in node.expression.name and isinstance(node.expression, exp.Literal):
        return node
    made = exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))
    return kinds.typed(made, kinds.BOOLEAN)


def _regexp(node: exp.RegexpLike) -> exp.Expr:
    node.set("this", kinds.to_text(node.this))
    node.set("expression", kinds.to_text(node.expression))
    return kinds.typed(node, kinds.BOOLEAN)


def _count(node: exp.Count) -> exp.Expr:
    if node.args.get("big_int"):
        node.set("big_int", None)
    return kinds.typed(node, kinds.BIGINT)


def _concat(node: exp.Concat) -> exp.Expr:
    return values.concat("concat", node.expressions)


def _coalesce(node: exp.Coalesce) -> exp.Expr:
    return values.coalesce("coalesce", [node.this, *node.expressions])


def _if_node(node: exp.If) -> exp.Expr:
    if isinstance(node.parent, exp.Case):
        return node
    arguments = [node.this, node.args["true"], node.args.get("false") or exp.Null()]
    return values.if_("if", arguments)


def _subquery(node: exp.Subquery) -> exp.Expr:
    if isinstance(node.parent, exp.From | exp.Join | exp.SetOperation | exp.Lateral):
        return node
    found = scopes.outputs(node)
    return kinds.typed(node, found[0][1]) if len(found) == 1 else node


def _bare_query(node: exp.Expr) -> exp.Expr:
    return node


def _ordered(node: exp.Ordered) -> exp.Expr:
    # NULL is the smallest value; sqlglot says so by nulls_first.
    return node


def _where(node: exp.Expr) -> exp.Expr:
    node.set("this", comparisons.condition(node.this))
    return node


def _join(node: exp.Join) -> exp.Expr:
    on = node.args.get("on")
    if on is not None:
        node.set("on", comparisons.condition(on))
    return tablefunctions.join(node)


def _set_operation(node: exp.SetOperation) -> exp.Expr:
    """Both sides brought to common types, by casts of the outputs of plain SELECTs."""
    left, right = scopes.outputs(node.this), scopes.outputs(node.expression)
    if len(left) != len(right):
        return node
    for index, ((_, first), (_, second)) in enumerate(zip(left, right, strict=True)):
        kind = kinds.common((first, second))
        if kind is None or kind == kinds.NULL or first == second:
            continue
        for side in (node.this, node.expression):
            _bring_output(side, index, kind)
    return node


def _bring_output(query: exp.Expr, index: int, kind: ColumnType) -> None:
    while isinstance(query, exp.Subquery):
        query = query.this
    if isinstance(query, exp.SetOperation):
        _bring_output(query.this, index, kind)
        _bring_output(query.expression, index, kind)
        return
    if not isinstance(query, exp.Select) or any(each.is_star for each in query.expressions):
        return
    output = query.expressions[index]
    value = output.this if isinstance(output, exp.Alias) else output
    found = kinds.of(value)
    if found in (None, kind, kinds.NULL):
        return
    brought = kinds.brought_to(value.copy(), kind)
    if isinstance(output, exp.Alias):
        output.set("this", brought)
    else:
        query.expressions[index].replace(exp.alias_(brought, output.alias_or_name, quoted=True))


def _values(node: exp.Values) -> exp.Expr:
    """Rows of VALUES with columns of one type each."""
    rows = [row.expressions for row in node.expressions if isinstance(row, exp.Tuple)]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1:
        return node
    for index in range(len(rows[0])):
        column = [row[index] for row in rows]
        found = {kinds.of(value) for value in column} - {kinds.NULL}
        if len(found) < 2 or None in found:
            continue
        kind = kinds.common(found)
        if kind is None or (kinds.is_number(kind) and kinds.BOOLEAN not in found):
            continue
        for value in column:
            if kinds.of(value) not in (kind, kinds.NULL):
                value.replace(kinds.brought_to(value.copy(), kind))
    return node


def _modulo(node: exp.Mod) -> exp.Expr:
    return operators.modulo(node.this, node.expression)


def _not_bits(node: exp.BitwiseNot) -> exp.Expr:
    kind = kinds.of(node.this)
    result = kind if kind is not None and kinds.is_integer(kind) else kinds.BIGINT
    node.set("this", kinds.to_integer(node.this, result))
    return kinds.typed(node, result)


def _window(node: exp.Window) -> exp.Expr:
    if isinstance(node.parent, exp.Window | exp.Filter):
        return node
    return aggregates.finished(node)


def _ignoring(node: exp.IgnoreNulls) -> exp.Expr:
    return kinds.typed(node, kinds.of(node.this))


def _grouping(node: exp.Expr) -> exp.Expr:
    return kinds.typed(call("grouping", *node.expressions), kinds.BIGINT)


def _lambda(node: exp.Lambda) -> exp.Expr:
    return node


def _struct_literal(node: exp.Struct) -> exp.Expr:
    if isinstance(node.parent, exp.ToMap):
        return node
    parts = node.expressions
    if any(isinstance(part, exp.PropertyEQ) for part in parts):
        raise unsupported("a struct in braces; use named_struct")
    return collections.struct("struct", [part.unalias() for part in parts])


def _now(_: exp.Expr) -> exp.Expr:
    return kinds.typed(macro("now"), kinds.DATETIME)


def _today(_: exp.Expr) -> exp.Expr:
    return kinds.cast(macro("curdate"), kinds.DATE)


_COMPARISONS = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)

HANDLERS: dict[type[exp.Expr], Handler] = {
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), operators.arithmetic),
    **dict.fromkeys(_COMPARISONS, comparisons.comparison),
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor), operators.bits),
    **dict.fromkeys((exp.And, exp.Or, exp.Xor), comparisons.connected),
    **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), _set_operation),
    **dict.fromkeys((exp.CurrentTimestamp, exp.Localtime, exp.Localtimestamp), _now),
    **dict.fromkeys((exp.JSONExtract, exp.JSONExtractScalar), jsons.arrow),
    **dict.fromkeys((exp.Cast, exp.TryCast), _cast),
    **dict.fromkeys((exp.Where, exp.Having, exp.Qualify), _where),
    **dict.fromkeys((exp.IgnoreNulls, exp.RespectNulls), _ignoring),
    exp.Div: operators.division,
    exp.IntDiv: operators.whole_division,
    exp.Mod: _modulo,
    exp.Neg: operators.negation,
    exp.BitwiseNot: _not_bits,
    exp.Not: comparisons.negated,
    exp.Between: comparisons.between,
    exp.In: comparisons.is_in,
    exp.Is: comparisons.is_test,
    exp.Exists: comparisons.is_test,
    exp.Case: comparisons.case,
    exp.If: _if_node,
    exp.Coalesce: _coalesce,
    exp.Concat: _concat,
    exp.Like: _like,
    exp.RegexpLike: _regexp,
    exp.Count: _count,
    exp.Window: _window,
    exp.Filter: _window,
    exp.Grouping: _grouping,
    exp.Extract: dates.extract,
    exp.CurrentDate: _today,
    exp.Trim: values.trim_node,
    exp.Substring: values.substring,
    exp.StrPosition: values.position,
    exp.Array: collections.array_,
    exp.ToMap: collections.map_literal,
    exp.VarMap: collections.map_node,
    exp.Struct: _struct_literal,
    exp.Dot: collections.field_of,
    exp.Bracket: collections.bracket,
    exp.Lambda: _lambda,
    exp.Subquery: _subquery,
    exp.Values: _values,
    exp.Join: _join,
    exp.Lateral: tablefunctions.lateral,
    exp.Unnest: tablefunctions.unnest,
}


def name_outputs(tree: exp.Expr) -> None:
    """Name each unnamed output by its own text, as StarRocks does."""
    query: exp.Expr = tree
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select):
        return
    for index, output in enumerate(query.expressions):
        if isinstance(output, exp.Alias | exp.Column | exp.Star) or output.is_star:
            continue
        name = output.sql(dialect="starrocks", normalize_functions="lower", comments=False)
        query.expressions[index].replace(exp.alias_(output.copy(), name, quoted=True))


_SAME_TYPE = (exp.Column, exp.Cast, exp.TryCast, exp.Star, exp.Count)


def finished_outputs(tree: exp.Expr) -> None:
    """Outputs of the outermost SELECTs in their StarRocks types; sets are not shown, as there."""
    stack = [tree]
    while stack:
        query = stack.pop()
        if isinstance(query, exp.SetOperation):
            stack += [query.this, query.expression]
        elif isinstance(query, exp.Subquery):
            stack.append(query.this)
        elif isinstance(query, exp.Select):
            for output in query.expressions:
                if isinstance(output, exp.Alias):
                    output.set("this", _finished(output.this))


def _finished(value: exp.Expr) -> exp.Expr:
    kind = kinds.of(value)
    if kind is None or isinstance(value, _SAME_TYPE) or kind == kinds.NULL:
        return value
    if kind.name in INTEGER_BITS or kind.name in ("DECIMAL", "FLOAT"):
        return kinds.cast(value.copy(), kind)
    return value
