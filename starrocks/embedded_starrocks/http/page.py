"""The page on / and the metrics: what this server is, and what is in it."""

from __future__ import annotations

import html

from embedded_starrocks import VERSION
from embedded_starrocks.sql.context import Sessions, version_comment
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.store import Store

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;"
    "padding:.25rem .75rem;border-bottom:1px solid #ccc}td.n,th.n{text-align:right}"
    ".banner{background:#8a1c1c;color:#fff;padding:.5rem 1rem;font-weight:bold}"
)


def row_counts(store: Store) -> dict[tuple[str, str], int]:
    """Rows of each physical table, by DuckDB's own count."""
    reader = store.engine.reader()
    try:
        rows = reader.execute(
            "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() "
            "WHERE NOT temporary"
        ).fetchall()
    finally:
        reader.close()
    return {(schema, table): size for schema, table, size in rows}


def home_page(store: Store, loads: Loads, sessions: Sessions) -> str:
    """A page without scripts that says plainly what answers here."""
    counts = row_counts(store)
    lines = []
    for relation in sorted(store.catalog.relations.values(), key=lambda each: (each.db, each.name)):
        rows = f"{counts.get((relation.db, relation.name), 0):,}" if relation.has_rows else ""
        lines.append(
            f"<tr><td>{html.escape(relation.db)}</td><td>{html.escape(relation.name)}</td>"
            f"<td>{relation.kind.lower()}</td><td class=n>{rows}</td>"
            f"<td>{html.escape(relation.comment)}</td></tr>"
        )
    banner = f"<p class=banner>{html.escape(store.banner)}</p>" if store.banner else ""
    databases = ", ".join(html.escape(name) for name in store.catalog.databases) or "none"
    counters = loads.counters
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Embedded StarRocks</title><style>{_STYLE}</style></head><body>{banner}"
        "<h1>Embedded StarRocks</h1>"
        "<p>This is <strong>not StarRocks</strong>. It is a stand-in for laptops and tests: DuckDB "
        "behind StarRocks' MySQL and stream-load protocols. What it does not support it refuses; "
        "it is no measure of StarRocks' speed.</p>"
        f"<p>{html.escape(version_comment(''))}. Open connections: {len(sessions.all())}. "
        f"Loads since start: {counters.loads} ({counters.rows:,} rows), failed: {counters.failed}."
        f"</p><p>Databases: {databases}</p>"
        "<table><thead><tr><th>Database</th><th>Name</th><th>Kind</th><th class=n>Rows</th>"
        f"<th>Comment</th></tr></thead><tbody>{''.join(lines)}</tbody></table></body></html>"
    )


def metrics_text(store: Store, loads: Loads, sessions: Sessions) -> str:
    """Prometheus text format."""
    counters = loads.counters
    values = (
        ("connections", "gauge", "Open MySQL connections.", len(sessions.all())),
        ("tables", "gauge", "Tables and views.", len(store.catalog.relations)),
        ("loads_total", "counter", "Loads that became visible.", counters.loads),
        ("loads_failed_total", "counter", "Loads that failed.", counters.failed),
        ("load_rows_total", "counter", "Rows of visible loads.", counters.rows),
        ("load_bytes_total", "counter", "Bytes of visible loads.", counters.bytes),
    )
    lines = [
        "# HELP embedded_starrocks_info Version of the stand-in.",
        "# TYPE embedded_starrocks_info gauge",
        f'embedded_starrocks_info{{version="{VERSION}"}} 1',
    ]
    for name, kind, text, value in values:
        full = f"embedded_starrocks_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full} {value}"]
    return "\n".join(lines) + "\n"
