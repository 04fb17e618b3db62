"""P-VTEC, the machine-readable line of NWS products (NWS Instruction 10-1703).

``/k.aaa.cccc.pp.s.####.yymmddThhnnZ-yymmddThhnnZ/``: product class, action, office, phenomenon,
significance, event number, begin and end in UTC (all zeros: begun already, or until further
notice).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

CLOSING_ACTIONS = frozenset({"CAN", "EXP", "UPG"})
ACTIONS = frozenset({"NEW", "CON", "EXT", "EXA", "EXB", "UPG", "CAN", "EXP", "COR", "ROU"})

_NO_TIME = "000000T0000Z"
_VTEC = re.compile(
    r"/([OTEX])\.([A-Z]{3})\.([A-Z]{4})\.([A-Z]{2})\.([A-Z])\.([0-9]{4})"
    r"\.([0-9]{6}T[0-9]{4}Z)-([0-9]{6}T[0-9]{4}Z)/",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Vtec:
    """One P-VTEC string. ``begins_at`` and ``ends_at`` are aware UTC, None for all zeros."""

    product_class: str
    action: str
    office: str
    phenomenon: str
    significance: str
    number: int
    begins_at: datetime | None
    ends_at: datetime | None

    @property
    def is_closing(self) -> bool:
        """Whether the action ends the event: cancelled, expired or upgraded."""
        return self.action in CLOSING_ACTIONS

    @property
    def event_class(self) -> str:
        """Phenomenon and significance, such as ``TO.W``."""
        return f"{self.phenomenon}.{self.significance}"

    def event_key(self, sent_at: datetime) -> str:
        """Return ``office.phenomenon.significance.number.year``.

        Numbers start again each year; the year is that of the event's end, else of ``sent_at``.
        """
        year = (self.ends_at or sent_at.astimezone(UTC)).year
        return f"{self.office}.{self.event_class}.{self.number:04d}.{year}"


def parse_vtec(text: str) -> Vtec | None:
    """Return a P-VTEC string's parts, or None for anything else (H-VTEC lines stand beside)."""
    match = _VTEC.fullmatch(text.strip())
    if match is None or match[2] not in ACTIONS:
        return None
    try:
        begins_at, ends_at = _time(match[7]), _time(match[8])
    except ValueError:
        return None
    return Vtec(
        product_class=match[1],
        action=match[2],
        office=match[3],
        phenomenon=match[4],
        significance=match[5],
        number=int(match[6]),
        begins_at=begins_at,
        ends_at=ends_at,
    )


def _time(text: str) -> datetime | None:
    if text == _NO_TIME:
        return None
    # Not strptime's %y, whose century turns at 69: VTEC began in 2005.
    return datetime(
        2000 + int(text[0:2]), int(text[2:4]), int(text[4:6]), int(text[7:9]), int(text[9:11]),
        tzinfo=UTC,
    )  # fmt: skip
