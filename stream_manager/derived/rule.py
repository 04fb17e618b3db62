"""The rule behind escalation notices: several fire detections close together, near people.

Pure: detections in, notices out, the time is an argument. Detections within ``radius_km`` of each
other form a cluster once one of them has enough neighbors; whatever comes within reach of a member
joins. A cluster near a populated place is noticed once, and again only when it has grown by the
rule's steps (by default 3, 6, 12, 24, ... detections). Two clusters that grow together go on under
the older one's name and are noticed only beyond the higher of their steps.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stream_manager.derived.grid import KM_PER_MILE, Grid, Point
from stream_manager.derived.places import Place, Places


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and its parameters; ``version`` changes when the meaning of the code does."""

    rule_id: str = "fires_near_people"
    version: int = 1
    min_detections: int = 3
    radius_km: float = 1.0
    place_miles: float = 5.0
    window_hours: float = 24.0
    growth_factor: float = 2.0

    @property
    def window(self) -> timedelta:
        """How long a detection counts, from the time of the satellite's pass."""
        return timedelta(hours=self.window_hours)

    def parameters(self) -> dict[str, Any]:
        """Everything that decides, for the notice and to notice a change of the rule."""
        return asdict(self)

    def step_of(self, detections: int) -> int:
        """Return the highest step that a number of detections has reached; 0 below the first."""
        step = 0
        following = self.min_detections
        while following <= detections:
            step, following = following, max(following + 1, round(following * self.growth_factor))
        return step


@dataclass(frozen=True, slots=True)
class Detection:
    """One hot pixel. key is the record's key, event_id names the accepted record for ever."""

    key: str
    event_id: str
    at: datetime
    latitude: float
    longitude: float
    frp_mw: float | None = None
    confidence: str | None = None

    @property
    def point(self) -> Point:
        """Where it is."""
        return Point(self.latitude, self.longitude)


@dataclass
class Cluster:
    """Fires that belong together. members: keys in the window; places: km by id, the nearest."""

    name: str
    first_at: datetime
    last_at: datetime
    count: int = 0
    step: int = 0
    places: dict[int, float] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Notice:
    """What the rule found: the cluster's causes of the window, and the places near it."""

    cluster: str
    step: int
    count: int
    first_at: datetime
    causes: tuple[Detection, ...]
    places: tuple[tuple[Place, float], ...]


class _Stored(msgspec.Struct, frozen=True):
    """A cluster as the cursor keeps it; members are digests of their keys, which are long."""

    name: str
    first_at: datetime
    last_at: datetime
    count: int
    step: int
    members: list[str]
    places: dict[int, float]


