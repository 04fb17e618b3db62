"""Emissions: what a value may be, at the door and in code, and what makes two of them one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.base import Priority, json_decoder
from emdata.contracts.emissions import DECIMALS, MAX_VALUE, Emission
from emdata.errors import ContractError

AT = datetime(2026, 11, 1, tzinfo=UTC)
LARGEST = int(Decimal(repr(MAX_VALUE)).scaleb(DECIMALS))


def emission(**changes: Any) -> Emission:
    values = {"organization_id": "acme", "emission_id": "e1", "value": 1.5, "reported_at": AT}
    return Emission(**{**values, **changes})


def decoded(**changes: Any) -> Emission:
    """What the ingest endpoint makes of the same."""
    values = {"organization_id": "acme", "emission_id": "e1", "value": 1.5}
    body = json.dumps({**values, "reported_at": "2026-11-01T00:00:00Z", **changes})
    record = json_decoder(Emission).decode(body)
    assert isinstance(record, Emission)
    return record


@given(st.integers(-LARGEST, LARGEST))
def test_every_value_of_six_decimals_passes_and_is_that_decimal(millionths: int) -> None:
    exact = Decimal(millionths).scaleb(-DECIMALS)
    assert Decimal(repr(emission(value=float(exact)).value)) == exact
    assert decoded(value=float(exact)).value == float(exact)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_other_value_is_refused_wherever_it_comes_from(value: float) -> None:
    exact = Decimal(repr(value))
    is_fine = abs(exact) <= Decimal(repr(MAX_VALUE)) and exact == round(exact, DECIMALS)
    if is_fine:
        assert decoded(value=value).value == emission(value=value).value
        return
    with pytest.raises(ContractError):
        emission(value=value)
    with pytest.raises((ContractError, msgspec.ValidationError)):
        decoded(value=value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ContractError, match="finite"):
        emission(value=value)
    with pytest.raises(msgspec.DecodeError):
        decoded(value=value)


@pytest.mark.parametrize("value", ["1", None, True, [1]])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="value"):
        decoded(value=value)


@pytest.mark.parametrize("name", ["", " acme", "a|b", "acme\n", "é", "a" * 65, "-a", "a b", 7])
@pytest.mark.parametrize("field", ["organization_id", "emission_id"])
def test_a_name_that_no_key_could_hold_is_refused(field: str, name: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        decoded(**{field: name})


def test_a_retry_says_the_same_and_another_organization_does_not() -> None:
    first, again = emission(), emission(reported_at=AT.replace(month=12))
    assert first.record_key() == again.record_key() == "acme|e1"
    assert first.content_hash() == again.content_hash()
    assert emission(value=2.0).content_hash() != first.content_hash()
    assert emission(organization_id="umbrella").record_key() != first.record_key()


def test_the_names_that_users_ask_for() -> None:
    assert Emission.dataset.topic == "emissions"
    assert Emission.dataset.name == "emission"
    assert emission().priority() is Priority.NORMAL
