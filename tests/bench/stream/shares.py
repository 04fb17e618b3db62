"""Shares of records by priority while all four lanes are saturated, by order of arrival."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

from confluent_kafka import Message

from emdata.contracts import Priority
from tests.bench.figures import Figure
from tests.bench.stream.manager import running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import new_dataset, read, remove_dataset

BACKLOG = {"CRITICAL": 60_000, "HIGH": 40_000, "NORMAL": 30_000, "LOW": 20_000}
DUE = {Priority.CRITICAL: 6, Priority.HIGH: 3, Priority.NORMAL: 2, Priority.LOW: 1}
PRIORITY = re.compile(rb'"priority":(\d)')
# The end of the first lane's backlog is no saturation any more.
WINDOW = 0.9


def shares(servers: Servers, options: Options) -> list[Figure]:
    """The largest difference to 6/3/2/1 in points of percent; median of all rounds."""
    worst = [_round(servers) for _ in range(options.pairs)]
    return [Figure("shares_off_by", median(worst), "points", 5.0, 2.0)]


def _round(servers: Servers) -> float:
    dataset = new_dataset(servers)
    servers.broker.stop()
    try:
        with running_manager(servers) as manager:
            manager.ask("fill", dataset=dataset, priorities=BACKLOG)
            servers.broker.start()
            manager.ask("drain", 300)
    finally:
        servers.broker.start()
    arrived = [_priority(message) for batch in read(servers, dataset) for message in batch]
    remove_dataset(servers, dataset)
    if len(arrived) != sum(BACKLOG.values()):
        raise SystemExit(f"{len(arrived)} of {sum(BACKLOG.values())} arrived")
    found = _shares(arrived)
    print("  " + ", ".join(f"{p.name} {share:.1f} %" for p, share in found.items()), flush=True)
    return max(abs(found[p] - 100 * due / sum(DUE.values())) for p, due in DUE.items())


def _priority(message: Message) -> Priority:
    found = PRIORITY.search(message.value() or b"")
    if found is None:
        raise SystemExit(f"a message without a priority: {message.value()!r}")
    return Priority(int(found[1]))


def _shares(arrived: list[Priority]) -> dict[Priority, float]:
    """Shares in percent until one lane has nearly nothing left."""
    seen: Counter[Priority] = Counter()
    for priority in arrived:
        seen[priority] += 1
        if seen[priority] >= WINDOW * BACKLOG[priority.name]:
            break
    return {priority: 100 * seen[priority] / seen.total() for priority in DUE}
