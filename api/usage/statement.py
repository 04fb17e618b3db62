"""The SQL of ``/usage``: the landed lines, each once, of a span of days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from api.query.model import Statement

COLUMNS = (
    "counted_on",
    "organization",
    "collection",
    "format",
    "requests",
    "requests_refused",
    "requests_failed",
    "rows_sent",
    "bytes_sent",
    "seconds_mean",
    "seconds_max",
    "newest_accepted_at",
)
# A line that was sent again has the same key. It was accepted on the day that it counts, or later.
_LINES = """
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY record_key ORDER BY seq, writer) AS arrival
  FROM raw_data.api_usage
  WHERE accepted_on >= %s AND counted_from >= %s AND counted_from < %s
) AS arrivals
WHERE arrival = 1"""
_SUMS = """
SELECT CAST(counted_from AS DATE) AS counted_on, organization, collection, format,
  SUM(requests) AS requests,
  SUM(CASE WHEN status_class = '4xx' THEN requests ELSE 0 END) AS requests_refused,
  SUM(CASE WHEN status_class = '5xx' THEN requests ELSE 0 END) AS requests_failed,
  SUM(rows_sent) AS rows_sent, SUM(bytes_sent) AS bytes_sent,
  SUM(seconds_total) / SUM(requests) AS seconds_mean, MAX(seconds_max) AS seconds_max,
  MAX(accepted_at) AS newest_accepted_at
FROM ({lines}) AS counted_lines
{where}
GROUP BY CAST(counted_from AS DATE), organization, collection, format
ORDER BY counted_on, organization, collection, format"""
_ALL = _SUMS.format(lines=_LINES, where="")
_ONE = _SUMS.format(lines=_LINES, where="WHERE organization = %s")


def usage_statement(first: date, last: date, organization: str | None) -> Statement:
    """Return the SELECT of usage by day, of one organization or of all; both days included."""
    start = datetime.combine(first, time.min, UTC).replace(tzinfo=None)
    end = datetime.combine(last + timedelta(days=1), time.min, UTC).replace(tzinfo=None)
    if organization is None:
        return Statement(_ALL, (first, start, end), COLUMNS)
    return Statement(_ONE, (first, start, end, organization), COLUMNS)
