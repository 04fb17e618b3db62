"""Which StarRocks functions are answered, and as what in DuckDB.

A name in none of these tables is refused: nothing reaches DuckDB by its own name that StarRocks
does not have, and nothing is answered approximately.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.sql.macros import SCHEMA, all_macros

# Same meaning in DuckDB, by the same or another name: scalar functions.
SCALARS = {
    name: name
    for name in [
        "abs",
        "acos",
        "asin",
        "atan",
        "atan2",
        "ascii",
        "bit_length",
        "cbrt",
        "coalesce",
        "concat",
        "concat_ws",
        "cos",
        "cosh",
        "cot",
        "degrees",
        "exp",
        "greatest",
        "least",
        "lower",
        "ltrim",
        "md5",
        "nullif",
        "pi",
        "pow",
        "power",
        "radians",
        "repeat",
        "replace",
        "reverse",
        "rtrim",
        "sign",
        "sin",
        "sinh",
        "tan",
        "tanh",
        "trim",
        "upper",
        "uuid",
        "array_length",
        "array_concat",
        "cardinality",
        "map_keys",
        "map_values",
    ]
} | {
    "fmod": "fmod",
    "trim": "trim",
    "lcase": "lower",
    "ucase": "upper",
    "nvl": "coalesce",
    "ifnull": "coalesce",
    "array_length": "len",
    "map_size": "cardinality",
    "grouping": "grouping",
    "grouping_id": "grouping",
    "array_concat": "list_concat",
    "array_flatten": "flatten",
    "array_intersect": "list_intersect",
    "arrays_overlap": "list_has_any",
    "array_contains_all": "list_has_all",
    "unhex": "unhex",
    "chr": "chr",
    "char": "chr",
    "url_encode": "url_encode",
    "url_decode": "url_decode",
}

AGGREGATES = {
    "sum": "sum",
    "min": "min",
    "max": "max",
    "avg": "avg",
    "count": "count",
    "any_value": "any_value",
    "max_by": "arg_max",
    "min_by": "arg_min",
    "array_agg": "array_agg",
    "group_concat": "string_agg",
    "stddev": "stddev_pop",
    "stddev_pop": "stddev_pop",
    "std": "stddev_pop",
    "stddev_samp": "stddev_samp",
    "variance": "var_pop",
    "var_pop": "var_pop",
    "variance_pop": "var_pop",
    "var_samp": "var_samp",
    "variance_samp": "var_samp",
    "corr": "corr",
    "covar_pop": "covar_pop",
    "covar_samp": "covar_samp",
    "approx_count_distinct": "approx_count_distinct",
    "ndv": "approx_count_distinct",
    "percentile_cont": "quantile_cont",
    "percentile_disc": "quantile_disc",
    "percentile_approx": "quantile_cont",
    "count_if": "count_if",
}

WINDOWS = {
    name: name
    for name in [
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
    ]
}

# Macros under the same name; the others in `macros.py` are helpers.
MACRO_NAMES = {
    "quarter": "quarter",
    "current_timestamp": "now",
    "localtime": "now",
    "localtimestamp": "now",
    "utc_timestamp": "utc_timestamp",
    "current_date": "curdate",
    "date": "to_date",
    "to_date": "to_date",
    "character_length": "char_length",
    "hex": "hex_of",
    "ceiling": "ceil",
    "dceil": "ceil",
    "dfloor": "floor",
    "dround": "round",
    "json_value": "get_json_string",
    "get_json_object": "get_json_string",
    "day_of_week_iso": "dayofweek_iso",
}
_HELPERS = {
    "text_to_datetime",
    "to_datetime",
    "to_boolean",
    "to_text",
    "whole_part",
    "hex_of",
    "as_json",
    "seconds_to_datetime",
    "json_array_items",
}

Builder = Callable[[str, list[exp.Expr]], exp.Expr]


def _known_macros() -> dict[str, str]:
    names = {signature.partition("(")[0] for signature in all_macros()} - _HELPERS
    return {name: name for name in names} | MACRO_NAMES


MACROS = _known_macros()


def macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of our macros."""
    return exp.Dot(
        this=exp.to_identifier(SCHEMA, quoted=True),
        expression=exp.Anonymous(this=exp.to_identifier(name, quoted=True), expressions=arguments),
    )


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of DuckDB's functions."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


