"""A process of its own that asks for tokens as fast as it is told to; prints what it got.

Arguments: PostgreSQL's address, bucket, requests a minute, burst, a day, workers, seconds, asked
for a second (0: without a pause).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from api.fairness.budget import Budget
from api.fairness.limiter import Limiter
from api.fairness.networks import Networks
from api.fairness.stores import PostgresStore
from emdata.clock import SystemClock


async def main() -> None:
    dsn, key, per_minute, burst, per_day, workers, seconds, per_second = sys.argv[1:]
    budget = Budget(float(per_minute) / 60, int(burst), int(per_day))
    clock = SystemClock()
    limiter = Limiter(PostgresStore(dsn), Networks(clock), clock, int(workers))
    await limiter.start()
    allowed, refused, spent, slowest = 0, 0, 0.0, 0.0
    begun = time.monotonic()
    while (at := time.monotonic()) < begun + float(seconds):
        started = time.perf_counter()
        decision = await limiter.take(key, budget)
        took = time.perf_counter() - started
        spent, slowest = spent + took, max(slowest, took)
        allowed, refused = allowed + decision.is_allowed, refused + (not decision.is_allowed)
        if float(per_second):
            due = at + 1 / float(per_second)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        elif not decision.is_allowed:
            await asyncio.sleep(0.001)
    counted = allowed + refused
    await limiter.stop()
    print(
        json.dumps(
            {
                "allowed": allowed,
                "refused": refused,
                "mean_ms": 1000 * spent / counted,
                "slowest_ms": 1000 * slowest,
                "is_shared": limiter.is_shared,
            }
        )
    )


asyncio.run(main())
