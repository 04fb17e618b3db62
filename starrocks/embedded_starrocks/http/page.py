"""The page on / and the metrics: what this server is, and what is in it."""

from __future__ import annotations

import html

from embedded_starrocks import VERSION
from embedded_starrocks.sql.context import Sessions
from embedded_starrocks.sql.variables import version_comment
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.rights import SYSTEM
from embedded_starrocks.storage.store import Store

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;"
    "padding:.25rem .75rem;border-bottom:1px solid #ccc}td.n,th.n{text-align:right}"
    ".banner{background:#8a1c1c;color:#fff;padding:.5rem 1rem;font-weight:bold}"
)


def _document(store: Store, body: str) -> str:
    banner = f"<p class=banner>{html.escape(store.banner)}</p>" if store.banner else ""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Embedded StarRocks</title><style>{_STYLE}</style></head><body>{banner}"
        "<h1>Embedded StarRocks</h1>"
        "<p>This is <strong>not StarRocks</strong>. It is a stand-in for laptops and tests: DuckDB "
        "behind StarRocks' MySQL and stream-load protocols. What it does not support it refuses; "
        f"it is no measure of StarRocks' speed.</p>{body}</body></html>"
    )


def _table(title: str, heads: list[str], rows: list[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    body = "".join(lines) or f"<tr><td colspan={len(heads)}>none</td></tr>"
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def home_page(store: Store, loads: Loads, sessions: Sessions) -> str:
    """What answers here, for everybody; names and data only behind the login."""
    counters = loads.counters
    return _document(
        store,
        f"<p>{html.escape(version_comment(''))}. Open connections: {len(sessions.all())}. "
        f"Loads since start: {counters.loads} ({counters.rows:,} rows), failed: {counters.failed}."
        "</p><p><a href=/details>Databases, running queries and loads</a> (needs a login).</p>",
    )


def details_page(store: Store, sessions: Sessions, user: str) -> str:
    """Tables, running queries and latest loads, as far as the user may know of them."""
    rights = store.catalog.rights
    roles = rights.default_roles(user)
    counts = store.estimated_rows()
    relations = [
        each
        for each in sorted(store.catalog.relations.values(), key=lambda one: (one.db, one.name))
        if rights.sees(user, roles, each.kind, each.db, each.name)
    ]
    seen = {(each.db, each.name) for each in relations}
    tables: list[tuple[object, ...]] = [
        (
            each.db,
            each.name,
            each.kind.lower(),
            f"{counts.get((each.db, each.name), 0):,}" if each.has_rows else "",
            each.comment,
        )
        for each in relations
    ]
    sees_all = rights.allows(user, roles, "OPERATE", SYSTEM, "*", "*")
    queries: list[tuple[object, ...]] = [
        (session.id, session.user, session.database, session.statement[:500])
        for session in sessions.all()
        if session.statement and (sees_all or session.user == user)
    ]
    latest: list[tuple[object, ...]] = [
        (label.db, label.table, label.name, label.kind, label.state, f"{label.total:,}")
        for label in store.labels.latest(50)
        if (label.db, label.table) in seen
    ]
    return _document(
        store,
        f"<p>Seen by user {html.escape(user)}.</p>"
        + _table("Tables", ["Database", "Name", "Kind", "Rows", "Comment"], tables)
        + _table("Running queries", ["Id", "User", "Database", "Statement"], queries)
        + _table("Latest loads", ["Database", "Table", "Label", "Kind", "State", "Rows"], latest),
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
