"""JSON functions: paths, building, and conversions to and from SQL values."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.arguments import count
from embedded_starrocks.sql.calls import call, macro, text


def parsed(argument: exp.Expr) -> exp.Expr:
    """An argument as JSON; text is parsed, and what is no JSON is NULL."""
    if kinds.of(argument) == kinds.JSON:
        return argument
    return kinds.typed(macro("parse_json", kinds.to_text(argument)), kinds.JSON)


def to_value(argument: exp.Expr) -> exp.Expr:
    """An SQL value as a JSON value: CAST(x AS JSON) and the arguments of JSON_OBJECT."""
    kind = kinds.of(argument)
    if kind == kinds.JSON:
        return argument
    if kind == kinds.NULL:
        return kinds.cast(argument, kinds.JSON)
    if kinds.is_moment(kind):
        argument = kinds.to_text(argument)
    return kinds.typed(call("to_json", argument), kinds.JSON)


def arrow(node: exp.JSONExtract | exp.JSONExtractScalar) -> exp.Expr:
    """json -> path; a path may leave out `$.`."""
    path = node.expression
    written = path.sql(dialect="duckdb").strip("'") if isinstance(path, exp.JSONPath) else None
    if written is None:
        if not isinstance(path, exp.Literal):
            raise unsupported("a JSON path that is no literal")
        written = str(path.this)
    return json_query("->", [node.this, text(written)])


def _path(argument: exp.Expr) -> tuple[exp.Expr, bool]:
    """A path as DuckDB writes it, and whether it may find several values."""
    if not isinstance(argument, exp.Literal) or not argument.is_string:
        raise unsupported("a JSON path that is no literal")
    written = str(argument.this).replace(" ", "") if '"' not in argument.name else argument.name
    if not written.startswith("$"):
        written = f"$.{written}" if not written.startswith("[") else f"${written}"
    if ":" in written and "[" in written and '"' not in written:
        raise unsupported(f"a range in the JSON path '{written}'")
    return text(written), "[*]" in written


def json_query(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """JSON_QUERY(json, path): a JSON value, NULL where there is none."""
    count(name, arguments, 2, 2)
    path, is_many = _path(arguments[1])
    verb = "json_query_all" if is_many else "json_query"
    return kinds.typed(macro(verb, parsed(arguments[0]), path), kinds.JSON)


def json_exists(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 2, 2)
    path, is_many = _path(arguments[1])
    verb = "json_exists_any" if is_many else "json_exists"
    return kinds.typed(macro(verb, parsed(arguments[0]), path), kinds.BOOLEAN)


_SCALARS = {
    "get_json_int": kinds.BIGINT,
    "get_json_double": kinds.DOUBLE,
    "get_json_bool": kinds.BOOLEAN,
}


def get_json(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """GET_JSON_INT, _DOUBLE, _BOOL, _STRING (json, path)."""
    count(name, arguments, 2, 2)
    path, is_many = _path(arguments[1])
    if name in _SCALARS:
        made = macro(name, parsed(arguments[0]), path)
        return kinds.typed(made, _SCALARS[name])
    found = macro("json_query_all" if is_many else "json_query", parsed(arguments[0]), path)
    return kinds.typed(macro("json_text", found), kinds.VARCHAR)


def json_length(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """JSON_LENGTH and JSON_KEYS of a value, or of what a path finds in it."""
    count(name, arguments, 1, 2)
    value = parsed(arguments[0]) if len(arguments) == 1 else json_query(name, arguments)
    if name == "json_keys":
        return kinds.typed(macro(name, value), kinds.JSON)
    return kinds.cast(macro(name, value), kinds.INT)


def parse_json(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 1, 1)
    return parsed(arguments[0])


def json_string(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 1, 1)
    return kinds.typed(macro("json_spaced", parsed(arguments[0])), kinds.VARCHAR)


def json_object(_: str, arguments: list[exp.Expr]) -> exp.Expr:
    """JSON_OBJECT(key, value, ...), the keys in the order of the dictionary."""
    if len(arguments) % 2:
        raise semantic_error("json_object needs a value for each key")
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    if all(isinstance(key, exp.Literal) for key, _ in pairs):
        pairs.sort(key=lambda pair: str(pair[0].this))
    elif len(pairs) > 1:
        raise unsupported("json_object with several keys that are no literals")
    values = [part for key, value in pairs for part in (kinds.to_text(key), to_value(value))]
    return kinds.typed(call("json_object", *values), kinds.JSON)


def json_array(_: str, arguments: list[exp.Expr]) -> exp.Expr:
    made = call("json_array", *[to_value(each) for each in arguments])
    return kinds.typed(made, kinds.JSON)


def to_json(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    count(name, arguments, 1, 1)
    return to_value(arguments[0])


BUILDERS = {
    "json_query": json_query,
    "json_exists": json_exists,
    "get_json_int": get_json,
    "get_json_double": get_json,
    "get_json_bool": get_json,
    "get_json_string": get_json,
    "get_json_object": get_json,
    "json_length": json_length,
    "json_keys": json_length,
    "parse_json": parse_json,
    "json_string": json_string,
    "json_object": json_object,
    "json_array": json_array,
    "to_json": to_json,
}
