"""The page at ``/``: says that the data are simulated, and where they are."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from simulator.answers import Source
from simulator.ledger import Ledger
from simulator.world import World

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "h1{background:#7a1f1f;color:#fff;padding:.4em .6em}"
    "td,th{text-align:left;padding:.2em 1em .2em 0}"
)


def front_page(world: World, ledger: Ledger) -> str:
    """Return the page as HTML."""
    clock = world.clock.describe()
    facts = "".join(
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in clock.items()
    )
    hosts = "".join(
        f"<h3>{escape(host)}</h3><ul>{_links(host, sources)}</ul>"
        for host, sources in sorted(world.hosts.items())
    )
    served = "".join(
        f"<tr><td><a href='/_simulator/ledger/{escape(name)}'>{escape(name)}</a></td>"
        f"<td>{entry['keys']}</td><td>{entry['versions']}</td>"
        f"<td>{entry['acknowledged_versions']}</td></tr>"
        for name, entry in ledger.summary().items()
    )
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>SIMULATED DATA</title>"
        f"<style>{_STYLE}</style></head><body><h1>SIMULATED DATA</h1>"
        f"<p>Nothing on this server is real. It speaks the formats of public sources, made from a"
        f" seed.</p><table>{facts}</table><h2>Hosts</h2>{hosts}"
        f"<h2>Served</h2><table><tr><th>dataset</th><th>keys</th><th>versions</th>"
        f"<th>sent completely</th></tr>{served}</table>"
        f"<h2>Administration</h2><ul>"
        f"<li><a href='/_simulator/health'>health</a></li>"
        f"<li><a href='/_simulator/ledger'>ledger</a></li>"
        f"<li><a href='/_simulator/clock'>clock</a></li>"
        f"<li><a href='/_simulator/faults'>faults</a></li></ul></body></html>"
    )


def _links(host: str, sources: Iterable[Source]) -> str:
    return "".join(_link(host, path) for source in sources for path in source.paths)


def _link(host: str, path: str) -> str:
    address = escape(f"/{host}{path}")
    return f"<li><a href='{address}'>{address}</a></li>"
