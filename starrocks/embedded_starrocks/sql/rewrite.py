"""StarRocks queries into DuckDB queries: names resolved, functions and casts by our tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from embedded_starrocks.errors import (
    no_database_selected,
    semantic_error,
    unknown_database,
    unknown_table,
    unsupported,
)
from embedded_starrocks.sql import functions, infoschema
from embedded_starrocks.sql.functions import call, macro, shifted
from embedded_starrocks.sql.types import INTEGER_BITS, from_sqlglot
from embedded_starrocks.storage.metadata import Catalog, Relation

CATALOG = "default_catalog"
_INFORMATION_SCHEMA = "information_schema"
# Functions that keep a node of their own; everything else is a plain call.
_OWN_NODES: frozenset[type[exp.Expr]] = frozenset(
    (
        exp.Anonymous,
        exp.Array,
        exp.Case,
        exp.Cast,
        exp.Coalesce,
        exp.Count,
        exp.Extract,
        exp.GroupConcat,
        exp.If,
        exp.StrPosition,
        exp.Struct,
        exp.Substring,
        exp.ToMap,
        exp.Trim,
        exp.TryCast,
        exp.Unnest,
        exp.CurrentDate,
        exp.CurrentTimestamp,
        exp.CurrentUser,
        exp.Localtime,
        exp.Localtimestamp,
        exp.JSONExtract,
        exp.JSONExtractScalar,
        exp.RegexpLike,
        exp.Exists,
        exp.And,
        exp.Or,
        exp.Xor,
        exp.VarMap,
        exp.Map,
        exp.GenerateSeries,
    )
)
_REFUSED_NODES = (exp.Into, exp.TableSample, exp.Pivot, exp.Lock, exp.MatchRecognize)


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a statement is read against: who asks, from which database, with which variables.

    `visible` are the tables of which information_schema tells the user; None means all.
    """

    catalog: Catalog
    database: str
    user: str
    variable: Callable[[str], str | int | None]
    user_variable: Callable[[str], str | int | None]
    visible: frozenset[tuple[str, str]] | None
    session_function: Callable[[str], str | int | None]


@dataclasses.dataclass
class Plan:
    """A query for DuckDB, and what it reads."""

    sql: str = ""
    reads: list[Relation] = dataclasses.field(default_factory=list)
    has_largeint: bool = False
    is_volatile: bool = False


def find_relation(scope: Scope, table: exp.Table) -> Relation:
    """The relation a name means. Raises 1046, 1049 or 1146."""
    db = resolve_database(scope, table)
    relation = scope.catalog.relation(db, table.name)
    if relation is None:
        raise unknown_table(db, table.name)
    return relation


def resolve_database(scope: Scope, table: exp.Table) -> str:
    """The database of a table's name. Raises 1046 or 1049."""
    catalog = table.catalog
    if catalog and catalog.lower() != CATALOG:
        raise unsupported(f"catalog '{catalog}'; the only one is {CATALOG}")
    if not table.db and not scope.database:
        raise no_database_selected()
    name = table.db or scope.database
    if name.lower() == _INFORMATION_SCHEMA:
        return _INFORMATION_SCHEMA
    found = scope.catalog.database(name)
    if found is None:
        raise unknown_database(name)
    return found


_Rewrite = Callable[[Any], exp.Expr]


