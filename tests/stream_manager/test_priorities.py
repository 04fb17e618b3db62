"""Priority: by name, refined by the contract; CRITICAL by approval and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts import contracts
from emdata.contracts.base import Dataset, Priority, Record
from stream_manager.control.priorities import PriorityPolicy


class Said(Record, frozen=True, kw_only=True):
    """A record whose contract decides."""

    thing_id: str
    level: int
    dataset = Dataset(
        name="made_things",
        source="made",
        domain="test",
        title="Made things",
        key=("thing_id",),
        event_time="thing_id",
        fresh_within="1h",
        terms="none",
    )

    def priority(self) -> Priority:
        return Priority(self.level)


def dataset(name: str, *, source: str = "made", approved: bool = False) -> Dataset:
    return replace(Said.dataset, name=name, source=source, approved_critical=approved)


def silent(about: Dataset) -> Record:
    """A record of a contract without a priority of its own."""

    class Silent(Record, frozen=True, kw_only=True):
        thing_id: str = "a"

    Silent.dataset = about
    return Silent()


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("firms_detections", "nasa", Priority.HIGH),
        ("nasa_firms_fire_detections", "nasa_firms", Priority.HIGH),
        ("landsat_scenes", "usgs", Priority.HIGH),
        ("iot_sensor_readings", "iot", Priority.NORMAL),
        ("readings", "noaa", Priority.NORMAL),
        ("noaa_buoys", "noaa", Priority.NORMAL),
        ("confirmsomething_x", "made", Priority.LOW),
        ("anything_else", "made", Priority.LOW),
    ],
)
def test_without_a_word_of_the_contract_the_name_decides(
    name: str, source: str, expected: Priority
) -> None:
    assert PriorityPolicy().decide(silent(dataset(name, source=source))) is expected


CRITICAL_NAMES = st.sampled_from(
    ["evacuation_alert_boulder", "emergency_broadcast_co", "life_safety_x", "nws_alerts"]
)


@given(CRITICAL_NAMES, st.sampled_from([0, 1, 2, 3, None]))
def test_no_name_and_no_contract_reaches_critical_without_approval(
    name: str, said: int | None
) -> None:
    capped: list[str] = []
    policy = PriorityPolicy(on_capped=lambda about: capped.append(about.name))
    about = dataset(name)
    record = silent(about)
    given_level = (
        policy.decide(record) if said is None else policy.decide_level(about, Priority(said))
    )
    assert given_level is not Priority.CRITICAL
    wanted_critical = said == 0 or (said is None and name != "nws_alerts")
    assert capped == ([name] if wanted_critical else [])
    assert (given_level is Priority.HIGH) == (wanted_critical or said == 1)


@given(st.integers(0, 3), st.booleans(), st.booleans())
def test_an_approved_dataset_gets_what_its_contract_says(
    level: int, by_contract: bool, by_setting: bool
) -> None:
    about = dataset("county_sirens", approved=by_contract)
    policy = PriorityPolicy(["county_sirens"] if by_setting else [])
    is_approved = by_contract or by_setting
    expected = Priority(level) if is_approved else Priority(max(level, 1))
    assert policy.decide_level(about, Priority(level)) is expected
    assert policy.is_approved(about) is is_approved


def test_an_approved_name_of_alarm_is_critical_by_default() -> None:
    policy = PriorityPolicy(["evacuation_alert_boulder"])
    assert policy.decide(silent(dataset("evacuation_alert_boulder"))) is Priority.CRITICAL
    assert policy.decide(silent(dataset("evacuation_alert_denver"))) is Priority.HIGH


def test_a_stream_is_as_urgent_as_its_most_urgent_dataset_may_be() -> None:
    known = contracts()
    policy = PriorityPolicy()
    assert policy.of_stream([known["nws_alert_zones"], known["nws_alerts"]]) is Priority.CRITICAL
    assert policy.of_stream([known["coagmet_hourly_observations"]]) is Priority.LOW
    assert policy.of_stream([]) is Priority.LOW


def test_of_all_contracts_only_the_alerts_of_the_weather_service_may_be_critical() -> None:
    policy = PriorityPolicy()
    approved = {name for name, one in contracts().items() if policy.is_approved(one.dataset)}
    assert approved == {"nws_alerts", "nws_alert_zones"}
