"""Which letters an automatic round tries: never the same one twice under the same gate."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts import contracts
from emdata.contracts.base import Dataset, Record, UtcDatetime
from emdata.errors import ContractError
from stream_manager.dead_letters.redrive_plan import Kind, due, gate_text, kinds_of, pattern
from stream_manager.dead_letters.reparse import ContractReparser, code_of, record_of, reparsers_of

ROWS = Kind("fema", None, "row", "*: no such field", is_accepted=False)
LARGE = Kind("fema", "things", "kafka_refused", "MSG_SIZE_TOO_LARGE: *", is_accepted=True)


def letter(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"d{number}",
        "stream": "fema",
        "dataset": None,
        "cause": "row",
        "reason": f"'{number}': no such field",
        "state": "open",
        "is_accepted": False,
        "bytes": 100,
        "gate": None,
        **changes,
    }


def test_letters_that_differ_in_values_only_are_of_one_kind() -> None:
    letters = [letter(1), letter(2), letter(3, cause="contract"), letter(4, state="redriving")]
    assert [len(members) for members in kinds_of(letters).values()] == [2, 1]
    assert pattern("fema.title: value 'a\"b' is not allowed, 12.5") == pattern(
        "fema.title: value 'zz' is not allowed, 7"
    )


def test_a_row_is_due_under_other_code_only() -> None:
    members = [letter(1, gate="old"), letter(2, gate="new"), letter(3, gate=None)]
    assert due(ROWS, members, code="new", settings=None) == ("new", ["d1", "d3"])


def test_a_message_that_was_too_large_is_due_once_it_fits() -> None:
    members = [letter(1, bytes=50_000), letter(2, bytes=500_000)]
    small = {"max.message.bytes": "20000"}
    assert due(LARGE, members, code="c", settings=small) == (gate_text(small), [])
    raised = {"max.message.bytes": "100000"}
    assert due(LARGE, members, code="c", settings=raised) == (gate_text(raised), ["d1"])
    failed = [letter(1, bytes=50_000, gate=gate_text(raised))]
    assert due(LARGE, failed, code="c", settings=raised)[1] == []
    assert due(LARGE, members, code="c", settings=None) == (None, [])


@given(codes=st.lists(st.sampled_from("abc"), max_size=30), broken=st.frozensets(
    st.sampled_from("abc")))  # fmt: skip
def test_fault_26_no_letter_is_tried_twice_in_a_row_under_the_same_code(
    codes: list[str], broken: frozenset[str]
) -> None:
    one, tried = letter(1), []
    for code in codes:
        gate, ids = due(ROWS, [one], code=code, settings=None)
        if not ids:
            assert tried[-1] == code
            continue
        tried.append(code)
        if code not in broken:
            break
        one["gate"] = gate
    assert all(first != second for first, second in itertools.pairwise(tried))
    assert all(code in broken for code in tried[:-1])


class Dated(Record, frozen=True, kw_only=True):
    """A record with every kind of field."""

    name: str
    at: UtcDatetime
    day: date | None
    value: float | None
    count: int
    is_on: bool | None
    dataset = Dataset(
        name="dated",
        source="made",
        domain="test",
        title="Dated",
        key=("name",),
        event_time="at",
        fresh_within="1h",
        terms="none",
    )


@given(
    name=st.text(),
    at=st.datetimes(timezones=st.just(UTC)),
    day=st.none() | st.dates(),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    count=st.integers(-(2**62), 2**62),
    is_on=st.none() | st.booleans(),
)
def test_a_payload_gives_the_record_back(**fields: Any) -> None:
    record = Dated(**fields)
    assert record_of(Dated, record.payload()) == record
    assert record_of(Dated, record.payload()).content_hash() == record.content_hash()


def test_a_field_that_came_later_is_null_and_one_that_went_is_named() -> None:
    record = Dated(
        name="a", at=datetime(2026, 1, 1, tzinfo=UTC), day=None, value=1.0, count=1, is_on=None
    )
    fields = msgspec.json.decode(record.payload())
    del fields["value"]
    assert record_of(Dated, msgspec.json.encode(fields)).value is None  # type: ignore[attr-defined]
    with pytest.raises(ContractError, match="gone"):
        record_of(Dated, msgspec.json.encode({**fields, "gone": 1}))
    with pytest.raises(msgspec.ValidationError):
        record_of(Dated, msgspec.json.encode({**fields, "count": None}))


def test_every_contract_has_a_fingerprint_and_an_ingest_door_that_parses_again() -> None:
    records = contracts()
    found = reparsers_of([], records)
    assert found.keys() == {f"ingest-{name}" for name in records}
    codes = {one.code() for one in found.values()}
    assert all(len(code) == 16 for code in codes)
    assert len(codes) > 1
    assert (
        code_of([Dated])
        == code_of([Dated])
        != ContractReparser(next(iter(records.values()))).code()
    )
