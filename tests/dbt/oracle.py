"""What is in force, computed message by message in Python: the check on the SQL."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from emdata.contracts.nws import Alert, AlertZone
from tests.dbt.cases import HOUR, Alerts
from tests.dbt.landing import Landed

ZONES = [f"COZ{number:03d}" for number in range(201, 207)]
REASONS = ("cancel", "past", "all_clear", "vtec")
QUARTERS = range(-160, 0)


def events(seed: int) -> list[str]:
    """The events of one run; other runs have others."""
    return [f"seed{seed}-event-{number}" for number in range(12)]


def random_messages(seed: int, now: datetime, count: int) -> list[Landed]:
    """Messages on quarters of hours, so that one often ends when another is sent.

    No two are sent at once: of those a feed does not tell which is the last.
    """
    dice = random.Random(seed)
    say = Alerts(now)
    for number, sent in enumerate(dice.sample(QUARTERS, count)):
        others = [f'"{key}"' for key in dice.sample(events(seed), dice.choice((0, 0, 0, 1, 2)))]
        say.send(
            f"seed{seed}-message-{number}",
            dice.choice(events(seed)),
            dice.sample(ZONES, dice.randint(1, 4)),
            sent=sent / 4,
            expires=dice.choice((None, (sent + dice.randint(0, 40)) / 4)),
            hazard_ends=dice.choice((None, (sent + dice.randint(0, 99)) / 4)),
            closing=dice.choice((None, None, None, dice.choice(REASONS))),
            status=dice.choice(("Actual", "Actual", "Actual", "Test")),
            ends_events=f"[{','.join(others)}]" if others else None,
        )
    return say.landed


def in_force(landed: Sequence[Landed], at: datetime) -> set[tuple[str, str]]:
    """The state of every (event, zone) after all messages up to ``at``, in order of sending."""
    alerts = {e.record.alert_id: e.record for e in landed if isinstance(e.record, Alert)}
    areas = [entry.record for entry in landed if isinstance(entry.record, AlertZone)]
    state: dict[tuple[str, str], AlertZone | None] = {}
    seen = {(area.event_key, area.zone_code) for area in areas if area.status == "Actual"}
    for area in sorted(areas, key=lambda area: area.sent_at):
        if area.status != "Actual" or area.sent_at > at:
            continue
        state[area.event_key, area.zone_code] = None if area.is_closing else area
        for event in {event for event, _ in seen}:
            ended = f'"{event}"' in (alerts[area.alert_id].closed_event_keys or "")
            if ended and event != area.event_key and (event, area.zone_code) in seen:
                state[event, area.zone_code] = None
    return {place for place, area in state.items() if area is not None and _holds(area, at)}


def instants(now: datetime) -> list[datetime]:
    """Every instant at which something may change, and the time between."""
    return [now + eighth * HOUR / 8 for eighth in range(-322, 420)]


def _holds(area: AlertZone, at: datetime) -> bool:
    return all(end is None or at < end for end in (area.expires_at, area.hazard_ends_at))
