"""The $filter language: precedence, values, refusals; and properties over random filters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.fema.odata import QueryError, in_order, parse_filter, parse_order

FIELDS = ("state", "number", "at", "flag", "closed")
ROW: dict[str, Any] = {
    "state": "CO",
    "number": 4659,
    "at": "2026-01-02T00:00:00.000Z",
    "flag": True,
    "closed": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state eq 'CO'", True),
        ("state ne 'CO'", False),
        ("state in ('WY', 'CO')", True),
        ("number in (1,2)", False),
        ("number ge 4659 and number lt 4660", True),
        ("state eq 'WY' and flag eq true or number eq 4659", True),
        ("state eq 'WY' and (flag eq true or number eq 4659)", False),
        ("not state eq 'WY'", True),
        ("at ge '2026-01-02T00:00:00.000z'", True),
        ("at gt 2026-01-02", False),
        ("at ge 2026-01-01T23:59:59.999Z", True),
        ("closed eq null", True),
        ("closed ne null", False),
        ("closed gt '2020-01-01'", False),
        ("startswith(state,'C')", True),
        ("endswith(state,'C')", False),
        ("contains(state,'O')", True),
        ("substringof('O',state)", True),
        ("", True),
    ],
)
def test_filter_keeps_the_rows_that_it_describes(text: str, expected: bool) -> None:
    assert parse_filter(text, FIELDS)(ROW) is expected


@pytest.mark.parametrize(
    "text",
    [
        "state", "state eq", "state eq CO", "state is 'CO'", "unknown eq 1", "(state eq 'CO'",
        "state eq 'CO' state eq 'CO'", "state in ()", "state eq 'CO", "eq 'CO'", "#",
        "state eq 'CO' and", "(" * 80 + "state eq 'CO'" + ")" * 80, "not " * 80 + "flag eq true",
    ],
)  # fmt: skip
def test_filter_that_cannot_be_read_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(QueryError, match=r"\$filter"):
        parse_filter(text, FIELDS)


@given(st.text(max_size=60))
def test_filter_never_fails_in_another_way_than_a_refusal(text: str) -> None:
    try:
        parse_filter(text, FIELDS)(ROW)
    except QueryError:
        return


@given(st.text(max_size=20))
def test_quoted_text_matches_itself_whatever_it_holds(value: str) -> None:
    quoted = value.replace("'", "''")
    row = {**ROW, "state": value}
    assert parse_filter(f"state eq '{quoted}'", FIELDS)(row)


Comparison = st.tuples(
    st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), st.integers(-5, 5)
).map(lambda pair: (f"number {pair[0]} {pair[1]}", pair))
_MEANING = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
}  # fmt: skip


Group = st.lists(Comparison, min_size=1, max_size=3)


@given(st.lists(Group, min_size=1, max_size=3), st.integers(-5, 5))
def test_or_of_ands_means_what_it_says(groups: list[list[Any]], number: int) -> None:
    text = " or ".join(" and ".join(part[0] for part in group) for group in groups)
    expected = any(all(_MEANING[op](number, v) for _, (op, v) in group) for group in groups)
    assert parse_filter(text, FIELDS)({**ROW, "number": number}) is expected


def test_order_takes_several_fields_and_puts_nulls_first() -> None:
    rows = [{**ROW, "number": n, "closed": c} for n, c in ((2, "b"), (1, "b"), (3, None))]
    ordered = in_order(rows, parse_order("closed asc,number desc", FIELDS))
    assert [row["number"] for row in ordered] == [3, 2, 1]
    with pytest.raises(QueryError, match="upwards"):
        parse_order("number upwards", FIELDS)
