"""Rows that are read without making records say what their records say, or are left to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emdata.contracts import A, Dataset, Record, UtcDatetime, contracts
from emdata.contracts.base import RecordEncoder, json_decoder
from emdata.derive.limits import check_storable
from emdata.derive.rows import RowEncoder
from emdata.errors import ContractError
from tests.emdata.test_encoded import records_of

ROWS = sorted(set(contracts()) - {"emission"})  # which has checks of its own
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DENVER = timezone(timedelta(hours=-7))


class Reading(Record, frozen=True, kw_only=True):
    """A reading whose priority, key and region are its own."""

    place: str
    read_at: UtcDatetime
    until: UtcDatetime | None = None
    level: int = 0
    note: str | None = None

    dataset = Dataset(
        name="made_readings",
        source="made",
        domain="made",
        title="Made",
        key=("place", "read_at"),
        version="level",
        event_time="read_at",
        fresh_within="1h",
        terms="made",
        unhashed=("note",),
    )

    def kafka_key(self) -> str:
        """By the hour, which only an instant has."""
        return f"{self.place}-{self.read_at.hour}"

    def region_code(self) -> str | None:
        """The end of the place."""
        return self.place[-2:]


class Ranged(Record, frozen=True, kw_only=True):
    """A contract that asks more of a value than its type."""

    place: str
    read_at: UtcDatetime
    level: A[int, msgspec.Meta(ge=0)] = 0

    dataset = replace(Reading.dataset, unhashed=())


def raw(**fields: object) -> bytes:
    return msgspec.json.encode({"place": "Weld CO", "read_at": "2026-11-21T12:00:00Z", **fields})


def is_storable(record: Record) -> bool:
    try:
        check_storable(record)
    except ContractError:
        return False
    return True


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_row_says_what_its_record_says(name: str, data: st.DataObject) -> None:
    contract = contracts()[name]
    text = msgspec.json.encode(data.draw(records_of(contract)))
    record = json_decoder(contract).decode(text)
    rows, records = RowEncoder(contract), RecordEncoder(contract)
    row = rows.read(text)
    if row is None:
        return
    assert is_storable(record)
    assert rows.encode(row) == records.encode(record)
    assert rows.payload == records.payload
    assert (row.priority(), row.region_code()) == (record.priority(), record.region_code())
    assert row.kafka_key() == record.kafka_key()


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_row_of_ordinary_values_needs_no_record(name: str, data: st.DataObject) -> None:
    contract = contracts()[name]
    record = data.draw(records_of(contract).filter(is_storable))
    assert RowEncoder(contract).read(msgspec.json.encode(record)) is not None


def test_an_instant_travels_in_utc_however_it_was_written() -> None:
    rows = RowEncoder(Reading)
    for written in ("2026-11-21T12:00:00Z", "2026-11-21T05:00:00-07:00", "2026-11-21t12:00:00.0Z"):
        row = rows.read(raw(read_at=written))
        assert row is not None
        key, version, _, event = rows.encode(row)
        assert event == "2026-11-21T12:00:00.000000"
        assert key == "Weld CO|2026-11-21T12:00:00.000000"
        assert version == f"{0:020d}"
        assert row.read_at == NOON  # type: ignore[attr-defined]
        assert row.kafka_key() == "Weld CO-12"


def test_fields_that_are_not_hashed_do_not_change_the_hash() -> None:
    rows = RowEncoder(Reading)
    hashes = set()
    for note in ("a", "b", None):
        row = rows.read(raw(note=note))
        assert row is not None
        hashes.add(rows.encode(row)[2])
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"note": "x" * 1100},
        {"note": "ö" * 600},
        {"level": 2**63},
        {"level": "1"},
        {"read_at": "2026-11-21T12:00:00"},
        {"read_at": "yesterday"},
        {"read_at": "0001-01-01T00:00:00+14:00"},
        {"read_at": None},
        {"until": 1},
        {"place": None},
    ],
)
def test_what_might_be_wrong_with_a_row_is_left_to_its_record(fields: dict[str, object]) -> None:
    assert RowEncoder(Reading).read(raw(**fields)) is None


def test_a_row_that_is_no_json_is_left_to_its_record() -> None:
    assert RowEncoder(Reading).read(b'{"place":') is None
    assert RowEncoder(Reading).read(raw()[:-1]) is None


def test_a_contract_that_asks_more_than_types_has_records_only() -> None:
    assert RowEncoder(Ranged).read(raw(level=1)) is None
    assert json_decoder(Ranged).decode(raw(level=1)).level == 1


def test_more_instants_than_are_remembered_stay_right() -> None:
    rows = RowEncoder(Reading)
    for minute in range(5000):
        at = NOON.astimezone(DENVER) + timedelta(minutes=minute)
        row = rows.read(raw(read_at=at.isoformat()))
        assert row is not None
        assert row.read_at == at  # type: ignore[attr-defined]
