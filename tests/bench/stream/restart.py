"""How soon a killed manager with a gigabyte in its buffer sends again."""

from __future__ import annotations

import time
from statistics import median

from tests.bench.figures import Figure
from tests.bench.stream.manager import Manager, running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import new_dataset, remove_dataset
from tests.bench.stream.watcher import watching
from tests.support.waiting import wait_for

BUFFER_MB = 1024
STEP = 20
APPLIED_S = 300.0


def restart(servers: Servers, options: Options) -> list[Figure]:
    """Seconds from SIGKILL, and a new start at once, to the first record that a consumer reads."""
    dataset = new_dataset(servers)
    seconds = []
    with watching(servers, dataset) as watcher, running_manager(servers) as manager:
        servers.broker.stop()
        try:
            _fill(manager, dataset)
            # Asleep, so that it sends nothing between the broker's return and its own end.
            manager.pause()
        finally:
            servers.broker.start()
        for turn in range(options.pairs):
            manager.kill()
            watcher.expect_news()
            size = manager.buffer_mb()
            began = time.monotonic()
            manager.start()
            seconds.append(watcher.first(120) - began)
            print(f"  round {turn + 1}: {seconds[-1]:.2f} s with {size:,.0f} MB", flush=True)
        manager.kill()
    manager.remove_buffer()
    remove_dataset(servers, dataset)
    return [Figure("kill_to_first_record", median(seconds), "s", 3.0, 1.0)]


def _fill(manager: Manager, dataset: str) -> None:
    """Fill the buffer with whole polls that PostgreSQL knows, for it was there all the time."""
    while manager.usage["buffer_mb"] < BUFFER_MB:
        manager.ask("polls", 600, dataset=dataset, count=STEP)
        wait_for(lambda: not manager.ask("usage")["unapplied"], APPLIED_S, "all polls")
