"""Text, number, condition and JSON functions that need a look at their arguments."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.arguments import count, literal
from embedded_starrocks.sql.builders.dates import moment
from embedded_starrocks.sql.calls import call, macro, number, text
from embedded_starrocks.sql.comparisons import comparable, condition
from embedded_starrocks.sql.types import ColumnType


def _not_distinct(tests: list[exp.Expr]) -> exp.Expr:
    return exp.or_(*tests)


def if_(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """IF(condition, then, otherwise)."""
    count(name, arguments, 3, 3)
    (then, otherwise), kind = kinds.all_brought_to(arguments[1:])
    made = exp.Case(ifs=[exp.If(this=condition(arguments[0]), true=then)], default=otherwise)
    return kinds.typed(made, kind)


def coalesce(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """COALESCE, IFNULL, NVL."""
    count(name, arguments, 1 if name == "coalesce" else 2, 1000 if name == "coalesce" else 2)
    brought, kind = kinds.all_brought_to(arguments)
    return kinds.typed(call("coalesce", *brought), kind)


def nullif(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """NULLIF(a, b): compared as by =, of a's type."""
    count(name, arguments, 2, 2)
    left, right = comparable(arguments[0], arguments[1], equal=True)
    test = exp.EQ(this=left.copy(), expression=right)
    made = exp.Case(ifs=[exp.If(this=test, true=exp.Null())], default=arguments[0].copy())
    return kinds.typed(made, kinds.of(arguments[0]))


