"""Conditions on records as they travel, the same as on rows of a table."""

from __future__ import annotations

import fnmatch
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.catalog.datasets import collection_of
from api.query.model import AllOf, AnyOf, Box, Expression, Filter, Not
from api.streams.matching import is_like, matcher
from emdata.contracts.fema import DisasterDeclaration
from emdata.contracts.nws import Alert

ALERTS, DECLARATIONS = collection_of(Alert), collection_of(DisasterDeclaration)
ALERT = {
    "alert_id": "a", "event": "Flood Watch", "severity": "Severe", "is_closing": False,
    "sent_at": "2026-11-21T18:49:50.000000", "headline": None, "seq": 7,
    "bbox_west": -105.5, "bbox_south": 39.5, "bbox_east": -104.5, "bbox_north": 40.5,
}  # fmt: skip


def meets(*conditions: Expression) -> bool:
    return matcher(ALERTS, conditions)(dict(ALERT))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Filter("event", "=", ("Flood Watch",)), True),
        (Filter("event", "<>", ("Flood Watch",)), False),
        (Filter("event", "in", ("Flood Watch", "Tornado Warning")), True),
        (Filter("event", "like", ("Flood%",)), True),
        (Filter("event", "like", ("Flood",)), False),
        (Filter("seq", ">=", (7,)), True),
        (Filter("seq", "<", (7,)), False),
        (Filter("is_closing", "=", (False,)), True),
        (Filter("sent_at", ">", (datetime(2026, 11, 21, 18, 49, tzinfo=UTC),)), True),
        (Filter("sent_at", "<", (datetime(2026, 11, 21, 18, 49),)), False),  # noqa: DTZ001
        (Filter("headline", "is null"), True),
        (Filter("headline", "is not null"), False),
        (Filter("headline", "=", ("x",)), False),
        (Filter("headline", "<>", ("x",)), False),
    ],
)
def test_a_filter_holds_as_in_sql(one: Filter, expected: bool) -> None:
    assert meets(one) is expected


FLOOD, STORM = Filter("event", "=", ("Flood Watch",)), Filter("event", "=", ("Storm",))
MISSING = Filter("headline", "=", ("x",))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (AllOf((FLOOD, Not(STORM))), True),
        (AllOf((FLOOD, STORM)), False),
        (AnyOf((STORM, FLOOD)), True),
        (AnyOf((STORM, STORM)), False),
        (Not(MISSING), False),  # neither it nor its opposite is true of a missing value
        (AnyOf((MISSING, FLOOD)), True),
        (Not(AllOf((MISSING, STORM))), True),
        (Not(AnyOf((MISSING, STORM))), False),
    ],
)
def test_conditions_join_as_in_sql(one: Expression, expected: bool) -> None:
    assert meets(one) is expected


def test_a_calendar_date_is_compared_as_one() -> None:
    after = matcher(DECLARATIONS, [Filter("declared_on", ">", (date(2026, 1, 31),))])
    assert after({"declared_on": "2026-02-01"})
    assert not after({"declared_on": "2026-01-31"})


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(-105, 40, -104, 41), True),
        (Box(-104, 40, -103, 41), False),
        (Box(-105, 41, -104, 42), False),
        (Box(170, 0, -100, 80), True),  # over the antimeridian
        (Box(170, 0, -170, 80), False),
    ],
)
def test_a_box_meets_the_geometry(box: Box, expected: bool) -> None:
    assert meets(box) is expected


def test_a_record_without_a_place_is_in_no_box() -> None:
    assert not matcher(ALERTS, [Box(-180, -90, 180, 90)])({"bbox_west": None})


@given(st.text("ab%_", max_size=8), st.text("ab", max_size=10))
def test_like_agrees_with_globbing(pattern: str, text: str) -> None:
    glob = pattern.replace("%", "*").replace("_", "?")
    assert is_like(text, pattern) == fnmatch.fnmatchcase(text, glob)


def test_fault_48_a_pattern_of_wildcards_costs_no_more_than_text_times_pattern() -> None:
    # 10^5 characters against many wildcards: hours for a backtracking regular expression.
    assert not is_like("a" * 100_000, "%a" * 20 + "%b")
