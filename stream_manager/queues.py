"""Four queues by priority between the buffer and Kafka, served by weighted round robin.

Weights 6/3/2/1 count records, so that LOW moves on even under a backlog of CRITICAL. What waits
here is already durable; an entry may have given up its bytes (``Entry.record`` is None).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from emdata.contracts.base import Priority
from stream_manager.buffer import Entry

WEIGHTS = {Priority.CRITICAL: 6, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}
_TURNS = tuple(priority for priority, weight in WEIGHTS.items() for _ in range(weight))


class PriorityQueues:
    """Thread-safe; bounded in memory by giving up the bytes of entries beyond ``memory_bytes``."""

    def __init__(self, memory_bytes: int = 64 << 20) -> None:
        self._queues: dict[Priority, deque[Entry]] = {p: deque() for p in Priority}
        self._memory_bytes = memory_bytes
        self._held = 0
        self._turn = 0
        self._changed = threading.Condition()

    def put(self, entries: Iterable[Entry]) -> None:
        """Queue entries behind those of their priority."""
        self._add(entries, front=False)

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Queue entries again in front, in their order, because Kafka did not take them."""
        self._add(reversed(list(entries)), front=True)

    def take(self, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries by weight, without waiting for any."""
        with self._changed:
            taken: list[Entry] = []
            left = sum(map(len, self._queues.values()))
            while len(taken) < min(limit, left):
                self._take_turn(taken)
            for entry in taken:
                if entry.record is not None:
                    self._held -= entry.size
            return taken

    def depths(self) -> dict[str, int]:
        """Return how many entries wait, by priority name."""
        with self._changed:
            return {priority.name: len(queue) for priority, queue in self._queues.items()}

    def is_waiting(self, priority: Priority) -> bool:
        """Whether an entry of this priority waits."""
        with self._changed:
            return bool(self._queues[priority])

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until an entry waits."""
        with self._changed:
            if not any(self._queues.values()):
                self._changed.wait(timeout)

    def wake(self) -> None:
        """Let a waiting ``take`` return, such as at the end."""
        with self._changed:
            self._changed.notify_all()

    def _take_turn(self, taken: list[Entry]) -> None:
        # The turn outlives the call: many small takes must not all begin with CRITICAL.
        queue = self._queues[_TURNS[self._turn]]
        self._turn = (self._turn + 1) % len(_TURNS)
        if queue:
            taken.append(queue.popleft())

    def _add(self, entries: Iterable[Entry], *, front: bool) -> None:
        with self._changed:
            for entry in entries:
                if entry.record is not None and self._held + entry.size > self._memory_bytes:
                    entry.record = None
                if entry.record is not None:
                    self._held += entry.size
                queue = self._queues[Priority(entry.priority)]
                if front:
                    queue.appendleft(entry)
                else:
                    queue.append(entry)
            self._changed.notify_all()
