"""The landed tables and the models: rows and newest event."""

from __future__ import annotations

from emdata.contracts import contracts
from emdata.derive.starrocks import RAW_DATABASE, quote
from runtime.context import Context
from runtime.status.section import Cell
from runtime.warehouse import warehouse_of


def rows(context: Context) -> list[dict[str, Cell]]:
    """One row a table or view. ``newest`` is the newest event time (UTC) of a landed dataset."""
    warehouse = warehouse_of(context)
    databases = (RAW_DATABASE, context.settings.starrocks_database)
    found = warehouse.query(
        "SELECT table_schema AS `schema`, table_name AS `name`, table_type AS kind "
        "FROM information_schema.tables WHERE table_schema IN (%s, %s) ORDER BY 1, 2",
        databases,
    )
    known = contracts()
    result: list[dict[str, Cell]] = []
    for row in found:
        schema, name = str(row["schema"]), str(row["name"])
        record = known.get(name) if schema == RAW_DATABASE else None
        newest = f"MAX({quote(record.dataset.event_time)})" if record is not None else "NULL"
        (counts,) = warehouse.query(
            f"SELECT COUNT(*) AS `count`, {newest} AS newest FROM {quote(schema)}.{quote(name)}"
        )
        result.append(
            {
                "table": f"{schema}.{name}",
                "kind": "view" if "VIEW" in str(row["kind"]).upper() else "table",
                "rows": int(counts["count"]),
                "newest": None if counts["newest"] is None else str(counts["newest"])[:19],
            }
        )
    return result