class Rewriter:
    """Rewrites one statement's expressions in place; use one instance a statement."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.plan = Plan()
        self._large_columns: set[str] = set()
        self._handlers: dict[type[exp.Expr], _Rewrite] = {
            exp.Column: self._column,
            exp.Star: self._star,
            exp.Anonymous: self._call,
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.SessionParameter: lambda node: self._value(scope.variable(node.name)),
            exp.Parameter: lambda node: self._value(scope.user_variable(node.name)),
            exp.CurrentUser: lambda _: self._constant("current_user"),
        }

    def query(self, tree: exp.Expr) -> Plan:
        """A whole SELECT (or set operation) as DuckDB SQL."""
        if isinstance(tree, exp.Query):
            _name_outputs(tree)
        self.plan.sql = self.expression(tree)
        return self.plan

    def expression(self, tree: exp.Expr) -> str:
        """Any part of a statement, rewritten, as DuckDB SQL."""
        tree = self.rewritten(tree)
        try:
            return tree.sql(dialect="duckdb", identify=True, unsupported_level=ErrorLevel.RAISE)
        except UnsupportedError as error:
            raise unsupported(str(error)) from None

    def rewritten(self, tree: exp.Expr) -> exp.Expr:
        for refused in tree.find_all(*_REFUSED_NODES):
            raise unsupported(refused.sql("starrocks")[:80])
        for table in list(tree.find_all(exp.Table)):
            self._resolve(table)
        for wrapped in list(tree.find_all(exp.TableFromRows)):
            self._resolve_wrapped(wrapped)
        # Children first: what replaces a node is built from rewritten parts.
        for node in reversed(list(tree.bfs())):
            new = self._node(node)
            if new is not node:
                if node is tree:
                    tree = new
                else:
                    node.replace(new)
        return tree

    def _resolve(self, table: exp.Table) -> None:
        if isinstance(table.this, exp.Func):
            self._table_function(table)
            return
        if not table.db and _is_cte(table):
            return
        db = resolve_database(self._scope, table)
        shown = table.this.copy()
        if db == _INFORMATION_SCHEMA:
            name = table.name.lower()
            if name not in infoschema.view_names():
                raise unknown_table(db, table.name)
            schema = infoschema.SCHEMA
            if self._scope.visible is not None:
                table.replace(_only_visible(table, name, self._scope.visible))
                return
        else:
            relation = find_relation(self._scope, table)
            self.plan.reads.append(relation)
            self._large_columns.update(
                column.name.lower() for column in relation.columns if column.type.name == "LARGEINT"
            )
            schema, name = relation.db, relation.name
        table.set("catalog", None)
        table.set("db", exp.to_identifier(schema, quoted=True))
        table.set("this", exp.to_identifier(name, quoted=True))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=shown))

    def _table_function(self, table: exp.Table) -> None:
        """generate_series(a, b), the one table function without TABLE() around it."""
        name = table.this.name if isinstance(table.this, exp.Anonymous) else ""
        if name.lower() != "generate_series":
            raise functions.refused(name or table.this.sql("starrocks")[:60])
        alias = table.args.get("alias")
        if alias is None:
            columns = [exp.to_identifier("generate_series")]
            alias = exp.TableAlias(this=exp.to_identifier(name), columns=columns)
            table.set("alias", alias)
        table.this.set("this", "generate_series")
        table.this.meta["done"] = True

    def _resolve_wrapped(self, wrapped: exp.TableFromRows) -> None:
        """TABLE(generate_series(a, b)) as a table."""
        table = exp.Table(this=wrapped.this, alias=wrapped.args.get("alias"))
        wrapped.replace(table)
        self._table_function(table)

    def _node(self, node: exp.Expr) -> exp.Expr:
        """One node whose children are already rewritten; the same node if nothing changes."""
        if node.meta.get("done"):
            return node
        handler = self._handlers.get(type(node)) or _REWRITES.get(type(node))
        if handler is not None:
            return handler(node)
        if isinstance(node, exp.Func) and type(node) not in _OWN_NODES:
            raise functions.refused(node.sql_name().lower())
        return node

    def _column(self, node: exp.Expr) -> exp.Expr:
        self._note_large(node)
        node.set("db", None)
        node.set("catalog", None)
        return node

    def _star(self, node: exp.Expr) -> exp.Expr:
        self._note_large(node)
        return node

    def _note_large(self, node: exp.Expr) -> None:
        """Remember that the query touches a LARGEINT column (see `Plan.has_largeint`)."""
        if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
            return
        if self._large_columns and (node.is_star or node.name.lower() in self._large_columns):
            self.plan.has_largeint = True

    def _call(self, node: exp.Anonymous) -> exp.Expr:
        name = node.name.lower()
        arguments: list[exp.Expr] = list(node.expressions)
        builder = functions.BUILDERS.get(name)
        if builder is not None:
            return builder(name, arguments)
        if name in functions.AGGREGATES:
            return call(functions.AGGREGATES[name], *arguments)
        if name in functions.WINDOWS:
            return call(functions.WINDOWS[name], *arguments)
        if name in functions.SCALARS:
            return call(functions.SCALARS[name], *arguments)
        if name in functions.MACROS:
            return macro(functions.MACROS[name], *arguments)
        if name == "default":
            raise semantic_error("DEFAULT is allowed in VALUES only")
        return self._constant(name)

    def _constant(self, name: str) -> exp.Expr:
        value = self._scope.session_function(name)
        if value is None and name not in ("database", "schema"):
            raise functions.refused(name)
        self.plan.is_volatile = True
        return exp.convert(value)

    def _value(self, value: str | int | None) -> exp.Expr:
        self.plan.is_volatile = True
        return exp.convert(value)

    def _cast(self, node: exp.Cast) -> exp.Expr:
        kind = node.args["to"]
        if kind.this in (exp.DType.UINT, exp.DType.UBIGINT):
            target = "BIGINT"
        else:
            column_type = from_sqlglot(kind)
            target = column_type.name
        operand = node.this
        if target == "LARGEINT":
            self.plan.has_largeint = True
        if target in INTEGER_BITS:
            operand = macro("whole_part", operand)
        elif target == "DATE":
            return macro("to_date", operand)
        elif target == "DATETIME":
            return macro("to_datetime", operand)
        elif target == "BOOLEAN":
            return macro("to_boolean", operand)
        elif target in ("VARCHAR", "CHAR"):
            return macro("to_text", operand)
        elif target == "JSON":
            raise unsupported("CAST AS JSON; use PARSE_JSON or TO_JSON")
        duckdb_type = "BIGINT" if kind.this in (exp.DType.UINT, exp.DType.UBIGINT) else None
        to = exp.DataType.build(duckdb_type or column_type.duckdb(), dialect="duckdb")
        return exp.TryCast(this=operand, to=to)


def _only_visible(table: exp.Table, name: str, visible: frozenset[tuple[str, str]]) -> exp.Subquery:
    """A view of information_schema, without rows about what the user may not read."""
    query = sqlglot.parse_one(infoschema.visible_query(name, visible), dialect="duckdb")
    alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
    subquery = exp.Subquery(this=query, alias=alias)
    for node in subquery.find_all(exp.Table):
        node.meta["done"] = True
    return subquery


def _is_cte(table: exp.Table) -> bool:
    wanted = table.name.lower()
    node: exp.Expr | None = table
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                if cte.alias.lower() == wanted and (
                    with_.args.get("recursive") or not _inside(table, cte)
                ):
                    return True
        node = node.parent
    return False


def _inside(node: exp.Expr, outer: exp.Expr) -> bool:
    at: exp.Expr | None = node
    while at is not None:
        if at is outer:
            return True
        at = at.parent
    return False


def _interval_arithmetic(node: exp.Add | exp.Sub) -> exp.Expr:
    verb = "sub" if isinstance(node, exp.Sub) else "add"
    if isinstance(node.expression, exp.Interval):
        return shifted(node.this, node.expression, verb)
    if isinstance(node.this, exp.Interval) and verb == "add":
        return shifted(node.expression, node.this, verb)
    return node


def _like(node: exp.Like) -> exp.Expr:
    # Backslash escapes by default in StarRocks; DuckDB has no default escape.
    if isinstance(node.parent, exp.Escape):
        return node
    if "\\" not in node.expression.name and isinstance(node.expression, exp.Literal):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _group_concat(node: exp.GroupConcat) -> exp.Expr:
    separator = node.args.get("separator") or exp.Literal.string(",")
    inner = node.this
    order = inner.expressions if isinstance(inner, exp.Order) else []
    value = inner.this if isinstance(inner, exp.Order) else inner
    if isinstance(value, exp.Distinct):
        return _distinct_concat(value, order, separator)
    first = macro("to_text", value)
    last = exp.Order(this=separator, expressions=order) if order else separator
    return call("string_agg", first, last)


def _distinct_concat(value: exp.Distinct, order: list[exp.Expr], separator: exp.Expr) -> exp.Expr:
    """Values are ordered by what they are, not by their text, then joined."""
    if len(value.expressions) != 1:
        raise unsupported("GROUP_CONCAT(DISTINCT ...) of several expressions; CONCAT them first")
    item = value.expressions[0]
    argument: exp.Expr = exp.Distinct(expressions=[item.copy()])
    if order:
        argument = exp.Order(this=argument, expressions=order)
    collected = exp.Filter(
        this=call("array_agg", argument),
        expression=exp.Where(this=exp.not_(exp.Is(this=item.copy(), expression=exp.Null()))),
    )
    each = exp.to_identifier("__item")
    text = exp.Lambda(this=macro("to_text", exp.column(each.copy())), expressions=[each])
    return call("array_to_string", call("list_transform", collected, text), separator)


def _json_arrow(node: exp.JSONExtract | exp.JSONExtractScalar) -> exp.Expr:
    path = exp.Literal.string(node.expression.sql(dialect="duckdb").strip("'"))
    return macro("json_query", node.this, path)


_REWRITES: dict[type[exp.Expr], _Rewrite] = {
    exp.Add: _interval_arithmetic,
    exp.Sub: _interval_arithmetic,
    exp.Mod: lambda node: macro("mod", node.this, node.expression),
    exp.JSONExtract: _json_arrow,
    exp.JSONExtractScalar: _json_arrow,
    exp.Like: _like,
    exp.GroupConcat: _group_concat,
    exp.Extract: lambda node: macro(node.name.lower(), node.expression),
    exp.CurrentDate: lambda _: macro("curdate"),
    exp.CurrentTimestamp: lambda _: macro("now"),
    exp.Localtime: lambda _: macro("now"),
    exp.Localtimestamp: lambda _: macro("now"),
}


def _name_outputs(tree: exp.Expr) -> None:
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
