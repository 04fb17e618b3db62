"""The main job on compose: what the simulator served is what landed, also under kills.

The embedded profile's own end-to-end test, with containers in place of processes.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emdata.contracts import contracts
from tests.containers.compose_platform import ComposePlatform, build_standins, running_compose
from tests.containers.scaling import scale, wait_landing
from tests.containers.watching import Watching
from tests.monitoring.expressions import OF_STARROCKS, metrics_in
from tests.monitoring.test_dashboards import PANELS, expressions
from tests.monitoring.test_rules import rules
from tests.support.waiting import wait_for
from tests.support.world import (
    World,
    assert_equal_to_the_witness,
    assert_ledger_settled,
    assert_windows_equal_a_recount,
    frozen_world,
    wait_for_moment,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(3600),
]
KILLED = ("manager", "taskmanager", "kafka", "postgres")
SCRAPED = {
    *("stream_manager", "api", "watchdog", "flink", "kafka", "postgres", "starrocks"),
    *("prometheus", "alertmanager"),  # no Grafana: Debian has none to stand in for it
}
# Shown once something happened that does not happen here.
NOT_YET = {"stream_critical_demoted_total", "stream_records_failed_total"}


@pytest.fixture(scope="module")
def platform(engine: None) -> Iterator[ComposePlatform]:
    build_standins()
    with running_compose(settings={"COMPOSE_PROFILES": "lite,monitoring"}) as running:
        yield running


@pytest.fixture(scope="module")
def world(platform: ComposePlatform) -> Iterator[World[ComposePlatform]]:
    with frozen_world(platform) as world:
        yield world


def test_everything_is_healthy_and_one_shots_ended_well(platform: ComposePlatform) -> None:
    containers = platform.compose.containers()
    assert {one.service for one in containers} >= {
        *("kafka", "postgres", "starrocks-lite", "simulator", "migrations", "scrapers", "api"),
        *("flink-jobmanager", "flink-taskmanager", "flink-deploy"),
        *("dagster-code", "dagster-webserver", "dagster-daemon"),
    }
    assert [one for one in containers if not one.is_ready] == []
    assert platform.emdata("health").returncode == 0


def test_containers_started_in_the_order_of_their_dependencies(platform: ComposePlatform) -> None:
    def times(service: str) -> tuple[str, str]:
        (one,) = platform.containers(service)
        state = platform.inspect(one.name)["State"]
        return state["StartedAt"], state["FinishedAt"]

    migrated = times("migrations")[1]
    for server in ("kafka", "postgres", "starrocks"):
        assert times(server)[0] < times("migrations")[0]
    for later in ("scrapers", "api", "flink-deploy", "dagster-code"):
        assert times(later)[0] > migrated


def test_only_published_ports_reach_out_and_nothing_runs_as_root(
    platform: ComposePlatform,
) -> None:
    for one in platform.compose.containers():
        found = platform.inspect(one.name)
        assert found["Config"]["User"] not in ("", "0", "root", "0:0"), one.name
        for bindings in found["HostConfig"]["PortBindings"].values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, one.name


def test_no_password_is_seen_by_docker_inspect(platform: ComposePlatform) -> None:
    credentials = platform.context.credentials
    known = [line.partition("=")[2] for line in credentials.dotenv().splitlines()]
    for one in platform.compose.containers():
        text = str(platform.inspect(one.name))
        assert [secret for secret in known if secret in text] == [], one.name


def test_what_the_simulator_served_is_what_landed(world: World[ComposePlatform]) -> None:
    world.poll()
    for seconds in (600, 3700):
        world.advance(seconds)
        world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)
    assert_windows_equal_a_recount(world)


@pytest.mark.parametrize("service", KILLED)
def test_nothing_is_lost_or_counted_twice_when_a_container_is_killed(
    world: World[ComposePlatform], service: str
) -> None:
    world.advance(1900)
    moments = ("asked", "first landing") if service == "postgres" else ("asked", "first answer")
    ids = world.ask()
    wait_for_moment(world, ids, random.Random(service).choice(moments))
    before = world.platform.kill(service)
    world.platform.wait_restarted(service, before, timeout=240)
    world.settled(world.answered(ids))
    world.poll()
    assert_ledger_settled(world)
    assert_equal_to_the_witness(world)


def test_a_second_taskmanager_doubles_the_landing_jobs_and_nothing_is_lost(
    world: World[ComposePlatform], platform: ComposePlatform
) -> None:
    wait_landing(platform, 1)
    for count in (2, 1):
        world.advance(1900)
        ids = world.ask()
        scale(platform, count)
        wait_landing(platform, count)
        world.settled(world.answered(ids))
        world.poll()
        assert_ledger_settled(world)
        assert_equal_to_the_witness(world)
    assert_windows_equal_a_recount(world)


def test_every_part_answers_prometheus(platform: ComposePlatform) -> None:
    watching = Watching(platform)
    wait_for(
        lambda: (
            (found := watching.targets()).keys() >= SCRAPED
            and all(health == {"up"} for health in found.values())
        ),
        120,
        "all targets to be up",
        interval=1.0,
    )
    assert watching.targets().keys() == SCRAPED


def test_dashboards_and_alerts_ask_for_what_is_really_scraped(
    world: World[ComposePlatform], platform: ComposePlatform
) -> None:
    texts = [text for board in PANELS for text in expressions(board)]
    texts += [rule["expr"] for rule in rules()]
    asked = {name for text in texts for name in metrics_in(text)}
    url = f"http://127.0.0.1:{platform.settings.api_port}/collections/nws_alerts/items"
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.status == 200  # so that the API has a request to show
    watching = Watching(platform)
    wanted = asked - OF_STARROCKS - NOT_YET
    wait_for(
        lambda: wanted <= watching.names(),
        240,
        "what is asked for to be scraped",
        interval=2.0,
    )
    assert watching.values("sum(emdata_flink_jobs_missing)") == [0]
    assert watching.values("min(pg_up)") == [1]
    assert sum(watching.values("sum(kafka_log_size_bytes)")) > 0


def test_an_alert_reaches_alertmanager_and_ends(platform: ComposePlatform) -> None:
    watching = Watching(platform)
    name = "FlinkNoTaskManager"
    assert name not in watching.told()
    assert platform.compose.run("stop", "flink-taskmanager") == 0
    try:
        wait_for(lambda: name in watching.told(), 240, f"{name} to be told", interval=2.0)
    finally:
        assert platform.compose.run("start", "flink-taskmanager") == 0
    wait_for(lambda: name not in watching.told(), 480, f"{name} to be over", interval=2.0)
    wait_landing(platform, 1)


def test_nothing_is_lost_or_counted_twice_when_everything_is_restarted(
    world: World[ComposePlatform], platform: ComposePlatform
) -> None:
    world.advance(1900)
    world.poll()
    assert platform.compose.run("restart") == 0
    checked = {one.service for one in platform.compose.containers() if one.health}
    wait_for(
        lambda: (
            all(one.is_ready for one in platform.compose.containers())
            and all(platform.is_well(service) for service in checked)
        ),
        600,
        "all containers to be healthy again",
        interval=2.0,
    )
    world.simulator.ask("clock", {"freeze": True})
    world.poll()
    assert_ledger_settled(world)
    assert_equal_to_the_witness(world)
    assert_windows_equal_a_recount(world)


def contents(platform: ComposePlatform) -> dict[str, tuple[int, str]]:
    """Number of rows and a hash over all of them, by landed table and by table of the state."""
    found = {}
    for record in contracts().values():
        name = record.dataset.name
        rows = platform.warehouse(timeout=120).query(f"SELECT * FROM raw_data.{name}")
        found[name] = (len(rows), hashed(rows))
    for name in ("polls", "poll_datasets", "cursors", "seen", "landed"):
        rows = platform.state_sql(f"SELECT * FROM {name}")
        found[f"state.{name}"] = (len(rows), hashed(rows))
    return found


def hashed(rows: list[dict[str, Any]]) -> str:
    lines = sorted(repr(sorted(row.items(), key=lambda item: item[0])) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def counts(platform: ComposePlatform) -> dict[str, int]:
    return {name: count for name, (count, _) in contents(platform).items()}


def test_a_full_stop_and_start_keeps_all_data(
    world: World[ComposePlatform], platform: ComposePlatform
) -> None:
    world.poll()
    assert_ledger_settled(world)
    before = counts(platform)
    world.engine.dispose()
    platform.emdata("stop")
    assert platform.compose.containers() == []
    platform.start()
    world.simulator.ask("clock", {"freeze": True})
    assert {name: n for name, n in counts(platform).items() if n < before[name]} == {}
    world.poll()
    assert_equal_to_the_witness(world)
    assert_ledger_settled(world)


def test_a_backup_brings_everything_back_after_all_else_was_lost(
    world: World[ComposePlatform], platform: ComposePlatform, tmp_path: Path
) -> None:
    world.poll()
    assert_ledger_settled(world)
    # Nothing polls from here on, so that the backup can be compared row by row.
    assert platform.compose.run("stop", "scrapers", "dagster-daemon") == 0
    before = contents(platform)
    assert sum(count for count, _ in before.values()) > 0
    world.engine.dispose()
    target = tmp_path / "backup"
    platform.emdata("backup", str(target), timeout=900)
    platform.emdata("stop")
    platform.emdata("clean", "--yes")
    for file in platform.home.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()

    platform.emdata("restore", str(target), "--yes", timeout=900)
    platform.forget()
    platform.emdata("start", "--only", "postgres,starrocks-lite", timeout=600)
    assert contents(platform) == before
    platform.start()
    with frozen_world(platform) as restored:
        restored.poll()
        assert_equal_to_the_witness(restored)
        assert_ledger_settled(restored)
        assert_windows_equal_a_recount(restored)
