"""The plan: which jobs there are, what stands in their SQL, what their hashes depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.base import Record
from emdata.derive import flink
from emdata.errors import ContractError, SettingError
from emdata.settings import Settings, load_settings
from flink_jobs.plan import Job, Plan, build_plan, landing_sql
from flink_jobs.windows import WindowColumn, WindowTable, window_tables
from tests.flink.datasets import FloodWarning, Reading, Station

CHECKPOINTS = Path("/data/checkpoints")
RECORDS: tuple[type[Record], ...] = (Reading, FloodWarning)


def count_window(name: str = "readings_daily", **changes: object) -> WindowTable:
    """A window over the readings; ``changes`` replace its fields."""
    model = window_tables()[0]
    keys = (WindowColumn("read_on", model.keys[0].types, "FLOOR(`read_at` TO DAY)", "day"),)
    measures = (WindowColumn("reading_count", model.measures[0].types, "COUNT(*)", "readings"),)
    table = WindowTable(
        name, "gauge_readings", "gauge", "Readings per day", keys, measures, event_time="read_at"
    )
    return replace(table, **changes)  # type: ignore[arg-type]


def settings(**environ: str) -> Settings:
    return load_settings({"EMDATA_HOME": "/data", **environ}, env_file=None)


def plan(
    records: tuple[type[Record], ...] = RECORDS,
    windows: tuple[WindowTable, ...] = (),
    **environ: str,
) -> Plan:
    return build_plan(records, settings(**environ), CHECKPOINTS, windows=windows)


def job(name: str, made: Plan) -> Job:
    return next(job for job in made.jobs if job.name == name)


def test_alerts_are_landed_by_a_job_of_their_own() -> None:
    made = plan()
    assert [job.name for job in made.jobs] == ["landing-alerts", "landing-bulk"]
    assert job("landing-alerts", made).tables == ("gauge_warnings",)
    assert job("landing-bulk", made).tables == ("gauge_readings",)


def test_the_plan_does_not_depend_on_the_order_of_contracts() -> None:
    assert plan((Reading, FloodWarning, Station)) == plan((Station, FloodWarning, Reading))


def test_an_added_dataset_leaves_the_consumer_groups_of_the_others_alone() -> None:
    before, after = plan(), plan((*RECORDS, Station))
    assert job("landing-alerts", before) == job("landing-alerts", after)
    old, new = job("landing-bulk", before), job("landing-bulk", after)
    assert old.hash != new.hash
    assert old.groups.items() <= new.groups.items()
    assert new.groups["water-gauge-readings"] == "emdata-landing-gauge_readings"


def test_landing_starts_from_committed_offsets_and_from_the_earliest_without() -> None:
    source = job("landing-bulk", plan()).setup[0]
    assert "'scan.startup.mode' = 'group-offsets'" in source
    assert "'properties.auto.offset.reset' = 'earliest'" in source


def test_a_value_of_another_type_is_an_error_and_never_a_silent_null() -> None:
    bulk = job("landing-bulk", plan())
    assert "'value.json.ignore-parse-errors' = 'false'" in bulk.setup[0]
    assert bulk.config["table.exec.sink.not-null-enforcer"] == "ERROR"
    assert "`record_key` STRING NOT NULL" in bulk.setup[1]
    assert "`record_version` STRING," in bulk.setup[1]


def test_every_column_is_quoted_so_that_contracts_may_use_reserved_words() -> None:
    bulk = job("landing-bulk", plan())
    for statement in (*bulk.setup, *bulk.inserts):
        assert "`timestamp`" in statement
        assert "`raw`" in statement
        assert " timestamp" not in statement


def test_an_insert_names_its_columns_in_the_same_order_on_both_sides() -> None:
    statement = flink.landing_insert_sql(Reading)
    named = statement[statement.index("(") + 1 : statement.index(")")]
    selected = statement[statement.index("SELECT ") + 7 : statement.index("\nFROM")]
    assert named == selected
    assert named.startswith("`accepted_on`, `writer`, `seq`")


def test_jobs_never_give_up_restarting() -> None:
    for made in plan(windows=(count_window(),)).jobs:
        assert made.config["restart-strategy.type"] == "exponential-delay"
        assert not any("attempts" in name for name in made.config)


def test_windows_keep_checkpoints_that_outlive_their_job() -> None:
    made = plan(windows=(count_window(),))
    assert _retention(job("windows-gauge", made)) == "RETAIN_ON_CANCELLATION"
    assert _retention(job("landing-bulk", made)) == "DELETE_ON_CANCELLATION"


def _retention(made: Job) -> str:
    return made.config["execution.checkpointing.externalized-checkpoint-retention"]


def test_no_plan_holds_the_password() -> None:
    made = plan(windows=(count_window(),), STARROCKS_PASSWORD="canary-4711")
    text = msgspec.json.encode(made).decode()
    assert "canary-4711" not in text
    assert flink.PASSWORD_PLACEHOLDER in text


def test_an_address_changes_the_fingerprint_and_not_the_hash() -> None:
    here = plan(windows=(count_window(),))
    there = plan(windows=(count_window(),), STARROCKS_HOST="db", KAFKA_BOOTSTRAP_SERVERS="k:9092")
    for old, new in zip(here.jobs, there.jobs, strict=True):
        assert old.hash == new.hash
        assert old.fingerprint != new.fingerprint
        assert old.tables == new.tables


@pytest.mark.parametrize(
    "changed",
    [
        {"measures": (replace(count_window().measures[0], expression="SUM(1)"),)},
        {"where": "`value` > 0"},
        {"event_time": None},
    ],
    ids=["expression", "filter", "state lifetime"],
)
def test_another_window_is_another_hash_and_another_table(changed: dict[str, object]) -> None:
    old = job("windows-gauge", plan(windows=(count_window(),)))
    new = job("windows-gauge", plan(windows=(count_window(**changed),)))
    assert old.hash != new.hash
    assert set(old.tables).isdisjoint(new.tables)


def test_the_state_lifetime_is_part_of_a_windows_hash() -> None:
    old = job("windows-gauge", plan(windows=(count_window(),)))
    new = job("windows-gauge", plan(windows=(count_window(),), EMDATA_WINDOW_STATE_DAYS="30"))
    assert old.hash != new.hash
    assert new.config["table.exec.state.ttl"] == "30 d"


def test_giving_up_state_makes_a_new_hash_for_that_job_alone() -> None:
    windows = (count_window(), count_window("others_daily", job="other"))
    old = plan(windows=windows)
    new = build_plan(
        RECORDS, settings(), CHECKPOINTS, windows=windows, generations={"windows-gauge": 1}
    )
    assert job("windows-gauge", old).hash != job("windows-gauge", new).hash
    assert job("windows-other", old) == job("windows-other", new)


def test_the_comment_of_a_window_does_not_rebuild_it() -> None:
    old = job("windows-gauge", plan(windows=(count_window(),)))
    assert old == job("windows-gauge", plan(windows=(count_window(comment="Other words"),)))


def test_topics_must_outlive_the_windows_state() -> None:
    with pytest.raises(SettingError, match="EMDATA_KAFKA_WINDOW_RETENTION_DAYS"):
        plan(windows=(count_window(),), EMDATA_KAFKA_WINDOW_RETENTION_DAYS="40")


def test_a_window_over_an_unknown_dataset_is_refused() -> None:
    with pytest.raises(ContractError, match="gauge_readings"):
        plan((FloodWarning,), (count_window(),))


def test_windows_of_different_lifetimes_cannot_share_a_state() -> None:
    windows = (count_window(), count_window("readings_ever", event_time=None))
    with pytest.raises(ContractError, match="one state lifetime"):
        plan(windows=windows)


def test_the_printed_sql_of_a_dataset_is_what_its_job_runs() -> None:
    text = landing_sql(Reading, settings())
    bulk = job("landing-bulk", plan())
    assert text == ";\n\n".join((*bulk.setup, *bulk.inserts)) + ";\n"


@given(st.text(min_size=1))
def test_quoting_survives_any_text(name: str) -> None:
    assert flink.quote(name)[1:-1].replace("``", "`") == name
    assert flink.literal(name)[1:-1].replace("''", "'") == name
    assert "`" not in flink.quote(name)[1:-1].replace("``", "")
    assert "'" not in flink.literal(name)[1:-1].replace("''", "")
