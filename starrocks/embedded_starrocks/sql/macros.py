"""StarRocks functions as DuckDB macros, where the two differ or DuckDB has none.

Each macro is written for StarRocks' documented meaning; arguments come as StarRocks callers give
them. Strings given where a date is due go through `to_datetime`, which yields NULL for what is no
date, as StarRocks' implicit cast does. Source: StarRocks 3.5 documentation, "SQL functions".
"""

from __future__ import annotations

import duckdb

from embedded_starrocks.sql.macros_collections import ARRAYS, JSON, SETS
from embedded_starrocks.sql.macros_values import NUMBERS, SCHEMA, TEXT

# A zone is taken only where all ways to understand it agree: the session's own, which is UTC. dbt
# writes the limits of a microbatch like that.
_DATETIME = (
    r"^\s*\d{4}-\d{1,2}-\d{1,2}"
    r"([T ]+([01]?\d|2[0-3])(:\d{1,2}(:\d{1,2}(\.\d{1,6})?(\+00:00)?)?)?)?\s*$"
)

# Casts. typeof() is folded while planning, so a branch costs nothing for a known type.
_CASTS = {
    "text_to_datetime(x)": f"""
CASE WHEN regexp_matches(x, '{_DATETIME}')
        THEN TRY_CAST(CASE WHEN regexp_matches(x, '[T ]\\d{{1,2}}\\s*$') THEN trim(x) || ':00'
            ELSE replace(trim(x), 'T', ' ') END AS TIMESTAMP)
    WHEN regexp_matches(x, '^\\d{{8}}$') THEN try_strptime(x, '%Y%m%d')
    WHEN regexp_matches(x, '^\\d{{14}}$') THEN try_strptime(x, '%Y%m%d%H%M%S')
END""",
    "to_datetime(x)": f"""
CASE WHEN typeof(x) IN ('TIMESTAMP', 'DATE') THEN TRY_CAST(x AS TIMESTAMP)
    ELSE {SCHEMA}.text_to_datetime(CAST(x AS VARCHAR)) END""",
    "to_date(x)": f"""
CASE WHEN typeof(x) IN ('TIMESTAMP', 'DATE') THEN TRY_CAST(x AS DATE)
    ELSE CAST({SCHEMA}.text_to_datetime(CAST(x AS VARCHAR)) AS DATE) END""",
    # The integer part, as a type that holds any BIGINT exactly; text may carry a fraction.
    "whole_part(x)": r"""
CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN TRY_CAST(trunc(TRY_CAST(x AS DOUBLE)) AS HUGEINT)
    WHEN typeof(x) = 'VARCHAR' OR typeof(x) LIKE 'DECIMAL%' OR typeof(x) = 'JSON' THEN TRY_CAST(
        regexp_extract(CAST(x AS VARCHAR), '^\s*([+-]?\d+)(\.\d*)?\s*$', 1) AS HUGEINT)
    WHEN typeof(x) = 'DATE' THEN TRY_CAST(strftime(TRY_CAST(x AS TIMESTAMP), '%Y%m%d') AS HUGEINT)
    WHEN typeof(x) = 'TIMESTAMP'
        THEN TRY_CAST(strftime(TRY_CAST(x AS TIMESTAMP), '%Y%m%d%H%M%S') AS HUGEINT)
    ELSE TRY_CAST(x AS HUGEINT) END""",
    "to_boolean(x)": r"""
CASE WHEN typeof(x) = 'VARCHAR' THEN CASE lower(trim(CAST(x AS VARCHAR)))
        WHEN 'true' THEN true WHEN 'false' THEN false WHEN '1' THEN true WHEN '0' THEN false END
    ELSE TRY_CAST(x AS BOOLEAN) END""",
    "to_text(x)": rf"""
CASE WHEN typeof(x) = 'BOOLEAN' THEN CASE CAST(x AS VARCHAR) WHEN 'true' THEN '1'
        WHEN 'false' THEN '0' END
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN regexp_replace(CAST(x AS VARCHAR), '\.0$', '')
    WHEN typeof(x) = 'JSON' THEN {SCHEMA}.json_text(TRY_CAST(x AS JSON))
    ELSE CAST(x AS VARCHAR) END""",
}

