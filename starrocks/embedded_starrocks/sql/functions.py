"""Which StarRocks functions are answered, and how.

A name that is in no table is refused: nothing reaches DuckDB by its own name that StarRocks does
not have, and nothing is answered approximately. `reference.py` makes the table of the documentation
from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlglot import exp

from embedded_starrocks.errors import SqlError, semantic_error
from embedded_starrocks.sql import kinds, operators
from embedded_starrocks.sql.builders import aggregates, collections, dates, jsons, values
from embedded_starrocks.sql.builders.arguments import count
from embedded_starrocks.sql.calls import call, macro
from embedded_starrocks.sql.macros import all_macros
from embedded_starrocks.sql.types import ColumnType

Builder = Callable[[str, list[exp.Expr]], exp.Expr]


class Simple(NamedTuple):
    """A function that is a call under another name.

    `target` is a function of DuckDB, or one of our macros with a leading `$`. `takes` has one
    letter an argument: t text, d DOUBLE, i BIGINT, n INT, b BITMAP, . as it is; `*` repeats the
    last one, `?` makes those behind it optional. `gives` is a type, or `=` for that of the first
    argument.
    """

    target: str
    takes: str
    gives: str


_DOUBLES = """
acos asin atan cos cosh sin sinh tan tanh cot degrees radians exp cbrt square sqrt ln log2 log10
"""
_UNITS = (
    "years", "quarters", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds",
    "microseconds",
)  # fmt: skip
_PARTS = {
    "year": "SMALLINT",
    "quarter": "INT",
    "month": "TINYINT",
    "day": "TINYINT",
    "dayofmonth": "TINYINT",
    "hour": "TINYINT",
    "minute": "TINYINT",
    "second": "TINYINT",
    "microsecond": "INT",
    "dayofweek": "INT",
    "dayofweek_iso": "INT",
    "dayofyear": "INT",
    "weekday": "INT",
    "week_iso": "INT",
    "weekofyear": "INT",
    "to_days": "INT",
}


def _grouping(_: str, arguments: list[exp.Expr]) -> exp.Expr:
    return kinds.typed(call("grouping", *arguments), kinds.BIGINT)


def _mod(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 2, 2)
    return operators.modulo(*arguments)


SIMPLE: dict[str, Simple] = {
    # Numbers
    **{name: Simple(f"${name}", "d", "DOUBLE") for name in _DOUBLES.split()},
    "dexp": Simple("$exp", "d", "DOUBLE"),
    "dsqrt": Simple("$sqrt", "d", "DOUBLE"),
    "dlog1": Simple("$ln", "d", "DOUBLE"),
    "dlog10": Simple("$log10", "d", "DOUBLE"),
    "pow": Simple("$pow", "dd", "DOUBLE"),
    "power": Simple("$pow", "dd", "DOUBLE"),
    "dpow": Simple("$pow", "dd", "DOUBLE"),
    "fpow": Simple("$pow", "dd", "DOUBLE"),
    "atan2": Simple("atan2", "dd", "DOUBLE"),
    "fmod": Simple("$float_mod", "dd", "DOUBLE"),
    "pmod": Simple("$pmod", "ii", "BIGINT"),
    "sign": Simple("$sign", "d", "FLOAT"),
    "pi": Simple("pi", "", "DOUBLE"),
    "e": Simple("$e", "", "DOUBLE"),
    "rand": Simple("random", "", "DOUBLE"),
    "random": Simple("random", "", "DOUBLE"),
    **{name: Simple("$ceil", "d", "BIGINT") for name in ("ceil", "ceiling", "dceil")},
    **{name: Simple("$floor", "d", "BIGINT") for name in ("floor", "dfloor")},
    "positive": Simple("$same", ".", "="),
    "negative": Simple("$negative", ".", "="),
    "bin": Simple("bin", "i", "VARCHAR"),
    "bitand": Simple("$bitand", "ii", "BIGINT"),
    "bitor": Simple("$bitor", "ii", "BIGINT"),
    "bitxor": Simple("$bitxor", "ii", "BIGINT"),
    "bitnot": Simple("$bitnot", "i", "BIGINT"),
    "bit_shift_left": Simple("$bit_shift_left", "ii", "BIGINT"),
    "bit_shift_right": Simple("$bit_shift_right", "ii", "BIGINT"),
    "st_distance_sphere": Simple("$st_distance_sphere", "dddd", "DOUBLE"),
    # Text
    "lower": Simple("$lower", "t", "VARCHAR"),
    "lcase": Simple("$lower", "t", "VARCHAR"),
    "upper": Simple("$upper", "t", "VARCHAR"),
    "ucase": Simple("$upper", "t", "VARCHAR"),
    "initcap": Simple("$initcap", "t", "VARCHAR"),
    "length": Simple("$length", "t", "INT"),
    "char_length": Simple("$char_length", "t", "INT"),
    "character_length": Simple("$char_length", "t", "INT"),
    "ascii": Simple("$ascii", "t", "INT"),
    "char": Simple("chr", "n", "VARCHAR"),
    "repeat": Simple("$repeat", "ti", "VARCHAR"),
    "space": Simple("$space", "i", "VARCHAR"),
    "replace": Simple("$replace", "ttt", "VARCHAR"),
    "translate": Simple("translate", "ttt", "VARCHAR"),
    "left": Simple("$left", "ti", "VARCHAR"),
    "strleft": Simple("$left", "ti", "VARCHAR"),
    "right": Simple("$right", "ti", "VARCHAR"),
    "strright": Simple("$right", "ti", "VARCHAR"),
    "lpad": Simple("$lpad", "tit", "VARCHAR"),
    "rpad": Simple("$rpad", "tit", "VARCHAR"),
    "instr": Simple("$instr", "tt", "INT"),
    "locate": Simple("$locate", "tt?i", "INT"),
    "find_in_set": Simple("$find_in_set", "tt", "INT"),
    "strcmp": Simple("$strcmp", "tt", "INT"),
    "starts_with": Simple("starts_with", "tt", "BOOLEAN"),
    "ends_with": Simple("suffix", "tt", "BOOLEAN"),
    "split_part": Simple("$split_part", "tti", "VARCHAR"),
    "substring_index": Simple("$substring_index", "tti", "VARCHAR"),
    "append_trailing_char_if_absent": Simple("$append_trailing_char", "tt", "VARCHAR"),
    "null_or_empty": Simple("$null_or_empty", "t", "BOOLEAN"),
    "unhex": Simple("$unhex_text", "t", "VARCHAR"),
    "hex_decode_string": Simple("$unhex_text", "t", "VARCHAR"),
    "to_base64": Simple("$to_base64", "t", "VARCHAR"),
    "from_base64": Simple("$from_base64", "t", "VARCHAR"),
    "base64_decode_string": Simple("$from_base64", "t", "VARCHAR"),
    "md5": Simple("md5", "t", "VARCHAR"),
    "url_encode": Simple("url_encode", "t", "VARCHAR"),
    "url_decode": Simple("url_decode", "t", "VARCHAR"),
    "format_bytes": Simple("$format_bytes", "i", "VARCHAR"),
    "regexp_extract": Simple("$regexp_extract", "tti", "VARCHAR"),
    "regexp_extract_all": Simple("regexp_extract_all", "ttn", "ARRAY<VARCHAR>"),
    "regexp_replace": Simple("$regexp_replace", "ttt", "VARCHAR"),
    "uuid": Simple("$uuid", "", "VARCHAR"),
    # Dates
    **{name: Simple(f"${name}", ".", gives) for name, gives in _PARTS.items()},
    "day_of_week_iso": Simple("$dayofweek_iso", ".", "INT"),
    **{f"{unit}_add": Simple(f"${unit}_add", "..", "DATETIME") for unit in _UNITS},
    **{f"{unit}_sub": Simple(f"${unit}_sub", "..", "DATETIME") for unit in _UNITS},
    **{f"{unit}_diff": Simple(f"${unit}_diff", "..", "BIGINT") for unit in _UNITS},
    "add_months": Simple("$months_add", "..", "DATETIME"),
    "datediff": Simple("$datediff", "..", "INT"),
    "dayname": Simple("$dayname", ".", "VARCHAR"),
    "monthname": Simple("$monthname", ".", "VARCHAR"),
    "date": Simple("$to_date", ".", "DATE"),
    "to_date": Simple("$to_date", ".", "DATE"),
    "timestamp": Simple("$to_datetime", ".", "DATETIME"),
    "makedate": Simple("$makedate", "ii", "DATE"),
    "from_days": Simple("$from_days", "i", "DATE"),
    "unix_timestamp": Simple("$unix_timestamp", "?.", "BIGINT"),
    **{
        name: Simple("$now", "", "DATETIME")
        for name in ("now", "current_timestamp", "localtime", "localtimestamp", "utc_timestamp")
    },
    "curdate": Simple("$curdate", "", "DATE"),
    "current_date": Simple("$curdate", "", "DATE"),
    "sleep": Simple("$sleep", "i", "BOOLEAN"),
    # Arrays and maps
    "array_length": Simple("len", ".", "INT"),
    "cardinality": Simple("cardinality", ".", "INT"),
    "map_size": Simple("cardinality", ".", "INT"),
    "array_append": Simple("$array_append", "..", "="),
    "array_contains": Simple("$array_contains", "..", "BOOLEAN"),
    "array_contains_all": Simple("list_has_all", "..", "BOOLEAN"),
    "array_position": Simple("$array_position", "..", "INT"),
    "array_remove": Simple("$array_remove", "..", "="),
    "array_slice": Simple("$array_slice", ".ii", "="),
    "array_sort": Simple("$array_sort", ".", "="),
    "array_distinct": Simple("$array_distinct", ".", "="),
    "array_cum_sum": Simple("$array_cum_sum", ".", "="),
    "array_difference": Simple("$array_difference", ".", "="),
    "array_intersect": Simple("list_intersect", "..", "="),
    "arrays_overlap": Simple("list_has_any", "..", "BOOLEAN"),
    "array_flatten": Simple("flatten", ".", "[]"),
    "array_repeat": Simple("$array_repeat", ".i", "[=]"),
    "distinct_map_keys": Simple("$same", ".", "="),
    # BITMAP and HLL
    "to_bitmap": Simple("$to_bitmap", ".", "BITMAP"),
    "bitmap_empty": Simple("$bitmap_empty", "", "BITMAP"),
    "bitmap_from_string": Simple("$bitmap_from_string", "t", "BITMAP"),
    "array_to_bitmap": Simple("$array_to_bitmap", ".", "BITMAP"),
    "bitmap_to_string": Simple("$bitmap_to_string", "b", "VARCHAR"),
    "bitmap_to_array": Simple("$bitmap_to_array", "b", "ARRAY<BIGINT>"),
    "bitmap_count": Simple("$bitmap_count", "b", "BIGINT"),
    "bitmap_max": Simple("list_max", "b", "LARGEINT"),
    "bitmap_min": Simple("list_min", "b", "LARGEINT"),
    "bitmap_contains": Simple("$bitmap_contains", "bi", "BOOLEAN"),
    "bitmap_has_any": Simple("list_has_any", "bb", "BOOLEAN"),
    **{
        name: Simple(f"${name}", "bb", "BITMAP")
        for name in ("bitmap_or", "bitmap_and", "bitmap_xor", "bitmap_andnot")
    },
    "bitmap_remove": Simple("$bitmap_remove", "bi", "BITMAP"),
    "bitmap_subset_limit": Simple("$bitmap_subset_limit", "bii", "BITMAP"),
    "bitmap_subset_in_range": Simple("$bitmap_subset_in_range", "bii", "BITMAP"),
    "sub_bitmap": Simple("$sub_bitmap", "bii", "BITMAP"),
    "hll_hash": Simple("$hll_hash", ".", "HLL"),
    "hll_empty": Simple("$hll_empty", "", "HLL"),
    "hll_cardinality": Simple("$hll_cardinality", ".", "BIGINT"),
}

BUILDERS: dict[str, Builder] = {
    **dates.BUILDERS,
    **values.BUILDERS,
    **collections.BUILDERS,
    **jsons.BUILDERS,
    **aggregates.BUILDERS,
    "mod": _mod,
    "grouping": _grouping,
    "grouping_id": _grouping,
}
# Names with a syntax of their own, which the rewriter answers.
OWN_SYNTAX = (
    "case", "cast", "count", "extract", "group_concat", "grouping", "grouping_id",
    "position", "substr", "substring", "unnest", "generate_series",
)  # fmt: skip
# What the session answers, see `Context.session_function`.
SESSION = (
    "catalog", "connection_id", "current_role", "current_user",
    "current_version", "database", "last_query_id", "schema", "session_user", "user", "version",
)  # fmt: skip
_NESTED = {
    "ARRAY<VARCHAR>": kinds.array(kinds.VARCHAR),
    "ARRAY<BIGINT>": kinds.array(kinds.BIGINT),
    "VARCHAR": kinds.VARCHAR,
}
# DuckDB gives BIGINT (or more) for these; their type is narrower.
_CAST = frozenset(("TINYINT", "SMALLINT", "INT", "FLOAT", "DATE", "LARGEINT"))


def answered(name: str, arguments: list[exp.Expr]) -> exp.Expr | None:
    """The call of a function whose arguments are rewritten; None for a name in no table."""
    simple = SIMPLE.get(name)
    if simple is not None:
        return _called(name, simple, arguments)
    builder = BUILDERS.get(name)
    return None if builder is None else builder(name, arguments)


def placed(node: exp.Expr, made: exp.Expr) -> exp.Expr:
    """What replaces a call: an aggregate gets its cast here, unless a window is around it."""
    if isinstance(node.parent, exp.Window | exp.Filter | exp.IgnoreNulls):
        return made
    return aggregates.finished(made)


def _called(name: str, simple: Simple, arguments: list[exp.Expr]) -> exp.Expr:
    required, _, optional = simple.takes.partition("?")
    takes = required + optional
    if not len(required) <= len(arguments) <= len(takes):
        raise semantic_error(
            f"No matching function with signature: {name} with {len(arguments)} arguments"
        )
    given = [_taken(name, letter, value) for letter, value in zip(takes, arguments, strict=False)]
    if simple.target.startswith("$"):
        made = macro(simple.target[1:], *given)
    else:
        made = call(simple.target, *given)
    kind = _given(simple.gives, arguments)
    return kinds.cast(made, kind) if kind and kind.name in _CAST else kinds.typed(made, kind)


def _taken(name: str, letter: str, value: exp.Expr) -> exp.Expr:
    kind = kinds.of(value)
    if kind is None or kind == kinds.NULL:
        return kinds.cast(value, kinds.VARCHAR) if kind and letter == "t" else value
    if letter == "t":
        return kinds.to_text(value)
    if letter == "d":
        return kinds.to_double(value)
    if letter in "in":
        return kinds.to_integer(value, kinds.BIGINT if letter == "i" else kinds.INT)
    if letter == "b" and kind != kinds.BITMAP:
        raise semantic_error(
            f"No matching function with signature: {name}({kind.shown()}); it takes a BITMAP"
        )
    return value


def _given(gives: str, arguments: list[exp.Expr]) -> ColumnType | None:
    if gives == "=":
        return kinds.of(arguments[0])
    if gives == "[]":
        return kinds.element(kinds.of(arguments[0]))
    if gives == "[=]":
        kind = kinds.of(arguments[0])
        return None if kind is None else kinds.array(kind)
    return _NESTED.get(gives) or ColumnType(gives)


def supported() -> list[str]:
    """Every function name that is answered, for the documentation and its test."""
    return sorted({*SIMPLE, *BUILDERS, *OWN_SYNTAX, *SESSION})


def missing_macros() -> list[str]:
    """Macros that the table names and `macros.py` does not make; a test wants it empty."""
    made = {signature.partition("(")[0] for signature in all_macros()}
    named = {simple.target[1:] for simple in SIMPLE.values() if simple.target.startswith("$")}
    return sorted(named - made)


def refused(name: str) -> SqlError:
    return SqlError(
        1064,
        "42000",
        f"Getting analyzing error. Detail message: No matching function with signature: {name}; "
        "it is not a StarRocks function, or not one that embedded StarRocks supports.",
    )
