"""CRITICAL: limits that keep it meaningful, an alarm when it waits, and its order in a backlog.

``CriticalGate`` holds every source to so many CRITICAL records a minute. A source that passes its
limit is demoted to HIGH for a while: counted, alarmed on, never dropped. Official sources have a
limit of their own and do not use up the common one.

``CriticalOverflow`` says when too many CRITICAL records wait.

``order_critical`` puts a CRITICAL backlog, such as after an outage, in the order of need: nearness
to population, then size, then age; versions of one key stay in order. The delivery thread calls it
for each group of CRITICAL entries that it takes from the queue, with the records at hand:

    order_critical(entries, rank=lambda e: critical_rank(e.record, nearest_km),
                   key=lambda e: (e.record.topic, e.record.kafka_key))

Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from emdata.clock import Monotonic
from emdata.envelope import Accepted

WINDOW = 60.0
NEAR_KM, FAR_KM = 8.0, 40.0
"""Within five miles of a populated place, and within an hour's cycle of it."""

T = TypeVar("T")
Rank = tuple[int, int, str, int]
NearestKm = Callable[[float, float], float | None]
"""Kilometres from (latitude, longitude) to the nearest populated place, None when unknown."""


@dataclass(frozen=True, slots=True)
class CriticalLimits:
    """Records a minute from one source, from all that are not official, from an official one;
    pause_s: how long a source that passed its limit is demoted."""

    per_source: int = 100
    in_all: int = 500
    official: int = 1000
    pause_s: float = 300.0


@dataclass(slots=True)
class _Source:
    limit: int
    is_official: bool
    admitted: deque[Monotonic] = field(default_factory=deque)
    paused_until: Monotonic | None = None
    demoted: int = 0


class CriticalGate:
    """Sliding windows of a minute; belongs to one thread.

    on_pause(source, reason): a source passed ``its limit`` or ``the common limit``.
    on_resume(source, demoted): its pause is over, and how many records it demoted.
    """

    def __init__(
        self,
        limits: CriticalLimits,
        official: Iterable[str],
        *,
        on_pause: Callable[[str, str], None],
        on_resume: Callable[[str, int], None],
    ) -> None:
        self._limits, self._official = limits, frozenset(official)
        self._on_pause, self._on_resume = on_pause, on_resume
        self._sources: dict[str, _Source] = {}
        self._all: deque[Monotonic] = deque()

    def admit(self, source: str, now: Monotonic) -> bool:
        """Whether one more record of a source may be CRITICAL; False demotes it."""
        one = self._sources.get(source) or self._add(source)
        self._resume(source, one, now)
        if one.paused_until is None:
            reason = self._reason(one, now)
            if reason is None:
                one.admitted.append(now)
                if not one.is_official:
                    self._all.append(now)
                return True
            one.paused_until = Monotonic(now + self._limits.pause_s)
            self._on_pause(source, reason)
        one.demoted += 1
        return False

    def tick(self, now: Monotonic) -> None:
        """End the pauses whose time is over."""
        for source, one in self._sources.items():
            self._resume(source, one, now)

    def paused(self, now: Monotonic) -> dict[str, float]:
        """Return the seconds left by paused source."""
        return {
            source: one.paused_until - now
            for source, one in self._sources.items()
            if one.paused_until is not None and one.paused_until > now
        }

    def _add(self, source: str) -> _Source:
        is_official = source in self._official
        limit = self._limits.official if is_official else self._limits.per_source
        return self._sources.setdefault(source, _Source(limit, is_official))

    def _reason(self, one: _Source, now: Monotonic) -> str | None:
        for times in (one.admitted, self._all):
            while times and now - times[0] >= WINDOW:
                times.popleft()
        if len(one.admitted) >= one.limit:
            return f"its limit of {one.limit} a minute"
        if not one.is_official and len(self._all) >= self._limits.in_all:
            return f"the common limit of {self._limits.in_all} a minute"
        return None

    def _resume(self, source: str, one: _Source, now: Monotonic) -> None:
        if one.paused_until is not None and now >= one.paused_until:
            demoted, one.demoted, one.paused_until = one.demoted, 0, None
            self._on_resume(source, demoted)


class CriticalOverflow:
    """Raised above ``limit`` waiting CRITICAL records, over at half of it."""

    def __init__(self, limit: int = 50) -> None:
        self.limit, self.is_raised, self.most = limit, False, 0

    def note(self, waiting: int) -> bool | None:
        """Return True when it is raised now, False when it is over now, None when nothing changed.

        ``most`` is the highest number seen since it was raised.
        """
        self.most = max(self.most, waiting) if self.is_raised else waiting
        if not self.is_raised and waiting > self.limit:
            self.is_raised = True
            return True
        if self.is_raised and waiting * 2 <= self.limit:
            self.is_raised = False
            return False
        return None


class _Place(msgspec.Struct, frozen=True):
    """Where a record says it is; contracts use these names."""

    point_latitude: float | None = None
    point_longitude: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    bbox_west: float | None = None
    bbox_south: float | None = None
    bbox_east: float | None = None
    bbox_north: float | None = None


_PLACE = msgspec.json.Decoder(_Place)


def critical_rank(record: Accepted, nearest_km: NearestKm | None = None) -> Rank:
    """Return (nearness, size, age): the lower goes first.

    Nearness: 0 within NEAR_KM of a populated place, 1 within FAR_KM or not known, 2 beyond. Size:
    minus the power of ten of the area in square kilometres. Age: by acceptance, older first.
    """
    try:
        place = _PLACE.decode(record.payload)
    except msgspec.MsgspecError:
        place = _Place()  # a contract with other types in these fields; it has no place for us
    return (_nearness(place, nearest_km), -_size(place), record.accepted_at, record.seq)


def order_critical(
    records: Sequence[T], *, rank: Callable[[T], Rank], key: Callable[[T], Hashable]
) -> list[T]:
    """Sort by rank, keeping the order of records that share a key.

    A record is as urgent as the most urgent of those of its key behind it, which must wait for it.
    """
    ranks: list[Rank] = [rank(record) for record in records]
    most_urgent: dict[Hashable, Rank] = {}
    for index in range(len(records) - 1, -1, -1):
        name = key(records[index])
        ranks[index] = min(ranks[index], most_urgent.get(name, ranks[index]))
        most_urgent[name] = ranks[index]
    order = sorted(range(len(records)), key=lambda index: ranks[index])
    return [records[index] for index in order]


def _nearness(place: _Place, nearest_km: NearestKm | None) -> int:
    latitude = place.latitude if place.point_latitude is None else place.point_latitude
    longitude = place.longitude if place.point_longitude is None else place.point_longitude
    if nearest_km is None or latitude is None or longitude is None:
        return 1
    distance = nearest_km(latitude, longitude)
    if distance is None or NEAR_KM < distance <= FAR_KM:
        return 1
    return 0 if distance <= NEAR_KM else 2


def _size(place: _Place) -> int:
    west, south, east, north = place.bbox_west, place.bbox_south, place.bbox_east, place.bbox_north
    if west is None or south is None or east is None or north is None:
        return 0
    width = (east - west) % 360.0  # a box over the date line has its east below its west
    middle = math.cos(math.radians((south + north) / 2))
    area = width * 111.32 * middle * (north - south) * 110.57
    return max(0, math.floor(math.log10(area))) if area >= 1 else 0
