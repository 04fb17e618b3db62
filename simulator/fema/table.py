"""The table behind DisasterDeclarationsSummaries, as it stands at a simulated instant.

FEMA amends rows in place: areas are added, an incident ends, a disaster is closed out. A reload
gives every row a new ``lastRefresh`` and ``id`` and changes nothing else.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from simulator.answers import Fact, MutationError, fingerprint
from simulator.fema.history import (
    Declaration,
    area_row,
    county_area,
    declarations,
    declare,
)
from simulator.geography.places import STATES
from simulator.instants import DAY, day_of, iso_z, midnight_z
from simulator.seeds import identifier, stream

DATASET = "fema_disaster_declarations"
CHANGE_SECONDS = 180.0
"""Every three simulated minutes FEMA declares or amends something."""

FIRST_LIVE_NUMBER = 10_001
"""Declarations made while the simulation runs are numbered from here: no real ones are."""

_RECENT = 40
Key = tuple[int, str]


@dataclass(slots=True)
class Row:
    """One row; ``fields`` are the API's, ``fact`` is what the ledger counts."""

    fields: dict[str, Any]
    fact: Fact


class FemaTable:
    """All rows by (disaster number, place code); only ever moves forward in time."""

    def __init__(self, seed: int, origin: float) -> None:
        self._seed, self._origin = seed, origin
        self._next_change = 0
        self._numbers = FIRST_LIVE_NUMBER
        self._recent: list[Declaration] = []
        self._closable: list[int] = []
        self.rows: dict[Key, Row] = {}
        self.changed_at = origin
        self._kinds: dict[str, Callable[[random.Random, float, Mapping[str, Any]], list[Key]]] = {
            "declare": self._declare,
            "add_area": self._add_area,
            "end_incident": self._end_incident,
            "close_out": self._close_out,
            "change_one": self._change_one,
            "vanish": self._vanish,
            "reload_bump": self._reload_bump,
        }
        self._fill()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the changes that ``change`` knows."""
        return tuple(self._kinds)

    def advance(self, now: float) -> None:
        """Apply every change that the seed plans up to ``now``."""
        while True:
            rng = stream(self._seed, "fema", "change", self._next_change)
            at = self._origin + CHANGE_SECONDS * (self._next_change + rng.random())
            if at > now:
                return
            self._next_change += 1
            kind = rng.choices(
                ("declare", "add_area", "end_incident", "close_out", "change_one"),
                weights=(30, 25, 20, 10, 15),
            )[0]
            self._kinds[kind](rng, round(at, 3), {})

    def change(self, kind: str, at: float, options: Mapping[str, Any], number: int) -> list[Key]:
        """Apply one named change now and return the keys it touched. Raises MutationError."""
        if kind not in self._kinds:
            raise MutationError(f"fema has no mutation {kind!r}; it has: {', '.join(self._kinds)}")
        self.advance(at)
        keys = self._kinds[kind](stream(self._seed, "fema", "mutation", number), at, options)
        if not keys:
            raise MutationError(f"fema {kind}: no row fits the options {dict(options)}")
        return keys

    def _fill(self) -> None:
        rng = stream(self._seed, "fema", "refresh")
        reload = self._origin - 9 * DAY
        for made in declarations(self._seed, self._origin):
            young = (day_of(self._origin) - made.declared_on).days < 900
            refreshed = self._origin - rng.random() * 8 * DAY if young else reload
            for area in made.areas:
                self._put(area_row(made, area), round(refreshed, 3), "first")
            if young:
                self._remember(made)
            if made.closed_on is None:
                self._closable.append(made.number)

    def _remember(self, made: Declaration) -> None:
        self._recent.append(made)
        del self._recent[:-_RECENT]

    def _put(self, fields: dict[str, Any], at: float, generation: object) -> Key:
        """Store a row; ``fields`` may be a stored one with some values changed."""
        key = (int(fields["disasterNumber"]), str(fields["placeCode"]))
        content = {k: v for k, v in fields.items() if k not in ("lastRefresh", "hash", "id")}
        mark = fingerprint(content)
        name = f"{key[0]}|{key[1]}"
        fields = {
            **content,
            "lastRefresh": iso_z(at),
            "hash": identifier(0, mark),
            "id": str(uuid.UUID(hex=identifier(self._seed, name, generation)[:32])),
        }
        values = {
            "disaster_number": key[0],
            "place_code": key[1],
            "declaration_type": content["declarationType"],
            "state": content["state"],
            "declared_on": content["declarationDate"][:10],
        }
        self.rows[key] = Row(fields, Fact(DATASET, name, mark, values))
        self.changed_at = max(self.changed_at, at)
        return key

    def _amend(self, number: int, at: float, **values: Any) -> list[Key]:
        """Change fields of every row of one disaster."""
        touched = []
        for key in [key for key in self.rows if key[0] == number]:
            touched.append(self._put({**self.rows[key].fields, **values}, at, at))
        return touched

    def _declare(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        code = str(options.get("state") or ("CO" if rng.random() < 0.5 else rng.choice([*STATES])))
        if code not in STATES:
            raise MutationError(f"fema declare: unknown state {code!r}; known: {', '.join(STATES)}")
        kind = str(options.get("type") or rng.choices(("DR", "EM", "FM"), weights=(4, 1, 5))[0])
        if kind not in ("DR", "EM", "FM"):
            raise MutationError(f"fema declare: type {kind!r} is not one of DR, EM, FM")
        made = declare(rng, self._numbers, kind, STATES[code], day_of(at), settled=False)
        made.areas = made.areas[: int(options.get("areas") or rng.randint(1, 6))]
        self._numbers += 1
        self._remember(made)
        self._closable.append(made.number)
        return [self._put(area_row(made, area), at, at) for area in made.areas]

    def _add_area(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        for made in rng.sample(self._recent, len(self._recent)):
            named = {area[0] for area in made.areas}
            areas = [county_area(county) for county in made.state.counties]
            missing = [area for area in areas if area[0] not in named]
            model = next((r for k, r in self.rows.items() if k[0] == made.number), None)
            if missing and model is not None and "0" not in named:
                area = rng.choice(missing)
                made.areas.append(area)
                place, part, name = area
                changed = {"placeCode": place, "fipsCountyCode": part, "designatedArea": name}
                return [self._put({**model.fields, **changed}, at, at)]
        return []

    def _end_incident(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        ended = {k[0] for k, row in self.rows.items() if row.fields["incidentEndDate"]}
        numbers = [m.number for m in self._recent if m.number not in ended]
        number = _asked(options) or (rng.choice(numbers) if numbers else 0)
        day = day_of(at) - timedelta(days=1)
        return self._amend(number, at, incidentEndDate=midnight_z(day))

    def _close_out(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        if not self._closable and not _asked(options):
            return []
        number = _asked(options) or rng.choice(self._closable)
        if number in self._closable:
            self._closable.remove(number)
        return self._amend(number, at, disasterCloseoutDate=midnight_z(day_of(at)))

    def _change_one(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        keys = [(m.number, area[0]) for m in self._recent for area in m.areas]
        key = rng.choice([key for key in keys if key in self.rows])
        if _asked(options):
            key = (_asked(options), str(options.get("place_code", "0")))
            self._check(key)
        fields = self.rows[key].fields
        changed = {"iaProgramDeclared": not fields["iaProgramDeclared"]}
        return [self._put({**fields, **changed}, at, at)]

    def _vanish(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        key = (_asked(options), str(options.get("place_code", "0")))
        if not _asked(options):
            key = rng.choice(list(self.rows))
        self._check(key)
        del self.rows[key]
        self.changed_at = at
        return [key]

    def _reload_bump(self, rng: random.Random, at: float, options: Mapping[str, Any]) -> list[Key]:
        return [self._put(row.fields, at, at) for row in list(self.rows.values())]

    def _check(self, key: Key) -> None:
        if key not in self.rows:
            raise MutationError(f"fema has no row with disaster_number, place_code {key}")


def _asked(options: Mapping[str, Any]) -> int:
    """Return the disaster number that the options name, or 0."""
    return int(options.get("disaster_number") or 0)
