"""What the documentation's table of functions is made of: answered, answered in part, refused.

The names are those of StarRocks 3.5's documentation, "SQL functions".
"""

from __future__ import annotations

from typing import NamedTuple

from embedded_starrocks.sql import functions


class Entry(NamedTuple):
    """One function of StarRocks; `note` says what of it is refused, or how it is answered."""

    name: str
    is_answered: bool
    note: str


_NOTES = {
    "approx_count_distinct": "estimates with other errors than StarRocks",
    "array_filter": "one array, or an array and an array of BOOLEAN",
    "array_generate": "numbers; dates are refused",
    "conv": "between the bases 2, 8, 10 and 16; others are refused",
    "date_format": "the format is a literal",
    "from_unixtime": "in UTC; with a zone it is refused",
    "get_json_string": "the path is a literal; ranges `[1:2]` in a path are refused",
    "group_concat": "DISTINCT with an ORDER BY in which equal values have several places: error",
    "hll_cardinality": "exact, where StarRocks estimates",
    "hll_union_agg": "exact, where StarRocks estimates",
    "jodatime_format": "`yyyyMMdd`, `yyyy-MM-dd` and `yyyy-MM-dd HH:mm:ss`; others are refused",
    "json_object": "the keys are literals",
    "json_query": "the path is a literal; ranges `[1:2]` in a path are refused",
    "mod": "also `%`",
    "ndv": "estimates with other errors than StarRocks",
    "percentile_approx": "exact, which is within StarRocks' bounds",
    "sha2": "256 bits; 224, 384 and 512 are refused",
    "sleep": "0 seconds; more is refused",
    "str_to_date": "the format is a literal, without `%D`, `%u`, `%V` and `%X`",
    "unix_timestamp": "without a format",
    "unnest": "in FROM; of several arrays with an alias",
    "week": "the mode is a literal",
    "yearweek": "the mode is a literal",
}
_REFUSED = """
aes_decrypt aes_encrypt approx_top_k array_top_n array_unique_agg arrays_zip
assert_true base64_decode_binary base64_to_bitmap bit_shift_right_logical bitmap bitmap_from_binary
bitmap_hash bitmap_hash64 bitmap_to_base64 bitmap_to_binary cosine_similarity
cosine_similarity_norm crc32 current_time current_timezone curtime dict_mapping
dictionary_get ds_hll_count_distinct encode_sort_key equiwidth_bucket flat_json_meta
from_binary from_unixtime_ms get_query_profile hex_decode_binary hll_deserialize hll_serialize
host_name hour_from_unixtime http_request inet_aton is_role_in_session
json_contains json_each json_pretty json_remove json_set l2_distance
mann_whitney_u_test max_n md5sum_numeric min_n murmur_hash3_32 ngram_search
ngram_search_case_insensitive percentile_approx_raw percentile_empty percentile_hash
percentile_union query_id raise_error regexp_count regexp_position regexp_split retention
sec_to_time session_number sm3 st_aswkt st_astext st_circle st_contains st_geometryfromtext
st_geomfromtext st_linefromtext st_linestringfromtext st_point st_polyfromtext st_polygon
st_polygonfromtext st_x st_y str_to_jodatime subdivide_bitmap time_format time_to_sec timediff
to_binary to_datetime to_datetime_ntz to_tera_date to_tera_timestamp ttest_1samp ttest_2samp
url_extract_host url_extract_parameter utc_time uuid_numeric window_funnel xx_hash32 xx_hash3_128
xx_hash3_64 xx_hash64 files
"""


def entries() -> list[Entry]:
    """Every function, in the order of the alphabet."""
    answered = functions.supported()
    refused = [name for name in _REFUSED.split() if name not in answered]
    found = [Entry(name, True, _NOTES.get(name, "")) for name in answered]
    found += [Entry(name, False, "") for name in refused]
    return sorted(found)
