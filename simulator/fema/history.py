"""Seven decades of declarations from a seed: what was declared before the simulation began."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from simulator.geography.places import COLORADO, STATES, County, State
from simulator.instants import day_of, midnight_z
from simulator.seeds import stream

_FIRST_YEAR = 1953
_INCIDENTS = {
    "DR": ("Flood", "Severe Storm", "Tornado", "Snowstorm", "Fire", "Severe Ice Storm"),
    "EM": ("Drought", "Snowstorm", "Severe Storm", "Fire"),
    "FM": ("Fire",),
}
_TITLES = {
    "Flood": ("FLOODING", "SEVERE STORMS AND FLOODING", "HEAVY RAINS AND FLOODING"),
    "Severe Storm": ("SEVERE STORMS, TORNADOES, AND FLOODING", "SEVERE STORMS"),
    "Tornado": ("TORNADOES", "TORNADOES AND SEVERE STORMS"),
    "Snowstorm": ("SEVERE WINTER STORM", "SNOW", "BLIZZARD"),
    "Severe Ice Storm": ("SEVERE ICE STORM",),
    "Drought": ("DROUGHT",),
    "Fire": ("WILDFIRES", "SEVERE WILDFIRES"),
}
_FIRE_NAMES = (
    "COTTONWOOD", "RED MESA", "PINE RIDGE", "EAST GULCH", "LOST HORSE", "SAND CREEK", "IRON SPRING",
    "BLACK BUTTE", "WILLOW PARK", "HOGBACK", "TRINCHERA", "OWL CANYON", "STONE HILL", "WHITE ROCK",
)  # fmt: skip
_TRIBES = {
    "CO": (("71725", "Southern Ute Indian Reservation"), ("80400", "Ute Mountain Reservation"))
}


@dataclass(slots=True)
class Declaration:
    """One declaration and its areas; ``areas`` holds (place code, county part, area name)."""

    number: int
    kind: str
    state: State
    declared_on: date
    began_on: date
    ended_on: date | None
    closed_on: date | None
    incident: str
    title: str
    programs: dict[str, bool]
    request: str
    incident_id: str
    areas: list[tuple[str, str, str]] = field(default_factory=list)


def county_area(county: County) -> tuple[str, str, str]:
    """Return (place code, county part, area name) of a whole county."""
    return (f"99{county.part}", county.part, f"{county.name} (County)")


def declarations(seed: int, until: float) -> Iterator[Declaration]:
    """Generate every declaration from 1953 up to the instant ``until``, by year."""
    last = day_of(until)
    for year in range(_FIRST_YEAR, last.year + 1):
        rng = stream(seed, "fema", "year", year)
        numbers = _Numbers(year)
        for state in STATES.values():
            for kind in _kinds(rng, state, year):
                number = numbers.next(kind)
                declared = date(year, 1, 1) + timedelta(days=rng.randrange(365))
                declaration = declare(rng, number, kind, state, declared, settled=True)
                if number is not None and declared < last:
                    yield _as_of(declaration, last)


def _as_of(declaration: Declaration, day: date) -> Declaration:
    """Take back what had not happened yet on ``day``."""
    if declaration.ended_on and declaration.ended_on >= day:
        declaration.ended_on = None
    if declaration.closed_on and declaration.closed_on >= day:
        declaration.closed_on = None
    return declaration


def declare(
    rng: random.Random,
    number: int | None,
    kind: str,
    state: State,
    declared: date,
    *,
    settled: bool,
) -> Declaration:
    """Make one declaration with its areas; ``settled`` ones may have ended and been closed."""
    incident = rng.choice(_INCIDENTS[kind])
    title = rng.choice(_TITLES[incident])
    if kind == "FM":
        title = f"{rng.choice(_FIRE_NAMES)} FIRE"
    began = declared - timedelta(days=rng.randrange(1, 4) if kind == "FM" else rng.randrange(3, 40))
    ended = None
    if settled and rng.random() < 0.95:
        ended = began + timedelta(days=rng.randrange(1, 25))
    closed = None
    if settled and rng.random() < 0.8:
        closed = declared + timedelta(days=rng.randrange(500, 2600))
    individual = kind == "DR" and rng.random() < 0.4
    programs = {
        "ihProgramDeclared": individual and declared.year >= 2002,
        "iaProgramDeclared": individual,
        "paProgramDeclared": kind != "DR" or rng.random() < 0.9,
        "hmProgramDeclared": kind == "DR" or (kind == "FM" and declared.year >= 2018),
    }
    request = f"{declared:%y}{rng.randrange(1, 200):03d}"
    made = Declaration(
        number or 0, kind, state, declared, began, ended, closed, incident, title, programs,
        request, f"{began:%Y%m%d}{rng.randrange(1, 9):02d}",
    )  # fmt: skip
    made.areas = _areas(rng, kind, state, declared.year)
    return made


def _kinds(rng: random.Random, state: State, year: int) -> list[str]:
    home = state is COLORADO
    kinds = ["DR"] * sum(rng.random() < (0.75 if home else 0.3) for _ in range(2))
    if year >= 1976 and rng.random() < (0.2 if home else 0.12):
        kinds.append("EM")
    if year >= 1990:
        fires = rng.randrange(0, 5) if home else rng.randrange(0, 2)
        kinds += ["FM"] * fires
    return kinds


def _areas(rng: random.Random, kind: str, state: State, year: int) -> list[tuple[str, str, str]]:
    if year < 1964:
        return [("0", "000", "Statewide")]
    counties: Sequence[County] = state.counties
    ranges = {"FM": (1, 2), "DR": (2, 26), "EM": (12, 64)}
    low, high = ranges[kind]
    count = min(rng.randint(low, high), len(counties))
    chosen = sorted(rng.sample(range(len(counties)), count))
    areas = [county_area(counties[index]) for index in chosen]
    if kind == "DR" and rng.random() < 0.25:
        areas += [(place, "000", name) for place, name in _TRIBES.get(state.code, ())]
    if kind == "EM" and rng.random() < 0.2:
        areas = [("0", "000", "Statewide")]
    return areas


class _Numbers:
    """FEMA's number ranges (DR 1-1999 and 4000-4999, FM 2000s and 5000s, EM 3000s) by year."""

    def __init__(self, year: int) -> None:
        self._next = {"DR": _dr_base(year), "EM": 3000 + (year - 1975) * 12, "FM": _fm_base(year)}
        following = {"DR": _dr_base(year + 1), "FM": _fm_base(year + 1)}
        self._stop = {
            "DR": max(following["DR"], self._next["DR"] + 26),
            "EM": self._next["EM"] + 12,
            "FM": max(following["FM"], self._next["FM"] + 31),
        }

    def next(self, kind: str) -> int | None:
        """Return the next number of a kind, or None when the year's range is used up."""
        number = self._next[kind]
        if number >= self._stop[kind]:
            return None
        self._next[kind] = number + 1
        return number


