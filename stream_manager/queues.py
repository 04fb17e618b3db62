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


class PriorityQueues:
    """Thread-safe; bounded in memory by giving up the bytes of entries beyond ``memory_bytes``."""

    def __init__(self, memory_bytes: int = 64 << 20) -> None:
        self._queues: dict[Priority, deque[Entry]] = {p: deque() for p in Priority}
        self._memory_bytes = memory_bytes
        self._held = 0
        self._changed = threading.Condition()

    def put(self, entries: Iterable[Entry]) -> None:
        """Queue entries behind those of their priority."""
        self._add(entries, front=False)

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Queue entries again in front, in their order, because Kafka did not take them."""
        self._add(reversed(list(entries)), front=True)

    def take(self, limit: int, timeout: float) -> list[Entry]:
        """Return up to ``limit`` entries by weight; waits at most ``timeout`` seconds for one."""
        with self._changed:
            if not any(self._queues.values()):
                self._changed.wait(timeout)
            taken: list[Entry] = []
            while len(taken) < limit and any(self._queues.values()):
                self._round(taken, limit)
            for entry in taken:
                if entry.record is not None:
                    self._held -= entry.size
            return taken

    def depths(self) -> dict[str, int]:
        """Return how many entries wait, by priority name."""
        with self._changed:
            return {priority.name: len(queue) for priority, queue in self._queues.items()}

    def wake(self) -> None:
        """Let a waiting ``take`` return, such as at the end."""
        with self._changed:
            self._changed.notify_all()

    def _round(self, taken: list[Entry], limit: int) -> None:
        for priority, weight in WEIGHTS.items():
            queue = self._queues[priority]
            for _ in range(min(weight, len(queue), limit - len(taken))):
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
