"""Records: identity, hashes, instants; what they refuse."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts import contracts
from emdata.contracts.base import Dataset, Record, UtcDatetime, duration, fields_of
from emdata.derive.limits import check_storable
from emdata.derive.types import columns_of
from emdata.errors import ContractError

WELL_KNOWN = {"emission"}
"""Datasets whose users ask for them by a name without the source before it."""


class Made(Record, frozen=True, kw_only=True):
    """A record for these tests."""

    first: str
    second: str | None = None
    number: float | None = None
    count: int | None = None
    day: date | None = None
    at: UtcDatetime | None = None
    loaded: str = ""
    dataset = Dataset(
        name="made_up",
        source="made",
        domain="test",
        title="Made up",
        key=("first", "second"),
        event_time="at",
        version="at",
        unhashed=("loaded",),
        fresh_within="1h",
        terms="none",
    )


class Counted(Record, frozen=True, kw_only=True):
    """A record whose version is a number."""

    name: str
    turn: int
    dataset = Dataset(
        name="made_counted",
        source="made",
        domain="test",
        title="Counted",
        key=("name",),
        event_time="turn",
        version="turn",
        fresh_within="1h",
        terms="none",
    )


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001


@given(TEXT, TEXT, TEXT, TEXT)
def test_two_keys_are_equal_only_when_their_parts_are(a: str, b: str, c: str, d: str) -> None:
    same = Made(first=a, second=b).record_key() == Made(first=c, second=d).record_key()
    assert same == ((a, b) == (c, d))


def test_separators_in_values_are_escaped() -> None:
    assert Made(first="a|b", second="c\\").record_key() == "a\\|b|c\\\\"


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_record_in_whatever_offset_it_came(at: datetime, min_: int) -> None:
    zone = timezone(timedelta(minutes=min_))
    utc = at.replace(tzinfo=UTC)
    one, other = Made(first="a", at=utc), Made(first="a", at=utc.astimezone(zone))
    assert one.content_hash() == other.content_hash()
    assert one.payload() == other.payload()
    assert other.at is not None
    assert other.at.tzinfo is UTC


@given(INSTANTS, INSTANTS)
def test_versions_sort_as_their_instants_do(a: datetime, b: datetime) -> None:
    texts = [Made(first="a", at=at.replace(tzinfo=UTC)).version_text() or "" for at in (a, b)]
    assert (texts[0] < texts[1]) == (a < b)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_numbers_as_versions_sort_as_numbers(a: int, b: int) -> None:
    texts = [Counted(name="a", turn=turn).version_text() or "" for turn in (a, b)]
    assert (texts[0] < texts[1]) == (a < b)


def test_unhashed_fields_do_not_change_the_content() -> None:
    assert Made(first="a", loaded="x").content_hash() == Made(first="a", loaded="y").content_hash()
    assert Made(first="a").content_hash() != Made(first="b").content_hash()


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_fault_26_numbers_are_finite_or_refused(number: float) -> None:
    if math.isfinite(number):
        assert b'"number":' in Made(first="a", number=number).payload()
    else:
        with pytest.raises(ContractError, match=r"made_up\.number.*a finite number"):
            Made(first="a", number=number)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ContractError, match=r"made_up\.at.*an aware datetime"):
        Made(first="a", at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_payload_is_one_json_object_with_every_field_in_order() -> None:
    record = Made(
        first="a", day=date(1953, 5, 2), at=datetime(2026, 11, 21, 9, 14, 10, 5, tzinfo=UTC)
    )
    found = msgspec.json.decode(record.payload())
    assert list(found) == [field.name for field in fields_of(Made)]
    assert found["day"] == "1953-05-02"
    assert found["at"] == "2026-11-21T09:14:10.000005"


@pytest.mark.parametrize("count", [2**63, -(2**63) - 1, 10**19])
def test_fault_26_integers_beyond_64_bits_cannot_be_stored(count: int) -> None:
    with pytest.raises(ContractError, match="64-bit integer"):
        check_storable(Made(first="a", count=count))


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=1100))
def test_texts_are_measured_in_bytes_as_the_table_does(text: str) -> None:
    record = Made(first="a", loaded=text)
    if len(text.encode()) <= 1024:
        check_storable(record)
    else:
        with pytest.raises(ContractError, match="at most 1024 bytes"):
            check_storable(record)


@pytest.mark.parametrize("text", ["", "5", "5 min", "-1s", "1w", "min"])
def test_a_duration_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="a number with s, min, h or d"):
        duration(text)


def test_a_field_named_like_an_envelope_column_is_refused() -> None:
    class Bad(Record, frozen=True, kw_only=True):
        seq: int
        dataset = Made.dataset

    with pytest.raises(ContractError, match="a name other than"):
        columns_of(Bad)


@pytest.mark.parametrize("record", contracts().values(), ids=lambda record: record.dataset.name)
def test_every_contract_declares_what_it_names(record: type[Record]) -> None:
    dataset, names = record.dataset, {field.name for field in fields_of(record)}
    used = {*dataset.key, dataset.event_time, *dataset.unhashed}
    assert used | ({dataset.version} if dataset.version else set()) <= names
    assert duration(dataset.fresh_within) > timedelta(0)
    assert dataset.terms
    assert dataset.name.startswith(dataset.source + "_") or dataset.name in WELL_KNOWN
    assert not set(dataset.key) & set(dataset.unhashed)
