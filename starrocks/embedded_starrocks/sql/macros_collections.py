"""Macros over JSON, arrays, BITMAP and HLL, for `macros.py`.

A BITMAP is a sorted list of UBIGINT without repeats; an HLL is the list of its values' hashes, so
that what it counts is exact.
"""

from __future__ import annotations

from embedded_starrocks.sql.macros_values import SCHEMA

_TOKENS = r'"(?:[^"\\]|\\.)*"|[:,]|[^":,]+'

JSON = {
    "as_json(j)": "TRY_CAST(j AS JSON)",
    # Without blanks, so that equal values are equal texts.
    "json_compared(j)": "json(CAST(j AS VARCHAR))",
    "parse_json(s)": "TRY_CAST(s AS JSON)",
    # As StarRocks prints JSON: with a blank behind colons and commas.
    "json_spaced(j)": "CASE WHEN contains(CAST(j AS VARCHAR), ',') "
    "OR contains(CAST(j AS VARCHAR), ':') THEN array_to_string(list_transform("
    f"regexp_extract_all(json(CAST(j AS VARCHAR)), '{_TOKENS}'), "
    "lambda t: CASE WHEN t IN (':', ',') THEN t || ' ' ELSE t END), '') "
    "ELSE CAST(j AS VARCHAR) END",
    # A scalar as its text, NULL for null, anything else as JSON.
    "json_text(j)": "CASE json_type(TRY_CAST(j AS JSON)) WHEN 'NULL' THEN NULL "
    f"WHEN 'ARRAY' THEN {SCHEMA}.json_spaced(j) WHEN 'OBJECT' THEN {SCHEMA}.json_spaced(j) "
    "ELSE TRY_CAST(j AS JSON) ->> '$' END",
    "json_is_text(j)": "CASE WHEN json_type(TRY_CAST(j AS JSON)) = 'VARCHAR' "
    "THEN TRY_CAST(j AS JSON) ->> '$' END",
    "get_json_int(j, p)": "TRY_CAST(regexp_extract(TRY_CAST(j AS JSON) ->> p, "
    "'^([+-]?\\d+)(\\.\\d*)?$', 1) AS BIGINT)",
    "get_json_double(j, p)": "TRY_CAST(TRY_CAST(j AS JSON) ->> p AS DOUBLE)",
    "get_json_bool(j, p)": "CASE TRY_CAST(j AS JSON) ->> p WHEN 'true' THEN true "
    "WHEN 'false' THEN false END",
    "json_query(j, p)": "json_extract(TRY_CAST(j AS JSON), p)",
    "json_query_all(j, p)": "CASE WHEN len(json_extract(TRY_CAST(j AS JSON), p)) > 0 "
    "THEN to_json(json_extract(TRY_CAST(j AS JSON), p)) END",
    "json_exists(j, p)": "CASE WHEN j IS NOT NULL THEN json_exists(TRY_CAST(j AS JSON), p) END",
    "json_exists_any(j, p)": "len(json_extract(TRY_CAST(j AS JSON), p)) > 0",
    "json_length(j)": "CASE json_type(TRY_CAST(j AS JSON)) WHEN 'ARRAY' THEN "
    "json_array_length(TRY_CAST(j AS JSON)) WHEN 'OBJECT' THEN "
    "len(json_keys(TRY_CAST(j AS JSON))) WHEN NULL THEN NULL ELSE "
    "CASE WHEN j IS NOT NULL THEN 1 END END",
    "json_keys(j)": "CASE WHEN json_type(TRY_CAST(j AS JSON)) = 'OBJECT' "
    "THEN to_json(json_keys(TRY_CAST(j AS JSON))) END",
    "json_array_items(j)": "TRY_CAST(TRY_CAST(j AS JSON) AS JSON[])",
}