_UNITS = {
    "years": ("to_years", 12, "month"),
    "months": ("to_months", 1, "month"),
    "weeks": ("to_weeks", 1, "week"),
    "days": ("to_days", 1, "day"),
    "hours": ("to_hours", 1, "hour"),
    "minutes": ("to_minutes", 1, "minute"),
    "seconds": ("to_seconds", 1, "second"),
    "milliseconds": ("to_milliseconds", 1, "millisecond"),
    "microseconds": ("to_microseconds", 1, "microsecond"),
}


def _unit_macros() -> dict[str, str]:
    """hours_add, hours_sub, hours_diff and their siblings; differences count full units."""
    macros = _span_macros()
    for unit, (interval, _, _) in _UNITS.items():
        moved = f"{SCHEMA}.to_datetime(t) {{}} {interval}(CAST({SCHEMA}.whole_part(n) AS {{}}))"
        kind = "BIGINT" if unit in ("hours", "minutes", "microseconds") else "INTEGER"
        kind = "DOUBLE" if unit in ("seconds", "milliseconds") else kind
        macros[f"{unit}_add(t, n)"] = moved.format("+", kind)
        macros[f"{unit}_sub(t, n)"] = moved.format("-", kind)
        part = unit.removesuffix("s")
        macros.setdefault(
            f"{unit}_diff(a, b)",
            f"date_sub('{part}', {SCHEMA}.to_datetime(b), {SCHEMA}.to_datetime(a))",
        )
    macros["quarters_add(t, n)"] = (
        f"{SCHEMA}.to_datetime(t) + to_months(3 * CAST({SCHEMA}.whole_part(n) AS INTEGER))"
    )
    macros["quarters_sub(t, n)"] = (
        f"{SCHEMA}.to_datetime(t) - to_months(3 * CAST({SCHEMA}.whole_part(n) AS INTEGER))"
    )
    return macros


def _span_macros() -> dict[str, str]:
    """Differences in months and years: by the calendar, one less while day and time are behind.

    The last day of February is behind the 31st of January, and a difference of none may be -1.
    """
    clock = "date_part('hour', t) * 10000 + date_part('minute', t) * 100 + date_part('second', t)"
    day = "date_part('day', t)"
    counted = "CASE WHEN n >= 0 THEN n - CAST(a < b AS INTEGER) ELSE n + CAST(a > b AS INTEGER) END"
    found = {
        "in_month(t)": f"{day} * 1000000 + {clock}",
        "in_year(t)": f"(date_part('month', t) * 100 + {day}) * 1000000 + {clock}",
        "counted_span(n, a, b)": counted,
    }
    left, right = f"{SCHEMA}.to_datetime(a)", f"{SCHEMA}.to_datetime(b)"
    years = f"date_part('year', {left}) - date_part('year', {right})"
    months = f"({years}) * 12 + date_part('month', {left}) - date_part('month', {right})"
    for unit, value, place in (("years", years, "in_year"), ("months", months, "in_month")):
        found[f"{unit}_diff(a, b)"] = (
            f"{SCHEMA}.counted_span({value}, {SCHEMA}.{place}({left}), {SCHEMA}.{place}({right}))"
        )
    found["quarters_diff(a, b)"] = f"CAST(trunc({SCHEMA}.months_diff(a, b) / 3) AS BIGINT)"
    return found