_TRUNC_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_BUCKETS = {
    "day": "1 day",
    "week": "7 days",
    "month": "1 month",
    "quarter": "3 months",
    "year": "12 months",
}
_UNITS = ("microsecond", "millisecond", *_TRUNC_UNITS)


def _literal(name: str, argument: exp.Expr, what: str) -> str:
    if isinstance(argument, exp.Literal) and argument.is_string:
        return str(argument.this)
    raise unsupported(f"{name} with {what} that is no literal")


def _count(name: str, arguments: list[exp.Expr], low: int, high: int) -> None:
    if not low <= len(arguments) <= high:
        raise semantic_error(
            f"No matching function with signature: {name} with {len(arguments)} arguments"
        )


def _unit(name: str, argument: exp.Expr, allowed: tuple[str, ...]) -> str:
    unit = argument.name.lower().removesuffix("s")
    if unit not in allowed:
        raise semantic_error(f"{name} does not take the unit '{argument.name}'")
    return unit


def _date_trunc(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 2, 2)
    unit = _unit(name, arguments[0], _TRUNC_UNITS)
    moment = arguments[1]
    if isinstance(moment, exp.Literal):
        moment = macro("to_datetime", moment)
    if unit in _BUCKETS:
        # StarRocks keeps the type of its argument; time_bucket does, DuckDB's date_trunc does not.
        return call("time_bucket", exp.Interval(this=text(_BUCKETS[unit])), moment)
    return call("date_trunc", text(unit), moment)


