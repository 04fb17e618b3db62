"""Records with everything that makes windows hard: revisions, stale versions, late ones, nulls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TypeVar

from emdata.contracts.coagmet import HourlyObservation
from emdata.contracts.emissions import MAX_VALUE, Emission
from emdata.contracts.fema import DisasterDeclaration
from emdata.contracts.nws import AlertZone

START = datetime(2026, 11, 1, tzinfo=UTC)
EVENTS = ("Flood Watch", "Red Flag Warning", None, 'O\'Brien \\ "quoted" Warning – snow')
SEVERITIES = ("Severe", "Minor", None)
T = TypeVar("T")


def alert_zones(random: Random, count: int, first_id: int) -> Iterator[AlertZone]:
    """Messages of one to three zones; some are sent again with another content."""
    made = 0
    number = first_id
    while made < count:
        number += 1
        sent_at = START + timedelta(minutes=random.randrange(60 * 30))
        event, severity = random.choice(EVENTS), random.choice(SEVERITIES)
        for zone in random.sample(range(40), random.randint(1, 3)):
            state = random.choice(("CO", "WY", None))
            zone_row = AlertZone(
                alert_id=f"urn:oid:{number}",
                zone_code=f"Z{zone:03d}",
                code_type="ugc",
                state=state,
                event_key=f"k{number}",
                event=event,
                severity=severity,
                status=random.choice(("Actual", "Actual", "Actual", "Test")),
                message_type="Alert",
                sent_at=sent_at,
                is_closing=random.random() < 0.2,
            )
            yield zone_row
            made += 1
            if random.random() < 0.3:
                yield _revised(random, zone_row)
                made += 1


def _revised(random: Random, row: AlertZone) -> AlertZone:
    """The same key with a newer or an older version; the older must not win."""
    shift = timedelta(minutes=random.choice((-90, 0, 90)))
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    changed = values | {
        "sent_at": row.sent_at + shift,
        "severity": random.choice(SEVERITIES),
        "is_closing": random.random() < 0.5,
    }
    return AlertZone(**changed)


def observations(random: Random, count: int) -> Iterator[HourlyObservation]:
    """Hours of a few stations, revised by later arrivals; midnight of local time included."""
    for _ in range(count):
        yield HourlyObservation(
            station_id=f"sta{random.randrange(6):02d}",
            observed_at=START + timedelta(hours=random.randrange(24 * 6)),
            air_temperature_c=_or_none(random, random.randrange(-3000, 4000) / 100),
            precipitation_mm=_or_none(random, random.randrange(0, 500) / 10),
            wind_gust_m_s=_or_none(random, random.randrange(0, 4000) / 1000),
        )


def declarations(random: Random, count: int) -> Iterator[DisasterDeclaration]:
    """Areas of some disasters, amended in place with newer and with older refresh times."""
    for _ in range(count):
        number = 4000 + random.randrange(20)
        yield DisasterDeclaration(
            disaster_number=number,
            place_code=str(random.randrange(30)),
            state=random.choice(("CO", "NM", None)),
            declaration_type=random.choice(("DR", "EM")),
            declared_on=_or_none(random, date(2021, 1, 1) + timedelta(days=random.randrange(9))),
            title="A title",
            refreshed_at=START + timedelta(hours=random.randrange(200)),
        )


def emissions(random: Random, count: int) -> Iterator[Emission]:
    """Amounts of a few organizations, many corrected, with all digits that a value may have."""
    for _ in range(count):
        largest = random.choice((1.0, 1000.0, MAX_VALUE))
        yield Emission(
            organization_id=f"org-{random.randrange(5)}",
            emission_id=f"e{random.randrange(300)}",
            value=round(random.uniform(-largest, largest), 6),
            reported_at=START,
        )


def _or_none(random: Random, value: T) -> T | None:
    return None if random.random() < 0.1 else value
