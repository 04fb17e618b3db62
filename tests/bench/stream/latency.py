"""Latency: CRITICAL beside a flood of LOW, and what the whole path adds to a direct write."""

from __future__ import annotations

import time
from statistics import median

from tests.bench.figures import Figure
from tests.bench.stream.control import control
from tests.bench.stream.manager import Manager, running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import new_dataset, remove_dataset
from tests.bench.stream.watcher import percentile, watching

CRITICAL_RATE, LOW_RATE, DIRECT_RATE = 15.0, 20_000.0, 500.0
SLOWEST_MS, TIMES_IDLE, AIM_MS = 25.0, 3.0, 10.0
WARM_UP_S = 2.0
DIRECT_S = 10.0


def critical(servers: Servers, options: Options) -> list[Figure]:
    """p99 from acceptance to a consumer, idle and beside LOW at 20,000/s, in turns."""
    seconds = max(5.0, options.seconds / 3)
    idle: list[float] = []
    busy: list[float] = []
    with running_manager(servers) as manager:
        _critical(servers, manager, WARM_UP_S, 0.0)
        for turn in range(options.pairs):
            quiet, _ = _critical(servers, manager, seconds, 0.0)
            loaded, low = _critical(servers, manager, seconds, LOW_RATE)
            idle += quiet
            busy += loaded
            print(
                f"  pair {turn + 1}: idle p50 {median(quiet):.1f} p99 {percentile(quiet, 99):.1f},"
                f" beside LOW at {low:,.0f}/s p50 {median(loaded):.1f}"
                f" p99 {percentile(loaded, 99):.1f} ms",
                flush=True,
            )
    bar = max(SLOWEST_MS, TIMES_IDLE * percentile(idle, 99))
    return [Figure("critical_p99_beside_low", percentile(busy, 99), "ms", bar, AIM_MS)]


def _critical(
    servers: Servers, manager: Manager, seconds: float, low_rate: float
) -> tuple[list[float], float]:
    """Delays in ms of CRITICAL records, and the rate at which LOW ones were taken."""
    urgent, low = new_dataset(servers), new_dataset(servers)
    with watching(servers, urgent) as watcher:
        began = time.monotonic()
        if low_rate:
            longer = seconds + 2 * WARM_UP_S
            manager.feed("paced", "low", low, rate=low_rate, seconds=longer)
            time.sleep(WARM_UP_S)
        manager.feed(
            "pushed", "urgent", urgent, rate=CRITICAL_RATE, seconds=seconds, priority="CRITICAL"
        )
        manager.ask("wait", seconds + 60, name="urgent")
        found = manager.usage
        watcher.wait(int(seconds * CRITICAL_RATE), 30)
        manager.ask("stop_feed", name="urgent")
    taken = 0.0
    if low_rate:
        taken = found["accepted"].get(low, 0) / (found["at"] - began)
        manager.ask("stop_feed", name="low")
    manager.ask("drain", 120)
    for dataset in (urgent, low):
        remove_dataset(servers, dataset)
    return watcher.since_accepted, taken


def added(servers: Servers, options: Options) -> list[Figure]:
    """Medians at 500 records a second: through the manager, less a direct write."""
    differences = []
    with running_manager(servers) as manager:
        for turn in range(options.pairs):
            direct = _direct(servers)
            through = _through(servers, manager)
            differences.append(through - direct)
            print(
                f"  pair {turn + 1}: direct p50 {direct:.2f} ms, through the manager {through:.2f}",
                flush=True,
            )
    return [Figure("added_p50_at_500", median(differences), "ms", 2.0, 1.0)]


def _direct(servers: Servers) -> float:
    dataset = new_dataset(servers)
    with watching(servers, dataset) as watcher:
        found = control(servers, dataset, seconds=DIRECT_S, rate=DIRECT_RATE)
        watcher.wait(int(found["sent"]), 30)
    remove_dataset(servers, dataset)
    return median(watcher.since_offered)


def _through(servers: Servers, manager: Manager) -> float:
    dataset = new_dataset(servers)
    with watching(servers, dataset) as watcher:
        manager.feed(
            "pushed", "sender", dataset, rate=DIRECT_RATE, seconds=DIRECT_S, priority="NORMAL"
        )
        manager.ask("wait", DIRECT_S + 60, name="sender")
        watcher.wait(int(DIRECT_S * DIRECT_RATE), 30)
        manager.ask("stop_feed", name="sender")
    remove_dataset(servers, dataset)
    return median(watcher.since_offered)
