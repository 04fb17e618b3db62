"""StarRocks queries into DuckDB queries: names resolved, functions and casts by our tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from embedded_starrocks.errors import (
    no_database_selected,
    semantic_error,
    unknown_column,
    unknown_database,
    unknown_table,
    unsupported,
)
from embedded_starrocks.sql import dialect, functions, infoschema, kinds, shapes, tablefunctions
from embedded_starrocks.sql.builders import aggregates
from embedded_starrocks.sql.calls import call, macro
from embedded_starrocks.sql.handlers import HANDLERS, finished_outputs, name_outputs
from embedded_starrocks.sql.scopes import (
    COLUMNS,
    RELATION,
    Kept,
    Output,
    column_type,
    find_cte,
    in_order,
    is_only_alias,
    outputs,
    sources,
)
from embedded_starrocks.sql.systemtables import as_query, only_visible, remove_dual
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Catalog, Relation

CATALOG = "default_catalog"
_INFORMATION_SCHEMA = "information_schema"
_DUAL = "dual"
# What is found before anything else is looked at, so that the error names it.
_REFUSED_NODES = (exp.Into, exp.TableSample, exp.Pivot, exp.Lock, exp.MatchRecognize)
# Nodes that reach DuckDB as they are written. What is neither here nor handled is refused: no
# syntax of DuckDB's own gets through because sqlglot happens to know it.
_PLAIN_NODES: frozenset[type[exp.Expr]] = frozenset(
    (
        exp.Alias,
        exp.Boolean,
        exp.CTE,
        exp.Cube,
        exp.DataType,
        exp.DataTypeParam,
        exp.Distinct,
        exp.Escape,
        exp.From,
        exp.Group,
        exp.GroupingSets,
        exp.Identifier,
        exp.Insert,
        exp.Interval,
        exp.JSONPath,
        exp.JSONPathKey,
        exp.JSONPathRoot,
        exp.JSONPathSubscript,
        exp.JSONPathWildcard,
        exp.Limit,
        exp.Literal,
        exp.Null,
        exp.Offset,
        exp.Order,
        exp.Ordered,
        exp.Paren,
        exp.PropertyEQ,
        exp.Rollup,
        exp.Schema,
        exp.Select,
        exp.Table,
        exp.TableAlias,
        exp.Tuple,
        exp.Var,
        exp.WindowSpec,
        exp.With,
    )
)


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
    # SQL of "the row is in one of these partitions", and of information_schema.partitions_meta.
    partition_rows: Callable[[Relation, tuple[str, ...]], str]
    partitions_meta: Callable[[], str]


@dataclasses.dataclass
class Plan:
    """A query for DuckDB, and what it reads."""

    sql: str = ""
    reads: list[Relation] = dataclasses.field(default_factory=list)
    has_largeint: bool = False
    is_volatile: bool = False
    # Names and types of what the query gives, when a BITMAP or an HLL is among them.
    outputs: list[Output] = dataclasses.field(default_factory=list)
    # Partitions that the query names; whether they exist is looked up before it runs.
    partitions: list[tuple[Relation, tuple[str, ...]]] = dataclasses.field(default_factory=list)


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

    def __init__(self, scope: Scope, columns: Mapping[str, ColumnType] | None = None) -> None:
        """`columns` are the types of an expression's columns where no table gives them."""
        self._scope = scope
        self._columns = {name.lower(): kind for name, kind in (columns or {}).items()}
        self.plan = Plan()
        self._large_columns: set[str] = set()
        self._handlers: dict[type[exp.Expr], _Rewrite] = {
            exp.Column: self._column,
            exp.Star: self._star,
            exp.Anonymous: self._call,
            exp.SessionParameter: self._system_variable,
            exp.Parameter: lambda node: self._value(scope.user_variable(node.name)),
            exp.CurrentUser: lambda _: self._constant("current_user"),
            exp.GroupConcat: self._group_concat,
        }

    def query(self, tree: exp.Expr) -> Plan:
        """A whole SELECT (or set operation) as DuckDB SQL."""
        if isinstance(tree, exp.Query):
            name_outputs(tree)
        tree = self.rewritten(tree)
        if isinstance(tree, exp.Query):
            finished_outputs(tree)
            found = outputs(tree)
            self.plan.has_largeint |= any(kind == kinds.LARGEINT for _, kind in found)
            if any(kind in (kinds.BITMAP, kinds.HLL) for _, kind in found):
                self.plan.outputs = found
        self.plan.sql = _generated(tree)
        return self.plan

    def expression(self, tree: exp.Expr) -> str:
        """Any part of a statement, rewritten, as DuckDB SQL."""
        return _generated(self.rewritten(tree))

    def rewritten(self, tree: exp.Expr) -> exp.Expr:
        for refused in tree.find_all(*_REFUSED_NODES):
            raise unsupported(refused.sql("starrocks")[:80])
        _without_hints(tree)
        for table in list(tree.find_all(exp.Table)):
            self._resolve(table)
        for wrapped in list(tree.find_all(exp.TableFromRows)):
            tablefunctions.unwrap(wrapped)
        if self._columns:
            tree.meta[COLUMNS] = Kept(self._columns)
        # Sources first, then children: what replaces a node is built from rewritten parts.
        for node in in_order(tree):
            new = self._node(node)
            if new is not node:
                if node is tree:
                    tree = new
                else:
                    node.replace(new)
        return tree

    def _resolve(self, table: exp.Table) -> None:
        if isinstance(table.this, exp.Func):
            tablefunctions.check(table)
            return
        if not table.db and find_cte(table) is not None:
            return
        if not table.db and table.name.lower() == _DUAL:
            remove_dual(table)
            return
        db = resolve_database(self._scope, table)
        shown = table.this.copy()
        if db == _INFORMATION_SCHEMA:
            name = table.name.lower()
            if name not in infoschema.view_names():
                raise unknown_table(db, table.name)
            if name == infoschema.PARTITIONS_META:
                # It has the versions of this moment in it.
                self.plan.is_volatile = True
                as_query(table, self._scope.partitions_meta(), shown)
                return
            schema = infoschema.SCHEMA
            if self._scope.visible is not None:
                table.replace(only_visible(table, name, self._scope.visible))
                return
        else:
            relation = find_relation(self._scope, table)
            self.plan.reads.append(relation)
            table.meta[RELATION] = Kept(relation)
            self._large_columns.update(
                column.name.lower() for column in relation.columns if column.type.name == "LARGEINT"
            )
            schema, name = relation.db, relation.name
        table.set("catalog", None)
        table.set("db", exp.to_identifier(schema, quoted=True))
        table.set("this", exp.to_identifier(name, quoted=True))
        names = dialect.partition_names(table)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=shown))
        if names and table.meta.get(RELATION) is not None:
            self._only_partitions(table, relation, names)

    def _only_partitions(
        self, table: exp.Table, relation: Relation, names: tuple[str, ...]
    ) -> None:
        """FROM t PARTITION (p): a query of those rows in the table's place."""
        self.plan.partitions.append((relation, names))
        # Partitions by expressions come and go with the rows: the plan is not kept.
        self.plan.is_volatile = True
        alias = table.args["alias"]
        inner = table.copy()
        inner.set("alias", None)
        where = exp.Where(this=exp.Var(this=self._scope.partition_rows(relation, names)))
        where.meta["done"] = True
        query = exp.select("*").from_(inner)
        query.set("where", where)
        query.args["from_"].this.meta[RELATION] = table.meta[RELATION]
        table.replace(exp.Subquery(this=query, alias=alias))

    def _node(self, node: exp.Expr) -> exp.Expr:
        """One node whose children are already rewritten; the same node if nothing changes."""
        if node.meta.get("done"):
            return node
        shapes.check(node)
        handler = self._handlers.get(type(node)) or HANDLERS.get(type(node))
        if handler is not None:
            return handler(node)
        if type(node) in _PLAIN_NODES:
            return node
        if isinstance(node, exp.Func):
            raise functions.refused(node.sql_name().lower())
        raise unsupported(f"{type(node).__name__}: {node.sql('starrocks')[:80]}")

    def _column(self, node: exp.Column) -> exp.Expr:
        if is_only_alias(node):
            raise unknown_column(node.name, "where clause")
        self._note_large(node)
        kind = column_type(node)
        if not isinstance(node.this, exp.Star):
            node = _field_path(node, kind)
        node.set("db", None)
        node.set("catalog", None)
        return kinds.typed(node, kind)

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
        if isinstance(node.this, exp.Identifier) and node.this.args.get("quoted"):
            raise functions.refused(name)
        if isinstance(node.parent, exp.Dot) and node.parent.expression is node:
            raise unsupported(f"a function of a database: {node.parent.sql('starrocks')[:60]}")
        made = functions.answered(name, list(node.expressions))
        if made is not None:
            return functions.placed(node, made)
        if name == "default":
            raise semantic_error("DEFAULT is allowed in VALUES only")
        return self._constant(name)

    def _system_variable(self, node: exp.SessionParameter) -> exp.Expr:
        prefix = "global." if str(node.args.get("kind")).upper() == "GLOBAL" else ""
        return self._value(self._scope.variable(prefix + node.name))

    def _group_concat(self, node: exp.GroupConcat) -> exp.Expr:
        """Cut off behind group_concat_max_len characters."""
        limit = self._scope.variable("group_concat_max_len")
        made = aggregates.group_concat(node)
        if limit is None:
            return made
        # Other sessions may have other limits: the plan is not kept.
        self.plan.is_volatile = True
        return aggregates.cut(made, int(limit), isinstance(node.parent, exp.Window | exp.Filter))

    def _constant(self, name: str) -> exp.Expr:
        value = self._scope.session_function(name)
        if value is None and name not in ("database", "schema"):
            raise functions.refused(name)
        return self._value(value)

    def _value(self, value: str | int | None) -> exp.Expr:
        self.plan.is_volatile = True
        return exp.convert(value)


