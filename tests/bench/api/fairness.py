"""What limits cost a request, and what a flood of one organization does to another."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.access.caller import OrganizationClass, Policy
from api.fairness.budget import Budget
from api.fairness.fairness import Fairness
from emdata.clock import SystemClock
from emdata.state.api_keys import NewKey, make_key
from emdata.state.changes import Change
from emdata.state.database import connect, dsn_of
from emdata.state.organizations import NewOrganization, add_organization
from tests.api.world import World
from tests.bench.api.client import GIVES_WAY_MORE, Load, measure, result, started
from tests.bench.api.items import LIMIT, PATH
from tests.bench.api.world import allow, wait_for_version
from tests.bench.figures import Figure
from tests.support.waiting import wait_for

TAKEN = 20_000
FLOOD_OF = 5
"""The flood asks for so many times its limit."""


def limit_figures(world: World, _: Path, rounds: int, _seconds: float) -> Iterator[Figure]:
    """Milliseconds that a decision takes, by tokens leased from PostgreSQL."""
    context = world.platform.context
    dsn = dsn_of(context.settings, context.credentials.postgres_password)

    async def run() -> float:
        fairness = Fairness.of(context.settings, dsn, SystemClock())
        await fairness.limiter.start()
        budget = Budget.of(Policy("public", 100_000_000, 10_000_000, 100_000_000))
        try:
            await fairness.limiter.take("bench", budget)
            began = time.perf_counter()
            for _number in range(TAKEN):
                decision = await fairness.limiter.take("bench", budget)
                if not decision.is_allowed:
                    raise SystemExit("a limit that nobody could meet was met")
            return (time.perf_counter() - began) / TAKEN
        finally:
            await fairness.limiter.stop()

    found = [1000 * asyncio.run(run()) for _number in range(rounds)]
    yield Figure("limit_of_one_request", statistics.median(found), "ms", 0.3, 0.05)


def flood_figures(world: World, _: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """p99 of one organization beside a flood of another, of p99 without it before and after.

    The first one asks at a fifth of saturation; the flood asks at five times a limit of 8 % of it,
    so that less than 60 % of saturation is offered.
    """
    calm, loud, probe = _organizations(world)
    path = f"{PATH}?limit={LIMIT}"
    url = world.url + path
    wait_for_version(world, path)
    full = measure(url, connections=16, seconds=seconds, headers=[calm])
    rate, limit = full.rate / 5, full.rate * 0.07
    allow(world, "commercial", requests_per_minute=int(60 * limit), burst=max(1, int(limit)))
    # The API learns of a changed policy by a notice. Who asked before has tokens of the old one.
    wait_for(lambda: holds(world, path, probe, int(60 * limit)), 60, "the policy to hold")
    ratios = []
    before = measure(url, connections=16, seconds=seconds, rate=rate, headers=[calm])
    for _number in range(rounds):
        beside, flood = _beside(url, seconds, (rate, FLOOD_OF * limit), (calm, loud))
        after = measure(url, connections=16, seconds=seconds, rate=rate, headers=[calm])
        alone = (before.p99 + after.p99) / 2
        offered = (beside.requests / beside.seconds + flood.requests / flood.seconds) / full.rate
        print(
            f"INFO p99 alone {_ms(before.p99)} and {_ms(after.p99)}, beside {_ms(beside.p99)}; "
            f"of it the generator's {_ms(before.late)}, {_ms(after.late)}, {_ms(beside.late)}; "
            f"{offered:.0%} of {full.rate:,.0f}/s offered, the flood: {flood.statuses}",
            flush=True,
        )
        ratios.append(beside.p99 / alone)
        before = after
    yield Figure("p99_beside_a_flood_of_alone", statistics.median(ratios), "x", 2.0, 1.3)


def _beside(
    url: str, seconds: float, rates: tuple[float, float], lines: tuple[str, str]
) -> tuple[Load, Load]:
    """Loads of one organization and of the flood around it, which begins first and ends last."""
    (rate, offered), (calm, loud) = rates, lines
    with started(
        url, connections=32, seconds=seconds + 4, rate=offered, headers=[loud], nice=GIVES_WAY_MORE
    ) as process:
        time.sleep(1)
        beside = measure(url, connections=16, seconds=seconds, rate=rate, headers=[calm])
        has_ended = process.poll() is not None
        flood = result(process)
    if has_ended or beside.failed or not flood.failed:
        raise SystemExit(f"beside: {beside.statuses}, the flood ({has_ended=}): {flood.statuses}")
    if flood.requests < 0.95 * offered * flood.seconds:
        raise SystemExit("the flood could not ask as often as it should; is the machine busy?")
    return beside, flood


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _organizations(world: World) -> tuple[str, str, str]:
    """Header lines of three organizations, the last two of one class."""
    for name in ("academic", "commercial"):
        allow(world, name)
    classes: Sequence[OrganizationClass] = ("academic", "commercial", "commercial")
    calm, loud, probe = organization_headers(world, 3, classes)
    return calm, loud, probe


def holds(world: World, path: str, line: str, minute: int) -> bool:
    """Whether an organization, named by a header line, has its new limit by now."""
    name, _, value = line.partition(": ")
    policy = world.get(path, headers={name: value}).headers.get("ratelimit-policy", "")
    return f"q={minute};" in policy


def organization_headers(
    world: World, count: int, classes: Sequence[OrganizationClass] = ("academic",)
) -> list[str]:
    """Register organizations and make a key for each; the header lines that name them."""
    context = world.platform.context
    engine = connect(dsn_of(context.settings, context.credentials.postgres_password))
    change = Change("bench", datetime.now(UTC), context.credentials.audit_key.encode())
    lines = []
    try:
        for number in range(count):
            name = f"bench-{number}"
            kind = classes[number % len(classes)]
            add_organization(engine, NewOrganization(name, name, kind), change)
            expires = change.now + timedelta(days=1)
            made = make_key(engine, NewKey(name, "bench", frozenset({"read"}), expires), change)
            lines.append(f"Authorization: Bearer {made.token}")
    finally:
        engine.dispose()
    return lines
