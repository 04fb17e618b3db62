"""Macros over text and numbers, for `macros.py`.

Arguments come in the types that `functions.py` brings them to.
"""

from __future__ import annotations

import string

SCHEMA = "__starrocks_fn"
_PLAIN = ("atan", "cos", "cosh", "sin", "sinh", "tan", "tanh", "degrees", "radians")
TEXT = {
    "ascii(s)": "CASE WHEN s = '' THEN 0 ELSE CAST('0x' || left(hex(s), 2) AS INTEGER) END",
    "repeat(s, n)": "repeat(s, greatest(n, 0))",
    "replace(s, a, b)": "CASE WHEN a = '' THEN s ELSE replace(s, a, b) END",
    "substring(s, n)": "CASE WHEN n = 0 THEN '' ELSE substr(s, n) END",
    "substring(s, n, l)": "CASE WHEN n = 0 OR l <= 0 THEN '' WHEN -n > length(s) THEN '' "
    "ELSE substr(s, n, l) END",
    # A word begins at the start and behind what is no letter and no digit.
    "initcap(s)": "array_to_string(list_transform(regexp_extract_all(s, "
    "'[\\p{L}\\p{N}]+|[^\\p{L}\\p{N}]+'), lambda w: upper(w[1]) || lower(w[2:])), '')",
    "find_in_set(s, l)": "CASE WHEN contains(s, ',') THEN 0 "
    "ELSE coalesce(list_position(string_split(l, ','), s), 0) END",
    "strcmp(a, b)": "CASE WHEN a < b THEN -1 WHEN a > b THEN 1 WHEN a = b THEN 0 END",
    "strpos(s, p)": "strpos(s, p)",
    "found_before(s, p, n)": "length(array_to_string(string_split(s, p)[:n], p)) + 1",
    "strpos(s, p, n)": "CASE WHEN n = 0 THEN 0 WHEN abs(n) >= len(string_split(s, p)) THEN 0 "
    f"WHEN n > 0 THEN {SCHEMA}.found_before(s, p, n) "
    f"ELSE {SCHEMA}.found_before(s, p, len(string_split(s, p)) + n) END",
    "append_trailing_char(s, c)": "CASE WHEN length(c) <> 1 THEN NULL WHEN suffix(s, c) THEN s "
    "ELSE s || c END",
    "unhex_text(s)": "CASE WHEN regexp_full_match(s, '([0-9A-Fa-f]{2})*') "
    "THEN decode(unhex(s)) ELSE '' END",
    "to_base64(s)": "to_base64(encode(s))",
    "from_base64(s)": "decode(from_base64(s))",
    "uuid()": "CAST(uuid() AS VARCHAR)",
    "format_bytes(n)": "CASE WHEN n < 1024 THEN CAST(n AS VARCHAR) || ' B' ELSE "
    "format('{:.2f} {}', "
    "n / pow(1024, least(floor(log(n) / log(1024)), 6)), "
    "['KB', 'MB', 'GB', 'TB', 'PB', 'EB'][CAST(least(floor(log(n) / log(1024)), 6) AS "
    "INTEGER)]) END",
    "url_protocol(u)": "nullif(regexp_extract(u, '^([^:/?#]+)://', 1), '')",
    "url_authority(u)": "nullif(regexp_extract(u, '^[^:/?#]+://([^/?#]*)', 1), '')",
    "url_userinfo(u)": "nullif(regexp_extract(u, '^[^:/?#]+://([^/?#@]*)@', 1), '')",
    "url_host(u)": "nullif(regexp_extract(u, '^[^:/?#]+://([^/?#@]*@)?([^/?#:]*)', 2), '')",
    "url_path(u)": "regexp_extract(u, '^[^:/?#]+://[^/?#]*([^?#]*)', 1)",
    "url_query(u)": "nullif(regexp_extract(u, '[?]([^#]*)', 1), '')",
    "url_ref(u)": "nullif(regexp_extract(u, '#(.*)$', 1), '')",
    "url_file(u)": "regexp_extract(u, '^[^:/?#]+://[^/?#]*([^#]*)', 1)",
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
    # Letters beyond ASCII stay, as by default in StarRocks (lower_upper_support_utf8).
    "lower(s)": f"translate(s, '{string.ascii_uppercase}', '{string.ascii_lowercase}')",
    "upper(s)": f"translate(s, '{string.ascii_lowercase}', '{string.ascii_uppercase}')",
    "length(s)": "strlen(s)",
    "char_length(s)": "length(s)",
    "lpad(s, n, p)": "CASE WHEN n < 0 OR p = '' THEN NULL ELSE lpad(s, CAST(n AS INTEGER), p) END",
    "rpad(s, n, p)": "CASE WHEN n < 0 OR p = '' THEN NULL ELSE rpad(s, CAST(n AS INTEGER), p) END",
    "left(s, n)": "CASE WHEN n <= 0 THEN '' ELSE left(s, n) END",
    "right(s, n)": "CASE WHEN n <= 0 THEN '' ELSE right(s, n) END",
    "space(n)": "repeat(' ', greatest(n, 0))",
    "null_or_empty(s)": "(s IS NULL OR s = '')",
    "regexp_extract(s, p, n)": "coalesce(regexp_extract(s, p, CAST(n AS INTEGER)), '')",
    "regexp_replace(s, p, r)": r"regexp_replace(s, p, r, 'g')",
    "hex_of(x)": "CASE WHEN typeof(x) = 'VARCHAR' THEN hex(CAST(x AS VARCHAR)) "
    f"ELSE hex(TRY_CAST({SCHEMA}.whole_part(x) AS BIGINT)) END",
}
NUMBERS = {
    "same(x)": "x",
    "negative(x)": "-x",
    "e()": "exp(1)",
    "pmod(a, b)": "CASE WHEN b <> 0 THEN ((a % b) + b) % b END",
    "float_mod(a, b)": "CASE WHEN b <> 0 THEN fmod(a, b) END",
    "sign(x)": "sign(x)",
    "bitnot(a)": "~a",
    "bit_shift_left(a, n)": "CAST(CAST(a AS HUGEINT) * pow(2, n) AS BIGINT)",
    "bit_shift_right(a, n)": "CAST(floor(CAST(a AS HUGEINT) / pow(2, n)) AS BIGINT)",
    **{f"{name}(x)": f"{name}(x)" for name in _PLAIN},
    "exp(x)": "CASE WHEN isfinite(exp(x)) THEN exp(x) END",
    "pow(x, y)": "CASE WHEN isfinite(pow(x, y)) THEN pow(x, y) END",
    # One step of Newton's makes roots of whole numbers whole.
    "cbrt(x)": "CASE WHEN x = 0 THEN x ELSE "
    "cbrt(x) - (pow(cbrt(x), 3) - x) / (3 * cbrt(x) * cbrt(x)) END",
    "asin(x)": "CASE WHEN x BETWEEN -1 AND 1 THEN asin(x) END",
    "acos(x)": "CASE WHEN x BETWEEN -1 AND 1 THEN acos(x) END",
    "cot(x)": "CASE WHEN x <> 0 THEN cot(x) END",
    # A DECIMAL as the whole number of its smallest units.
    "unscaled(x, p, s)": "CAST(replace(CAST(x AS VARCHAR), '.', '') AS HUGEINT)",
    # Half away from zero; 10^up widens the dividend.
    "divided(a, b, up)": "CASE WHEN b <> 0 THEN sign(a) * sign(b) * "
    "((2 * abs(a) * CAST(up AS HUGEINT) + abs(b)) // (2 * abs(b))) END",
    "grouped(x)": "format('{:,}', CAST(trunc(x) AS HUGEINT)) || "
    "right(CAST(CAST(x AS DECIMAL(36, 2)) AS VARCHAR), 3)",
    # What comes first and is a digit of the base; a minus counts down from 2^64, as in MySQL.
    "leading_digits(s, base)": "regexp_extract_all(regexp_extract(upper(trim(s)), CASE base "
    "WHEN 2 THEN '^-?([01]*)' WHEN 8 THEN '^-?([0-7]*)' WHEN 10 THEN '^-?([0-9]*)' "
    "ELSE '^-?([0-9A-F]*)' END, 1), '.')",
    "digits_to_number(s, base)": "(CASE WHEN trim(s) LIKE '-%' THEN 18446744073709551616 ELSE 0 "
    "END) + (CASE WHEN trim(s) LIKE '-%' THEN -1 ELSE 1 END) * list_reduce(list_prepend("
    f"CAST(0 AS HUGEINT), list_transform({SCHEMA}.leading_digits(s, base), "
    "lambda c: CAST(strpos('0123456789ABCDEF', c) - 1 AS HUGEINT))), "
    "lambda total, digit: total * base + digit)",
    "number_to_digits(n, base)": "CASE base WHEN 10 THEN CAST(n AS VARCHAR) "
    "WHEN 2 THEN bin(CAST(n AS UBIGINT)) WHEN 16 THEN hex(CAST(n AS UBIGINT)) "
    "ELSE format('{:o}', CAST(n AS BIGINT)) END",
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
