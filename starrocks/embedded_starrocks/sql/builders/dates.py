"""Date functions: units, intervals, formats, slices."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.arguments import count, literal, word
from embedded_starrocks.sql.calls import call, macro, number, text

_TRUNC_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_BUCKETS = {
    "day": "1 day",
    "week": "7 days",
    "month": "1 month",
    "quarter": "3 months",
    "year": "12 months",
}
_UNITS = ("microsecond", "millisecond", *_TRUNC_UNITS)


def _unit(name: str, argument: exp.Expr, allowed: tuple[str, ...]) -> str:
    unit = argument.name.lower().removesuffix("s")
    if unit not in allowed:
        raise semantic_error(f"{name} does not take the unit '{argument.name}'")
    return unit


def moment(argument: exp.Expr) -> exp.Expr:
    """An argument as DATETIME; text of no moment is NULL."""
    return kinds.to_moment(argument, kinds.DATETIME)


def date_trunc(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_TRUNC(unit, moment) keeps the type of a DATE and a DATETIME."""
    count(name, arguments, 2, 2)
    unit = _unit(name, arguments[0], _TRUNC_UNITS)
    value = arguments[1]
    kind = kinds.of(value)
    if kind is not None and not kinds.is_moment(kind):
        value, kind = moment(value), kinds.DATETIME
    if unit in _BUCKETS:
        # StarRocks keeps the type of its argument; time_bucket does, DuckDB's date_trunc does not.
        made = call("time_bucket", exp.Interval(this=text(_BUCKETS[unit])), value)
        return kinds.typed(made, kind)
    return kinds.typed(call("date_trunc", text(unit), value), kinds.DATETIME)


