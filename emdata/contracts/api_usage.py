"""What the open API was asked: counts by organization, collection, format and minute."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Record, UtcDatetime


class ApiUsage(Record, frozen=True, kw_only=True):
    """What one process of the API counted of one kind of request, once and for ever.

    A line is never changed after it was sent, and is known by who counted it and its number, so
    that a line that is sent again counts once. No line says where a request came from.
    """

    process: A[str, Doc("The process that counted, by a name made at its start")]
    number: A[int, Doc("The line's number within its process, from 1")]
    counted_from: A[UtcDatetime, Doc("Start of the minute; of the hour where minutes were joined")]
    organization: A[str, Doc("Who asked; anonymous: nobody said so")]
    collection: A[str, Doc("What was asked for; none: no collection; *: joined lines")]
    format: A[str, Doc("Format of the answers, such as geojson; *: joined lines")]
    status_class: A[str, Doc("2xx, 3xx, 4xx or 5xx")]
    route: A[str, Doc("The route as the specification writes it; *: joined lines")]
    requests: A[int, Doc("Requests", "1")]
    rows_sent: A[int, Doc("Rows in the answers", "1")]
    bytes_sent: A[int, Doc("Bytes of the answers' bodies, as they were sent", "By")]
    seconds_total: A[float, Doc("Sum of the times to the last byte", "s")]
    seconds_max: A[float, Doc("Longest time to the last byte", "s")]

    dataset: ClassVar[Dataset] = Dataset(
        name="api_usage",
        source="api",
        domain="platform",
        title="Usage of the open API",
        key=("process", "number"),
        event_time="counted_from",
        fresh_within="1d",
        terms="The operator's own; not public",
        tenant="operator",
        description="Counted by the API and sent every some seconds; by day in "
        "`fct_api_usage_day`.",
    )