def _timestampdiff(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """TIMESTAMPDIFF(unit, from, to): full units from the first to the second."""
    _count(name, arguments, 3, 3)
    unit = _unit(name, arguments[0], _UNITS)
    start, end = (macro("to_datetime", argument) for argument in arguments[1:])
    return call("date_sub", text(unit), start, end)


def _date_diff(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_DIFF(unit, a, b): full units in a - b; two arguments are DATEDIFF."""
    _count(name, arguments, 2, 3)
    if len(arguments) == 2:
        return macro("datediff", *arguments)
    unit = _unit(name, arguments[0], _UNITS)
    end, start = (macro("to_datetime", argument) for argument in arguments[1:])
    return call("date_sub", text(unit), start, end)


def _timestampadd(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 3, 3)
    unit = _unit(name, arguments[0], _UNITS)
    return macro(f"{unit}s_add", arguments[2], arguments[1])


def _date_add(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_ADD(t, INTERVAL n unit) or DATE_ADD(t, days)."""
    _count(name, arguments, 2, 2)
    verb = "sub" if name in ("date_sub", "subdate") else "add"
    return shifted(arguments[0], arguments[1], verb)


def shifted(moment: exp.Expr, by: exp.Expr, verb: str) -> exp.Expr:
    """A moment plus ("add") or minus ("sub") an INTERVAL, or a number of days."""
    if not isinstance(by, exp.Interval):
        return macro(f"days_{verb}", moment, by)
    unit = by.args.get("unit")
    name = _unit("INTERVAL", unit if unit is not None else exp.var("DAY"), _UNITS)
    amount = by.this
    if isinstance(amount, exp.Literal) and amount.is_string:
        amount = exp.Literal.number(str(amount.this).strip())
    return macro(f"{name}s_{verb}", moment, amount)


# MySQL's date_format letters and DuckDB's strftime letters.
_STRFTIME = {
    "%a": "%a",
    "%b": "%b",
    "%c": "%-m",
    "%d": "%d",
    "%e": "%-d",
    "%f": "%f",
    "%H": "%H",
    "%h": "%I",
    "%I": "%I",
    "%i": "%M",
    "%j": "%j",
    "%k": "%-H",
    "%l": "%-I",
    "%M": "%B",
    "%m": "%m",
    "%p": "%p",
    "%r": "%I:%M:%S %p",
    "%S": "%S",
    "%s": "%S",
    "%T": "%H:%M:%S",
    "%v": "%V",
    "%W": "%A",
    "%w": "%w",
    "%x": "%G",
    "%Y": "%Y",
    "%y": "%y",
    "%%": "%%",
}
_JAVA = {
    "yyyyMMdd": "%Y%m%d",
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S",
}


def strftime_format(name: str, pattern: str) -> str:
    """A date_format pattern in DuckDB's letters. Raises SqlError for a letter without one."""
    if pattern in _JAVA:
        return _JAVA[pattern]
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at : at + 2] if pattern[at] == "%" else pattern[at]
        if len(letter) == 2:
            if letter not in _STRFTIME:
                raise unsupported(f"{letter} in a format of {name}")
            parts.append(_STRFTIME[letter])
        else:
            parts.append("%%" if letter == "%" else letter)
        at += len(letter)
    return "".join(parts)


def _date_format(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 2, 2)
    pattern = strftime_format(name, _literal(name, arguments[1], "a format"))
    return call("strftime", macro("to_datetime", arguments[0]), text(pattern))


def _str_to_date(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATETIME when the format has a time, else DATE; NULL for text of another form."""
    _count(name, arguments, 2, 2)
    written = _literal(name, arguments[1], "a format")
    parsed = call("try_strptime", arguments[0], text(strftime_format(name, written)))
    if name == "str2date" or not any(f"%{letter}" in written for letter in "HhIiklprSsTf"):
        return exp.cast(parsed, "DATE")
    return parsed


def _from_unixtime(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """FROM_UNIXTIME(seconds[, format]): text, in the session's zone (UTC here)."""
    _count(name, arguments, 1, 2)
    pattern = "%Y-%m-%d %H:%M:%S"
    if len(arguments) == 2:
        pattern = strftime_format(name, _literal(name, arguments[1], "a format"))
    return call("strftime", macro("seconds_to_datetime", arguments[0]), text(pattern))


def _if(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 3, 3)
    condition, then, otherwise = arguments
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def _round(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 1, 2)
    return macro("round", *arguments)


def _percentile_approx(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """PERCENTILE_APPROX(x, p[, compression]); answered exactly, which is within its bounds."""
    _count(name, arguments, 2, 3)
    return call("quantile_cont", exp.cast(arguments[0], "DOUBLE"), arguments[1])


def _array_map(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 2, 2)
    first, second = arguments
    function, array = (first, second) if isinstance(first, exp.Lambda) else (second, first)
    if not isinstance(function, exp.Lambda):
        raise semantic_error(f"{name} needs a lambda")
    verb = "list_filter" if name == "array_filter" else "list_transform"
    return call(verb, array, function)


def _log(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    _count(name, arguments, 1, 2)
    return macro("ln" if len(arguments) == 1 else "log", *arguments)


def _concat(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """CONCAT is NULL when an argument is; DuckDB's concat skips NULLs, its || does not."""
    _count(name, arguments, 1, 1000)
    parts = [macro("to_text", argument) for argument in arguments]
    joined: exp.Expr = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=part, safe=False)
    return exp.Paren(this=joined)


def _extreme(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """GREATEST and LEAST are NULL when an argument is; DuckDB's skip NULLs."""
    _count(name, arguments, 1, 1000)
    nulls = exp.or_(*[exp.Is(this=each.copy(), expression=exp.Null()) for each in arguments])
    return exp.Case(
        ifs=[exp.If(this=exp.not_(nulls), true=call(name, *arguments))],
    )


BUILDERS: dict[str, Builder] = {
    "date_trunc": _date_trunc,
    "timestampdiff": _timestampdiff,
    "timestampadd": _timestampadd,
    "date_diff": _date_diff,
    "date_add": _date_add,
    "adddate": _date_add,
    "date_sub": _date_add,
    "subdate": _date_add,
    "date_format": _date_format,
    "str_to_date": _str_to_date,
    "str2date": _str_to_date,
    "from_unixtime": _from_unixtime,
    "if": _if,
    "round": _round,
    "percentile_approx": _percentile_approx,
    "array_map": _array_map,
    "transform": _array_map,
    "array_filter": _array_map,
    "log": _log,
    "concat": _concat,
    "greatest": _extreme,
    "least": _extreme,
}


def supported() -> list[str]:
    """Every function name that is answered, for the documentation and its test."""
    return sorted({*SCALARS, *AGGREGATES, *WINDOWS, *MACROS, *BUILDERS})


def refused(name: str) -> SqlError:
    return SqlError(
        1064,
        "42000",
        f"Getting analyzing error. Detail message: No matching function with signature: {name}; "
        "it is not a StarRocks function, or not one that embedded StarRocks supports.",
    )
