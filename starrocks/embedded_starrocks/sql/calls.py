"""Small builders of DuckDB expressions: calls of its functions and of our macros."""

from __future__ import annotations

import functools

from sqlglot import exp

from embedded_starrocks.sql.macros_values import SCHEMA


def macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of our macros."""
    return exp.Dot(
        this=exp.to_identifier(SCHEMA, quoted=True),
        expression=exp.Anonymous(
            this=exp.to_identifier(name, quoted=True), expressions=list(arguments)
        ),
    )


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of DuckDB's functions."""
    return exp.Anonymous(this=name, expressions=list(arguments))


@functools.cache
def _template(written: str) -> exp.DataType:
    return exp.DataType.build(written, dialect="duckdb")


def data_type(written: str) -> exp.DataType:
    """A type of DuckDB; each is parsed once."""
    return _template(written).copy()


def text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def is_null(node: exp.Expr) -> exp.Expr:
    return exp.Is(this=node, expression=exp.Null())
