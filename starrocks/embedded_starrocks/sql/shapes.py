"""Clauses of other dialects that sqlglot reads and DuckDB would answer: refused."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, syntax_error, unsupported

_SIDES = ("", "LEFT", "RIGHT", "FULL")
_KINDS = ("", "INNER", "CROSS", "OUTER", "SEMI", "ANTI")


def _refuse(node: exp.Expr, what: str) -> None:
    raise unsupported(f"{what}: {node.sql('starrocks')[:80]}")


def _operator(node: exp.Binary | exp.Unary) -> None:
    """sqlglot lets some operators through without what they work on."""
    operands = [node.this] if isinstance(node, exp.Unary) else [node.this, node.expression]
    if not all(isinstance(each, exp.Expr) for each in operands):
        raise syntax_error(f"an operator without an operand ({type(node).__name__})")


def _select(node: exp.Select) -> None:
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        _refuse(node, "DISTINCT ON")
    for key in ("kind", "operation_modifiers", "cluster", "distribute", "sort", "windows", "for_"):
        if node.args.get(key):
            _refuse(node, f"SELECT with {key}")
    order = node.args.get("order")
    if distinct is not None and order is not None:
        _ordered_distinct(node, order)


def _ordered_distinct(node: exp.Select, order: exp.Order) -> None:
    """SELECT DISTINCT is ordered by what it selects: other columns have no one value."""
    if any(each.is_star for each in node.expressions):
        return
    known = {each.alias_or_name.lower() for each in node.expressions}
    known |= {c.name.lower() for each in node.expressions for c in each.find_all(exp.Column)}
    for column in order.find_all(exp.Column):
        if column.name.lower() not in known:
            raise semantic_error(
                f"'{column.name}' must be selected: a SELECT DISTINCT is ordered by it"
            )


def _set_operation(node: exp.SetOperation) -> None:
    for key in ("by_name", "side", "kind", "on"):
        if node.args.get(key):
            _refuse(node, f"a set operation with {key}")
    if not isinstance(node, exp.Union) and node.args.get("distinct") is False:
        _refuse(node, "INTERSECT ALL and EXCEPT ALL")


def _join(node: exp.Join) -> None:
    if node.method or node.side not in _SIDES or node.kind not in _KINDS:
        _refuse(node, "this kind of join")
    for key in ("global_", "match_condition", "pivots"):
        if node.args.get(key):
            _refuse(node, f"a join with {key}")


def _star(node: exp.Star) -> None:
    if node.args.get("replace") or node.args.get("rename"):
        _refuse(node, "a star with REPLACE or RENAME")


def _with(node: exp.With) -> None:
    if node.args.get("recursive"):
        _refuse(node, "WITH RECURSIVE; StarRocks 3.5 has none")


def _group(node: exp.Group) -> None:
    if node.args.get("all") is not None or node.args.get("totals"):
        _refuse(node, "GROUP BY ALL")


_FIXED_BOUNDS = ("UNBOUNDED", "CURRENT ROW")


def _window_spec(node: exp.WindowSpec) -> None:
    """RANGE goes to the current row from one end, or over all; DuckDB has more."""
    if node.args.get("exclude") or str(node.args.get("kind")).upper() not in ("ROWS", "RANGE"):
        _refuse(node, "this window frame")
    if str(node.args.get("kind")).upper() == "ROWS":
        return
    bounds = [str(node.args.get(key) or "CURRENT ROW").upper() for key in ("start", "end")]
    if any(each not in _FIXED_BOUNDS for each in bounds) or bounds == ["CURRENT ROW"] * 2:
        raise semantic_error(
            "RANGE is only supported with both the lower and upper bounds UNBOUNDED or one "
            "UNBOUNDED and the other CURRENT ROW"
        )


_TABLE_ARGUMENTS = (
    "version", "when", "system_time", "pattern", "file_format", "ordinality", "partition",
    "changes", "rows_from", "sample", "only", "pivots", "hints",
)  # fmt: skip


def _table(node: exp.Table) -> None:
    for key in _TABLE_ARGUMENTS:
        if node.args.get(key):
            _refuse(node, f"a table with {key}")


_CHECKS: dict[type[exp.Expr], Any] = {
    exp.Select: _select,
    exp.Union: _set_operation,
    exp.Intersect: _set_operation,
    exp.Except: _set_operation,
    exp.Join: _join,
    exp.Star: _star,
    exp.With: _with,
    exp.Group: _group,
    exp.Table: _table,
    exp.WindowSpec: _window_spec,
}


def check(node: exp.Expr) -> None:
    """Raises SqlError 1064 for a clause that StarRocks has not, or not in this form."""
    if isinstance(node, exp.Binary | exp.Unary):
        _operator(node)
    found = _CHECKS.get(type(node))
    if found is not None:
        found(node)
