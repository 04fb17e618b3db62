"""What the columns of a query's sources are: names to StarRocks types, looked up by scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from embedded_starrocks.errors import syntax_error
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.lambdas import bind_parameters
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Relation

RELATION = "starrocks_relation"
# On the root of an expression that stands alone: its columns' types, by name.
COLUMNS = "starrocks_columns"
# The keys of a query's parts, in the order in which names become known.
_FIRST = ("with_", "from_", "joins", "laterals", "this")
_LAST = ("having", "qualify", "order", "limit", "offset")


class Kept:
    """Something beside a node of a tree; copies of the tree share it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, object]) -> Kept:
        return self


Output = tuple[str, ColumnType | None]


def in_order(root: exp.Expr) -> Iterator[exp.Expr]:
    """Every node after its children, and after the sources that its columns come from."""
    stack: list[tuple[exp.Expr, bool]] = [(root, False)]
    while stack:
        node, is_open = stack.pop()
        if is_open:
            yield node
            continue
        if isinstance(node, exp.Lambda):
            bind_parameters(node)
        stack.append((node, True))
        stack.extend((child, False) for child in reversed(_children(node)))


def _children(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Anonymous):
        # What a lambda is applied to tells the types of its parameters.
        if not all(isinstance(each, exp.Expr) for each in node.expressions):
            raise syntax_error(f"a call with an empty argument ({node.name})")
        return sorted(node.expressions, key=lambda each: isinstance(each, exp.Lambda))
    if not isinstance(node, exp.Select | exp.SetOperation | exp.Subquery | exp.Update | exp.Delete):
        return list(node.iter_expressions())
    keys = list(node.args)
    middle = [key for key in keys if key not in _FIRST and key not in _LAST]
    found: list[exp.Expr] = []
    for key in (*_FIRST, *middle, *_LAST):
        value = node.args.get(key)
        if isinstance(value, exp.Expr):
            found.append(value)
        elif isinstance(value, list):
            found.extend(each for each in value if isinstance(each, exp.Expr))
    return found


def column_type(column: exp.Column) -> ColumnType | None:
    """The type of a column where it stands, None if it is not known."""
    name, table = column.name.lower(), column.table.lower()
    at: exp.Expr | None = column
    while at is not None:
        standing = at.meta.get(COLUMNS)
        if standing is not None and name in standing.value:
            alone: ColumnType | None = standing.value[name]
            return alone
        at = at.parent
        if isinstance(at, exp.Lambda) and not table:
            parameters: dict[str, ColumnType | None] = at.meta.get("parameters", {})
            if name in parameters:
                return parameters[name]
        if isinstance(at, exp.Select | exp.Update | exp.Delete):
            is_known, kind = _in_select(at, name, table)
            if is_known:
                return kind
    return None


def is_only_alias(column: exp.Column) -> bool:
    """Whether a column in WHERE names an output of its query and nothing of its sources."""
    if column.table:
        return False
    clause = column.find_ancestor(exp.Where, exp.Select)
    if not isinstance(clause, exp.Where) or not isinstance(clause.parent, exp.Select):
        return False
    name = column.name.lower()
    for source in sources(clause.parent):
        found = outputs_of_source(source)
        if not found or any(each.lower() == name for each, _ in found):
            return False
    return any(
        isinstance(output, exp.Alias) and output.alias.lower() == name
        for output in clause.parent.expressions
    )


def _in_select(query: exp.Expr, name: str, table: str) -> tuple[bool, ColumnType | None]:
    for source in sources(query):
        if table and source.alias_or_name.lower() != table:
            continue
        for column, kind in outputs_of_source(source):
            if column.lower() == name:
                return True, kind
    if not table and isinstance(query, exp.Select):
        for output in query.expressions:
            if isinstance(output, exp.Alias) and output.alias.lower() == name:
                return True, kinds.of(output)
    return False, None


