"""The simulated world: hosts, clock and the log of mutations that makes it repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from emdata.errors import ServiceError
from simulator.answers import Answer, Defect, MutationError, Source, SourceRequest
from simulator.clock import SimulatedClock
from simulator.coagmet.source import CoagmetSource
from simulator.fema.source import FemaSource
from simulator.firms.source import FirmsSource
from simulator.fixtures.source import fixture_sources
from simulator.nws.source import NwsSource
from simulator.usdm.source import UsdmSource


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """One change asked for from outside; ``at`` is the simulated instant in seconds."""

    at: float
    source: str
    name: str
    options: dict[str, Any]


def known_sources(clock: SimulatedClock) -> list[Source]:
    """Return the hosts that have a simulation of their own."""
    return [
        FemaSource(clock.seed, clock.origin),
        NwsSource(clock.seed, clock.active_alerts),
        CoagmetSource(clock.seed),
        UsdmSource(clock.seed),
        FirmsSource(clock.seed),
    ]


class World:
    """Hosts by name. What they say follows from (seed, origin, simulated time, mutations)."""

    def __init__(self, directory: Path, clock: SimulatedClock, fixtures: Path) -> None:
        """Build the world and replay the mutations in ``directory``.

        ``fixtures`` may hold a folder per further host; it need not exist.

        Raises ServiceError when the log of mutations or a fixture cannot be read.
        """
        self.clock = clock
        self._log = directory / "mutations.ndjson"
        sources = known_sources(clock)
        self.hosts: dict[str, list[Source]] = {}
        for source in (*sources, *fixture_sources(fixtures)):
            self.hosts.setdefault(source.host, []).append(source)
        self._named: dict[str, Source] = {source.name: source for source in sources}
        self.mutated = 0
        self._replay()

    def answer(self, host: str, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer as ``host``; None when the host or the path does not exist."""
        for source in self.hosts.get(host, ()):
            answer = source.answer(request, defect)
            if answer is not None:
                return answer
        return None

    def mutate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Apply ``{"<source>": "<mutation>", ...options}`` now and log it. Raises MutationError."""
        names = [name for name in body if name in self._named]
        if len(names) != 1:
            known = {name: source.mutations for name, source in self._named.items()}
            raise MutationError(f"name exactly one source as a key; there are: {known}")
        name, mutation = names[0], body[names[0]]
        options = {key: value for key, value in body.items() if key != name}
        entry = Mutation(at=self.clock.now(), source=name, name=str(mutation), options=options)
        try:
            changed = self._named[name].mutate(entry.name, options, entry.at)
        except (TypeError, ValueError) as error:
            raise MutationError(f"{name} {entry.name}: {error}") from None
        with self._log.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
        self.mutated += 1
        return {"source": name, "mutation": entry.name, "changed": changed}

    def _replay(self) -> None:
        if not self._log.exists():
            return
        content = self._log.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # killed while writing: that mutation was never confirmed
            self._log.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = msgspec.json.decode(line, type=Mutation)
                self._named[entry.source].mutate(entry.name, entry.options, entry.at)
            except (msgspec.DecodeError, KeyError, MutationError) as error:
                raise ServiceError(f"{self._log} line {number}: {error}; remove it") from error
            self.mutated += 1
