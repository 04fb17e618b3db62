"""Expressions over one row: generated columns, and `columns` and `where` of a load."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unknown_column
from embedded_starrocks.sql import dialect, kinds
from embedded_starrocks.sql.rewrite import Rewriter, Scope
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Catalog, Relation, quoted

_NOT_OF_A_ROW = (exp.Query, exp.Table, exp.AggFunc, exp.Window)


def _scope(catalog: Catalog) -> Scope:
    return Scope(
        catalog=catalog,
        database="",
        user="",
        variable=lambda _: None,
        user_variable=lambda _: None,
        visible=frozenset(),
        session_function=lambda _: None,
        partition_rows=lambda _, __: "false",
        partitions_meta=lambda: "",
    )


def parse_row_expression(text: str) -> exp.Expr:
    """One expression of StarRocks. Raises SqlError for a query, an aggregate or bad syntax."""
    tree = dialect.parse(f"SELECT {text}")
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from_"):
        raise semantic_error(f"'{text[:80]}' is no expression")
    found: exp.Expr = tree.expressions[0].copy()
    found = found.unalias()
    for node in found.find_all(*_NOT_OF_A_ROW):
        raise semantic_error(
            f"'{node.sql('starrocks')[:80]}' is not allowed in an expression of a row"
        )
    return found


def row_sql(
    catalog: Catalog,
    text: str,
    name_of: Callable[[str], str | None],
    relation: Relation | None = None,
) -> str:
    """DuckDB SQL of an expression; `name_of` gives the SQL identifier that a column name means.

    A column of `relation` has its type; any other name is a field of a load, which is text.
    """
    types: dict[str, ColumnType] = {}
    tree = parse_row_expression(text)
    for column in list(tree.find_all(exp.Column)):
        found = name_of(column.name)
        if found is None:
            raise unknown_column(column.name, text[:80])
        column.set("table", None)
        column.set("this", exp.to_identifier(found, quoted=True))
        known = relation.column(found.removeprefix("__v_")) if relation is not None else None
        types[found] = kinds.VARCHAR if known is None else known.type
    return Rewriter(_scope(catalog), types).expression(tree)


def generated_columns(catalog: Catalog, relation: Relation) -> Mapping[str, str]:
    """DuckDB SQL of each generated column, over the other columns of the row."""

    def name_of(name: str) -> str | None:
        column = relation.column(name)
        return column.name if column is not None and not column.generated else None

    found = {}
    for column in relation.columns:
        if column.generated:
            value = row_sql(catalog, column.generated, name_of, relation)
            found[column.name] = f"CAST({value} AS {column.type.duckdb()})"
    return found


def with_generated(catalog: Catalog, relation: Relation, rows: str, others: str) -> str:
    """A query of all columns in order, plus `others`, over a query without the generated ones."""
    generated = generated_columns(catalog, relation)
    if not generated:
        return rows
    outputs = ", ".join(
        f"{generated[column.name]} AS {quoted(column.name)}"
        if column.name in generated
        else quoted(column.name)
        for column in relation.columns
    )
    return f"SELECT {outputs}, {others} FROM ({rows})"
