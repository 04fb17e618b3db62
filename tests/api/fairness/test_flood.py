"""A flood of one organization beside another one's steady requests, on a running API."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from emdata.state.database import connect
from emdata.state.organizations import NewOrganization, add_organization
from runtime.tasks import state_dsn
from tests.api.access.live import World
from tests.support.platform import running_platform

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(400)]
ROUTE = "/collections"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    settings = {"EMDATA_API_LIMITS": "postgres"}
    with running_platform("postgres,starrocks,api", settings) as platform:
        engine = connect(state_dsn(platform.context))
        made = World(platform, engine)
        platform.state_sql(
            "UPDATE policies SET requests_per_minute = 1200, burst = 20"
            " WHERE organization_class = 'commercial' RETURNING organization_class"
        )
        platform.state_sql(
            "UPDATE policies SET requests_per_minute = 60000, burst = 1000"
            " WHERE organization_class = 'academic' RETURNING organization_class"
        )
        change = made.change()
        for role, name in (("lab", "academic"), ("vendor", "commercial")):
            add_organization(engine, NewOrganization(name, name, name), change)
            made.make(role, name, "read")
        yield made
        engine.dispose()


def test_fault_50_a_flood_leaves_another_organization_at_twice_its_p99(world: World) -> None:
    """Five times the vendor's limit, 100 a second, beside a lab that asks 20 a second."""
    alone = _paced(world, "lab", 20, 15)
    flood = threading.Thread(target=_paced, args=(world, "vendor", 100, 17), daemon=True)
    flood.start()
    beside = _paced(world, "lab", 20, 15)
    flood.join(60)
    before, during = _p99(alone), _p99(beside)
    assert during <= 2 * max(before, 0.02), (before, during)


def _paced(world: World, role: str, per_second: float, seconds: float) -> list[float]:
    """Seconds of requests at a rate, on one connection that waits for nobody's pace but its own."""
    headers = {"X-API-Key": world.tokens[role]}
    connection = http.client.HTTPConnection("127.0.0.1", world.platform.settings.api_port)
    found: list[float] = []
    begun = time.monotonic()
    for number in range(int(per_second * seconds)):
        due = begun + number / per_second
        threading.Event().wait(max(0.0, due - time.monotonic()))
        started = time.perf_counter()
        connection.request("GET", ROUTE, headers=headers)
        connection.getresponse().read()
        found.append(time.perf_counter() - started)
    connection.close()
    return found


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]