def _field_macros() -> dict[str, str]:
    """year(t), month(t) and so on."""
    fields = ("year", "quarter", "month", "day", "hour", "minute", "dayofyear")
    macros = {name: f"date_part('{name}', {SCHEMA}.to_datetime(t))" for name in fields}
    macros |= {
        "second": f"CAST(date_part('second', {SCHEMA}.to_datetime(t)) AS INTEGER)",
        "microsecond": f"date_part('microsecond', {SCHEMA}.to_datetime(t)) % 1000000",
        "dayofmonth": f"date_part('day', {SCHEMA}.to_datetime(t))",
        # 1 is Sunday.
        "dayofweek": f"date_part('dayofweek', {SCHEMA}.to_datetime(t)) + 1",
        "dayofweek_iso": f"date_part('isodow', {SCHEMA}.to_datetime(t))",
        # 0 is Monday.
        "weekday": f"date_part('isodow', {SCHEMA}.to_datetime(t)) - 1",
        "week_iso": f"date_part('week', {SCHEMA}.to_datetime(t))",
        "weekofyear": f"date_part('week', {SCHEMA}.to_datetime(t))",
        "dayname": f"dayname({SCHEMA}.to_datetime(t))",
        "monthname": f"monthname({SCHEMA}.to_datetime(t))",
        "to_days": f"date_diff('day', DATE '0001-01-01', {SCHEMA}.to_date(t)) + 366",
    }
    return {f"{name}(t)": body for name, body in macros.items()}


