"""A long outage: records on disk, memory, the replay's rate, and CRITICAL meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from tests.bench.figures import Figure
from tests.bench.stream.control import control_rate
from tests.bench.stream.manager import Manager, running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import count, new_dataset, remove_dataset
from tests.bench.stream.watcher import percentile, watching

RECORDS, RECORDS_LONG = 300_000, 2_000_000
CRITICAL_RATE = 15.0
MEMORY_MB = 300.0
REPLAY_AIM, CRITICAL_AIM_MS = 0.7, 50.0


@dataclass
class Memory:
    """The highest resident memory of a manager, looked at ten times a second."""

    manager: Manager
    highest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.highest = max(self.highest, self.manager.rss_mb())


def outage(servers: Servers, options: Options) -> list[Figure]:
    """Fill the buffer through the whole path while Kafka is down, then let it drain."""
    records = RECORDS_LONG if options.is_long else RECORDS
    control = control_rate(servers, options.seconds / 6).a_second
    dataset, urgent = new_dataset(servers), new_dataset(servers)
    servers.broker.stop()
    try:
        with running_manager(servers) as manager, Memory(manager) as memory:
            began = time.monotonic()
            manager.feed(
                "flood", "flood", dataset, count=records, batch=options.batch, priority="NORMAL"
            )
            manager.ask("wait", 3600, name="flood")
            print(
                f"  {records:,} records, {manager.usage['buffer_mb']:,.0f} MB on disk after "
                f"{time.monotonic() - began:.0f} s, RSS {memory.highest:.0f} MB",
                flush=True,
            )
            manager.ask("stop_feed", name="flood")
            seconds, delays = _replay(servers, manager, urgent, records)
    finally:
        servers.broker.start()
    counted = count(servers, dataset)
    for name in (dataset, urgent):
        remove_dataset(servers, name)
    print(f"  {counted.repeated} repeated, CRITICAL records meanwhile: {len(delays)}", flush=True)
    return [
        Figure("outage_lost", records - counted.distinct, "records", 0, 0),
        Figure("outage_memory", memory.highest, "MB", MEMORY_MB, MEMORY_MB),
        Figure(
            "replay_of_control", records / seconds / control, "C", None, REPLAY_AIM, is_floor=True
        ),
        Figure("critical_p99_while_replaying", percentile(delays, 99), "ms", None, CRITICAL_AIM_MS),
    ]


def _replay(
    servers: Servers, manager: Manager, urgent: str, records: int
) -> tuple[float, list[float]]:
    """Seconds from the first delivery to the last, and delays in ms of new CRITICAL records."""
    with watching(servers, urgent) as watcher:
        manager.feed(
            "pushed", "urgent", urgent, rate=CRITICAL_RATE, priority="CRITICAL", seconds=3600
        )
        servers.broker.start()
        began = began_wall = 0.0
        while True:
            waiting = manager.ask("usage")["waiting"]
            now = time.monotonic()
            if not began and waiting < records:
                began, began_wall = now, time.time()
            if waiting <= 1:
                break
            time.sleep(0.05)
        manager.ask("stop_feed", name="urgent")
        manager.ask("drain")
    return now - began, watcher.delays_after(began_wall)
