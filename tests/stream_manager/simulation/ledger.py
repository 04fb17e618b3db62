"""The checker's own books: what was tried, what was acknowledged, what must be in Kafka then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from emdata.envelope import Accepted
from tests.stream_manager.simulation.broker import Broken, Message


@dataclass
class Ledger:
    """Records are known by ``n``, which is in their payload; numbers are what acceptance gave."""

    tried: set[int] = field(default_factory=set)
    acknowledged: dict[int, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    dead: dict[int, int] = field(default_factory=dict)

    def took(self, records: Iterable[Accepted]) -> None:
        """Note an acknowledgment."""
        for one in records:
            self.acknowledged[number_of(one.payload)] = one.seq

    def check(self, stored: list[Message]) -> None:
        """Raise Broken unless what Kafka holds is what was acknowledged, and so on."""
        by_seq: dict[int, int] = {}
        last: dict[tuple[str, str, int], int] = {}
        for one in stored:
            n, seq = int(one.data["n"]), one.seq
            if by_seq.setdefault(seq, n) != n:
                raise Broken(f"number {seq} names the records {by_seq[seq]} and {n}")
        seen: set[int] = set()
        for one in stored:
            key = one.topic, one.key, int(one.data["priority"])
            if one.seq not in seen and one.seq < last.get(key, 0):
                raise Broken(f"key {key}: {one.seq} arrived after {last[key]}")
            seen.add(one.seq)
            last[key] = max(one.seq, last.get(key, 0))
        self._check_sets(by_seq)

    def _check_sets(self, by_seq: dict[int, int]) -> None:
        ends = {**by_seq, **self.dead}
        lost = {n: seq for n, seq in self.acknowledged.items() if ends.get(seq) != n}
        if lost:
            raise Broken(f"acknowledged (record: number) and lost: {lost}")
        if both := by_seq.keys() & self.dead.keys():
            raise Broken(f"numbers both dead and in Kafka: {sorted(both)}")
        if invented := set(ends.values()) - self.tried:
            raise Broken(f"nobody tried to send the records {sorted(invented)}")
        if len(set(ends.values())) != len(ends):
            raise Broken("a record has two numbers")
        if missing := set(range(1, max(ends, default=0) + 1)) - ends.keys():
            raise Broken(f"numbers given to nothing: {sorted(missing)}")
        if uncounted := self.ended - self.commits:
            raise Broken(f"polls whose COMMIT was acknowledged and is not applied: {uncounted}")


def number_of(payload: bytes) -> int:
    """Return a record's ``n``."""
    return int(payload[len(b'{"n":') : payload.index(b",")])
