"""The whole way on real servers: two workers count, the manager is killed, the sums are exact."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emdata.state.database import connect
from emdata.state.organizations import NewOrganization, add_organization
from runtime.tasks import state_dsn
from tests.api.access.live import World
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,manager,api"
SETTINGS = {
    "EMDATA_STREAMS": "push-api",
    "EMDATA_API_WORKERS": "2",
    "EMDATA_API_LIMITS": "postgres",
    "EMDATA_API_USAGE_SECONDS": "1",
}
ROUTE = "/collections"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_platform(SERVICES, SETTINGS) as platform:
        engine = connect(state_dsn(platform.context))
        made = World(platform, engine)
        platform.state_sql(
            "UPDATE policies SET requests_per_minute = 600000, burst = 10000,"
            " requests_per_day = 100000000, concurrent = 64"
            " WHERE organization_class <> 'commercial' RETURNING organization_class"
        )
        platform.state_sql(
            "UPDATE policies SET requests_per_minute = 1200, burst = 20 WHERE"
            " organization_class = 'commercial' RETURNING organization_class"
        )
        change = made.change()
        for name in ("academic", "commercial", "government"):
            add_organization(engine, NewOrganization(name, name, name), change)
        made.make("lab", "academic", "read")
        made.make("vendor", "commercial", "read")
        made.make("admin", "government", "read", "admin")
        yield made
        engine.dispose()


def landed(platform: Platform, organization: str) -> int:
    """Requests of an organization for ROUTE in the raw table, each line once."""
    (row,) = platform.sql(
        "SELECT COALESCE(SUM(requests), 0) AS total FROM (SELECT requests, ROW_NUMBER() OVER"
        " (PARTITION BY record_key ORDER BY seq, writer) AS place FROM raw_data.api_usage"
        f" WHERE organization = '{organization}' AND route = '{ROUTE}') AS lines WHERE place = 1"
    )
    return int(row["total"])


def metrics(platform: Platform) -> dict[str, float]:
    """Requests for ROUTE by status, of all workers."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.settings.api_metrics_port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    return {
        one.labels["status"]: one.value
        for one in families["emdata_api_requests"].samples
        if one.name.endswith("_total") and one.labels["route"] == ROUTE
    }


def ask_many(world: World, role: str, count: int) -> list[int]:
    """Statuses of requests on eight connections, so that both workers get some."""
    headers = {"X-API-Key": world.tokens[role]}

    def run(number: int) -> list[int]:
        found = []
        for _ in range(count // 8):
            connection = http.client.HTTPConnection(
                "127.0.0.1", world.platform.settings.api_port, timeout=60
            )
            connection.request("GET", ROUTE, headers=headers)
            answer = connection.getresponse()
            answer.read()
            found.append(answer.status)
            connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        return [status for many in pool.map(run, range(8)) for status in many]


def test_requests_count_once_although_the_manager_is_killed(world: World) -> None:
    before = metrics(world.platform).get("200", 0)
    assert set(ask_many(world, "lab", 80)) == {200}
    pid = world.platform.kill("manager")
    assert set(ask_many(world, "lab", 80)) == {200}
    world.platform.wait_restarted("manager", pid)
    assert set(ask_many(world, "lab", 80)) == {200}
    wait_for(lambda: landed(world.platform, "academic") >= 240, 180, "usage to land", interval=0.5)
    assert landed(world.platform, "academic") == 240
    assert metrics(world.platform)["200"] - before == 240, "both workers' counts, added up"
    folder = world.platform.paths.data / "api-usage"
    wait_for(lambda: not list(folder.iterdir()), 30, "the spool to be empty")


def test_an_organization_sees_its_own_usage_and_the_operator_all(world: World) -> None:
    ask_many(world, "lab", 8)
    wait_for(lambda: landed(world.platform, "academic") >= 8, 180, "usage to land", interval=0.5)
    own = world.ask("/usage", "lab")
    assert own.status == 200, own.body
    assert own.json["organization"] == "academic"
    assert {row["organization"] for row in own.json["days"]} == {"academic"}
    assert sum(row["requests"] for row in own.json["days"]) >= 8
    assert own.json["isSimulated"] is True
    assert world.ask("/usage?organization=commercial", "lab").status == 403
    assert world.ask("/usage?organization=*", "lab").status == 403
    assert world.ask("/usage").status == 401
    everybody = world.ask("/usage?organization=*", "admin")
    assert "academic" in {row["organization"] for row in everybody.json["days"]}
    chart = world.ask("/usage/chart", "admin")
    assert (chart.status, chart.headers["content-type"]) == (200, "image/svg+xml")
    assert b"answered</title>" in chart.body
    assert world.ask("/usage/chart", "lab").status == 403


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2026-02-02&to=2026-02-01", "from=1999-01-01", "since=2026"]
)
def test_days_that_cannot_be_are_refused(world: World, query: str) -> None:
    answer = world.ask(f"/usage?{query}", "lab")
    assert answer.status == 400
    assert answer.json["type"] == "/problems/bad-parameter"


def test_usage_is_nobodys_to_read_but_the_operators(world: World) -> None:
    for name in ("api_usage", "fct_api_usage_day"):
        assert world.ask(f"/collections/{name}/items").status == 404
        assert world.ask(f"/collections/{name}/items", "lab").status == 404
    assert world.ask("/collections/api_usage/items?limit=1", "admin").status == 200


def test_workers_share_an_organizations_limit(world: World) -> None:
    begun = time.monotonic()
    statuses = ask_many(world, "vendor", 400)
    lasted = time.monotonic() - begun
    allowed = statuses.count(200)
    assert set(statuses) <= {200, 429}
    assert allowed <= 1.05 * (20 + 20 * lasted) + 1, (allowed, lasted)
    assert allowed >= min(400, 0.7 * (20 + 20 * lasted)), (allowed, lasted)
    refused = world.ask("/collections", "vendor")
    if refused.status == 429:
        assert int(refused.headers["retry-after"]) >= 1


def test_fault_50_a_page_of_a_billion_rows_is_refused(world: World) -> None:
    answer = world.ask("/collections/nws_alerts/items?limit=1000000000", "lab")
    assert answer.status == 400
    assert answer.json["parameter"] == "limit"
