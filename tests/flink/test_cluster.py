"""Landing, windows and deployments on a real Kafka, a real Flink cluster and 9030."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from emdata.contracts import Record, contracts
from emdata.contracts.coagmet import HourlyObservation
from emdata.contracts.usda import DroughtCounty
from emdata.derive.starrocks import raw_table_ddl
from flink_jobs.decide import Action
from flink_jobs.deploy import Limits, Order, Report, deploy, ensure_running, start_session
from flink_jobs.errors import CompileError
from flink_jobs.records import read_records
from flink_jobs.rest import FlinkRest
from flink_jobs.session import Session
from flink_jobs.windows import WindowTable, window_tables
from runtime.install import find_java
from tests.flink.datasets import Reading, Station
from tests.flink.events import START, alert_zones, declarations, emissions, observations
from tests.flink.world import World
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SERVERS = "kafka,starrocks,jobmanager,taskmanager"
LANDED_S = 90.0
REAL = tuple(contracts().values())


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(SERVERS) as started:
        yield started


@pytest.fixture(scope="module")
def world(platform: Platform) -> World:
    return World(platform)


@pytest.fixture(scope="module")
def session(platform: Platform) -> Iterator[Session]:
    with start_session(platform.settings, platform.paths, environ(platform)) as started:
        yield started


def environ(platform: Platform) -> Mapping[str, str]:
    return {**os.environ, "JAVA_HOME": str(find_java(os.environ).home)}


def deployed(platform: Platform, session: Session, order: Order | None = None) -> Report:
    report = deploy(
        platform.settings, platform.paths, environ=environ(platform), order=order, session=session
    )
    assert report.ok, report
    return report


def job_ids(platform: Platform) -> dict[str, str]:
    return {
        name: record.job_id
        for name, record in read_records(platform.paths.flink_jobs_file).jobs.items()
    }


def alive(platform: Platform) -> dict[str, str]:
    """Names of the jobs that the cluster works on, by id."""
    with FlinkRest("127.0.0.1", platform.settings.flink_rest_port) as rest:
        return {job.job_id: job.name for job in rest.jobs() if job.is_alive}


def checkpoints(platform: Platform, job: str) -> int:
    with FlinkRest("127.0.0.1", platform.settings.flink_rest_port) as rest:
        return rest.health(job_ids(platform)[job]).checkpoints


def send_everything(world: World, seed: int, count: int) -> None:
    """A batch of every windowed dataset, every third record twice, some far too late."""
    random = Random(seed)
    accepted = START + timedelta(days=7, seconds=seed)
    first_id = seed * 100_000
    zones = list(alert_zones(random, count, first_id))
    for number, record in enumerate(zones):
        world.send([record], accepted, copies=1 + (number % 3 == 0))
    world.send(observations(random, count), accepted)
    world.send(declarations(random, count), accepted + timedelta(hours=random.randrange(5)))
    world.send(emissions(random, count), accepted + timedelta(days=random.randrange(60)))
    world.send(alert_zones(random, 20, first_id + 50_000), START + timedelta(days=90))
    world.flush()


def test_a_second_deployment_changes_nothing(platform: Platform) -> None:
    before = job_ids(platform)
    assert set(before) == {
        "landing-alerts",
        "landing-bulk",
        "windows-alerts",
        "windows-disasters",
        "windows-emissions",
        "windows-weather",
    }
    said = platform.emdata("flink", "deploy").stdout
    assert "6 jobs, 0 changed" in said
    assert job_ids(platform) == before
    assert platform.emdata("flink", "status").returncode == 0


def test_fault_54_rows_and_windows_are_exact_though_the_taskmanager_is_killed(
    platform: Platform, world: World
) -> None:
    send_everything(world, seed=1, count=300)
    wait_for(lambda: world.count("coagmet_hourly_observations") > 0, LANDED_S, "first rows")
    old = platform.kill("taskmanager")
    send_everything(world, seed=2, count=300)
    platform.wait_restarted("taskmanager", old)
    send_everything(world, seed=3, count=300)
    world.wait_landed(LANDED_S)
    world.wait_windows_exact(LANDED_S)


def test_a_table_that_refuses_loads_stalls_neither_alerts_nor_their_checkpoints(
    platform: Platform, world: World
) -> None:
    platform.warehouse().execute("DROP TABLE raw_data.usda_drought_counties FORCE")
    day = datetime(2026, 11, 17, tzinfo=UTC).date()
    world.send(
        [
            DroughtCounty(county_fips=f"08{n:03d}", valid_on=day, statistics_type=1)
            for n in range(9)
        ],
        START,
    )
    world.flush()
    with FlinkRest("127.0.0.1", platform.settings.flink_rest_port) as rest:
        bulk = job_ids(platform)["landing-bulk"]
        wait_for(lambda: rest.health(bulk).failure, LANDED_S, "landing-bulk to fail", interval=0.3)
    done = checkpoints(platform, "landing-alerts")
    world.send(alert_zones(Random(7), 50, 700_000), START + timedelta(days=8))
    world.flush()
    world.wait_landed(15, ["nws_alert_zones"])
    wait_for(
        lambda: checkpoints(platform, "landing-alerts") > done + 1, 15, "checkpoints of the alerts"
    )
    platform.warehouse().execute(raw_table_ddl(DroughtCounty))
    world.wait_landed(LANDED_S, ["usda_drought_counties", "nws_alert_zones"])
    assert job_ids(platform)["landing-bulk"] == bulk


def test_windows_go_on_from_a_checkpoint_after_the_jobmanager_was_killed(
    platform: Platform, world: World, session: Session
) -> None:
    send_everything(world, seed=11, count=60)
    world.wait_windows_exact(LANDED_S)
    before = job_ids(platform)
    old = platform.kill("jobmanager")
    send_everything(world, seed=12, count=60)
    platform.wait_restarted("jobmanager", old)
    platform.wait_ready("taskmanager")
    report = ensure_running(
        platform.settings, platform.paths, environ=environ(platform), session=session
    )
    assert report.ok, report
    actions = {outcome.name: outcome.action for outcome in report.outcomes}
    assert actions["landing-alerts"] is Action.START
    assert actions["windows-alerts"] is Action.RESTORE
    records = read_records(platform.paths.flink_jobs_file)
    restored_from = records.jobs["windows-alerts"].restored_from
    assert restored_from is not None
    assert before["windows-alerts"] in restored_from
    assert records.generations == {}
    world.wait_landed(LANDED_S)
    world.wait_windows_exact(LANDED_S)


def test_an_added_dataset_puts_no_row_into_the_table_of_another(
    platform: Platform, world: World, session: Session
) -> None:
    add_topic(platform, Station)
    platform.warehouse().execute(raw_table_ddl(Station))
    send_everything(world, seed=21, count=40)
    windows = job_ids(platform)["windows-weather"]
    report = deployed(platform, session, Order(datasets=(*REAL, Station)))
    assert report.changed == ("landing-bulk",)
    world.send([Station(station=f"g{n}") for n in range(20)], START)
    send_everything(world, seed=22, count=40)
    for dataset in ("coagmet_hourly_observations", "fema_disaster_declarations"):
        world.wait_landed(LANDED_S, [dataset])
    wait_for(lambda: world.count("gauge_a_stations") == 20, LANDED_S, "rows of the added dataset")
    assert {row["station"] for row in world.landed("gauge_a_stations").values()} == {
        f"g{n}" for n in range(20)
    }
    del world.sent["gauge_a_stations"]
    deployed(platform, session)
    assert job_ids(platform)["windows-weather"] == windows


def test_changed_windows_are_rebuilt_beside_the_old_and_swapped(
    platform: Platform, world: World, session: Session
) -> None:
    world.send(probe_hours(30), START)
    # So old that the topics of a rebuild may have lost a part of it.
    world.send(probe_hours(1, LONG_AGO), LONG_AGO + timedelta(hours=1))
    world.flush()
    windows = window_tables()
    deployed(platform, session, Order(windows=(*windows, probe("COUNT(*)"))))
    wait_for(lambda: probed(platform) == {START: 30, LONG_AGO: 1}, LANDED_S, "the first count")
    old = read_records(platform.paths.flink_jobs_file).jobs["windows-probe"]
    report = deployed(platform, session, Order(windows=(*windows, probe("COUNT(*) * 2"))))
    assert report.changed == ("windows-probe",)
    assert probed(platform) == {START: 60, LONG_AGO: 1}, "caught up before the swap, old rows kept"
    new = read_records(platform.paths.flink_jobs_file).jobs["windows-probe"]
    assert set(old.job.tables).isdisjoint(new.job.tables)
    assert old.job_id not in alive(platform)
    assert set(new.job.tables) <= tables(platform)
    assert not set(old.job.tables) & tables(platform)
    world.send(probe_hours(5, first=30), START)
    world.flush()
    wait_for(lambda: probed(platform)[START] == 70, LANDED_S, "the count to go on")
    assert deployed(platform, session).changed == ("windows-probe",)
    assert not {name for name in tables(platform) if "probe" in name}
    assert new.job_id not in alive(platform)


def test_a_plan_that_does_not_compile_stops_nothing(platform: Platform, session: Session) -> None:
    before = alive(platform)
    changed = tuple(replace(w, where="1 = 1") if w.job == "weather" else w for w in window_tables())
    broken = (*changed, probe("NO_SUCH_FUNCTION(1)"))
    with pytest.raises(CompileError, match=r"windows-probe.*does not compile.*NO_SUCH_FUNCTION"):
        deployed(platform, session, Order(windows=broken))
    assert alive(platform) == before


def test_a_missing_table_is_named_before_anything_is_stopped(
    platform: Platform, session: Session
) -> None:
    before = alive(platform)
    with pytest.raises(CompileError, match=r"raw_data: gauge_readings; .* Kafka: water-gauge"):
        deployed(platform, session, Order(datasets=(*REAL, Reading)))
    assert alive(platform) == before


def test_landing_that_does_not_come_up_gives_way_to_what_ran_before(
    platform: Platform, world: World, session: Session
) -> None:
    deployed(platform, session)
    add_topic(platform, Reading)
    platform.warehouse().execute(raw_table_ddl(Reading))
    producer = Producer({"bootstrap.servers": platform.settings.kafka_servers, "log_level": 0})
    producer.produce(Reading.dataset.topic, value=b"not JSON")
    assert producer.flush(30) == 0
    report = deploy(
        platform.settings,
        platform.paths,
        environ=environ(platform),
        order=Order(datasets=(*REAL, Reading), limits=Limits(healthy=15)),
        session=session,
    )
    (outcome,) = [one for one in report.outcomes if not one.ok]
    assert outcome.name == "landing-bulk"
    assert "what ran before runs again" in outcome.detail
    assert (
        "gauge_readings"
        not in read_records(platform.paths.flink_jobs_file).jobs["landing-bulk"].job.tables
    )
    send_everything(world, seed=31, count=20)
    world.wait_landed(LANDED_S)


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def probe_hours(
    count: int, observed_at: datetime = START, first: int = 0
) -> Iterator[HourlyObservation]:
    """One observation of each of ``count`` stations that only the probe counts."""
    for number in range(first, first + count):
        yield HourlyObservation(station_id=f"probe{number}", observed_at=observed_at)


def probe(count: str) -> WindowTable:
    """A window of this test: observations by hour."""
    hour = replace(window_tables()[0].keys[0], expression="FLOOR(`observed_at` TO HOUR)")
    total = replace(window_tables()[0].measures[0], name="station_count", expression=count)
    return WindowTable(
        name="stations_probe",
        dataset="coagmet_hourly_observations",
        job="probe",
        comment="Stations by hour",
        keys=(hour,),
        measures=(total,),
        where="`station_id` LIKE 'probe%'",
        event_time="observed_at",
    )


def probed(platform: Platform) -> dict[datetime, int]:
    rows = platform.sql("SELECT window_start, station_count FROM raw_data.stations_probe")
    return {row["window_start"].replace(tzinfo=UTC): row["station_count"] for row in rows}


def tables(platform: Platform) -> set[str]:
    """Tables and views in raw_data."""
    rows = platform.sql(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'raw_data'"
    )
    return {row["name"] for row in rows}


def add_topic(platform: Platform, record: type[Record]) -> None:
    admin = AdminClient({"bootstrap.servers": platform.settings.kafka_servers, "log_level": 0})
    for future in admin.create_topics([NewTopic(record.dataset.topic, num_partitions=1)]).values():
        future.result(timeout=30)