def _dr_base(year: int) -> int:
    if year < 1998:
        return 1 + (year - 1953) * 26
    if year < 2012:
        return 1200 + (year - 1998) * 57
    return 4050 + (year - 2012) * 56 if year < 2029 else 7000 + (year - 2029) * 60


def _fm_base(year: int) -> int:
    return 2300 + (year - 1990) * 31 if year < 2012 else 5000 + (year - 2012) * 40


def area_row(made: Declaration, area: tuple[str, str, str]) -> dict[str, Any]:
    """Return the row of one declared area, without lastRefresh, hash and id."""
    place, part, name = area
    declared = made.declared_on
    # Before 2003 these were fire suppression authorizations, with a type of their own.
    kind = "FS" if made.kind == "FM" and declared.year < 2003 else made.kind
    return {
        "femaDeclarationString": f"{kind}-{made.number}-{made.state.code}",
        "disasterNumber": made.number,
        "state": made.state.code,
        "declarationType": kind,
        "declarationDate": midnight_z(declared),
        "fyDeclared": declared.year + (declared.month >= 10),
        "incidentType": made.incident,
        "declarationTitle": made.title,
        **made.programs,
        "incidentBeginDate": midnight_z(made.began_on),
        "incidentEndDate": midnight_z(made.ended_on) if made.ended_on else None,
        "disasterCloseoutDate": midnight_z(made.closed_on) if made.closed_on else None,
        "tribalRequest": False,
        "fipsStateCode": made.state.fips,
        "fipsCountyCode": part,
        "placeCode": place,
        "designatedArea": name,
        "declarationRequestNumber": made.request,
        "lastIAFilingDate": (
            midnight_z(declared + timedelta(days=60))
            if made.programs["iaProgramDeclared"]
            else None
        ),
        "incidentId": made.incident_id,
        "region": made.state.region,
        "designatedIncidentTypes": {"Fire": "R", "Flood": "F", "Tornado": "T"}.get(made.incident),
    }
