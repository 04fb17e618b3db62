"""CQL2: what is understood, what is refused, and that reading it takes no time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.query.cql2 import LONGEST, json_filter, text_filter
from api.query.model import AllOf, AnyOf, Box, Filter, Not
from tests.api.query.things import THINGS


def of(text: str):
    return text_filter(THINGS, text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("title = 'rain'", Filter("title", "=", ("rain",))),
        ("'rain' = title", Filter("title", "=", ("rain",))),
        ("5 < amount", Filter("amount", ">", (5.0,))),
        ('"number" <> -3', Filter("number", "<>", (-3,))),
        ("counted = 9223372036854775807", Filter("counted", "=", (2**63 - 1,))),
        ("title = 'O''Brien'", Filter("title", "=", ("O'Brien",))),
        ("title LIKE 'a%'", Filter("title", "like", ("a%",))),
        ("title NOT LIKE 'a%'", Not(Filter("title", "like", ("a%",)))),
        ("title IS NULL", Filter("title", "is null")),
        ("title is not null", Not(Filter("title", "is null"))),
        ("number IN (1, 2)", Filter("number", "in", (1, 2))),
        ("is_wet = true", Filter("is_wet", "=", (True,))),
        ("seen_on >= DATE('2026-01-01')", Filter("seen_on", ">=", (date(2026, 1, 1),))),
        ("seen_on >= '2026-01-01'", Filter("seen_on", ">=", (date(2026, 1, 1),))),
        (
            "seen_at < TIMESTAMP('2026-01-01T00:00:00Z')",
            Filter("seen_at", "<", (datetime(2026, 1, 1, tzinfo=UTC),)),
        ),
        (
            "amount BETWEEN 1 AND 2.5",
            AllOf((Filter("amount", ">=", (1.0,)), Filter("amount", "<=", (2.5,)))),
        ),
        ("S_INTERSECTS(geometry, BBOX(-105,39,-104,40))", Box(-105, 39, -104, 40)),
    ],
)
def test_a_condition_is_understood(text, wanted):
    assert of(text) == wanted


def test_and_binds_before_or_and_not_before_both():
    a, b, c = (Filter("number", "=", (one,)) for one in (1, 2, 3))
    assert of("number=1 OR number=2 AND NOT number=3") == AnyOf((a, AllOf((b, Not(c)))))
    assert of("(number=1 OR number=2) AND number=3") == AllOf((AnyOf((a, b)), c))


def test_names_that_begin_like_words_are_names():
    with pytest.raises(Problem, match="order_by"):
        of("order_by = 1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "title",
        "1 = 1",
        "title = place",
        "title = 5",
        "number = 'five'",
        "number = 1.5",
        "amount = 1e999",
        "colour = 'red'",
        "title = 'a' --",
        "title = 'a'; DROP TABLE x",
        "title = 'a",
        "upper(title) = 'A'",
        "number + 1 = 2",
        "title IN ()",
        "title LIKE 5",
        "number LIKE '5'",
        "seen_at = DATE('2026-01-01T')",
        "seen_on = TIMESTAMP('2026-01-01T00:00:00Z')",
        "S_INTERSECTS(geometry, BBOX(1,2,3))",
        "S_INTERSECTS(geometry, BBOX(39,-105,40,-104))",
        "S_INTERSECTS(title, BBOX(1,2,3,4))",
        "is_wet = 1",
        "NOT",
        "(number = 1",
    ],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(Problem) as caught:
        of(text)
    assert caught.value.extra["parameter"].startswith("filter")


@pytest.mark.parametrize(
    "tree",
    [
        None,
        5,
        {"op": "and", "args": []},
        {"op": "=", "args": [{"property": "title"}]},
        {"op": "=", "args": [{"property": ["title"]}, "a"]},
        {"op": "=", "args": [{"property": "title"}, {"property": "place"}]},
        {"op": "=", "args": "title"},
        {"op": ["="], "args": []},
        {"op": "sleep", "args": [10]},
        {"op": "in", "args": [{"property": "number"}, [[1]]]},
        {"op": "in", "args": [{"property": "number"}, list(range(201))]},
        {"op": "=", "args": [{"property": "amount"}, 10**400]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3, True]}]},
        {"op": "or", "args": [{"op": "isNull", "args": [{"property": "title"}]}] * 101},
    ],
)
def test_a_document_that_is_no_condition_is_refused(tree):
    with pytest.raises(Problem):
        json_filter(THINGS, json.dumps(tree)[:LONGEST])


def test_both_forms_mean_the_same():
    tree = {
        "op": "and",
        "args": [
            {"op": "=", "args": [{"property": "title"}, "a"]},
            {"op": "not", "args": [{"op": "in", "args": [{"property": "number"}, [1, 2]]}]},
        ],
    }
    text = "title = 'a' AND number NOT IN (1, 2)"
    assert json_filter(THINGS, msgspec.json.encode(tree).decode()) == of(text)


BOMBS = {
    "open": "(" * 4000,
    "nested": "(" * 1990 + "number=1" + ")" * 1990,
    "negated": "NOT " * 997 + "number=1",
    "siblings": "(number=1 AND " * 280 + "!",
    "in": "number IN (" + "1," * 1990 + "!",
    "quote": "title = '" + "''" * 1990,
    "digits": "number = " + "1" * 3900,
    "spaces": " " * 3999 + "!",
    "name": "a" * 4000,
    "keywords": "NOT BETWEEN AND " * 250,
    "date": "number = DATE" + " " * 3900,
    "arrays": "[" * 4000,
    "objects": '{"op":"not","args":[' * 199 + "1" + "]}" * 199,
}


@pytest.mark.parametrize("name", BOMBS)
def test_fault_48_a_filter_made_to_be_slow_is_refused_at_once(name):
    of("number = 1")
    for read in (text_filter, json_filter):
        assert min(seconds_to_refuse(read, BOMBS[name]) for _ in range(3)) < 0.05


def seconds_to_refuse(read: Callable[..., object], text: str) -> float:
    """What this thread worked; other processes take the rest of the time."""
    began = time.thread_time()
    with pytest.raises(Problem):
        read(THINGS, text)
    return time.thread_time() - began


def test_fault_48_a_filter_that_is_too_long_is_not_read():
    began = time.thread_time()
    with pytest.raises(Problem, match="at most"):
        of("number = 1 OR " * 10_000)
    assert time.thread_time() - began < 0.01


@settings(max_examples=60)
@given(st.text(alphabet="()'\"=<>,. ANDORNTIS_LKE01title-", max_size=80))
def test_whatever_is_written_is_understood_or_refused(text):
    try:
        of(text)
    except Problem as problem:
        assert problem.kind == "bad-parameter"  # noqa: PT017 - both ways are right


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {"op": st.sampled_from(["and", "not", "=", "in", "like"]), "args": inner}
        )
        | st.fixed_dictionaries({"property": st.sampled_from(["title", "number", "x"])})
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(trees)
def test_whatever_document_comes_is_understood_or_refused(tree):
    try:
        json_filter(THINGS, json.dumps(tree))
    except Problem as problem:
        assert problem.kind == "bad-parameter"  # noqa: PT017 - both ways are right
