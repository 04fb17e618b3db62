"""Counting requests in a process: bounded, and nothing counted twice or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.usage.ledger import JOINED, Counts, Kind, Ledger, minute_of
from emdata.contracts.api_usage import ApiUsage

KINDS = st.builds(
    Kind,
    second=st.integers(0, 200).map(lambda minute: 1_790_000_040 + 60 * minute),
    organization=st.sampled_from(["anonymous", "acme"]),
    collection=st.sampled_from(["none", "nws_alerts", "emission"]),
    format=st.sampled_from(["json", "csv"]),
    status_class=st.sampled_from(["2xx", "4xx"]),
    route=st.sampled_from(["/collections", "/usage"]),
)
ASKED = st.lists(st.tuples(KINDS, st.integers(0, 100), st.integers(0, 10_000)), max_size=200)


@given(ASKED, st.integers(1, 30), st.integers(1, 50))
def test_every_request_is_in_exactly_one_line_however_few_there_may_be(
    asked: list[tuple[Kind, int, int]], most: int, every: int
) -> None:
    ledger, lines = Ledger("p", most), list[ApiUsage]()
    for number, (kind, rows, size) in enumerate(asked):
        ledger.add(kind, Counts(1, rows, size, 0.5, 0.5))
        assert len(ledger) <= max(most, 21), "by hour, organization and status alone"
        if number % every == 0:
            lines += ledger.numbered()
            ledger.clear()
    lines += ledger.numbered()
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert sum(line.requests for line in lines) == len(asked)
    assert sum(line.rows_sent for line in lines) == sum(rows for _, rows, _ in asked)
    assert sum(line.bytes_sent for line in lines) == sum(size for _, _, size in asked)
    by_organization: dict[str, int] = {}
    for line in lines:
        known = by_organization.get(line.organization, 0)
        by_organization[line.organization] = known + line.requests
    for name, count in by_organization.items():
        assert count == sum(kind.organization == name for kind, _, _ in asked)


def test_lines_that_are_joined_say_so() -> None:
    ledger = Ledger("p", 2)
    for minute in range(3):
        ledger.add(
            Kind(3600 + 60 * minute, "acme", "one", "csv", "2xx", "/x"), Counts(1, 1, 1, 1, 1)
        )
    (line,) = ledger.numbered()
    assert (line.route, line.collection, line.requests) == (JOINED, "one", 3)
    assert line.counted_from == datetime(1970, 1, 1, 1, tzinfo=UTC)
    assert line.seconds_max == 1


def test_a_minute_begins_at_its_first_second() -> None:
    at = datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=UTC)
    assert datetime.fromtimestamp(minute_of(at), UTC) == datetime(2026, 11, 21, 23, 59, tzinfo=UTC)


def test_a_line_holds_nothing_of_where_a_request_came_from() -> None:
    assert ApiUsage.__struct_fields__ == (
        "process", "number", "counted_from", "organization", "collection", "format",
        "status_class", "route", "requests", "rows_sent", "bytes_sent", "seconds_total",
        "seconds_max",
    )  # fmt: skip
    assert ApiUsage.dataset.tenant == "operator"