_DATES = {
    "now()": "CAST(date_trunc('second', now()) AS TIMESTAMP)",
    "curdate()": "CAST(CAST(now() AS TIMESTAMP) AS DATE)",
    "datediff(a, b)": f"date_diff('day', {SCHEMA}.to_date(b), {SCHEMA}.to_date(a))",
    "unix_timestamp()": "CAST(epoch(now()) AS BIGINT)",
    "unix_timestamp(t)": f"CASE WHEN {SCHEMA}.to_datetime(t) IS NOT NULL "
    f"THEN greatest(CAST(floor(epoch({SCHEMA}.to_datetime(t))) AS BIGINT), 0) END",
    "seconds_to_datetime(n)": "CASE WHEN CAST(n AS BIGINT) BETWEEN 0 AND 253402243199 "
    "THEN make_timestamp(CAST(n AS BIGINT) * 1000000) END",
    "from_days(n)": "DATE '0001-01-01' + CAST(n - 366 AS INTEGER)",
    "next_day(d, n)": "d + CAST((n - date_part('isodow', d) + 6) % 7 + 1 AS INTEGER)",
    "previous_day(d, n)": "d - CAST((date_part('isodow', d) - n + 6) % 7 + 1 AS INTEGER)",
    # Slices are counted from 0001-01-01; a negative remainder belongs to the slice before.
    "slice_start(us, width)": "us - ((us % width) + width) % width",
    "slice_time(t, width, up)": "make_timestamp(epoch_us(TIMESTAMP '0001-01-01') + "
    f"{SCHEMA}.slice_start(epoch_us(t) - epoch_us(TIMESTAMP '0001-01-01'), width) + up * width)",
    "slice_months(t, n, up)": "TIMESTAMP '0001-01-01' + to_months(CAST("
    f"{SCHEMA}.slice_start((date_part('year', t) - 1) * 12 + date_part('month', t) - 1, n) "
    "+ up * n AS INTEGER))",
    # Weeks as MySQL counts them. The first week holds the year's first Monday or Sunday, or
    # (`four`) at least four of its days.
    "first_day_index(y, monday)": "CASE WHEN monday THEN date_part('isodow', make_date(y, 1, 1)) "
    "- 1 ELSE date_part('dow', make_date(y, 1, 1)) END",
    "first_week(y, monday, four)": "make_date(y, 1, 1) + CAST(CASE "
    f"WHEN {SCHEMA}.first_day_index(y, monday) = 0 THEN 0 "
    f"WHEN four AND {SCHEMA}.first_day_index(y, monday) < 4 "
    f"THEN -{SCHEMA}.first_day_index(y, monday) "
    f"ELSE 7 - {SCHEMA}.first_day_index(y, monday) END AS INTEGER)",
    # The year that the week of a day belongs to, when weeks never are number 0.
    "week_year(d, monday, four)": "CASE "
    f"WHEN d < {SCHEMA}.first_week(date_part('year', d), monday, four) THEN date_part('year', "
    "d) - 1 "
    f"WHEN d >= {SCHEMA}.first_week(date_part('year', d) + 1, monday, four) "
    "THEN date_part('year', d) + 1 ELSE date_part('year', d) END",
    "weeks_since(d, start)": "CASE WHEN d < start THEN 0 ELSE date_diff('day', start, d) // 7 "
    "+ 1 END",
    "week_number(d, monday, four, wide)": f"CASE WHEN wide THEN {SCHEMA}.weeks_since(d, "
    f"{SCHEMA}.first_week({SCHEMA}.week_year(d, monday, four), monday, four)) "
    f"ELSE {SCHEMA}.weeks_since(d, {SCHEMA}.first_week(date_part('year', d), monday, four)) END",
    "week_year_and_number(d, monday, four, wide)": f"{SCHEMA}.week_year(d, monday, four) * 100 + "
    f"{SCHEMA}.week_number(d, monday, four, true)",
    "day_ordinal(t)": "CAST(date_part('day', t) AS VARCHAR) || CASE "
    "WHEN date_part('day', t) IN (11, 12, 13) THEN 'th' WHEN date_part('day', t) % 10 = 1 "
    "THEN 'st' "
    "WHEN date_part('day', t) % 10 = 2 THEN 'nd' WHEN date_part('day', t) % 10 = 3 THEN 'rd' "
    "ELSE 'th' END",
    "week_1(t)": f"lpad(CAST({SCHEMA}.week_number(CAST(t AS DATE), true, true, false) AS VARCHAR), "
    "2, '0')",
    "week_2(t)": f"lpad(CAST({SCHEMA}.week_number(CAST(t AS DATE), false, false, true) AS "
    "VARCHAR), "
    "2, '0')",
    "week_2_year(t)": f"CAST({SCHEMA}.week_year(CAST(t AS DATE), false, false) AS VARCHAR)",
    "zone_offset(z)": "to_minutes(CAST((CASE left(z, 1) WHEN '-' THEN -1 ELSE 1 END) * "
    "(CAST(z[2:3] AS INTEGER) * 60 + CAST(z[5:6] AS INTEGER)) AS BIGINT))",
    "zone_to_utc(t, z)": "CASE WHEN z SIMILAR TO '[+-][0-9]{2}:[0-9]{2}' "
    f"THEN t - {SCHEMA}.zone_offset(z) ELSE timezone('UTC', timezone("
    "CASE WHEN z SIMILAR TO '[+-].*' THEN 'UTC' ELSE z END, t)) END",
    "utc_to_zone(t, z)": "CASE WHEN z SIMILAR TO '[+-][0-9]{2}:[0-9]{2}' "
    f"THEN t + {SCHEMA}.zone_offset(z) ELSE timezone("
    "CASE WHEN z SIMILAR TO '[+-].*' THEN 'UTC' ELSE z END, timezone('UTC', t)) END",
    "sleep(n)": "CASE WHEN n = 0 THEN true ELSE error('sleep of more than 0 seconds') END",
    "makedate(y, n)": "CASE WHEN n > 0 THEN make_date(CAST(y AS BIGINT), 1, 1) + CAST(n - 1 AS "
    "INTEGER) END",
}


def all_macros() -> dict[str, str]:
    """Signature -> body, in the order they must be made."""
    return {
        **JSON,
        **_CASTS,
        **_unit_macros(),
        **_field_macros(),
        **_DATES,
        **TEXT,
        **NUMBERS,
        **ARRAYS,
        **SETS,
    }


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """(Re)make the macros; they hold no data. Overloads share one statement."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    overloads: dict[str, list[str]] = {}
    for signature, body in all_macros().items():
        name, _, parameters = signature.partition("(")
        overloads.setdefault(name, []).append(f"({parameters} AS ({body})")
    for name, variants in overloads.items():
        connection.execute(f'CREATE OR REPLACE MACRO {SCHEMA}."{name}" {", ".join(variants)}')
