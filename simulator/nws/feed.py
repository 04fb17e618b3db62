"""All alerts of the simulated world: planned ones by time slot, and what mutations changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from simulator.answers import MutationError
from simulator.geography.zones import areas_by_office
from simulator.nws.events import (
    LONGEST_EVENT,
    MEAN_LISTED_SECONDS,
    Event,
    Message,
    Step,
    choose,
    choose_areas,
    insert,
    on_grid,
    plan,
    way_of,
)
from simulator.nws.kinds import KINDS
from simulator.seeds import stream

_NUMBERS = 9_999


class AlertFeed:
    """Messages by time. A slot of ``interval`` seconds holds one event; nothing else is stored."""

    def __init__(self, seed: int, active_alerts: int) -> None:
        self._seed = seed
        self._interval = MEAN_LISTED_SECONDS / active_alerts
        self._offices = {
            "forecast": areas_by_office("forecast"),
            "county": areas_by_office("county"),
            "fire": areas_by_office("fire"),
        }
        self._planned: dict[int, list[Message]] = {}
        self._changed: dict[str, Event] = {}
        self._added: dict[str, list[Message]] = {}
        self._marks: list[tuple[float, float]] = []
        self._kinds: dict[str, Callable[[Step, Mapping[str, Any]], list[Message]]] = {
            "change_one": self._change_one,
            "edit_one": self._edit_one,
            "cancel": self._cancel,
            "partial_cancel": self._partial_cancel,
            "upgrade": self._upgrade,
            "new": self._new,
            "test_message": self._test_message,
        }

    def between(self, start: float, end: float) -> list[Message]:
        """Return messages sent in [start, end], newest first, ties by id."""
        found = [m for m in self._near(start, end) if start <= m.sent <= end]
        return sorted(found, key=lambda m: (m.sent, m.id), reverse=True)

    def active(self, now: float) -> list[Message]:
        """Return messages listed as active, newest first, ties by id."""
        self._forget(now)
        found = [m for m in self._near(now, now) if m.listed(now)]
        return sorted(found, key=lambda m: (m.sent, m.id), reverse=True)

    def changed_at(self, now: float) -> float:
        """Return when the list last changed, in whole seconds; every change has its own."""
        changes = [at for m in self._near(now, now) for at in (m.sent, m.listed_until)]
        marks = [mark for at, mark in self._marks if at <= now]
        return max([at for at in changes if at <= now] + marks[-1:], default=0.0)

    def change(
        self, kind: str, at: float, options: Mapping[str, Any], number: int
    ) -> list[Message]:
        """Apply a named change now; returns the messages it made. Raises MutationError."""
        if kind not in self._kinds:
            raise MutationError(f"nws has no mutation {kind!r}; it has: {', '.join(self._kinds)}")
        step = Step(float(int(at)), "CON", f"m{number}")
        made = self._kinds[kind](step, options)
        before = self._marks[-1][1] if self._marks else 0.0
        self._marks.append((at, max(on_grid(at) + 1, before + 1)))
        return made

    def _near(self, start: float, end: float) -> list[Message]:
        """Return every message of events that began up to ``LONGEST_EVENT`` before ``start``."""
        first = int((start - LONGEST_EVENT) // self._interval)
        found = [m for messages in self._added.values() for m in messages]
        for slot in range(first, int(end // self._interval) + 1):
            if slot not in self._planned:
                self._planned[slot] = self._plan(slot)
            found += self._planned[slot]
        return found

    def _plan(self, slot: int) -> list[Message]:
        name = str(slot)
        event = self._changed.get(name)
        if event is None:
            kind, areas = choose(self._seed, slot, self._offices)
            rng = stream(self._seed, "nws", "begin", slot)
            begins = on_grid((slot + rng.random()) * self._interval)
            event = plan(self._seed, name, slot % _NUMBERS + 1, begins, kind, areas)
        return event.messages(self._seed)

    def _forget(self, now: float) -> None:
        """Drop planned slots that no longer matter; they can be planned again."""
        oldest = int((now - 2 * LONGEST_EVENT) // self._interval)
        for slot in [slot for slot in self._planned if slot < oldest]:
            del self._planned[slot]

    def _store(self, event: Event) -> list[Message]:
        messages = event.messages(self._seed)
        if event.name in self._added or not event.name.isdigit():
            self._added[event.name] = messages
        else:
            self._changed[event.name] = event
            self._planned[int(event.name)] = messages
        return messages

    def _pick(
        self, step: Step, options: Mapping[str, Any], fits: Callable[[Message], bool]
    ) -> Message:
        """Choose an alert in force: the one with the asked id, else by seed."""
        asked = options.get("id")
        found = sorted(
            (m for m in self.active(step.at) if m.way is None and fits(m)), key=lambda m: m.id
        )
        found = [m for m in found if asked in (None, m.id)]
        if not found:
            raise MutationError(f"nws: no alert in force fits the options {dict(options)}")
        return stream(self._seed, "nws", "mutation", step.name).choice(found)

    def _insert(self, old: Message, step: Step) -> list[Message]:
        messages = self._store(insert(old.event, step))
        return [m for m in messages if m.step == step.name]

    def _change_one(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        return self._insert(self._pick(step, options, _ordinary), step)

    def _edit_one(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        old = self._pick(step, options, _ordinary)
        edits = {**old.event.edits, old.id: old.edits + 1}
        messages = self._store(replace(old.event, edits=edits))
        return [m for m in messages if m.id == old.id]

    def _cancel(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        way = way_of(str(options.get("way", "cancel")))
        old = self._pick(step, options, _ordinary)
        return self._insert(old, replace(step, action=way))

    def _partial_cancel(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        old = self._pick(step, options, lambda m: _ordinary(m) and len(m.areas) > 1)
        return self._insert(old, replace(step, action="PARTIAL"))

    def _upgrade(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        old = self._pick(step, options, lambda m: _ordinary(m) and bool(m.kind.upgrade))
        return self._insert(old, replace(step, action="UPGRADE"))

    def _new(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        name = str(options.get("event", "Tornado Warning"))
        state = str(options.get("state", "CO"))
        if name not in KINDS:
            raise MutationError(f"nws new: unknown event {name!r}; known: {', '.join(KINDS)}")
        kind = KINDS[name]
        rng = stream(self._seed, "nws", "new", step.name)
        fitting = [
            areas
            for areas in self._offices[kind.areas].values()
            if any(area.ugc.startswith(state) for area in areas)
        ]
        if not fitting:
            raise MutationError(f"nws new: no areas known in state {state!r}")
        known = [area for area in rng.choice(fitting) if area.ugc.startswith(state)]
        number = _NUMBERS - int(step.name[1:]) % 1_000
        areas = choose_areas(rng, kind, known)
        event = plan(self._seed, step.name, number, step.at, kind, areas)
        return [m for m in self._store(event) if m.sent <= step.at]

    def _test_message(self, step: Step, options: Mapping[str, Any]) -> list[Message]:
        return self._new(step, {**options, "event": "Test Message"})


def _ordinary(message: Message) -> bool:
    """Tell whether it is a real alert of the NWS itself with areas that do not come apart."""
    kind = message.kind
    return not kind.sender and kind.status == "Actual" and not kind.split
