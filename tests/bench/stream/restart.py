"""How soon a killed manager with a gigabyte in its buffer sends again."""

from __future__ import annotations

import time
from statistics import median

from tests.bench.figures import Figure
from tests.bench.stream.manager import running_manager
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
    seconds = []
    for turn in range(options.pairs):
        found, size = _restart(servers)
        seconds.append(found)
        print(f"  round {turn + 1}: {found:.2f} s with {size:,.0f} MB", flush=True)
    return [Figure("kill_to_first_record", median(seconds), "s", 3.0, 1.0)]


def _restart(servers: Servers) -> tuple[float, float]:
    dataset = new_dataset(servers)
    with watching(servers, dataset) as watcher:
        servers.broker.stop()
        try:
            with running_manager(servers) as manager:
                while manager.usage["buffer_mb"] < BUFFER_MB:
                    manager.ask("polls", dataset=dataset, count=STEP)
                # PostgreSQL was there all the time, so it knows these polls.
                wait_for(lambda: not manager.ask("usage")["unapplied"], APPLIED_S, "all polls")
                size = manager.usage["buffer_mb"]
                # Asleep, so that it sends nothing between the broker's return and its own end.
                manager.pause()
                servers.broker.start()
                began = time.monotonic()
                manager.kill()
                manager.start()
                watcher.wait(1, 120)
                manager.kill()
        finally:
            servers.broker.start()
    manager.remove_buffer()
    remove_dataset(servers, dataset)
    return watcher.first_at - began, size
