"""Events and the messages that tell of them, from a seed: issued, continued, ended.

An event is a plan of steps; walking it gives messages. Each product is a message with an id of its
own; it replaces the ones before. There are four ways of telling that an event is over (a Cancel
message, urgency Past, response AllClear, closing VTEC actions), and silence.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from simulator.geography.zones import Area
from simulator.instants import HOUR
from simulator.nws.kinds import KINDS, Kind
from simulator.seeds import identifier, stream

Action = Literal["NEW", "CON", "EXT", "PARTIAL", "UPGRADE", "cancel", "past", "all_clear", "vtec"]
Way = Literal["cancel", "past", "all_clear", "vtec"]
WAYS: tuple[Way, ...] = ("cancel", "past", "all_clear", "vtec")

LONGEST_EVENT = 36 * HOUR
"""No message of an event is sent or listed later than this after its first."""

GRID_SECONDS = 10
"""Planned changes fall on multiples of this, so that a mutation's Last-Modified fits between."""

MEAN_LISTED_SECONDS = 19_000.0
"""Seconds for which one event keeps messages listed, on average over the kinds (measured)."""

_LINGERING = 6 * HOUR
_TERMINATION_SECONDS = 15 * 60
_NWS_ENDINGS = (*WAYS, "silence")


@dataclass(frozen=True, slots=True)
class Step:
    """One product at an instant (whole seconds); ``name`` makes ids that stay."""

    at: float
    action: Action
    name: str


@dataclass(slots=True)
class Message:
    """One alert message. ``way`` is set on those that end the event for their areas."""

    id: str
    event: Event
    kind: Kind
    areas: tuple[Area, ...]
    sent: float
    onset: float
    ends: float
    expires: float
    action: str
    step: str
    way: Way | None = None
    references: tuple[Message, ...] = ()
    expired: tuple[Message, ...] = ()
    replaced_by: Message | None = None
    listed_until: float = 0.0
    edits: int = 0

    def listed(self, now: float) -> bool:
        """Tell whether ``/alerts/active`` shows it."""
        return self.sent <= now < self.listed_until


@dataclass(slots=True)
class Event:
    """An event with its plan. ``number`` is the event tracking number of its VTEC."""

    name: str
    kind: Kind
    areas: tuple[Area, ...]
    number: int
    begins: float
    ends: float
    steps: list[Step] = field(default_factory=list)
    edits: dict[str, int] = field(default_factory=dict)

    def messages(self, seed: int) -> list[Message]:
        """Walk the plan; the same plan always gives the same messages."""
        return _Walk(self, seed).run()


def plan(
    seed: int, name: str, number: int, begins: float, kind: Kind, areas: Sequence[Area]
) -> Event:
    """Plan an event's life: continued, extended, shrunk, upgraded, ended in one of five ways."""
    rng = stream(seed, "nws", "plan", name)
    life = rng.uniform(*kind.hours) * HOUR
    event = Event(name, kind, tuple(areas), number, begins, _whole_minutes(begins + life))
    event.steps.append(Step(begins, "NEW", "0"))
    ending = rng.choice(_NWS_ENDINGS) if not kind.sender and kind.status == "Actual" else "silence"
    over = event.ends if ending in ("silence", "vtec") else begins + life * rng.uniform(0.5, 0.95)
    shrunk = False
    gap = min(kind.product_hours * 0.6, life / HOUR * 0.5)
    at = begins + rng.uniform(0.5, 1.0) * gap * HOUR
    while at < over - 300 and not kind.sender and kind.status == "Actual":
        action: Action = "EXT" if rng.random() < 0.2 else "CON"
        if len(areas) > 1 and not shrunk and rng.random() < 0.3:
            action, shrunk = "PARTIAL", True
        event.steps.append(Step(on_grid(at), action, str(len(event.steps))))
        at += rng.uniform(0.5, 1.0) * gap * HOUR
    if ending == "past" and kind.upgrade:
        event.steps.append(Step(on_grid(over), "UPGRADE", str(len(event.steps))))
    elif ending != "silence":
        event.steps.append(Step(on_grid(over), way_of(ending), str(len(event.steps))))
    return event


def choose(
    seed: int, slot: object, offices: dict[str, dict[str, tuple[Area, ...]]]
) -> tuple[Kind, tuple[Area, ...]]:
    """Draw a kind of event and its areas; ``offices`` is areas by zone type and office."""
    rng = stream(seed, "nws", "choose", slot)
    kind = rng.choices(list(KINDS.values()), weights=[k.weight for k in KINDS.values()])[0]
    known = offices[kind.areas]
    home = [code for code in ("BOU", "PUB", "GJT", "GLD") if code in known]
    office = rng.choice(home) if rng.random() < 0.4 else rng.choice(sorted(known))
    return kind, choose_areas(rng, kind, known[office])


