"""A record's encoded form says what its methods say, for every contract and any values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from emdata.contracts import Record, contracts
from emdata.contracts.base import Field, fields_of
from emdata.contracts.identity import utc_text
from emdata.errors import ContractError

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.integers(-1000, 1000).map(lambda number: number / 8)
    | st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    date: st.dates(),
    datetime: st.datetimes(
        datetime(1953, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
        datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=OFFSETS | st.just(UTC),
    ),
}


def values_of(field: Field) -> st.SearchStrategy[Any]:
    values = st.just("{}") if field.kind == "json" else VALUES[field.base]
    return st.none() | values if field.nullable else values


def records_of(record: type[Record]) -> st.SearchStrategy[Record]:
    fields = {field.name: values_of(field) for field in fields_of(record)}
    return st.fixed_dictionaries(fields).map(lambda values: valid(record, values))


def valid(record: type[Record], values: dict[str, Any]) -> Record:
    """The record of these values, where the contract's own checks admit them."""
    try:
        return record(**values)
    except ContractError:
        reject()


@pytest.mark.parametrize("name", contracts())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_travels_is_what_the_record_says(name: str, data: st.DataObject) -> None:
    record = data.draw(records_of(contracts()[name]))
    made = record.encoded()
    assert (made.key, made.version) == (record.record_key(), record.version_text())
    fields = msgspec.json.decode(made.payload)
    assert list(fields) == [field.name for field in fields_of(type(record))]
    for field in fields_of(type(record)):
        value = getattr(record, field.name)
        if isinstance(value, datetime):
            assert fields[field.name] == utc_text(value)
        elif isinstance(value, date):
            assert fields[field.name] == value.isoformat()
        else:
            assert fields[field.name] == value
