"""Tables that are none of a database: information_schema's views, `dual`."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from embedded_starrocks.errors import unsupported
from embedded_starrocks.sql import infoschema


def only_visible(table: exp.Table, name: str, visible: frozenset[tuple[str, str]]) -> exp.Subquery:
    """A view of information_schema, without rows about what the user may not read."""
    query = sqlglot.parse_one(infoschema.visible_query(name, visible), dialect="duckdb")
    alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
    subquery = exp.Subquery(this=query, alias=alias)
    for node in subquery.find_all(exp.Table):
        node.meta["done"] = True
    return subquery


def as_query(table: exp.Table, sql: str, shown: exp.Expr) -> None:
    """A query of DuckDB's SQL in the place of a table."""
    table.set("catalog", None)
    table.set("db", None)
    table.set("this", exp.Var(this=f"({sql})"))
    if not table.alias:
        table.set("alias", exp.TableAlias(this=shown))


def remove_dual(table: exp.Table) -> None:
    """FROM dual, the table without rows or columns that gives one row."""
    parent = table.parent
    if not isinstance(parent, exp.From) or not isinstance(parent.parent, exp.Select):
        raise unsupported("dual beside other tables")
    parent.parent.set("from_", None)
