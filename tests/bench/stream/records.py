"""What the benchmarks send: rows of about 1 KB with 26 fields, and contracts that accept them.

Every run makes datasets of its own, so that each has its own topic and its own numbering.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import lru_cache

from emdata.contracts import A, Dataset, Doc, LongText, Priority, Record, UtcDatetime

PRIORITIES = {
    "Extreme": Priority.CRITICAL,
    "Severe": Priority.HIGH,
    "Moderate": Priority.NORMAL,
    "Minor": Priority.LOW,
}
SEVERITIES = {priority: severity for severity, priority in PRIORITIES.items()}
_TEXT = (
    "until evening northwest winds gusting near ridge county valley road smoke moving toward "
    "residents should prepare leave early water crossing flooded temperatures humidity falling "
    "critical conditions expected heavy rainfall downstream levels rising slowly along lower "
    "basin shelter open school gymnasium pets allowed officials report closure mile marker"
)
_WORDS = _TEXT.split()
TAILS = 512


class BenchAlert(Record, frozen=True, kw_only=True):
    """One message of a made feed. offered_ns: wall clock in ns when the row was at hand."""

    alert_id: A[str, Doc("The message's id")]
    number: A[int, Doc("Counts rows")]
    offered_ns: A[int, Doc("When the row was at hand", unit="ns")]
    sent_at: A[UtcDatetime, Doc("When it was sent")]
    onset_at: UtcDatetime | None
    expires_at: UtcDatetime | None
    status: str | None
    message_type: str | None
    category: str | None
    severity: str | None
    certainty: str | None
    urgency: str | None
    event: str | None
    event_code: str | None
    sender: str | None
    sender_name: str | None
    headline: str | None
    description: LongText | None
    instruction: LongText | None
    area_description: LongText | None
    response: str | None
    state: str | None
    language: str | None
    longitude: float | None
    latitude: float | None
    is_closing: bool | None

    dataset = Dataset(
        name="bench_alerts",
        source="bench",
        domain="bench",
        title="Rows of a benchmark",
        key=("alert_id",),
        version="sent_at",
        event_time="sent_at",
        fresh_within="1h",
        terms="made",
        approved_critical=True,
    )

    def priority(self) -> Priority:
        """Return the priority that the severity names."""
        return PRIORITIES.get(self.severity or "", Priority.LOW)


@lru_cache(maxsize=64)
def contract_of(name: str) -> type[BenchAlert]:
    """Return the contract under another dataset name, such as ``bench_alerts_3``."""
    made = replace(BenchAlert.dataset, name=name)

    class Made(BenchAlert, frozen=True, kw_only=True):
        """The same fields, for one run."""

        dataset = made

    return Made


@lru_cache(maxsize=8)
def tails(priority: Priority) -> tuple[bytes, ...]:
    """Return the constant parts of rows of a priority; seeded, about 1 KB each."""
    chooser = random.Random(int(priority))
    return tuple(_tail(chooser, SEVERITIES[priority]) for _ in range(TAILS))


def row(number: int, offered_ns: int, tail: bytes) -> bytes:
    """Return one row as the source would send it."""
    head = b'{"alert_id":"bench-%d","number":%d,"offered_ns":%d,'
    return head % (number, number, offered_ns) + tail


def rows(numbers: range, priority: Priority = Priority.LOW) -> list[bytes]:
    """Return rows with these numbers."""
    parts = tails(priority)
    return [row(number, 0, parts[number % TAILS]) for number in numbers]


def _tail(chooser: random.Random, severity: str) -> bytes:
    minute = chooser.randrange(60)
    fields = {
        "sent_at": f"2026-11-21T09:{minute:02d}:00-07:00",
        "onset_at": f"2026-11-21T10:{minute:02d}:00-07:00",
        "expires_at": f"2026-11-21T18:{minute:02d}:00-07:00",
        "status": "Actual",
        "message_type": chooser.choice(("Alert", "Update")),
        "category": "Met",
        "severity": severity,
        "certainty": chooser.choice(("Likely", "Observed", "Possible")),
        "urgency": chooser.choice(("Immediate", "Expected", "Future")),
        "event": chooser.choice(("Red Flag Warning", "Flood Watch", "Wind Advisory")),
        "event_code": chooser.choice(("FWW", "FAA", "WIY")),
        "sender": "w-nws.webmaster@noaa.gov",
        "sender_name": f"NWS {_text(chooser, 2)}",
        "headline": _text(chooser, 12),
        "description": _text(chooser, 42),
        "instruction": _text(chooser, 16),
        "area_description": _text(chooser, 8),
        "response": "Prepare",
        "state": chooser.choice(("CO", "WY", "UT")),
        "language": "en-US",
        "longitude": round(chooser.uniform(-109, -102), 4),
        "latitude": round(chooser.uniform(37, 41), 4),
        "is_closing": False,
    }
    return json.dumps(fields, separators=(",", ":")).encode()[1:]


def _text(chooser: random.Random, words: int) -> str:
    return " ".join(chooser.choices(_WORDS, k=words))
