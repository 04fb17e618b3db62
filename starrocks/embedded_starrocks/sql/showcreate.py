"""SHOW CREATE TABLE / VIEW / MATERIALIZED VIEW from metadata; the text makes the same again."""

from __future__ import annotations

from embedded_starrocks.sql.partitiondefs import partition_clause
from embedded_starrocks.storage.metadata import Column, Relation


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _column(column: Column) -> str:
    parts = [f"`{column.name}` {column.type.shown()}", column.aggregate]
    parts.append("NULL" if column.nullable else "NOT NULL")
    if column.auto_increment:
        parts.append("AUTO_INCREMENT")
    if column.default is not None:
        if column.default.upper() == "CURRENT_TIMESTAMP":
            parts.append("DEFAULT CURRENT_TIMESTAMP")
        else:
            parts.append(f"DEFAULT {_string(column.default)}")
    if column.generated:
        parts.append(f"AS {column.generated}")
    if column.comment:
        parts.append(f"COMMENT {_string(column.comment)}")
    return " ".join(part for part in parts if part)


def _properties(relation: Relation) -> str:
    lines = ",\n".join(f"{_string(name)} = {_string(value)}" for name, value in relation.properties)
    return f"PROPERTIES (\n{lines}\n)"


def show_create_sql(relation: Relation) -> str:
    """The statement as StarRocks lays it out."""
    if relation.kind == "VIEW":
        return _view(relation)
    lines = []
    if relation.kind == "TABLE":
        columns = ",\n".join(f"  {_column(column)}" for column in relation.columns)
        lines.append(f"CREATE TABLE `{relation.name}` (\n{columns}\n) ENGINE=OLAP")
        if relation.keys:
            keys = ", ".join(f"`{key}`" for key in relation.keys)
            lines.append(f"{relation.key_model} KEY({keys})")
    else:
        names = ", ".join(f"`{column.name}`" for column in relation.columns)
        lines.append(f"CREATE MATERIALIZED VIEW `{relation.name}` ({names})")
    if relation.comment:
        lines.append(f"COMMENT {_string(relation.comment)}")
    if relation.partition_by:
        lines.append(f"PARTITION BY {partition_clause(relation)}")
    distribution = relation.distributed_by
    if not distribution and relation.kind == "TABLE":
        # Of a table that an older release made without one.
        distribution = f"HASH({', '.join(relation.keys)})"
    if distribution and relation.refresh != "SYNC":
        lines.append(f"DISTRIBUTED BY {distribution}")
    if relation.order_by:
        lines.append(f"ORDER BY {relation.order_by}")
    if relation.kind == "MATERIALIZED VIEW" and relation.refresh != "SYNC":
        lines.append(f"REFRESH {relation.refresh}")
    lines.append(_properties(relation))
    if relation.kind == "MATERIALIZED VIEW":
        lines.append(f"AS {relation.definition}")
    return "\n".join(lines) + ";"


def _view(relation: Relation) -> str:
    names = ", ".join(
        f"`{column.name}`" + (f" COMMENT {_string(column.comment)}" if column.comment else "")
        for column in relation.columns
    )
    comment = f" COMMENT {_string(relation.comment)}" if relation.comment else ""
    return f"CREATE VIEW `{relation.name}` ({names}){comment} AS {relation.definition};"