class Engine:
    """Clusters of the window. Detections may come in any order, and more than once."""

    def __init__(self, rule: Rule, places: Places) -> None:
        self.rule, self._places = rule, places
        self._grid: Grid[Detection] = Grid(rule.radius_km)
        self._known: dict[str, Detection] = {}
        self._by_age: list[tuple[datetime, str]] = []
        self._cluster_of: dict[str, Cluster] = {}
        self._clusters: dict[str, Cluster] = {}
        self._restored: dict[str, Cluster] = {}

    def state(self) -> list[dict[str, Any]]:
        """Return what must outlive the process, as plain JSON."""
        stored = [
            _Stored(
                one.name,
                one.first_at,
                one.last_at,
                one.count,
                one.step,
                sorted(map(_digest, one.members)),
                one.places,
            )
            for one in self._clusters.values()
        ]
        plain: list[dict[str, Any]] = msgspec.to_builtins(stored, str_keys=True)
        return plain

    def restore(self, state: Iterable[dict[str, Any]]) -> None:
        """Take the clusters of an earlier process; ``replay`` then brings their detections."""
        for one in msgspec.convert(list(state), list[_Stored], strict=False):
            cluster = Cluster(
                one.name, one.first_at, one.last_at, one.count, one.step, dict(one.places)
            )
            self._clusters[one.name] = cluster
            self._restored.update(dict.fromkeys(one.members, cluster))

    def replay(self, detection: Detection, now: datetime) -> None:
        """Take a detection that an earlier process has counted: it makes no notice."""
        if not self._enter(detection, now):
            return
        cluster = self._restored.get(_digest(detection.key))
        if cluster is not None:
            cluster.members.add(detection.key)
            self._cluster_of[detection.key] = cluster

    def add(self, detection: Detection, now: datetime) -> Notice | None:
        """Take a new detection; returns a notice when it makes one due.

        One that is older than the window (an archive, a late product) and a better product of a
        known pixel change nothing.
        """
        if not self._enter(detection, now):
            return None
        cluster = self._join(detection)
        if cluster is None:
            return None
        step = self.rule.step_of(cluster.count)
        if step <= cluster.step or not cluster.places:
            return None
        cluster.step = step
        return self._notice(cluster)

    def expire(self, now: datetime) -> None:
        """Forget detections older than the window, and clusters that have been quiet as long."""
        limit = now - self.rule.window
        while self._by_age and self._by_age[0][0] < limit:
            _, key = heapq.heappop(self._by_age)
            gone = self._known.pop(key)
            self._grid.remove(key, gone.point)
            cluster = self._cluster_of.pop(key, None)
            if cluster is not None:
                cluster.members.discard(key)
        quiet = [name for name, one in self._clusters.items() if one.last_at < limit]
        for name in quiet:
            del self._clusters[name]

    def _enter(self, detection: Detection, now: datetime) -> bool:
        if detection.at < now - self.rule.window or detection.key in self._known:
            return False
        self._known[detection.key] = detection
        heapq.heappush(self._by_age, (detection.at, detection.key))
        self._grid.put(detection.key, detection.point, detection)
        return True

    def _neighbors(self, detection: Detection) -> list[Detection]:
        near = self._grid.near(detection.point, self.rule.radius_km)
        return [other for key, other, _ in near if key != detection.key]

    def _join(self, detection: Detection) -> Cluster | None:
        neighbors = self._neighbors(detection)
        touched = {
            cluster.name: cluster
            for other in neighbors
            if (cluster := self._cluster_of.get(other.key)) is not None
        }
        if not touched and not self._is_dense(detection, neighbors):
            return None
        joining = self._unassigned_around(detection)
        if touched:
            ordered = sorted(touched.values(), key=lambda one: (one.first_at, one.name))
            cluster = ordered[0]
            for other_cluster in ordered[1:]:
                self._absorb(cluster, other_cluster)
        else:
            cluster = self._found(joining)
        for one in joining:
            self._assign(one, cluster)
        return cluster

    def _is_dense(self, detection: Detection, neighbors: list[Detection]) -> bool:
        """Whether it, or one of its neighbors thanks to it, has enough within reach."""
        needed = self.rule.min_detections - 1
        if len(neighbors) >= needed:
            return True
        return any(len(self._neighbors(other)) >= needed for other in neighbors)

    def _unassigned_around(self, detection: Detection) -> list[Detection]:
        """Return it and all that hang together with it and belong to no cluster yet."""
        found = {detection.key: detection}
        waiting = [detection]
        while waiting:
            for other in self._neighbors(waiting.pop()):
                if other.key not in found and other.key not in self._cluster_of:
                    found[other.key] = other
                    waiting.append(other)
        return list(found.values())

    def _found(self, members: list[Detection]) -> Cluster:
        first = min(members, key=lambda one: (one.at, one.key))
        name = _digest(f"{self.rule.rule_id}|{self.rule.version}|{first.key}")
        cluster = Cluster(name, first.at, first.at)
        self._clusters[cluster.name] = cluster
        return cluster

    def _assign(self, detection: Detection, cluster: Cluster) -> None:
        self._cluster_of[detection.key] = cluster
        cluster.members.add(detection.key)
        cluster.count += 1
        cluster.first_at = min(cluster.first_at, detection.at)
        cluster.last_at = max(cluster.last_at, detection.at)
        for place, km in self._places.near(detection.point, self.rule.place_miles * KM_PER_MILE):
            before = cluster.places.get(place.place_id, km)
            cluster.places[place.place_id] = min(before, km)

    def _absorb(self, cluster: Cluster, other: Cluster) -> None:
        for key in other.members:
            self._cluster_of[key] = cluster
        cluster.members |= other.members
        cluster.count += other.count
        cluster.step = max(cluster.step, other.step)
        cluster.last_at = max(cluster.last_at, other.last_at)
        for place, km in other.places.items():
            cluster.places[place] = min(cluster.places.get(place, km), km)
        del self._clusters[other.name]

    def _notice(self, cluster: Cluster) -> Notice:
        members = [self._known[key] for key in cluster.members]
        near = [
            (place, km)
            for place_id, km in cluster.places.items()
            if (place := self._places.get(place_id)) is not None
        ]
        return Notice(
            cluster.name,
            cluster.step,
            cluster.count,
            cluster.first_at,
            tuple(sorted(members, key=lambda one: (one.at, one.key))),
            tuple(sorted(near, key=lambda pair: (pair[1], pair[0].place_id))),
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