def choose_areas(rng: random.Random, kind: Kind, known: Sequence[Area]) -> tuple[Area, ...]:
    """Draw neighboring areas of one office."""
    most = 2 if kind.polygon or kind.sender else 8
    count = min(rng.randint(1, most), len(known))
    first = rng.randrange(len(known) - count + 1)
    return tuple(known[first : first + count])


class _Walk:
    """Turns steps into messages, keeping what each one replaces."""

    def __init__(self, event: Event, seed: int) -> None:
        self._event, self._seed = event, seed
        self._kind, self._areas = event.kind, event.areas
        self._ends = event.ends
        self._current: list[Message] = []
        self._earlier: list[Message] = []
        self._done: list[Message] = []

    def run(self) -> list[Message]:
        """Return the messages in order of sending."""
        for step in self._event.steps:
            made = self._product(step)
            for old in self._current:
                heir = next((m for m in made if set(m.areas) & set(old.areas)), made[-1])
                old.replaced_by = heir
                old.listed_until = min(old.listed_until, step.at)
            self._earlier += self._current
            self._current = [message for message in made if message.way is None]
            self._done += made
        return self._done

    def _product(self, step: Step) -> list[Message]:
        if step.action == "NEW":
            return self._new(step)
        if step.action == "EXT":
            self._ends += 2 * HOUR
            return [self._make(step, "EXT", self._areas, 1)]
        if step.action == "CON":
            return [self._make(step, "CON", self._areas, 1)]
        if step.action == "PARTIAL":
            return self._partial(step)
        if step.action == "UPGRADE":
            over = self._make(step, "UPG", self._areas, 1, way="past")
            self._kind = KINDS[self._kind.upgrade]
            return [over, self._make(step, "NEW", self._areas, 2)]
        return [
            self._make(step, _closing_action(step.action), self._areas, 1, way=way_of(step.action))
        ]

    def _new(self, step: Step) -> list[Message]:
        groups = [self._areas]
        if self._kind.split:
            groups = [(area,) for area in self._areas]
        return [self._make(step, "NEW", areas, n) for n, areas in enumerate(groups, start=1)]

    def _partial(self, step: Step) -> list[Message]:
        if len(self._areas) < 2:
            return [self._make(step, "CON", self._areas, 1)]
        gone, self._areas = self._areas[-1:], self._areas[:-1]
        over = self._make(step, "CAN", gone, 1, way="cancel")
        return [over, self._make(step, "CON", self._areas, 2)]

    def _make(
        self, step: Step, action: str, areas: tuple[Area, ...], part: int, way: Way | None = None
    ) -> Message:
        event, kind = self._event, self._kind
        expires = min(self._ends, _whole_minutes(step.at + kind.product_hours * HOUR))
        if way is not None:
            expires = on_grid(step.at + GRID_SECONDS - 1) + _TERMINATION_SECONDS
        listed = expires
        if way == "past" and identifier(self._seed, event.name, step.name).startswith(tuple("012")):
            listed += _LINGERING  # some stay listed for hours after they expired
        onset = max(step.at, min(event.begins + kind.lead * HOUR, self._ends))
        message = Message(
            self._id(step, part), event, kind, areas, step.at, onset, self._ends, expires, action,
            step.name, way=way, listed_until=listed,
        )  # fmt: skip
        message.edits = event.edits.get(message.id, 0)
        if way != "past" and action != "NEW":
            message.references = tuple(m for m in self._current if set(m.areas) & set(areas))
        if action != "NEW":
            rest = self._earlier if message.references else [*self._earlier, *self._current]
            message.expired = tuple(m for m in rest if set(m.areas) & set(areas))[-4:]
        return message

    def _id(self, step: Step, part: int) -> str:
        name = (self._event.name, step.name)
        if self._event.kind.sender:
            return f"SIM_{identifier(self._seed, *name).upper()}_{step.at:.0f}"
        return f"urn:oid:2.49.0.1.840.0.{identifier(self._seed, *name)}.{part:03d}.1"


def insert(event: Event, step: Step) -> Event:
    """Return the event with a step put in now; a closing one drops what was planned after it."""
    before = [old for old in event.steps if old.at <= step.at]
    after = [old for old in event.steps if old.at > step.at]
    over = step.action in WAYS
    return replace(event, steps=[*before, step, *([] if over else after)])


def _closing_action(way: str) -> str:
    return "CAN" if way == "cancel" else "EXP"


def way_of(text: str) -> Way:
    """Return ``text`` as a way of ending; raises ValueError for another word."""
    for way in WAYS:
        if way == text:
            return way
    raise ValueError(f"way {text!r} is not one of {', '.join(WAYS)}")


def on_grid(instant: float) -> float:
    """Round down to the grid of planned changes."""
    return float(instant // GRID_SECONDS * GRID_SECONDS)


def _whole_minutes(instant: float) -> float:
    return float(int(instant // 60) * 60)
