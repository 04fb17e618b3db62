"""How fast the buffer acknowledges while Kafka is down, against a bare segment file."""

from __future__ import annotations

from statistics import median

from tests.bench.figures import Figure
from tests.bench.stream.control import segment_rate
from tests.bench.stream.manager import running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers

RECORDS = 300_000
FLOOR, SHARE_OF_W = 60_000.0, 0.25


def burst(servers: Servers, options: Options) -> list[Figure]:
    """Acknowledged records a second, in appends of 250."""
    servers.broker.stop()
    rates, bare = [], []
    try:
        for turn in range(options.pairs):
            bare.append(segment_rate(servers.folder))
            rates.append(_burst(servers))
            print(f"  pair {turn + 1}: W {bare[-1]:,.0f}/s, buffer {rates[-1]:,.0f}/s", flush=True)
    finally:
        servers.broker.start()
    aim = SHARE_OF_W * median(bare)
    return [Figure("burst_into_buffer", median(rates), "records/s", FLOOR, aim, is_floor=True)]


def _burst(servers: Servers) -> float:
    dataset = f"bench_alerts_{servers.next_number()}"
    with running_manager(servers) as manager:
        manager.ask("fill", dataset=dataset, priorities={"LOW": 10_000})
        before = manager.usage
        after = manager.ask("fill", dataset=dataset, priorities={"LOW": RECORDS})
    if after["accepted"][dataset] != RECORDS + 10_000:
        raise SystemExit(f"the buffer acknowledged {after['accepted']}")
    manager.remove_buffer()
    return RECORDS / float(after["at"] - before["at"])