def _generated(tree: exp.Expr) -> str:
    try:
        # The tree is ours alone: the generator needs no copy of it.
        return tree.sql(
            dialect="duckdb", identify=True, unsupported_level=ErrorLevel.RAISE, copy=False
        )
    except (UnsupportedError, ValueError) as error:
        raise unsupported(str(error)) from None


def _without_hints(tree: exp.Expr) -> None:
    """Hints change how StarRocks plans, never what it answers."""
    for hint in list(tree.find_all(exp.Hint)):
        if isinstance(hint.parent, exp.Select):
            hint.pop()


def _field_path(node: exp.Column, kind: object) -> exp.Column:
    """s.a and t.s.a stay as they are: DuckDB tells a field of a struct from a table's column."""
    if kind is None and node.args.get("db") is not None:
        parts = [part.copy() for part in node.parts]
        # Of db.table.column and table.struct.field only the second has a table of that name.
        made = exp.Column(this=parts[-1], table=parts[-2])
        made.parent = node.parent
        if _knows_table(node, parts[0].name):
            return node
        return made
    return node


def _knows_table(node: exp.Expr, name: str) -> bool:
    at: exp.Expr | None = node
    while at is not None:
        at = at.parent
        if isinstance(at, exp.Select):
            return any(each.alias_or_name.lower() == name.lower() for each in sources(at))
    return False


__all__ = ["CATALOG", "Plan", "Rewriter", "Scope", "call", "find_relation", "macro"]
