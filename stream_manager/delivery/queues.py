"""Four lanes by priority between the buffer and Kafka, served by weighted round robin.

Weights 6/3/2/1 count records, so that LOW moves on even under a backlog of CRITICAL. Within a
lane tenants take turns. Waiting records age: LOW acts as NORMAL after five minutes and as HIGH
after ten, by the monotonic clock. What waits here is already durable, so a run may have given up
its bytes (``Run.block`` is None).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from emdata.clock import Clock
from emdata.contracts.base import Priority
from stream_manager.buffer import Run, in_log_order

WEIGHTS = {Priority.CRITICAL: 6, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}
# Most records of a lane that are handed over at once.
BATCHES = {
    Priority.CRITICAL: 500,
    Priority.HIGH: 500,
    Priority.NORMAL: 1000,
    Priority.LOW: 5000,
}
NORMAL_AFTER, HIGH_AFTER = 300.0, 600.0
TENANT_TURN = 100  # records of a tenant before the next one's turn, where several wait


class _Lane:
    """The runs of one priority, tenant by tenant; belongs to ``PriorityQueues``."""

    def __init__(self) -> None:
        self._tenants: dict[str, deque[Run]] = {}
        self._order: deque[str] = deque()
        self._turn_left = TENANT_TURN
        self.records = 0

    def add(self, run: Run) -> None:
        self._queue(run.tenant).append(run)
        self.records += len(run)

    def put_back(self, runs: Iterable[Run]) -> None:
        """Add in front, in log order also with what was put back before."""
        by_tenant: dict[str, list[Run]] = {}
        for run in runs:
            by_tenant.setdefault(run.tenant, []).append(run)
            self.records += len(run)
        for tenant, some in by_tenant.items():
            queue = self._queue(tenant)
            last = max(run.order() for run in some)
            while queue and queue[0].order() < last:
                some.append(queue.popleft())
            queue.extendleft(reversed(in_log_order(some)))

    def _queue(self, tenant: str) -> deque[Run]:
        queue = self._tenants.get(tenant)
        if queue is None:
            queue = self._tenants[tenant] = deque()
            self._order.append(tenant)
        return queue

    def take(self, limit: int, *, accepted_before: float | None = None) -> Run | None:
        """Take up to ``limit`` records of the tenant whose turn it is.

        accepted_before: only what was accepted at or before that monotonic second.
        """
        for _ in range(len(self._order)):
            tenant = self._order[0]
            queue = self._tenants[tenant]
            if accepted_before is not None and queue[0].at > accepted_before:
                self._next_tenant()
                continue
            run = self._cut(queue, limit if len(self._order) == 1 else self._turn(limit))
            self._turn_left -= len(run)
            if self._turn_left <= 0:
                self._next_tenant()
            if not queue:
                del self._tenants[tenant]
                self._order.remove(tenant)
                self._turn_left = TENANT_TURN
            return run
        return None

    def _turn(self, limit: int) -> int:
        return min(limit, self._turn_left)

    def _next_tenant(self) -> None:
        self._order.rotate(-1)
        self._turn_left = TENANT_TURN

    def _cut(self, queue: deque[Run], most: int) -> Run:
        run = queue[0].split(most) if len(queue[0]) > most else queue.popleft()
        self.records -= len(run)
        return run

    def oldest(self) -> float | None:
        return min((queue[0].at for queue in self._tenants.values()), default=None)


class PriorityQueues:
    """Thread-safe; bounded in memory by giving up the bytes of runs beyond ``memory_bytes``."""

    def __init__(self, clock: Clock, memory_bytes: int = 64 << 20) -> None:
        self._clock = clock
        self._lanes = {priority: _Lane() for priority in Priority}
        self._credit = dict.fromkeys(Priority, 0)
        self._aged_turn = dict.fromkeys(Priority, False)
        self._memory_bytes = memory_bytes
        self._held = 0
        self._tenants: dict[str, int] = {}
        self._changed = threading.Condition()

    def put(self, runs: Iterable[Run]) -> None:
        """Queue runs behind those of their priority."""
        with self._changed:
            for run in runs:
                self._book(run)
                self._lanes[Priority(run.priority)].add(run)
            self._changed.notify_all()

    def put_back(self, runs: Iterable[Run]) -> None:
        """Queue runs again in front, in log order, because Kafka did not take them.

        What was in flight together may come back in parts, the older records first.
        """
        with self._changed:
            by_priority: dict[int, list[Run]] = {}
            for run in runs:
                self._book(run)
                by_priority.setdefault(run.priority, []).append(run)
            for priority, some in by_priority.items():
                self._lanes[Priority(priority)].put_back(some)
            self._changed.notify_all()

    def take(self, limit: int, least: Priority = Priority.LOW) -> list[Run]:
        """Return runs of up to ``limit`` records by weight, none less urgent than ``least``.

        A round outlives the call, so that shares hold over many small takes as well.
        """
        with self._changed:
            now, taken, left = self._clock.monotonic(), [], limit
            # One round of a large take should fill it; of a small one, be as short as can be.
            unit = max(1, limit // sum(WEIGHTS.values()))
            while left > 0:
                run = self._next(left, unit, now, least)
                if run is None:
                    break
                self._forget(run)
                taken.append(run)
                left -= len(run)
            return taken

    def depths(self) -> dict[str, int]:
        """Return how many records wait, by priority name."""
        with self._changed:
            return {priority.name: lane.records for priority, lane in self._lanes.items()}

    def waiting(self, tenant: str) -> int:
        """Return how many records of a tenant wait."""
        with self._changed:
            return self._tenants.get(tenant, 0)

    def tenants(self) -> dict[str, int]:
        """Return how many records wait, by tenant."""
        with self._changed:
            return dict(self._tenants)

    def oldest(self) -> dict[str, float]:
        """Return the age in seconds of the oldest record that waits, by priority name."""
        with self._changed:
            now = self._clock.monotonic()
            ages = {priority.name: lane.oldest() for priority, lane in self._lanes.items()}
            return {name: max(0.0, now - at) for name, at in ages.items() if at is not None}

    def is_waiting(self, priority: Priority) -> bool:
        """Whether a record of this priority waits."""
        with self._changed:
            return self._lanes[priority].records > 0

    def wait(self, timeout: float, least: Priority = Priority.LOW) -> None:
        """Wait at most ``timeout`` seconds until a record waits that is urgent enough."""
        with self._changed:
            if not any(lane.records for level, lane in self._lanes.items() if level <= least):
                self._changed.wait(timeout)

    def wake(self) -> None:
        """Let a waiting ``wait`` return, such as at the end."""
        with self._changed:
            self._changed.notify_all()

    def _next(self, limit: int, unit: int, now: float, least: Priority) -> Run | None:
        """Take from the most urgent lane that has credit; without any, a new round begins."""
        for is_new_round in (False, True):
            if is_new_round:
                # What a lane did not use in its round is gone: an idle lane saves nothing up.
                self._credit = {priority: weight * unit for priority, weight in WEIGHTS.items()}
            for priority, credit in self._credit.items():
                if credit <= 0 or priority > least:
                    continue
                run = self._take_from(priority, min(credit, limit, BATCHES[priority]), now)
                if run is not None:
                    self._credit[priority] -= len(run)
                    return run
        return None

    def _aged(self, priority: Priority, now: float) -> bool:
        """Whether LOW records are old enough to act as this priority."""
        after = {Priority.NORMAL: NORMAL_AFTER, Priority.HIGH: HIGH_AFTER}.get(priority)
        oldest = self._lanes[Priority.LOW].oldest() if after is not None else None
        return after is not None and oldest is not None and now - oldest >= after

    def _take_from(self, priority: Priority, most: int, now: float) -> Run | None:
        """Take a run that acts as ``priority``: its own and aged ones in turns."""
        lane = self._lanes[priority]
        if not self._aged(priority, now):
            return lane.take(most)
        after = HIGH_AFTER if priority is Priority.HIGH else NORMAL_AFTER
        self._aged_turn[priority] = not self._aged_turn[priority]
        # Turns of equal size: neither side may fill the lane with one large run.
        some = max(1, most // 2) if lane.records else most
        if self._aged_turn[priority] or not lane.records:
            return self._lanes[Priority.LOW].take(some, accepted_before=now - after)
        return lane.take(some)

    def _book(self, run: Run) -> None:
        if run.block is not None and self._held + run.size > self._memory_bytes:
            run.block = None
        if run.block is not None:
            self._held += run.size
        self._tenants[run.tenant] = self._tenants.get(run.tenant, 0) + len(run)

    def _forget(self, run: Run) -> None:
        if run.block is not None:
            self._held -= run.size
        self._tenants[run.tenant] -= len(run)
        if not self._tenants[run.tenant]:
            del self._tenants[run.tenant]
