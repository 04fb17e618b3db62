"""Array, map and struct functions, and lambdas."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.builders.arguments import count, literal
from embedded_starrocks.sql.calls import call, macro, text
from embedded_starrocks.sql.lambdas import substituted
from embedded_starrocks.sql.types import ColumnType


def _split(name: str, arguments: list[exp.Expr]) -> tuple[exp.Lambda, list[exp.Expr]]:
    """The lambda, which comes first, and the collections."""
    function = arguments[0] if arguments else None
    if not isinstance(function, exp.Lambda):
        raise semantic_error(f"{name} needs a lambda as its first argument")
    others = arguments[1:]
    if not others:
        raise semantic_error(f"{name} needs an array or a map behind its lambda")
    return function, others


_ITEM = "__item"


def _applied(verb: str, function: exp.Lambda, arrays: list[exp.Expr]) -> exp.Expr:
    """list_transform or list_filter of one array, or of several side by side."""
    if len(arrays) == 1:
        if len(function.expressions) != 1:
            raise semantic_error("a lambda has as many parameters as there are arrays")
        return call(verb, arrays[0], function)
    if len(function.expressions) != len(arrays):
        raise semantic_error("a lambda has as many parameters as there are arrays")
    item = exp.to_identifier(_ITEM)
    parts = {
        each.name.lower(): call(
            "struct_extract", exp.to_identifier(_ITEM, quoted=True), exp.Literal.number(index)
        )
        for index, each in enumerate(function.expressions, 1)
    }
    body = substituted(function.this, parts)
    return call(verb, call("list_zip", *arrays), exp.Lambda(this=body, expressions=[item]))


def array_map(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_MAP(lambda, array, ...)."""
    if len(arguments) == 2 and isinstance(arguments[1], exp.Lambda):
        arguments = [arguments[1], arguments[0]]
    function, arrays = _split(name, arguments)
    kind = kinds.of(function.this)
    made = _applied("list_transform", function, arrays)
    return kinds.typed(made, None if kind is None else kinds.array(kind))