ARRAYS = {
    "array_join(a, d)": "array_to_string(a, d)",
    "array_join(a, d, n)": "array_to_string(list_transform(CAST(a AS VARCHAR[]), "
    "lambda e: coalesce(e, n)), d)",
    "array_contains(a, x)": "CASE WHEN a IS NOT NULL THEN list_position(a, x) IS NOT NULL END",
    "array_position(a, x)": "CASE WHEN a IS NOT NULL THEN coalesce(list_position(a, x), 0) END",
    "array_sum(a)": "list_sum(a)",
    "array_avg(a)": "list_avg(a)",
    "array_max(a)": "list_max(a)",
    "array_min(a)": "list_min(a)",
    "array_sort(a)": "list_sort(a, 'ASC', 'NULLS FIRST')",
    # In the order of their first places; one NULL stays.
    "array_append(a, x)": "CASE WHEN a IS NOT NULL THEN list_append(a, x) END",
    "array_concat(a, b)": "CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN list_concat(a, b) END",
    "array_distinct(a)": "list_filter(a, lambda x, i: list_position(a, x) = i)",
    "array_slice(a, i, n)": "CASE WHEN i = 0 THEN error('array_slice counts from 1') "
    "ELSE a[i:i + n - 1] END",
    "array_remove(a, x)": "list_filter(a, lambda e: e IS DISTINCT FROM x)",
    "array_cum_sum(a)": "list_transform(a, lambda e, i: CASE WHEN e IS NOT NULL "
    "THEN list_sum(a[:i]) END)",
    "array_difference(a)": "list_transform(a, lambda e, i: CASE WHEN i = 1 THEN e - e "
    "ELSE e - a[i - 1] END)",
    "array_repeat(x, n)": "list_transform(range(CAST(greatest(n, 0) AS BIGINT)), lambda i: x)",
    "array_generate(a, b)": "CAST(generate_series(CAST(a AS BIGINT), CAST(b AS BIGINT), "
    "CASE WHEN a <= b THEN 1 ELSE -1 END) AS BIGINT[])",
    "array_generate(a, b, s)": "CAST(generate_series(CAST(a AS BIGINT), CAST(b AS BIGINT), "
    "CAST(s AS BIGINT)) AS BIGINT[])",
    "list_where(a, tests)": "list_transform(list_filter(list_zip(a, tests), lambda p: p[2]), "
    "lambda p: p[1])",
    "sorted_by(a, keys)": "list_transform(list_sort(list_zip(keys, a), 'ASC', 'NULLS FIRST'), "
    "lambda p: p[2])",
    "all_match(tests)": "CASE WHEN len(tests) = 0 THEN true WHEN list_contains(tests, false) "
    "THEN false "
    "WHEN list_position(tests, NULL) IS NOT NULL THEN NULL ELSE true END",
    "any_match(tests)": "CASE WHEN len(tests) = 0 THEN false WHEN list_contains(tests, true) "
    "THEN true "
    "WHEN list_position(tests, NULL) IS NOT NULL THEN NULL ELSE false END",
    "element_of(a, i)": "a[i]",
    "array_element(a, i)": "CASE WHEN i >= 1 THEN a[i] END",
    "str_to_map(s, a, b)": "map_from_entries(list_transform(string_split(s, a), "
    "lambda p: row(split_part(p, b, 1), CASE WHEN contains(p, b) "
    "THEN substr(p, strpos(p, b) + length(b)) END)))",
    "joined_values(pairs, d)": "CASE WHEN len(pairs) > len(list_distinct(list_transform(pairs, "
    "lambda p: p.v))) THEN error('GROUP_CONCAT(DISTINCT ...): equal values have several places in "
    "its ORDER BY') ELSE array_to_string(list_transform(pairs, lambda p: p.v), d) END",
}

_BITS = "UBIGINT[]"
_SORTED = "list_sort(list_distinct({}))"

SETS = {
    "to_bitmap(x)": "CASE WHEN TRY_CAST(x AS UBIGINT) IS NOT NULL "
    "THEN [TRY_CAST(x AS UBIGINT)] END",
    "bitmap_empty()": f"CAST([] AS {_BITS})",
    "bitmap_from_string(s)": "CASE WHEN regexp_full_match(s, '\\s*\\d+\\s*(,\\s*\\d+\\s*)*') THEN "
    + _SORTED.format(f"TRY_CAST(string_split(s, ',') AS {_BITS})")
    + " END",
    "array_to_bitmap(a)": _SORTED.format(
        f"CAST(list_filter(CAST(a AS HUGEINT[]), lambda e: e >= 0) AS {_BITS})"
    ),
    "bitmap_to_string(b)": "array_to_string(b, ',')",
    "bitmap_to_array(b)": "CAST(b AS BIGINT[])",
    "bitmap_count(b)": "coalesce(len(b), 0)",
    "bitmap_contains(b, x)": "list_contains(b, TRY_CAST(x AS UBIGINT))",
    "bitmap_or(a, b)": _SORTED.format("list_concat(a, b)"),
    "bitmap_and(a, b)": "list_sort(list_intersect(a, b))",
    "bitmap_andnot(a, b)": "list_filter(a, lambda e: NOT list_contains(b, e))",
    "bitmap_xor(a, b)": f"list_sort(list_concat({SCHEMA}.bitmap_andnot(a, b), "
    f"{SCHEMA}.bitmap_andnot(b, a)))",
    "bitmap_remove(b, x)": "list_filter(b, lambda e: e <> x)",
    "bitmap_subset_limit(b, start, n)": "CASE WHEN n >= 0 THEN list_filter(b, lambda e: e >= "
    "start)[:n] "
    "ELSE list_filter(b, lambda e: e <= start)[n:] END",
    "bitmap_subset_in_range(b, low, high)": "list_filter(b, lambda e: e >= low AND e < high)",
    "sub_bitmap(b, start, n)": "CASE WHEN start >= len(b) OR n <= 0 THEN NULL "
    "WHEN start >= 0 THEN b[start + 1:start + n] "
    "ELSE b[greatest(len(b) + start + 1, 1):len(b) + start + n] END",
    "bitmap_union(b)": _SORTED.format("flatten(list(b))"),
    "bitmap_union_count(b)": "coalesce(len(list_distinct(flatten(list(b)))), 0)",
    "bitmap_intersect(b)": "list_sort(list_reduce(list(b) FILTER (b IS NOT NULL), "
    "lambda x, y: list_intersect(x, y)))",
    "intersect_count(b, d, wanted)": "coalesce(len(list_reduce(list_transform(wanted, lambda w: "
    "flatten(list_transform(list_filter(list(struct_pack(d := d, b := b)), lambda p: p.d = w), "
    "lambda p: p.b))), lambda x, y: list_intersect(x, y))), 0)",
    "hll_hash(x)": "CASE WHEN x IS NULL THEN CAST([] AS UBIGINT[]) "
    "ELSE [hash(CAST(x AS VARCHAR))] END",
    "hll_empty()": f"CAST([] AS {_BITS})",
    "hll_cardinality(h)": "coalesce(len(h), 0)",
    "hll_union(h)": _SORTED.format("flatten(list(h))"),
    "hll_raw_agg(h)": _SORTED.format("flatten(list(h))"),
    "hll_union_agg(h)": "coalesce(len(list_distinct(flatten(list(h)))), 0)",
}