def sources(query: exp.Expr) -> list[exp.Expr]:
    """Tables, subqueries and laterals of FROM and JOIN; for UPDATE and DELETE the table first."""
    found: list[exp.Expr] = []
    if isinstance(query, exp.Update | exp.Delete) and isinstance(query.this, exp.Expr):
        _add_source(found, query.this)
        for each in query.args.get("using") or []:
            _add_source(found, each)
    from_ = query.args.get("from_")
    if from_ is not None:
        _add_source(found, from_.this)
    for join in [*(query.args.get("joins") or []), *(query.args.get("laterals") or [])]:
        _add_source(found, join.this if isinstance(join, exp.Join) else join)
    return found


def _add_source(found: list[exp.Expr], source: exp.Expr) -> None:
    found.append(source)
    for join in source.args.get("joins") or []:
        _add_source(found, join.this)


def outputs_of_source(source: exp.Expr) -> list[Output]:
    """Names and types of what a source gives; a list of column aliases renames them."""
    found = _plain_outputs(source)
    alias = source.args.get("alias")
    names = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    return [
        (names[index] if index < len(names) else name, kind)
        for index, (name, kind) in enumerate(found)
    ] or [(name, None) for name in names]


def _plain_outputs(source: exp.Expr) -> list[Output]:
    kept = source.meta.get(RELATION)
    if isinstance(kept, Kept):
        relation: Relation = kept.value
        return [(column.name, column.type) for column in relation.columns]
    if isinstance(source, exp.Subquery):
        return outputs(source.this)
    if isinstance(source, exp.Lateral):
        return _plain_outputs(source.this)
    known = source.meta.get("outputs")
    if isinstance(known, list):
        return known
    if isinstance(source, exp.Table) and not source.db:
        cte = find_cte(source)
        return [] if cte is None else outputs_of_cte(cte)
    return []


def outputs_of_cte(cte: exp.CTE) -> list[Output]:
    names = [each.name for each in cte.args["alias"].columns]
    found = outputs(cte.this)
    return [
        (names[index] if index < len(names) else name, kind)
        for index, (name, kind) in enumerate(found)
    ]


def find_cte(table: exp.Table) -> exp.CTE | None:
    """The CTE that a bare name means, looked for outwards."""
    wanted = table.name.lower()
    node: exp.Expr | None = table
    inside: set[int] = set()
    while node is not None:
        inside.add(id(node))
        with_ = node.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                is_open = with_.args.get("recursive") or id(cte) not in inside
                if cte.alias.lower() == wanted and is_open:
                    return cte if isinstance(cte, exp.CTE) else None
        node = node.parent
    return None


def outputs(query: exp.Expr) -> list[Output]:
    """Names and types of what a rewritten query gives."""
    while isinstance(query, exp.Subquery | exp.Paren):
        query = query.this
    if isinstance(query, exp.SetOperation):
        first, second = outputs(query.this), outputs(query.expression)
        if len(first) != len(second):
            return first
        return [
            (name, kinds.common((kind, other)))
            for (name, kind), (_, other) in zip(first, second, strict=True)
        ]
    if isinstance(query, exp.Values):
        return _of_values(query)
    if not isinstance(query, exp.Select):
        return []
    found: list[Output] = []
    for output in query.expressions:
        if isinstance(output, exp.Star):
            left_out = {each.name.lower() for each in output.args.get("except_") or []}
            for source in sources(query):
                named = outputs_of_source(source)
                found.extend(each for each in named if each[0].lower() not in left_out)
        elif isinstance(output, exp.Column) and isinstance(output.this, exp.Star):
            for source in sources(query):
                if source.alias_or_name.lower() == output.table.lower():
                    found.extend(outputs_of_source(source))
        else:
            found.append((output.alias_or_name, kinds.of(output)))
    return found


def _of_values(values: exp.Values) -> list[Output]:
    rows = [row.expressions for row in values.expressions if isinstance(row, exp.Tuple)]
    if not rows or len({len(row) for row in rows}) != 1:
        return []
    # A column is typed by its first row and by whether the others agree: large lists stay cheap.
    return [
        (f"column_{index}", kinds.common(kinds.of(row[index]) for row in rows))
        for index in range(len(rows[0]))
    ]
