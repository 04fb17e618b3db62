"""StarRocks queries into DuckDB queries: names resolved, functions and casts by our tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlglot import exp

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
_OWN_NODES = (
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
_REFUSED_NODES = (exp.Into, exp.TableSample, exp.Pivot, exp.Lock, exp.MatchRecognize)


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a statement is read against: who asks, from which database, with which variables."""

    catalog: Catalog
    database: str
    user: str
    variable: Callable[[str], str | int | None]
    user_variable: Callable[[str], str | int | None]
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


class Rewriter:
    """Rewrites one statement's expressions in place; use one instance a statement."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.plan = Plan()

    def query(self, tree: exp.Expression) -> Plan:
        """A whole SELECT (or set operation) as DuckDB SQL."""
        if isinstance(tree, exp.Query):
            _name_outputs(tree)
        self.plan.sql = self.expression(tree)
        return self.plan

    def expression(self, tree: exp.Expression) -> str:
        """Any part of a statement, rewritten, as DuckDB SQL."""
        tree = self.rewritten(tree)
        return tree.sql(dialect="duckdb", identify=True, unsupported_level=None)

    def rewritten(self, tree: exp.Expression) -> exp.Expression:
        for node in tree.find_all(*_REFUSED_NODES):
            raise unsupported(node.sql("starrocks")[:80])
        for table in list(tree.find_all(exp.Table)):
            self._resolve(table)
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
            self.plan.is_volatile = True
        else:
            relation = find_relation(self._scope, table)
            self.plan.reads.append(relation)
            if any(column.type.name == "LARGEINT" for column in relation.columns):
                self.plan.has_largeint = True
            schema, name = relation.db, relation.name
        table.set("catalog", None)
        table.set("db", exp.to_identifier(schema, quoted=True))
        table.set("this", exp.to_identifier(name, quoted=True))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=shown))

    def _table_function(self, table: exp.Table) -> None:
        name = table.this.name if isinstance(table.this, exp.Anonymous) else ""
        if name.lower() != "generate_series":
            raise functions.refused(name or table.this.sql("starrocks")[:60])
        alias = table.args.get("alias")
        if alias is None:
            table.set(
                "alias",
                exp.TableAlias(
                    this=exp.to_identifier(name), columns=[exp.to_identifier("generate_series")]
                ),
            )
        table.this.set("this", "generate_series")
        table.this.meta["done"] = True

    def _node(self, node: exp.Expression) -> exp.Expression:
        """One node whose children are already rewritten; the same node if nothing changes."""
        if node.meta.get("done"):
            return node
        if isinstance(node, exp.Column):
            return _strip_database(node)
        if isinstance(node, exp.Anonymous):
            return self._call(node)
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if isinstance(node, exp.Add | exp.Sub):
            return _interval_arithmetic(node)
        if isinstance(node, exp.Mod):
            return macro("mod", node.this, node.expression)
        if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
            path = exp.Literal.string(node.expression.sql(dialect="duckdb").strip("'"))
            return macro("json_query", node.this, path)
        if isinstance(node, exp.Like):
            return _like(node)
        if isinstance(node, exp.GroupConcat):
            return _group_concat(node)
        if isinstance(node, exp.Extract):
            return macro(node.name.lower(), node.expression)
        if isinstance(node, exp.CurrentDate):
            return macro("curdate")
        if isinstance(node, exp.CurrentTimestamp | exp.Localtime | exp.Localtimestamp):
            return macro("now")
        if isinstance(node, exp.SessionParameter):
            return self._value(self._scope.variable(node.name))
        if isinstance(node, exp.Parameter):
            return self._value(self._scope.user_variable(node.name))
        if isinstance(node, exp.CurrentUser):
            return self._constant("current_user")
        if isinstance(node, exp.Func) and not isinstance(node, _OWN_NODES):
            raise functions.refused(node.sql_name().lower())
        return node

    def _call(self, node: exp.Anonymous) -> exp.Expression:
        name = node.name.lower()
        arguments: list[exp.Expression] = list(node.expressions)
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

    def _constant(self, name: str) -> exp.Expression:
        value = self._scope.session_function(name)
        if value is None and name not in ("database", "schema"):
            raise functions.refused(name)
        self.plan.is_volatile = True
        return exp.convert(value)

    def _value(self, value: str | int | None) -> exp.Expression:
        self.plan.is_volatile = True
        return exp.convert(value)

    def _cast(self, node: exp.Cast) -> exp.Expression:
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


def _strip_database(column: exp.Column) -> exp.Expression:
    column.set("db", None)
    column.set("catalog", None)
    return column


def _is_cte(table: exp.Table) -> bool:
    wanted = table.name.lower()
    node: exp.Expression | None = table
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


def _inside(node: exp.Expression, outer: exp.Expression) -> bool:
    at: exp.Expression | None = node
    while at is not None:
        if at is outer:
            return True
        at = at.parent
    return False


def _interval_arithmetic(node: exp.Add | exp.Sub) -> exp.Expression:
    verb = "sub" if isinstance(node, exp.Sub) else "add"
    if isinstance(node.expression, exp.Interval):
        return shifted(node.this, node.expression, verb)
    if isinstance(node.this, exp.Interval) and verb == "add":
        return shifted(node.expression, node.this, verb)
    return node


def _like(node: exp.Like) -> exp.Expression:
    # Backslash escapes by default in StarRocks; DuckDB has no default escape.
    if isinstance(node.parent, exp.Escape):
        return node
    if "\\" not in node.expression.name and isinstance(node.expression, exp.Literal):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _group_concat(node: exp.GroupConcat) -> exp.Expression:
    separator = node.args.get("separator") or exp.Literal.string(",")
    inner = node.this
    order = inner if isinstance(inner, exp.Order) else None
    value = order.this if order is not None else inner
    if isinstance(value, exp.Distinct):
        parts = [macro("to_text", part) for part in value.expressions]
        first: exp.Expression = exp.Distinct(expressions=parts)
    else:
        first = macro("to_text", value)
    last: exp.Expression = separator
    if order is not None:
        last = exp.Order(this=separator, expressions=order.expressions)
    return call("string_agg", first, last)


def _name_outputs(tree: exp.Expression) -> None:
    """Name each unnamed output by its own text, as StarRocks does."""
    query: exp.Expression = tree
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select):
        return
    for index, output in enumerate(query.expressions):
        if isinstance(output, exp.Alias | exp.Column | exp.Star) or output.is_star:
            continue
        name = output.sql(dialect="starrocks", normalize_functions="lower", comments=False)
        query.expressions[index].replace(exp.alias_(output.copy(), name, quoted=True))
