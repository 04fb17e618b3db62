"""The small world that the integration test lands: a few records per way of being told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from emdata.contracts import Record
from emdata.contracts.api_usage import ApiUsage
from emdata.contracts.coagmet import HourlyObservation, Station
from emdata.contracts.emissions import Emission
from emdata.contracts.fema import DisasterDeclaration
from emdata.contracts.nws import Alert, AlertZone
from emdata.contracts.usda import DroughtCounty
from tests.dbt.landing import Landed

HOUR = timedelta(hours=1)


@dataclass
class Alerts:
    """Builds messages whose times are hours from ``now``; each is accepted a minute after."""

    now: datetime
    landed: list[Landed] = field(default_factory=list)

    def send(
        self,
        alert_id: str,
        event_key: str,
        zones: list[str],
        *,
        sent: float,
        expires: float | None = 6,
        hazard_ends: float | None = 6,
        accepted: float | None = None,
        same: tuple[str, ...] = (),
        onset: float | None = None,
        closing: str | None = None,
        ends_events: str | None = None,
        **said: Any,
    ) -> None:
        """Land one message and its areas."""
        common: dict[str, Any] = {
            "alert_id": alert_id,
            "event_key": event_key,
            "sent_at": self._at(sent),
            "onset_at": None if onset is None else self._at(onset),
            "expires_at": None if expires is None else self._at(expires),
            "hazard_ends_at": None if hazard_ends is None else self._at(hazard_ends),
            "event": "Flood Watch",
            "severity": "Severe",
            "status": "Actual",
            "message_type": "Cancel" if closing == "cancel" else "Alert",
            "is_closing": closing is not None,
            "closing_reason": closing,
        } | said
        at = self._at(sent if accepted is None else accepted) + timedelta(minutes=1)
        alert = Alert(**common, headline=f"about {event_key}", closed_event_keys=ends_events)
        self.landed.append(Landed(alert, at))
        areas = [(zone, "ugc") for zone in zones] + [(f"S{code[1:]}", "same") for code in same]
        for code, code_type in areas:
            zone = AlertZone(**common, zone_code=code, code_type=code_type, state="CO")
            self.landed.append(Landed(zone, at))

    def _at(self, hours: float) -> datetime:
        return self.now + hours * HOUR


ELEVEN = [f"COC{number:03d}" for number in range(1, 23, 2)]


def alerts(now: datetime) -> list[Landed]:
    """Every way of being in force and of ending; the keys say what is expected."""
    say = Alerts(now)
    say.send("plain-1", "plain", ["COZ036"], sent=-1, same=("008013", "008069"))
    for reason in ("cancel", "past", "all_clear", "vtec"):
        say.send(f"{reason}-1", f"closed-{reason}", ["COZ001"], sent=-3)
        # Terminations come with an end of the hazard that still lies in the future.
        say.send(f"{reason}-2", f"closed-{reason}", ["COZ001"], sent=-1, closing=reason)
    say.send("over-1", "hazard-over", ["COZ001"], sent=-5, expires=6, hazard_ends=-1)
    say.send("lapsed-1", "lapsed", ["COZ001"], sent=-5, expires=-1, hazard_ends=6)
    say.send("renewed-1", "renewed", ["COZ001"], sent=-5, expires=-1, hazard_ends=6)
    say.send("renewed-2", "renewed", ["COZ001"], sent=-2, message_type="Update")
    say.send("eleven-1", "eleven", ELEVEN, sent=-4)
    say.send("eleven-2", "eleven", ELEVEN[:1], sent=-2, closing="cancel")
    say.send("test-1", "exercise", ["COZ001"], sent=-1, status="Test")
    say.send("ack-1", "acknowledged", ["COZ001"], sent=-1, message_type="Ack")
    say.send("town-1", "town", [], sent=-1, same=("008013",))
    say.send("tomorrow-1", "tomorrow", ["COZ001"], sent=-1, onset=20, expires=30, hazard_ends=40)
    say.send("endless-1", "endless", ["COZ001"], sent=-1, expires=None, hazard_ends=None)
    # The same message again with an earlier end: the later version of one message counts.
    say.send("revised-1", "revised", ["COZ001"], sent=-4)
    say.send("revised-1", "revised", ["COZ001"], sent=-4, accepted=-1, hazard_ends=-0.5)
    # An older message that lands after a newer one changes nothing.
    say.send("late-2", "late", ["COZ001"], sent=-2, message_type="Update")
    say.send("late-1", "late", ["COZ001"], sent=-4, accepted=-0.5, expires=-1, hazard_ends=-1)
    # A watch upgraded to a warning in one of its two zones.
    say.send("watch-1", "watch", ["COZ001", "COZ002"], sent=-4)
    say.send("warning-1", "warning", ["COZ001"], sent=-2, ends_events='["watch"]')
    # A zone alone with its county, and two zones that share an alert.
    say.send("alone-1", "alone", ["COZ038"], sent=-30, hazard_ends=-20, same=("008069",))
    say.send("pair-1", "pair", ["COZ038", "COZ039"], sent=-30, hazard_ends=-20,
             same=("008069", "008031"))  # fmt: skip
    return say.landed


IN_FORCE = {
    ("plain", "COZ036"),
    ("renewed", "COZ001"),
    *(("eleven", zone) for zone in ELEVEN[1:]),
    ("town", "S08013"),
    ("tomorrow", "COZ001"),
    ("endless", "COZ001"),
    ("late", "COZ001"),
    ("watch", "COZ002"),
    ("warning", "COZ001"),
}


def declarations(accepted_at: datetime) -> list[Landed]:
    """A county that FEMA amended, a statewide area, tribal land, an area without a program."""

    def area(place: str, refreshed: int, **said: Any) -> Landed:
        record = DisasterDeclaration(
            disaster_number=4659,
            place_code=place,
            refreshed_at=datetime(2024, 1, refreshed, tzinfo=UTC),
            **{
                "declaration_type": "DR",
                "state": "CO",
                "state_fips": "08",
                "declared_on": date(2024, 1, 2),
                "incident_began_on": date(2023, 12, 30),
                **said,
            },
        )
        return Landed(record, accepted_at)

    boulder = {"county_fips_part": "013", "county_fips": "08013", "is_ia_declared": True}
    return [
        area("99013", 2, **boulder),
        area("99013", 9, **boulder, is_pa_declared=True, incident_ended_on=date(2024, 1, 3)),
        # Landed last, refreshed first: never the current row.
        area("99013", 1, **boulder, closed_out_on=date(2024, 1, 1)),
        area("0", 2, county_fips_part="000", is_pa_declared=True, is_hm_declared=True),
        area("95000", 2, county_fips_part="000", is_tribal_request=True, is_ih_declared=True),
        area("99069", 2, county_fips="08069", county_fips_part="069", declaration_type="FM"),
    ]


def droughts(accepted_at: datetime) -> list[Landed]:
    """Two weeks of Boulder, the second revised; a county with a missing week."""

    def week(fips: str, day: date, kind: int, *shares: float) -> Landed:
        none, d0, d1, d2, d3, d4 = shares
        record = DroughtCounty(
            county_fips=fips, valid_on=day, statistics_type=kind, county="X", state="CO",
            none_percent=none, d0_percent=d0, d1_percent=d1, d2_percent=d2, d3_percent=d3,
            d4_percent=d4, valid_from=day, valid_to=day + timedelta(days=6),
        )  # fmt: skip
        return Landed(record, accepted_at)

    first, second, third = date(2024, 7, 2), date(2024, 7, 9), date(2024, 7, 16)
    return [
        week("08013", first, 1, 40, 60, 20, 0.5, 0, 0),
        week("08013", first, 2, 40, 40, 19.5, 0.5, 0, 0),
        week("08013", second, 1, 0, 100, 50, 10, 0, 0),
        week("08013", second, 1, 0, 100, 60, 20, 2, 0),
        week("08069", first, 2, 100, 0, 0, 0, 0, 0),
        week("08069", third, 2, 90, 5, 3, 1, 0.5, 0.5),
    ]


STATIONS = {
    "den01": (39.7392, -104.9903, "08031"),
    "ftc01": (40.5734, -105.0867, "08069"),
    "gly04": (40.4487, -104.6383, "08123"),
    "sea01": (30.0, -50.0, None),
    "nop01": (None, None, None),
}


def stations(accepted_at: datetime) -> list[Landed]:
    """Stations in known counties, one at sea, one without coordinates."""
    return [
        Landed(Station(station_id=name, name=name, latitude=lat, longitude=lon), accepted_at)
        for name, (lat, lon, _) in STATIONS.items()
    ]


def observations(accepted_at: datetime) -> list[Landed]:
    """Station den01 on 1 July 2024 (UTC-7): hours labeled 01:00 to 24:00, one of them revised."""
    first = datetime(2024, 7, 1, 8, tzinfo=UTC)
    rows: list[Record] = [
        HourlyObservation(
            station_id="den01", observed_at=first + hour * HOUR, air_temperature_c=float(hour),
            precipitation_mm=0.5, wind_gust_m_s=10.0, solar_radiation_w_m2=100.0,
        )
        for hour in range(24)
    ]  # fmt: skip
    rows.append(HourlyObservation(station_id="den01", observed_at=first, air_temperature_c=-5.0))
    rows.append(
        HourlyObservation(station_id="den01", observed_at=first + 24 * HOUR, air_temperature_c=30.0)
    )
    return [Landed(row, accepted_at) for row in rows]


def emissions(accepted_at: datetime) -> list[Landed]:
    """Two organizations; one amount corrected in the month after, one sent twice."""
    october, november = accepted_at.replace(2024, 10, 31), accepted_at.replace(2024, 11, 1)

    def one(organization: str, name: str, value: float, at: datetime) -> Landed:
        record = Emission(
            organization_id=organization, emission_id=name, value=value, reported_at=at
        )
        return Landed(record, at)

    return [
        one("acme", "e1", 0.1, october),
        one("acme", "e2", 0.2, october),
        one("acme", "e1", 0.3, november),
        one("acme", "e3", 999_999_999.999999, november),
        one("acme", "e3", 999_999_999.999999, november),
        one("umbrella", "e1", -0.000001, november),
    ]


def api_usage(accepted_at: datetime) -> list[Landed]:
    """Two processes that counted a day; one line sent twice, one of the hour before midnight."""
    noon = datetime(2024, 11, 1, 12, 0, tzinfo=UTC)

    def line(process: str, number: int, at: datetime, **changes: Any) -> Landed:
        values: dict[str, Any] = {
            "organization": "acme", "collection": "nws_alerts", "format": "geojson",
            "status_class": "2xx", "route": "/collections/{collection_id}/items", "requests": 10,
            "rows_sent": 100, "bytes_sent": 5000, "seconds_total": 1.0, "seconds_max": 0.5,
        }  # fmt: skip
        record = ApiUsage(process=process, number=number, counted_from=at, **{**values, **changes})
        return Landed(record, accepted_at)

    return [
        line("p1", 1, noon),
        line("p1", 1, noon),
        line("p1", 2, noon + timedelta(minutes=1), status_class="4xx", requests=3, rows_sent=0),
        line("p2", 1, noon, requests=7, seconds_total=7.0, seconds_max=2.0),
        line("p2", 2, noon, status_class="5xx", requests=1, rows_sent=0),
        line("p2", 3, noon - timedelta(hours=13), requests=4),
        line("p2", 4, noon, organization="umbrella", requests=5),
    ]
