"""Cursors and ids: what was given comes back, what was invented is refused."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.catalog.catalog import Catalog
from api.problems import Problem
from api.query.cursor import cursor_of, values_of
from api.query.keys import key_filters, split_key
from api.query.model import Filter
from api.query.parameters import asked_of
from emdata.contracts.identity import key_text
from tests.api.query.things import THINGS, hours

QUERY = asked_of(THINGS, [("sortby", "-amount,seen_at,seen_on,is_wet,title")]).query
LAST = (0.1, hours(3).replace(tzinfo=None), hours(3).date(), 1, "ü|'", "p|1")
MARTS = Catalog.of(Path(__file__).parents[3] / "dbt_project" / "models", "emergency_data", {})


def test_a_cursor_holds_the_place_exactly():
    assert values_of(QUERY, cursor_of(QUERY, LAST)) == (
        0.1,
        hours(3),
        hours(3).date(),
        True,
        "ü|'",
        "p|1",
    )
    nothing = (None,) * 6
    assert values_of(QUERY, cursor_of(QUERY, nothing)) == nothing
    exact = (Decimal("0.1000000001"), *LAST[1:])
    assert values_of(QUERY, cursor_of(QUERY, exact))[0] == exact[0]


@pytest.mark.parametrize(
    "other",
    [
        [],
        [("sortby", "amount")],
        [("sortby", "-amount,seen_at,seen_on,is_wet,title"), ("place", "p")],
    ],
)
def test_fault_37_a_cursor_of_another_question_is_refused(other):
    with pytest.raises(Problem, match="cursor"):
        values_of(asked_of(THINGS, other).query, cursor_of(QUERY, LAST))


@settings(max_examples=50)
@given(
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda one: base64.urlsafe_b64encode(one).decode())
)
def test_fault_37_an_invented_cursor_is_refused(text):
    with pytest.raises(Problem, match="cursor"):
        values_of(QUERY, text)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 63))
def test_fault_37_a_changed_cursor_is_refused(place, letter):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    cursor = cursor_of(QUERY, LAST)
    at = place % (len(cursor) - 1)  # the last letter also has bits that nobody reads
    changed = cursor[:at] + alphabet[letter] + cursor[at + 1 :]
    if changed != cursor:
        with pytest.raises(Problem, match="cursor"):
            values_of(QUERY, changed)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_a_key_splits_into_what_was_joined(parts):
    assert split_key(key_text(parts)) == parts


def test_an_item_of_a_dataset_is_found_by_its_key():
    assert key_filters(THINGS, "p|1") == (Filter("record_key", "=", ("p|1",)),)


def test_an_item_of_a_mart_is_found_by_typed_fields():
    mart = MARTS.get("fct_drought_county_week")
    assert mart is not None
    day = date(2026, 8, 4)
    assert key_filters(mart, "08013|2026-08-04") == (
        Filter("county_fips", "=", ("08013",)),
        Filter("valid_on", "=", (day,)),
    )


@pytest.mark.parametrize(
    "text", ["", "08013", "08013|x", "08013|2026-08-04|1", "x" * 2000, "a\0|b"]
)
def test_an_id_that_no_item_can_have_is_not_found(text):
    mart = MARTS.get("fct_drought_county_week")
    assert mart is not None
    with pytest.raises(Problem) as caught:
        key_filters(mart, text)
    assert caught.value.kind == "not-found"


def test_an_instant_in_a_key_is_read_as_it_is_written():
    mart = replace(THINGS, record=None, key=("place", "seen_at"))
    text = key_text(["p", hours(3)])
    assert key_filters(mart, text)[1] == Filter("seen_at", "=", (hours(3),))
