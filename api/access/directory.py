"""Keys, organizations and rules as this process knows them.

Read from PostgreSQL once and then for FRESH_SECONDS; a change is told by LISTEN/NOTIFY and forgets
what it is about at once. Without PostgreSQL what was known goes on for the grace period, and what
was not known is refused as ``StateUnavailable``: nobody can tell.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy import Engine

from api.access.caller import PUBLIC_POLICY, OrganizationClass, Policy
from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.state.access import (
    Key,
    Organization,
    Rules,
    note_use,
    read_key,
    read_organization,
    read_rules,
)
from emdata.state.access_tables import CHANNEL
from emdata.telemetry import get_logger

log = get_logger(__name__)
T = TypeVar("T")
FRESH_SECONDS = 30.0
AWAY_SECONDS = 2.0
"""For how long PostgreSQL is not asked again after it did not answer."""
_MOST = 10_000
_READS = 4


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T | None
    read_at: float
    fresh_until: float


class _Cache(Generic[T]):
    """What was read by name; also that nothing is there."""

    def __init__(self, read: Callable[[str], T | None], clock: Clock, grace: float) -> None:
        self._read, self._clock, self._grace = read, clock, grace
        self._entries: dict[str, _Entry[T]] = {}
        self._changes = 0
        self._away_until = 0.0
        self._room = asyncio.Semaphore(_READS)

    async def get(self, name: str) -> T | None:
        """Return what is there. Raises StateUnavailable."""
        entry = self._entries.get(name)
        now = self._clock.monotonic()
        if entry is not None and now < entry.fresh_until:
            return entry.value
        try:
            return await self._fetch(name)
        except StateUnavailable:
            is_graced = entry is not None and now < entry.read_at + self._grace
            if entry is None or entry.value is None or not is_graced:
                raise
            return entry.value

    async def _fetch(self, name: str) -> T | None:
        async with self._room:
            if self._clock.monotonic() < self._away_until:
                raise StateUnavailable("PostgreSQL did not answer a moment ago")
            changes = self._changes
            try:
                value = await asyncio.to_thread(self._read, name)
            except StateUnavailable:
                self._away_until = self._clock.monotonic() + AWAY_SECONDS
                raise
        now = self._clock.monotonic()
        if changes == self._changes:  # otherwise it may be older than the change
            while len(self._entries) >= _MOST:
                self._entries.pop(next(iter(self._entries)), None)
            self._entries[name] = _Entry(value, now, now + FRESH_SECONDS)
        return value

    def forget(self, is_about: Callable[[str, T | None], bool]) -> None:
        """Forget entries, by name and value; any thread."""
        self._changes += 1
        for name, entry in list(self._entries.items()):
            if is_about(name, entry.value):
                self._entries.pop(name, None)

    def doubt(self) -> None:
        """Ask again for everything, but keep it for when nobody answers; any thread."""
        self._changes += 1
        for name, entry in list(self._entries.items()):
            self._entries[name] = _Entry(entry.value, entry.read_at, 0.0)


class Directory:
    """Who is who, for one process; ``start`` listens for changes in a thread of its own."""

    def __init__(self, engine: Engine, clock: Clock, grace_seconds: float) -> None:
        self._engine, self._clock = engine, clock
        self._keys: _Cache[tuple[Key, Organization]] = _Cache(
            lambda prefix: read_key(engine, prefix), clock, grace_seconds
        )
        self._organizations: _Cache[Organization] = _Cache(
            lambda name: read_organization(engine, name), clock, grace_seconds
        )
        self._rules: Rules | None = None
        self._policies: dict[str, Policy] = {}
        self._used: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="access", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stopped.set()

    async def rules(self) -> Rules:
        """Return the rules known last. Raises StateUnavailable when none were ever read."""
        if self._rules is None:
            await asyncio.to_thread(self._load_rules)
        assert self._rules is not None  # noqa: S101 - loaded, or raised
        return self._rules

    def policy(self, organization_class: str) -> Policy:
        """Return what a class may do; the defaults of ``public`` before any was read."""
        return self._policies.get(organization_class, PUBLIC_POLICY)

    async def key(self, prefix: str) -> tuple[Key, Organization] | None:
        """Return a key and whose it is. Raises StateUnavailable."""
        return await self._keys.get(prefix)

    async def organization(self, name: str) -> Organization | None:
        """Return an organization. Raises StateUnavailable."""
        return await self._organizations.get(name)

    def used(self, prefix: str) -> None:
        """Note that a key was used; its day is written by and by."""
        self._used.add(prefix)

    def _load_rules(self) -> None:
        rules = read_rules(self._engine, self._clock.now())
        self._policies = {name: policy_of(row) for name, row in rules.policies.items()}
        self._rules = rules

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._connected() as connection:
                    self._follow(connection)
            except (psycopg.Error, StateUnavailable) as error:
                log.warning("access_state_away", error=str(error)[:300])
                self._stopped.wait(AWAY_SECONDS)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        url = self._engine.url.set(drivername="postgresql")
        with psycopg.connect(
            url.render_as_string(hide_password=False),
            autocommit=True,
            connect_timeout=5,
            application_name="emdata-api-access",
            keepalives_idle=5,
            keepalives_interval=5,
            keepalives_count=3,
        ) as connection:
            connection.execute(f"LISTEN {CHANNEL}".encode())
            yield connection

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        # What changed while nobody listened is not known.
        self._keys.doubt()
        self._organizations.doubt()
        self._load_rules()
        loaded = self._clock.monotonic()
        while not self._stopped.is_set():
            for notice in connection.notifies(timeout=1.0):
                self._changed(notice.payload)
            if self._clock.monotonic() - loaded >= FRESH_SECONDS:
                connection.execute("SELECT 1")  # a dead connection says nothing by itself
                self._load_rules()
                self._write_uses()
                loaded = self._clock.monotonic()

    def _changed(self, payload: str) -> None:
        about, _, name = payload.partition(":")
        if about == "key":
            self._keys.forget(lambda prefix, _: prefix == name)
        elif about == "organization":
            self._organizations.forget(lambda one, _: one == name)
            self._keys.forget(lambda _, known: known is not None and known[1].id == name)
        else:
            self._load_rules()

    def _write_uses(self) -> None:
        used, self._used = self._used, set()
        if used:
            note_use(self._engine, used, self._clock.now().date())


def policy_of(row: Any) -> Policy:
    """Return a row of the table as a policy."""
    values = dict(row)
    name: OrganizationClass = values.pop("organization_class")
    values["datasets"] = frozenset(values["datasets"])
    return Policy(name, **values)
