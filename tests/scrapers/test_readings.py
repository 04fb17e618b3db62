"""Plain JSON of sensors: what devices really send becomes readings, or is refused as a whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.iot import IotSensorReading
from emdata.errors import RowError
from scrapers.push.readings import MAX_READINGS, readings
from stream_manager.polls.poll import RECORD_ERRORS

NOW = datetime(2026, 9, 21, 14, 14, tzinfo=UTC)
AT = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


def read(message: Any, topic: str = "sensors/soil") -> list[IotSensorReading]:
    return readings(json.dumps(message).encode(), topic=topic, received_at=NOW)


@pytest.mark.parametrize(
    ("stamp", "at", "basis"),
    [
        (1790000000, AT, "epoch_s"),
        (1790000000123, AT + timedelta(milliseconds=123), "epoch_ms"),
        (1790000000123456, AT + timedelta(microseconds=123456), "epoch_us"),
        ("1790000000", AT, "epoch_s"),
        ("2026-09-21T14:13:20Z", AT, "iso"),
        ("2026-09-21T08:13:20-06:00", AT, "iso"),
        ("2026-09-21 14:13:20", AT, "naive"),
    ],
)
def test_a_time_is_read_and_how_it_was_read_is_kept(stamp: Any, at: datetime, basis: str) -> None:
    (found,) = read({"device_id": "soil-017", "ts": stamp, "temp_c": 21.5})
    assert (found.observed_at, found.time_basis) == (at, basis)
    assert found.is_clock_suspect is False


def test_every_number_of_a_flat_message_is_a_reading() -> None:
    found = read({"device_id": "s", "ts": 1790000000, "temp_c": "21.5", "vwc": 0.231, "on": True})
    assert {one.quantity: one.value for one in found} == {"temp_c": 21.5, "vwc": 0.231}
    assert {one.topic for one in found} == {"sensors/soil"}


def test_one_reading_in_the_contract_s_own_words_keeps_unit_and_place() -> None:
    (found,) = read(
        {
            "sensor_id": "s", "observed_at": "2026-09-21T14:13:20Z", "quantity": "pm25",
            "value": 12, "unit": "ug/m3", "latitude": 39.7, "longitude": -105.0,
        }
    )  # fmt: skip
    assert (found.quantity, found.value, found.unit) == ("pm25", 12.0, "ug/m3")
    assert (found.latitude, found.longitude) == (39.7, -105.0)
    assert found.record_key() == "s|2026-09-21T14:13:20.000000|pm25"


def test_a_logger_s_stand_in_for_no_value_is_no_value() -> None:
    (found,) = read({"device_id": "s", "timestamp": "2026-09-21 08:13:20", "temp_c": -999})
    assert found.value is None


def test_null_measures_nothing() -> None:
    assert read({"device_id": "s", "ts": 1790000000, "vwc": None}) == []


def test_a_lorawan_envelope_gives_its_object_at_the_gateway_s_time() -> None:
    (found,) = read(
        {
            "applicationID": "5", "devEUI": "0102030405060708", "fCnt": 1202,
            "rxInfo": [{"time": "2026-09-21T14:13:20.1Z", "rssi": -97}],
            "object": {"temperature": 21.5},
        }
    )  # fmt: skip
    assert (found.sensor_id, found.quantity, found.value) == (
        "0102030405060708",
        "temperature",
        21.5,
    )
    assert found.observed_at == AT + timedelta(milliseconds=100)


@pytest.mark.parametrize("stamp", [0, 2090000000])
def test_a_clock_that_is_far_off_is_marked_and_kept(stamp: int) -> None:
    (found,) = read({"device_id": "s", "ts": stamp, "temp_c": 1})
    assert found.is_clock_suspect is True


def test_the_same_reading_by_another_topic_has_the_same_key_and_content() -> None:
    message = {"device_id": "s", "ts": 1790000000, "temp_c": 1}
    (one,), (other,) = read(message, "a"), read(message, "b")
    assert (one.key_hash(), one.content_hash()) == (other.key_hash(), other.content_hash())


@pytest.mark.parametrize(
    "message",
    [
        7,
        [7],
        {},
        {"device_id": "s"},
        {"device_id": "s", "ts": "yesterday", "temp_c": 1},
        {"device_id": "s", "ts": 1e300, "temp_c": 1},
        {"device_id": "", "ts": 1790000000},
        {"device_id": True, "ts": 1790000000, "temp_c": 1},
        {"sensor_id": "s", "ts": 1790000000, "quantity": "a", "value": "much"},
        {"sensor_id": "s", "ts": 1790000000, "quantity": 5, "value": 1},
        [{"device_id": "s", "ts": 1790000000, "a": 1}, {"ts": 1790000000}],
        [{"device_id": "s", "ts": n, "a": 1} for n in range(MAX_READINGS + 1)],
    ],
)
def test_a_message_that_is_not_understood_is_refused_as_a_whole(message: Any) -> None:
    with pytest.raises(RowError):
        read(message)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_cost_their_own_message(payload: bytes) -> None:
    try:
        found = readings(payload, topic="t", received_at=NOW)
    except RECORD_ERRORS:
        return
    assert all(isinstance(one, IotSensorReading) for one in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


@given(JSON, JSON, JSON, st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_json_in_any_place_gives_storable_readings_or_one_error(
    sensor: Any, stamp: Any, value: Any, rest: dict[str, Any]
) -> None:
    message = {**rest, "device_id": sensor, "ts": stamp, "a": value}
    try:
        found = readings(json.dumps(message).encode(), topic="t", received_at=NOW)
    except RECORD_ERRORS:
        return
    for one in found:
        assert one.payload()
        assert len(one.key_hash()) == 16
