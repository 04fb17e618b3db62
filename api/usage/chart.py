"""Usage by day as a small SVG, for the operator's page: no script, no font, no other host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 240, 56, 28, 24
KINDS = (("answered", "#2b6cb0"), ("refused", "#c47f17"), ("failed", "#b83232"))


def usage_chart(days: Mapping[date, Sequence[int]], first: date, last: date, title: str) -> str:
    """Return stacked bars of requests by day: answered, refused and failed, in this order.

    A day without requests is an empty place, so that gaps show.
    """
    shown = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    most = max((sum(days.get(day, ())) for day in shown), default=0)
    step = (WIDTH - LEFT - 8) / len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="currentColor">',
        f"<title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="14">{escape(title)}</text>',
        *_legend(),
        *_axis(most),
    ]
    for place, day in enumerate(shown):
        parts += _bar(day, days.get(day, (0, 0, 0)), most, LEFT + place * step, step)
    for place in sorted({0, len(shown) - 1}):
        anchor = "start" if place == 0 else "end"
        x = LEFT + (place * step if place == 0 else (place + 1) * step)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{shown[place]}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _legend() -> list[str]:
    found = []
    for place, (name, color) in enumerate(KINDS):
        x = WIDTH - 230 + place * 78
        found.append(f'<rect x="{x}" y="5" width="10" height="10" fill="{color}"/>')
        found.append(f'<text x="{x + 14}" y="14">{name}</text>')
    return found


def _axis(most: int) -> list[str]:
    base = HEIGHT - BOTTOM
    return [
        f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH - 8}" y2="{base}" stroke="currentColor"/>',
        f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>',
        f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{most:,}</text>',
    ]


def _bar(day: date, counts: Sequence[int], most: int, x: float, step: float) -> list[str]:
    base, found = float(HEIGHT - BOTTOM), []
    for (name, color), count in zip(KINDS, counts, strict=True):
        if not count:
            continue
        height = count / most * (HEIGHT - BOTTOM - TOP)
        base -= height
        found.append(
            f'<rect x="{x + step * 0.1:.1f}" y="{base:.1f}" width="{step * 0.8:.1f}" '
            f'height="{height:.1f}" fill="{color}"><title>{day}: {count:,} {name}</title></rect>'
        )
    return found