def extreme(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """GREATEST and LEAST are NULL when an argument is; DuckDB's skip NULLs."""
    count(name, arguments, 1, 1000)
    brought, kind = kinds.all_brought_to(arguments)
    nulls = _not_distinct([exp.Is(this=each.copy(), expression=exp.Null()) for each in brought])
    made = exp.Case(ifs=[exp.If(this=exp.not_(nulls), true=call(name, *brought))])
    return kinds.typed(made, kind)


def is_null(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ISNULL(x)."""
    count(name, arguments, 1, 1)
    made = exp.Paren(this=exp.Is(this=arguments[0], expression=exp.Null()))
    return kinds.typed(made, kinds.BOOLEAN)


def concat(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """CONCAT is NULL when an argument is; DuckDB's concat skips NULLs, its || does not."""
    count(name, arguments, 1, 1000)
    parts = [kinds.to_text(argument) for argument in arguments]
    joined: exp.Expr = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=part, safe=False)
    return kinds.typed(exp.Paren(this=joined), kinds.VARCHAR)


def concat_ws(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """CONCAT_WS(separator, ...) of texts or of one array."""
    count(name, arguments, 2, 1000)
    kind = kinds.of(arguments[1])
    if kind is not None and kind.name == "ARRAY":
        made = call("array_to_string", arguments[1], arguments[0])
    else:
        made = call("concat_ws", *[kinds.to_text(each) for each in arguments])
    return kinds.typed(made, kinds.VARCHAR)


def trimmed(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """TRIM, LTRIM, RTRIM, with the letters to take off."""
    count(name, arguments, 1, 2)
    return kinds.typed(call(name, *[kinds.to_text(each) for each in arguments]), kinds.VARCHAR)


def trim_node(node: exp.Trim) -> exp.Expr:
    """TRIM(x) and TRIM(LEADING 'a' FROM x)."""
    side = str(node.args.get("position") or "").lower()
    name = {"leading": "ltrim", "trailing": "rtrim"}.get(side, "trim")
    letters = node.args.get("expression")
    return trimmed(name, [node.this] if letters is None else [node.this, letters])


def substring(node: exp.Substring) -> exp.Expr:
    """SUBSTR(x, from[, length]); nothing begins at 0."""
    if node.args.get("start") is None:
        raise semantic_error("No matching function with signature: substr with 1 arguments")
    arguments = [kinds.to_text(node.this), kinds.to_integer(node.args["start"])]
    length = node.args.get("length")
    if length is not None:
        arguments.append(kinds.to_integer(length))
    return kinds.typed(macro("substring", *arguments), kinds.VARCHAR)


def position(node: exp.StrPosition) -> exp.Expr:
    """POSITION(x IN y)."""
    made = macro("instr", kinds.to_text(node.this), kinds.to_text(node.args["substr"]))
    return kinds.cast(made, kinds.INT)


def reverse(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """REVERSE of a text or an array."""
    count(name, arguments, 1, 1)
    kind = kinds.of(arguments[0])
    if kind is not None and kind.name == "ARRAY":
        return kinds.typed(call("list_reverse", arguments[0]), kind)
    return kinds.typed(call("reverse", kinds.to_text(arguments[0])), kinds.VARCHAR)


def field(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """FIELD(x, a, b, ...): the position of x among the others, 0 if it is none."""
    count(name, arguments, 2, 1000)
    brought, _ = kinds.all_brought_to(arguments)
    ifs = [
        exp.If(this=exp.EQ(this=brought[0].copy(), expression=each), true=number(index))
        for index, each in enumerate(brought[1:], 1)
    ]
    return kinds.cast(exp.Case(ifs=ifs, default=number(0)), kinds.INT)


def sha2(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """SHA2(x, bits); 256 bits are answered, a length that does not exist is NULL."""
    count(name, arguments, 2, 2)
    bits = str(arguments[1].this) if isinstance(arguments[1], exp.Literal) else ""
    if bits in ("256", "0"):
        return kinds.typed(call("sha256", kinds.to_text(arguments[0])), kinds.VARCHAR)
    if bits in ("224", "384", "512") or not bits:
        raise unsupported(f"{name} of {bits or 'computed'} bits")
    return kinds.cast(exp.Null(), kinds.VARCHAR)


def md5sum(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MD5SUM(a, b, ...): of all texts joined."""
    count(name, arguments, 1, 1000)
    return kinds.typed(call("md5", concat(name, arguments)), kinds.VARCHAR)


def hex_of(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """HEX of a text, of bytes or of a number."""
    count(name, arguments, 1, 1)
    return kinds.typed(macro("hex_of", arguments[0]), kinds.VARCHAR)


def rounded(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ROUND(x[, n]) and TRUNCATE(x, n): half away from zero; DECIMALs stay exact."""
    count(name, arguments, 2 if name == "truncate" else 1, 2)
    value, kind = arguments[0], kinds.of(arguments[0])
    if kinds.is_text(kind):
        value, kind = kinds.to_double(value), kinds.DOUBLE
    if len(arguments) == 1:
        return _rounded_whole(value, kind)
    places = arguments[1]
    cut = "trunc" if name == "truncate" else "round"
    if kind is not None and kind.name == "DECIMAL":
        return _rounded_decimal(cut, value, kind, places)
    if name == "truncate":
        return kinds.typed(macro("truncate", kinds.to_double(value), places), kinds.DOUBLE)
    value = kinds.to_double(value)
    return kinds.typed(macro("round", value, kinds.to_integer(places)), kinds.DOUBLE)


def _rounded_whole(value: exp.Expr, kind: ColumnType | None) -> exp.Expr:
    if kind is not None and kind.name == "DECIMAL":
        return kinds.typed(call("round", value), kinds.decimal(kinds.MAX_DIGITS, 0))
    return kinds.typed(macro("round", value), kinds.BIGINT)


def _rounded_decimal(cut: str, value: exp.Expr, kind: ColumnType, places: exp.Expr) -> exp.Expr:
    _, scale = kinds.digits(kind)
    sign = -1 if isinstance(places, exp.Neg) else 1
    inner = places.this if isinstance(places, exp.Neg) else places
    if not isinstance(inner, exp.Literal) or not str(inner.this).isdigit():
        raise unsupported("ROUND or TRUNCATE of a DECIMAL to a computed number of digits")
    wanted = sign * int(str(inner.this))
    if wanted >= scale:
        return value
    step = number(10 ** abs(wanted))
    if wanted < 0:
        part = exp.Mul(this=call(cut, exp.Div(this=value, expression=step)), expression=step.copy())
        return kinds.cast(exp.Paren(this=part), kinds.decimal(kinds.MAX_DIGITS, 0))
    to = kinds.decimal(kinds.MAX_DIGITS, wanted)
    if cut == "round":
        return kinds.cast(value, to)
    return _cut(value, wanted, to)


def _cut(value: exp.Expr, wanted: int, to: ColumnType) -> exp.Expr:
    """A DECIMAL without the digits behind `wanted`: half a unit nearer to zero, then rounded."""
    half = exp.Literal.number("0." + "0" * wanted + "5")
    sign = call("sign", value.copy())
    nearer = exp.Sub(this=value.copy(), expression=exp.Mul(this=sign, expression=half))
    return kinds.cast(exp.Paren(this=nearer), to)


def log(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """LOG(x) is natural, LOG(base, x)."""
    count(name, arguments, 1, 2)
    values = [kinds.to_double(argument) for argument in arguments]
    return kinds.typed(macro("ln" if len(values) == 1 else "log", *values), kinds.DOUBLE)


def absolute(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ABS widens integers, so that the smallest has its positive."""
    count(name, arguments, 1, 1)
    value, kind = arguments[0], kinds.of(arguments[0])
    if kinds.is_text(kind):
        value, kind = kinds.to_double(value), kinds.DOUBLE
    if kinds.is_integer(kind) and kind is not None:
        bigger = kinds.LARGEINT if kind.name in ("BIGINT", "LARGEINT") else kinds.wider(kind)
        return kinds.typed(call("abs", kinds.cast(value, bigger)), bigger)
    return kinds.typed(call("abs", value), kind)


def money_format(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """1123.456 as 1,123.46."""
    count(name, arguments, 1, 1)
    value = arguments[0]
    if kinds.is_floating(kinds.of(value)):
        made = call("format", text("{:,.2f}"), value)
    else:
        exact = exp.cast(value, "DECIMAL(36, 2)", dialect="duckdb")
        made = macro("grouped", exact)
    return kinds.typed(made, kinds.VARCHAR)


def conv(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """CONV(x, from, to) for the bases 2, 8, 10 and 16."""
    count(name, arguments, 3, 3)
    bases = [str(each.this) if isinstance(each, exp.Literal) else "" for each in arguments[1:]]
    if any(base not in ("2", "8", "10", "16") for base in bases):
        raise unsupported(f"{name} between the bases {bases}; 2, 8, 10 and 16 are answered")
    digits = macro("digits_to_number", kinds.to_text(arguments[0]), number(int(bases[0])))
    return kinds.typed(macro("number_to_digits", digits, number(int(bases[1]))), kinds.VARCHAR)


def parse_url(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """PARSE_URL(url, part)."""
    count(name, arguments, 2, 2)
    part = literal(name, arguments[1], "a part").upper()
    if part not in ("PROTOCOL", "HOST", "PATH", "REF", "AUTHORITY", "FILE", "USERINFO", "QUERY"):
        raise semantic_error(f"{name} has no part '{part}'")
    made = macro(f"url_{part.lower()}", kinds.to_text(arguments[0]))
    return kinds.typed(made, kinds.VARCHAR)


def convert_tz(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """CONVERT_TZ(t, from, to); zones by name or as +08:00."""
    count(name, arguments, 3, 3)
    made = moment(arguments[0])
    for zone, verb in ((arguments[1], "zone_to_utc"), (arguments[2], "utc_to_zone")):
        made = macro(verb, made, zone)
    return kinds.typed(made, kinds.DATETIME)


def strpos(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """STRPOS(x, y[, instance])."""
    count(name, arguments, 2, 3)
    values = [kinds.to_text(each) for each in arguments[:2]] + arguments[2:]
    return kinds.typed(macro("strpos", *values), kinds.BIGINT)


BUILDERS = {
    "if": if_,
    "coalesce": coalesce,
    "ifnull": coalesce,
    "nvl": coalesce,
    "nullif": nullif,
    "greatest": extreme,
    "least": extreme,
    "isnull": is_null,
    "concat": concat,
    "concat_ws": concat_ws,
    "trim": trimmed,
    "ltrim": trimmed,
    "rtrim": trimmed,
    "reverse": reverse,
    "field": field,
    "sha2": sha2,
    "md5sum": md5sum,
    "hex": hex_of,
    "round": rounded,
    "dround": rounded,
    "truncate": rounded,
    "log": log,
    "abs": absolute,
    "money_format": money_format,
    "conv": conv,
    "parse_url": parse_url,
    "convert_tz": convert_tz,
    "strpos": strpos,
}