def array_filter(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_FILTER(lambda, array) or ARRAY_FILTER(array, array of booleans)."""
    if len(arguments) == 2 and not any(isinstance(each, exp.Lambda) for each in arguments):
        return kinds.typed(macro("list_where", *arguments), kinds.of(arguments[0]))
    function, arrays = _split(name, arguments)
    if len(arrays) != 1:
        raise unsupported(f"{name} of several arrays")
    return kinds.typed(_applied("list_filter", function, arrays), kinds.of(arrays[0]))


def array_sortby(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_SORTBY(lambda, array) or ARRAY_SORTBY(array, keys)."""
    count(name, arguments, 2, 2)
    if isinstance(arguments[0], exp.Lambda):
        function, arrays = _split(name, arguments)
        values = arrays[0]
        keys = _applied("list_transform", function, [values.copy()])
    else:
        values, keys = arguments
    return kinds.typed(macro("sorted_by", values, keys), kinds.of(values))


def matches(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ALL_MATCH and ANY_MATCH of a lambda, or of an array of booleans."""
    if len(arguments) == 1:
        tests = arguments[0]
    else:
        function, arrays = _split(name, arguments)
        tests = _applied("list_transform", function, arrays)
    return kinds.typed(macro(name, tests), kinds.BOOLEAN)


def of_array(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """Sum, average, extremes of an array, with the types that aggregates have."""
    count(name, arguments, 1, 1)
    kind = kinds.element(kinds.of(arguments[0]))
    made = macro(name, arguments[0])
    if name in ("array_max", "array_min"):
        return kinds.typed(made, kind)
    if kind is None:
        return made
    if name == "array_avg":
        return kinds.typed(made, None if kind.name == "DECIMAL" else kinds.DOUBLE)
    result = kind if kind.name in ("DECIMAL", "LARGEINT") else kinds.BIGINT
    if kinds.is_floating(kind):
        result = kinds.DOUBLE
    if result.name == "DECIMAL":
        result = kinds.decimal(kinds.MAX_DIGITS, result.scale or 0)
    return kinds.cast(made, result)


def array_concat(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_CONCAT(a, b, ...)."""
    count(name, arguments, 1, 1000)
    made = arguments[0]
    for other in arguments[1:]:
        made = macro("array_concat", made, other)
    return kinds.typed(made, kinds.common(kinds.of(each) for each in arguments))


def element_at(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ELEMENT_AT(array or map, index or key); an array has no element before its first."""
    count(name, arguments, 2, 2)
    collection, key = arguments
    # A call, not brackets: the generator would move a literal index.
    kind = kinds.of(collection)
    verb = "array_element" if kind is not None and kind.name == "ARRAY" else "element_of"
    return kinds.typed(macro(verb, collection, key), kinds.element(kind))


def array_generate(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_GENERATE([start,] end[, step])."""
    count(name, arguments, 1, 3)
    values = arguments if len(arguments) > 1 else [exp.Literal.number(1), arguments[0]]
    if any(kinds.is_moment(kinds.of(each)) for each in values):
        raise unsupported(f"{name} of dates")
    kind = kinds.common(kinds.of(each) for each in values[:2])
    made = macro("array_generate", *values)
    return kinds.typed(made, None if kind is None else kinds.array(kinds.BIGINT))


def array_join(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ARRAY_JOIN(array, separator[, text for NULL])."""
    count(name, arguments, 2, 3)
    return kinds.typed(macro("array_join", *arguments), kinds.VARCHAR)


def array_(node: exp.Array) -> exp.Expr:
    """[a, b]: elements brought to their common type."""
    brought, kind = kinds.all_brought_to(node.expressions)
    node.set("expressions", brought)
    element = kinds.BOOLEAN if kind == kinds.NULL else kind
    return kinds.typed(node, None if element is None else kinds.array(element))


def map_call(_: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MAP(key, value, ...)."""
    if len(arguments) % 2:
        raise semantic_error("MAP needs a value for each key")
    return _map(list(arguments[::2]), list(arguments[1::2]))


def map_literal(node: exp.ToMap) -> exp.Expr:
    """map{key: value, ...}."""
    pairs = node.this.expressions if isinstance(node.this, exp.Struct) else []
    return _map([pair.this for pair in pairs], [pair.expression for pair in pairs])


def map_node(node: exp.VarMap) -> exp.Expr:
    """MAP(key, value, ...), which sqlglot has taken apart."""
    keys, values = node.args["keys"], node.args["values"]
    return _map(list(keys.expressions), list(values.expressions))


def _map(keys: list[exp.Expr], values: list[exp.Expr]) -> exp.Expr:
    brought_keys, key_kind = kinds.all_brought_to(keys)
    brought_values, value_kind = kinds.all_brought_to(values)
    made = call("map", exp.Array(expressions=brought_keys), exp.Array(expressions=brought_values))
    if key_kind is None or value_kind is None or kinds.NULL in (key_kind, value_kind):
        return made
    return kinds.typed(made, ColumnType("MAP", parts=(key_kind, value_kind)))


def _map_kind(arguments: list[exp.Expr]) -> ColumnType | None:
    kind = kinds.of(arguments[0])
    return kind if kind is not None and kind.name == "MAP" else None


def map_keys(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MAP_KEYS and MAP_VALUES."""
    count(name, arguments, 1, 1)
    kind = _map_kind(arguments)
    part = None if kind is None else kind.parts[0 if name == "map_keys" else 1]
    return kinds.typed(call(name, arguments[0]), None if part is None else kinds.array(part))


def map_from_arrays(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MAP_FROM_ARRAYS(keys, values)."""
    count(name, arguments, 2, 2)
    parts = [kinds.element(kinds.of(each)) for each in arguments]
    made = call("map", *arguments)
    if parts[0] is None or parts[1] is None:
        return made
    return kinds.typed(made, ColumnType("MAP", parts=(parts[0], parts[1])))


def map_concat(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MAP_CONCAT(a, b, ...): of equal keys the last."""
    count(name, arguments, 1, 1000)
    return kinds.typed(call("map_concat", *arguments), kinds.of(arguments[0]))


def map_function(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """MAP_FILTER, TRANSFORM_KEYS, TRANSFORM_VALUES, MAP_APPLY with a lambda of key and value."""
    function, others = _split(name, arguments)
    count(name, others, 1, 1)
    if len(function.expressions) != 2:
        raise semantic_error(f"{name} needs a lambda of two parameters, the key and the value")
    source, kind = others[0], _map_kind(others)
    item = exp.to_identifier(_ITEM)
    key, value = (
        exp.Dot(
            this=exp.to_identifier(_ITEM, quoted=True),
            expression=exp.to_identifier(part, quoted=True),
        )
        for part in ("key", "value")
    )
    names = [each.name.lower() for each in function.expressions]
    body_kind = kinds.of(function.this)
    body = substituted(function.this, {names[0]: key, names[1]: value})
    entries = call("map_entries", source)
    if name == "map_filter":
        kept = call("list_filter", entries, exp.Lambda(this=body, expressions=[item]))
        return kinds.typed(call("map_from_entries", kept), kind)
    pair, result = _mapped_pair(name, body, body_kind, key, value, kind)
    made = call("list_transform", entries, exp.Lambda(this=pair, expressions=[item]))
    return kinds.typed(call("map_from_entries", made), result)


def _mapped_pair(
    name: str,
    body: exp.Expr,
    body_kind: ColumnType | None,
    key: exp.Expr,
    value: exp.Expr,
    kind: ColumnType | None,
) -> tuple[exp.Expr, ColumnType | None]:
    parts = list(kind.parts) if kind is not None else []
    if name == "map_apply":
        if not isinstance(body, exp.Tuple) or len(body.expressions) != 2:
            raise semantic_error("map_apply needs a lambda that gives (key, value)")
        key, value = body.expressions
        parts = [each for each in map(kinds.of, body.expressions) if each is not None]
    elif name == "transform_keys":
        key = body
        parts = [body_kind, parts[1]] if body_kind and parts else []
    else:
        value = body
        parts = [parts[0], body_kind] if body_kind and parts else []
    result = ColumnType("MAP", parts=(parts[0], parts[1])) if len(parts) == 2 else None
    return call("row", key.copy(), value.copy()), result


def struct(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """ROW(a, b) and STRUCT(a, b): fields col1, col2 and so on."""
    if not arguments:
        raise semantic_error(f"{name} needs values")
    names = [f"col{index}" for index in range(1, len(arguments) + 1)]
    return _struct(names, list(arguments))


def named_struct(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """NAMED_STRUCT('name', value, ...)."""
    if not arguments or len(arguments) % 2:
        raise semantic_error("named_struct needs a value for each name")
    names = [literal(name, each, "a name") for each in arguments[::2]]
    return _struct(names, list(arguments[1::2]))


def _struct(names: list[str], values: list[exp.Expr]) -> exp.Expr:
    made = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=value)
            for name, value in zip(names, values, strict=True)
        ]
    )
    parts = tuple(kinds.of(value) for value in values)
    known = tuple(each for each in parts if each is not None and each != kinds.NULL)
    if len(known) != len(parts):
        return made
    return kinds.typed(made, ColumnType("STRUCT", parts=known, fields=tuple(names)))


def field_of(node: exp.Dot) -> exp.Expr:
    """struct.field."""
    kind = kinds.of(node.this)
    if kind is not None and kind.name == "STRUCT" and isinstance(node.expression, exp.Identifier):
        wanted = node.expression.name.lower()
        for name, part in zip(kind.fields, kind.parts, strict=True):
            if name.lower() == wanted:
                return kinds.typed(node, part)
    return node


def bracket(node: exp.Bracket) -> exp.Expr:
    """array[index] and map[key]."""
    index = node.expressions[0]
    kind = kinds.of(node.this)
    if kind is not None and kind.name == "ARRAY" and not isinstance(index, exp.Literal):
        return element_at("[]", [node.this, index])
    # As written: the generator would count from another number.
    node.set("offset", 1)
    return kinds.typed(node, kinds.element(kinds.of(node.this)))


def split(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """SPLIT(text, separator)."""
    count(name, arguments, 2, 2)
    values = [kinds.to_text(each) for each in arguments]
    return kinds.typed(macro("split", *values), kinds.array(kinds.VARCHAR))


def str_to_map(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """STR_TO_MAP(text[, between pairs[, between key and value]])."""
    count(name, arguments, 1, 3)
    rest = [*arguments[1:], *[text(","), text(":")][len(arguments) - 1 :]]
    made = macro("str_to_map", arguments[0], *rest)
    return kinds.typed(made, ColumnType("MAP", parts=(kinds.VARCHAR, kinds.VARCHAR)))


BUILDERS = {
    "array_map": array_map,
    "transform": array_map,
    "array_filter": array_filter,
    "array_sortby": array_sortby,
    "all_match": matches,
    "any_match": matches,
    "array_sum": of_array,
    "array_avg": of_array,
    "array_max": of_array,
    "array_min": of_array,
    "array_concat": array_concat,
    "element_at": element_at,
    "array_generate": array_generate,
    "array_join": array_join,
    "map": map_call,
    "map_keys": map_keys,
    "map_values": map_keys,
    "map_from_arrays": map_from_arrays,
    "map_concat": map_concat,
    "map_filter": map_function,
    "map_apply": map_function,
    "transform_keys": map_function,
    "transform_values": map_function,
    "row": struct,
    "struct": struct,
    "named_struct": named_struct,
    "split": split,
    "str_to_map": str_to_map,
}
