"""What callers may write after the question mark, and what they are told otherwise."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.query import boxes, times
from api.query.model import Between, Box, Filter, Order
from api.query.parameters import (
    MAX_PARAMETERS,
    PAGED,
    asked_of,
    asked_of_item,
    property_parameters,
)
from tests.api.query.things import THINGS

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


def asked(*given_: tuple[str, str]):
    return asked_of(THINGS, given_)


def refusal(*given_: tuple[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        asked(*given_)
    assert caught.value.kind == "bad-parameter"
    return caught.value


def test_without_parameters_a_page_comes_in_the_order_of_keys():
    query = asked().query
    assert query.order == (Order("record_key"),)
    assert query.limit == 100
    assert query.filters == ()


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named():
    problem = refusal(("colour", "red"))
    assert problem.extra["parameter"] == "colour"
    assert "bbox" in problem.detail
    assert "title" in problem.detail


@pytest.mark.parametrize("name", ["limit", "bbox", "filter", "cursor", "f"])
def test_a_parameter_given_twice_is_refused(name):
    assert f"{name} once" in refusal((name, "1"), (name, "2")).detail


def test_a_property_given_several_times_means_any_of_its_values():
    query = asked(("number", "1"), ("number", "2"), ("is_wet", "true")).query
    assert query.filters == (Filter("number", "in", (1, 2)), Filter("is_wet", "=", (True,)))


def test_commas_in_a_value_belong_to_it():
    assert asked(("title", "rain, snow")).query.filters == (Filter("title", "=", ("rain, snow",)),)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "1.5"),
        ("number", "9223372036854775808"),
        ("number", "٣"),
        ("amount", "nan"),
        ("amount", "1e400"),
        ("amount", "1_000"),
        ("is_wet", "yes"),
        ("seen_on", "2026-02-30"),
        ("seen_on", "20260201"),
        ("seen_at", "2026-01-01T00:00:00"),
        ("title", "x" * 1025),
        ("title", "a\0b"),
    ],
)
def test_a_value_of_another_type_is_refused(name, text):
    assert refusal((name, text)).extra["parameter"] == name


@pytest.mark.parametrize("text", ["0", "-1", "10001", "1000000000", "ten", "", "1e3"])
def test_a_limit_out_of_range_is_refused(text):
    assert refusal(("limit", text)).extra["parameter"] == "limit"


def test_a_limit_above_what_the_class_may_have_gives_what_it_may():
    assert asked_of(THINGS, [("limit", "500")], most=50).query.limit == 50


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("-105,39,-104,40", Box(-105, 39, -104, 40)),
        ("-105,39,0,-104,40,9000", Box(-105, 39, -104, 40)),
        ("170,-20,-170,20", Box(170, -20, -170, 20)),
        ("-180,-90,180,90", Box(-180, -90, 180, 90)),
    ],
)
def test_a_box_has_four_numbers_or_six_and_may_cross_the_antimeridian(text, box):
    assert boxes.box("bbox", text) == box


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,nan", "0,10,1,5", "0,0,181,1", ",".join("1" * 9)],
)
def test_a_box_that_is_none_is_refused(text):
    assert refusal(("bbox", text)).extra["parameter"] == "bbox"


def test_fault_47_swapped_latitude_and_longitude_are_pointed_out():
    assert "swapped" in refusal(("bbox", "39,-105,40,-104")).detail


def test_fault_47_a_list_of_numbers_without_end_is_refused_at_once():
    began = time.perf_counter()
    refusal(("bbox", "1," * 50_000))
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize(
    ("text", "between"),
    [
        ("2026-08-01T12:00:00Z", Between(NOON, NOON)),
        ("2026-08-01T06:00:00-06:00", Between(NOON, NOON)),
        ("2026-08-01T14:00:00 02:00", Between(NOON, NOON)),
        ("../2026-08-01T12:00:00Z", Between(None, NOON)),
        ("2026-08-01T12:00:00z/", Between(NOON, None)),
        ("../..", Between(None, None)),
    ],
)
def test_intervals_are_closed_and_may_be_open_at_an_end(text, between):
    assert times.interval("datetime", text) == between


def test_a_day_lasts_until_its_last_microsecond():
    between = times.interval("datetime", "2026-08-01/2026-08-02")
    assert between.start == datetime(2026, 8, 1, tzinfo=UTC)
    assert between.end == datetime(2026, 8, 2, 23, 59, 59, 999999, tzinfo=UTC)


def test_the_last_day_of_all_has_an_end_too():
    assert times.interval("datetime", "9999-12-31").end == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "yesterday",
        "2026-08-02/2026-08-01",
        "2026-08-01T12:00:00",
        "2026-13-01",
        "0001-01-01T00:00:00+01:00",
        "2026-08-01/2026-08-02/2026-08-03",
        "2026-08-01T24:00:01Z",
        "2026-08-01T12:00:00Z" + "0" * 100_000,
    ],
)
def test_a_time_that_is_none_is_refused(text):
    assert refusal(("datetime", text)).extra["parameter"] == "datetime"


def test_states_and_counties_are_lists_of_codes():
    assert asked(("state", "co,KS")).query.filters == (Filter("state", "in", ("CO", "KS")),)
    refusal(("state", "Colorado"))
    refusal(("state", ",".join(["CO"] * 101)))
    assert "test_things is not" in refusal(("county", "08013")).detail


def test_an_order_ends_with_what_tells_items_apart():
    order = asked(("sortby", "-seen_at,+title, place")).query.order
    assert order == (Order("seen_at", True), Order("title"), Order("place"), Order("record_key"))
    assert asked(("sortby", "-record_key")).query.order == (Order("record_key", True),)
    again = asked(("sortby", "title,-title")).query.order
    assert again == (Order("title"), Order("record_key"))


@pytest.mark.parametrize(
    "text", ["", "colour", "title,,title", "--title", "title DESC", "1", "`title`"]
)
def test_an_order_by_what_is_no_property_is_refused(text):
    assert "title" in refusal(("sortby", text)).detail


def test_only_coordinates_in_degrees_are_there():
    crs = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    assert asked(("crs", crs), ("bbox-crs", crs)).query.bbox is None
    refusal(("crs", "http://www.opengis.net/def/crs/EPSG/0/3857"))


def test_a_language_that_is_not_there_is_refused():
    asked(("lang", "en"))
    assert "English" in refusal(("lang", "fr")).detail


def test_an_export_has_no_pages():
    query = asked_of(THINGS, [("title", "a")], without=PAGED).query
    assert query.limit is None
    with pytest.raises(Problem):
        asked_of(THINGS, [("cursor", "x")], without=PAGED)


def test_an_item_is_not_filtered():
    with pytest.raises(Problem):
        asked_of_item(THINGS, (), [("title", "a")])


def test_a_crowd_of_parameters_is_refused():
    crowd = [("title", str(count)) for count in range(MAX_PARAMETERS + 1)]
    assert "at most" in refusal(*crowd).detail


def test_a_property_with_the_name_of_a_parameter_is_asked_by_filter_only():
    assert "state" not in property_parameters(THINGS)
    assert "title" in property_parameters(THINGS)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "bbox",
                    "datetime",
                    "as_of",
                    "sortby",
                    "filter",
                    "cursor",
                    "limit",
                    "properties",
                    "state",
                    "number",
                    "seen_on",
                    "amount",
                    "x",
                ]
            ),
            st.text(max_size=60),
        ),
        max_size=4,
    )
)
def test_whatever_is_written_is_understood_or_refused(given_):
    try:
        asked_of(THINGS, given_)
    except Problem as problem:
        assert problem.kind == "bad-parameter"  # noqa: PT017 - both ways are right