def timestampdiff(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """TIMESTAMPDIFF(unit, from, to): full units from the first to the second."""
    count(name, arguments, 3, 3)
    unit = _unit(name, arguments[0], _UNITS)
    start, end = (moment(argument) for argument in arguments[1:])
    return _difference(unit, start, end)


def date_diff(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_DIFF(unit, a, b): full units in a - b; two arguments are DATEDIFF."""
    count(name, arguments, 2, 3)
    if len(arguments) == 2:
        return kinds.cast(macro("datediff", *arguments), kinds.INT)
    unit = _unit(name, arguments[0], _UNITS)
    end, start = (moment(argument) for argument in arguments[1:])
    return _difference(unit, start, end)


def _difference(unit: str, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    """Months and years by the calendar, as in `macros.py`; others are spans of time."""
    if unit in ("year", "quarter", "month"):
        return kinds.typed(macro(f"{unit}s_diff", end, start), kinds.BIGINT)
    return kinds.typed(call("date_sub", text(unit), start, end), kinds.BIGINT)


def timestampadd(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """TIMESTAMPADD(unit, n, moment)."""
    count(name, arguments, 3, 3)
    unit = _unit(name, arguments[0], _UNITS)
    return kinds.typed(macro(f"{unit}s_add", arguments[2], arguments[1]), kinds.DATETIME)


def date_add(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_ADD(t, INTERVAL n unit) or DATE_ADD(t, days), and DATE_SUB."""
    count(name, arguments, 2, 2)
    verb = "sub" if name in ("date_sub", "subdate") else "add"
    return shifted(arguments[0], arguments[1], verb)


def shifted(value: exp.Expr, by: exp.Expr, verb: str) -> exp.Expr:
    """A moment plus ("add") or minus ("sub") an INTERVAL, or a number of days."""
    if not isinstance(by, exp.Interval):
        return kinds.typed(macro(f"days_{verb}", value, by), kinds.DATETIME)
    unit = by.args.get("unit")
    name = _unit("INTERVAL", unit if unit is not None else exp.var("DAY"), _UNITS)
    amount = by.this
    if isinstance(amount, exp.Literal) and amount.is_string:
        amount = exp.Literal.number(str(amount.this).strip())
    return kinds.typed(macro(f"{name}s_{verb}", value, amount), kinds.DATETIME)


_SLICED = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def time_slice(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """TIME_SLICE(t, INTERVAL n unit[, FLOOR | CEIL]), counted from 0001-01-01; and DATE_SLICE."""
    count(name, arguments, 2, 3)
    by = arguments[1]
    if not isinstance(by, exp.Interval) or not str(by.this.this).strip().isdigit():
        raise semantic_error(f"{name} needs an INTERVAL with a whole number")
    unit = _unit(name, by.args.get("unit") or exp.var("DAY"), _UNITS)
    boundary = word(arguments[2]) if len(arguments) == 3 else "floor"
    if boundary not in ("floor", "ceil"):
        raise semantic_error(f"{name} has FLOOR or CEIL as its boundary, not {boundary}")
    if name == "date_slice" and unit in ("hour", "minute", "second", "millisecond", "microsecond"):
        raise semantic_error("can't use date_slice for date with time(hour/minute/second)")
    steps, ceil = int(str(by.this.this)), number(int(boundary == "ceil"))
    if steps == 0:
        raise semantic_error(f"{name} needs an interval above zero")
    if unit in _MONTHS:
        made = macro("slice_months", moment(arguments[0]), number(steps * _MONTHS[unit]), ceil)
    else:
        made = macro("slice_time", moment(arguments[0]), number(steps * _SLICED[unit]), ceil)
    if name == "date_slice":
        return kinds.cast(made, kinds.DATE)
    return kinds.typed(made, kinds.DATETIME)


_LAST_UNITS = ("month", "quarter", "year")


def last_day(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """LAST_DAY(t[, 'month' | 'quarter' | 'year'])."""
    count(name, arguments, 1, 2)
    unit = "month"
    if len(arguments) == 2:
        unit = literal(name, arguments[1], "a unit").lower()
        if unit not in _LAST_UNITS:
            raise semantic_error(f"{name} takes month, quarter or year, not {unit}")
    ahead = {"month": 0, "quarter": 2, "year": 11}[unit]
    start = call("date_trunc", text(unit), moment(arguments[0]))
    moved = exp.Add(this=start, expression=call("to_months", number(ahead)))
    return kinds.typed(call("last_day", moved), kinds.DATE)


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def neighbor_day(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """NEXT_DAY(t, 'Monday') and PREVIOUS_DAY: the nearest such day after or before."""
    count(name, arguments, 2, 2)
    wanted = literal(name, arguments[1], "a day").lower()
    matches = [day for day in _DAYS if wanted in (day, day[:3], day[:2])]
    if len(matches) != 1:
        raise semantic_error(f"{name} has no day '{wanted}'")
    position = number(_DAYS.index(matches[0]) + 1)
    made = macro(name, kinds.to_moment(arguments[0], kinds.DATE), position)
    return kinds.typed(made, kinds.DATE)


def week(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """WEEK(t[, mode]) and YEARWEEK(t[, mode]) as MySQL counts weeks."""
    count(name, arguments, 1, 2)
    mode = 0
    if len(arguments) == 2:
        given = arguments[1]
        if not isinstance(given, exp.Literal) or not str(given.this).isdigit():
            raise unsupported(f"{name} with a mode that is no literal")
        mode = int(str(given.this)) & 7
    return week_by(name, arguments[0], mode)


def week_by(name: str, argument: exp.Expr, mode: int) -> exp.Expr:
    """The week of a moment by one of MySQL's eight modes."""
    flags = (mode & 1 != 0, mode in (1, 3, 4, 6), mode & 2 != 0 or name != "week")
    made = macro(
        "week_number" if name == "week" else "week_year_and_number",
        kinds.to_moment(argument, kinds.DATE),
        *(exp.Boolean(this=flag) for flag in flags),
    )
    return kinds.cast(made, kinds.INT)


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
    "%U": "%U",
    "%v": "%V",
    "%W": "%A",
    "%w": "%w",
    "%x": "%G",
    "%Y": "%Y",
    "%y": "%y",
    "%%": "%%",
}
# Letters that strftime has not, as macros of the moment.
_OWN_LETTERS = {"%D": "day_ordinal", "%u": "week_1", "%V": "week_2", "%X": "week_2_year"}
_JAVA = {
    "yyyyMMdd": "%Y%m%d",
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S",
}


def strftime_parts(pattern: str) -> list[str]:
    """A date_format pattern in DuckDB's letters, split at letters that need a macro."""
    if pattern in _JAVA:
        return [_JAVA[pattern]]
    parts: list[str] = [""]
    at = 0
    while at < len(pattern):
        letter = pattern[at : at + 2] if pattern[at] == "%" else pattern[at]
        at += len(letter)
        if letter in _OWN_LETTERS:
            parts += [letter, ""]
        elif len(letter) == 2:
            # As in MySQL, an unknown letter stands for itself.
            parts[-1] += _STRFTIME.get(letter, letter[1])
        else:
            parts[-1] += "%%" if letter == "%" else letter
    return [part for part in parts if part] or [""]


def strftime_format(name: str, pattern: str) -> str:
    """A pattern for reading. Raises SqlError for a letter that DuckDB cannot read."""
    parts = strftime_parts(pattern)
    if len(parts) > 1 or parts[0] in _OWN_LETTERS:
        raise unsupported(f"%D, %u, %V and %X in a format of {name}")
    return parts[0]


def formatted(value: exp.Expr, pattern: str) -> exp.Expr:
    """A moment as text, by a date_format pattern."""
    parts: list[exp.Expr] = [
        macro(_OWN_LETTERS[part], value.copy())
        if part in _OWN_LETTERS
        else call("strftime", value.copy(), text(part))
        for part in strftime_parts(pattern)
    ]
    joined = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=part, safe=False)
    made = joined if len(parts) == 1 else exp.Paren(this=joined)
    return kinds.typed(made, kinds.VARCHAR)


def date_format(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATE_FORMAT(t, pattern), and JODATIME_FORMAT with the Java patterns that both know."""
    count(name, arguments, 2, 2)
    pattern = literal(name, arguments[1], "a format")
    if name == "jodatime_format" and pattern not in _JAVA:
        raise unsupported(f"the format '{pattern}' of {name}")
    return formatted(moment(arguments[0]), pattern)


def str_to_date(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """DATETIME when the format has a time, else DATE; NULL for text of another form."""
    count(name, arguments, 2, 2)
    written = literal(name, arguments[1], "a format")
    source = call("trim", kinds.to_text(arguments[0]))
    parsed = call("try_strptime", source, text(strftime_format(name, written)))
    if name == "str2date" or not any(f"%{letter}" in written for letter in "HhIiklprSsTf"):
        return kinds.cast(parsed, kinds.DATE)
    return kinds.typed(parsed, kinds.DATETIME)


def from_unixtime(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """FROM_UNIXTIME(seconds[, format]): text, in the session's zone (UTC here)."""
    count(name, arguments, 1, 2)
    pattern = "%Y-%m-%d %H:%i:%s"
    if len(arguments) == 2:
        pattern = literal(name, arguments[1], "a format")
    return formatted(macro("seconds_to_datetime", arguments[0]), pattern)


def to_iso8601(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """A DATE as 2026-11-21, a DATETIME as 2026-11-21T09:14:10.000000."""
    count(name, arguments, 1, 1)
    if kinds.of(arguments[0]) == kinds.DATE:
        return kinds.to_text(arguments[0])
    made = call("strftime", moment(arguments[0]), text("%Y-%m-%dT%H:%M:%S.%f"))
    return kinds.typed(made, kinds.VARCHAR)


def extract(node: exp.Extract) -> exp.Expr:
    """EXTRACT(unit FROM t) is the function of the unit's name."""
    unit = node.name.lower()
    if unit not in ("year", "quarter", "month", "week", "day", "hour", "minute", "second"):
        raise semantic_error(f"EXTRACT does not take the unit '{node.name}'")
    if unit == "week":
        return week_by("week", node.expression, 0)
    return kinds.cast(macro(unit, node.expression), kinds.INT)


BUILDERS = {
    "date_trunc": date_trunc,
    "timestampdiff": timestampdiff,
    "timestampadd": timestampadd,
    "date_diff": date_diff,
    "date_add": date_add,
    "adddate": date_add,
    "date_sub": date_add,
    "subdate": date_add,
    "date_format": date_format,
    "jodatime_format": date_format,
    "str_to_date": str_to_date,
    "str2date": str_to_date,
    "from_unixtime": from_unixtime,
    "time_slice": time_slice,
    "date_slice": time_slice,
    "last_day": last_day,
    "next_day": neighbor_day,
    "previous_day": neighbor_day,
    "week": week,
    "yearweek": week,
    "to_iso8601": to_iso8601,
}
