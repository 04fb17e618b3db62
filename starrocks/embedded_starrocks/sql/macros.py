"""StarRocks functions as DuckDB macros, where the two differ or DuckDB has none.

Each macro is written for StarRocks' documented meaning; arguments come as StarRocks callers give
them. Strings given where a date is due go through `to_datetime`, which yields NULL for what is no
date, as StarRocks' implicit cast does. Source: StarRocks 3.5 documentation, "SQL functions".
"""

from __future__ import annotations

import duckdb

SCHEMA = "__starrocks_fn"

_DATETIME = r"^\s*\d{4}-\d{1,2}-\d{1,2}([T ]+\d{1,2}(:\d{1,2}(:\d{1,2}(\.\d{1,6})?)?)?)?\s*$"

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
    "to_text(x)": r"""
CASE WHEN typeof(x) = 'BOOLEAN' THEN CASE CAST(x AS VARCHAR) WHEN 'true' THEN '1'
        WHEN 'false' THEN '0' END
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN regexp_replace(CAST(x AS VARCHAR), '\.0$', '')
    WHEN typeof(x) = 'JSON' THEN TRY_CAST(x AS JSON) ->> '$'
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
    macros: dict[str, str] = {}
    for unit, (interval, _, _) in _UNITS.items():
        moved = f"{SCHEMA}.to_datetime(t) {{}} {interval}(CAST({SCHEMA}.whole_part(n) AS {{}}))"
        kind = "BIGINT" if unit in ("hours", "minutes", "microseconds") else "INTEGER"
        kind = "DOUBLE" if unit in ("seconds", "milliseconds") else kind
        macros[f"{unit}_add(t, n)"] = moved.format("+", kind)
        macros[f"{unit}_sub(t, n)"] = moved.format("-", kind)
        part = unit.removesuffix("s")
        macros[f"{unit}_diff(a, b)"] = (
            f"date_sub('{part}', {SCHEMA}.to_datetime(b), {SCHEMA}.to_datetime(a))"
        )
    macros["quarters_add(t, n)"] = (
        f"{SCHEMA}.to_datetime(t) + to_months(3 * CAST({SCHEMA}.whole_part(n) AS INTEGER))"
    )
    macros["quarters_sub(t, n)"] = (
        f"{SCHEMA}.to_datetime(t) - to_months(3 * CAST({SCHEMA}.whole_part(n) AS INTEGER))"
    )
    return macros


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
        "last_day": f"last_day({SCHEMA}.to_datetime(t))",
        "to_days": f"date_diff('day', DATE '0001-01-01', {SCHEMA}.to_date(t)) + 366",
    }
    return {f"{name}(t)": body for name, body in macros.items()}


_DATES = {
    "now()": "CAST(date_trunc('second', now()) AS TIMESTAMP)",
    "utc_timestamp()": "CAST(date_trunc('second', now()) AS TIMESTAMP)",
    "curdate()": "CAST(CAST(now() AS TIMESTAMP) AS DATE)",
    "datediff(a, b)": f"date_diff('day', {SCHEMA}.to_date(b), {SCHEMA}.to_date(a))",
    "unix_timestamp()": "CAST(epoch(now()) AS BIGINT)",
    "unix_timestamp(t)": f"CAST(floor(epoch({SCHEMA}.to_datetime(t))) AS BIGINT)",
    "seconds_to_datetime(n)": "make_timestamp(CAST(n AS BIGINT) * 1000000)",
    "convert_tz(t, a, b)": f"timezone(b, timezone(a, {SCHEMA}.to_datetime(t)))",
    "timestamp(t)": f"{SCHEMA}.to_datetime(t)",
    "makedate(y, n)": "CASE WHEN n > 0 THEN make_date(CAST(y AS BIGINT), 1, 1) + CAST(n - 1 AS "
    "INTEGER) END",
}
_TEXT = {
    "split(s, d)": "CASE WHEN d = '' THEN regexp_extract_all(s, '.') ELSE string_split(s, d) END",
    "split_part(s, d, n)": "CASE WHEN n > 0 AND n <= len(string_split(s, d)) "
    "THEN string_split(s, d)[n] "
    "WHEN n < 0 AND -n <= len(string_split(s, d)) THEN string_split(s, d)[n] END",
    "substring_index(s, d, n)": "CASE WHEN n = 0 THEN '' "
    "WHEN n > 0 THEN array_to_string(string_split(s, d)[:n], d) "
    "WHEN -n >= len(string_split(s, d)) THEN s "
    "ELSE array_to_string(string_split(s, d)[n:], d) END",
    "instr(s, p)": "strpos(s, p)",
    "locate(p, s)": "strpos(s, p)",
    "locate(p, s, n)": "CASE WHEN strpos(substr(s, n), p) = 0 THEN 0 "
    "ELSE strpos(substr(s, n), p) + n - 1 END",
    "length(s)": f"strlen({SCHEMA}.to_text(s))",
    "char_length(s)": f"length({SCHEMA}.to_text(s))",
    "lpad(s, n, p)": "CASE WHEN n < 0 OR p = '' THEN NULL "
    f"ELSE lpad({SCHEMA}.to_text(s), CAST(n AS INTEGER), p) END",
    "rpad(s, n, p)": "CASE WHEN n < 0 OR p = '' THEN NULL "
    f"ELSE rpad({SCHEMA}.to_text(s), CAST(n AS INTEGER), p) END",
    "left(s, n)": f"CASE WHEN n <= 0 THEN '' ELSE left({SCHEMA}.to_text(s), n) END",
    "right(s, n)": f"CASE WHEN n <= 0 THEN '' ELSE right({SCHEMA}.to_text(s), n) END",
    "space(n)": "repeat(' ', greatest(n, 0))",
    "null_or_empty(s)": "(s IS NULL OR s = '')",
    "regexp_extract(s, p, n)": "coalesce(regexp_extract(s, p, CAST(n AS INTEGER)), '')",
    "regexp_replace(s, p, r)": r"regexp_replace(s, p, r, 'g')",
    "starts_with(s, p)": "starts_with(s, p)",
    "ends_with(s, p)": "suffix(s, p)",
    "hex_of(x)": "CASE WHEN typeof(x) = 'VARCHAR' THEN hex(CAST(x AS VARCHAR)) "
    "ELSE hex(TRY_CAST(x AS BIGINT)) END",
    "strleft(s, n)": f"CASE WHEN n <= 0 THEN '' ELSE left({SCHEMA}.to_text(s), n) END",
    "strright(s, n)": f"CASE WHEN n <= 0 THEN '' ELSE right({SCHEMA}.to_text(s), n) END",
}
_NUMBERS = {
    "mod(a, b)": "a % CASE WHEN b = 0 THEN NULL ELSE b END",
    "truncate(x, n)": "trunc(TRY_CAST(x AS DOUBLE) * pow(10, n)) / pow(10, n)",
    "round(x)": "CAST(CAST(round(TRY_CAST(x AS DOUBLE)) AS DOUBLE) AS BIGINT)",
    "round(x, n)": "round(x, CAST(n AS INTEGER))",
    "ceil(x)": "CAST(ceil(x) AS BIGINT)",
    "floor(x)": "CAST(floor(x) AS BIGINT)",
    "square(x)": "TRY_CAST(x AS DOUBLE) * TRY_CAST(x AS DOUBLE)",
    "log2(x)": "CASE WHEN x > 0 THEN log2(x) END",
    "log10(x)": "CASE WHEN x > 0 THEN log10(x) END",
    "ln(x)": "CASE WHEN x > 0 THEN ln(x) END",
    "log(b, x)": "CASE WHEN x > 0 AND b > 0 AND b <> 1 THEN ln(x) / ln(b) END",
    "sqrt(x)": "CASE WHEN x >= 0 THEN sqrt(x) END",
    "bitand(a, b)": "a & b",
    "bitor(a, b)": "a | b",
    "bitxor(a, b)": "xor(a, b)",
    # Metres on a sphere of StarRocks' radius, 6371.01 km.
    "st_distance_sphere(x1, y1, x2, y2)": "2 * 6371010.0 * asin(sqrt(least(1.0, "
    "pow(sin(radians(y2 - y1) / 2), 2) + cos(radians(y1)) * cos(radians(y2)) * "
    "pow(sin(radians(x2 - x1) / 2), 2))))",
}
_JSON = {
    "as_json(j)": "TRY_CAST(j AS JSON)",
    "parse_json(s)": "TRY_CAST(s AS JSON)",
    "get_json_string(j, p)": "TRY_CAST(j AS JSON) ->> p",
    "get_json_int(j, p)": "TRY_CAST(regexp_extract(TRY_CAST(j AS JSON) ->> p, "
    "'^([+-]?\\d+)(\\.\\d*)?$', 1) AS BIGINT)",
    "get_json_double(j, p)": "TRY_CAST(TRY_CAST(j AS JSON) ->> p AS DOUBLE)",
    "get_json_bool(j, p)": "CASE TRY_CAST(j AS JSON) ->> p WHEN 'true' THEN true "
    "WHEN 'false' THEN false END",
    "json_query(j, p)": "json_extract(TRY_CAST(j AS JSON), p)",
    "json_exists(j, p)": "json_extract(TRY_CAST(j AS JSON), p) IS NOT NULL",
    "json_length(j)": "CASE json_type(TRY_CAST(j AS JSON)) WHEN 'ARRAY' THEN "
    "json_array_length(TRY_CAST(j AS JSON)) WHEN 'OBJECT' THEN "
    "len(json_keys(TRY_CAST(j AS JSON))) ELSE 1 END",
    "json_keys(j)": "to_json(json_keys(TRY_CAST(j AS JSON)))",
    "json_string(j)": "CAST(TRY_CAST(j AS JSON) AS VARCHAR)",
    "to_json(x)": "to_json(x)",
    "json_array_items(j)": "TRY_CAST(TRY_CAST(j AS JSON) AS JSON[])",
}
_ARRAYS = {
    "array_contains(a, x)": "coalesce(list_contains(a, x), false)",
    "array_join(a, d)": "array_to_string(a, d)",
    "array_position(a, x)": "coalesce(list_position(a, x), 0)",
    "array_sum(a)": "list_sum(a)",
    "array_max(a)": "list_max(a)",
    "array_min(a)": "list_min(a)",
    "array_sort(a)": "list_sort(a, 'ASC', 'NULLS FIRST')",
    "array_distinct(a)": "list_distinct(a)",
    "array_append(a, x)": "list_append(a, x)",
    "array_slice(a, i, n)": "a[i:i + n - 1]",
    "array_remove(a, x)": "list_filter(a, lambda e: e IS DISTINCT FROM x)",
    "element_at(a, i)": "a[i]",
}


def all_macros() -> dict[str, str]:
    """Signature -> body, in the order they must be made."""
    return {
        **_CASTS,
        **_unit_macros(),
        **_field_macros(),
        **_DATES,
        **_TEXT,
        **_NUMBERS,
        **_JSON,
        **_ARRAYS,
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
