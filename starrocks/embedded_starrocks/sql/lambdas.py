"""Lambdas: the types of their parameters, and their bodies with something else in their place."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.types import ColumnType


def parameter_types(function: exp.Lambda) -> dict[str, ColumnType | None]:
    """The types of a lambda's parameters, from the arrays or the map that it is applied to."""
    parent = function.parent
    others = [each for each in getattr(parent, "expressions", []) if each is not function]
    found: list[ColumnType | None] = []
    for other in others:
        kind = kinds.of(other)
        if kind is not None and kind.name == "MAP":
            found += [kind.parts[0], kind.parts[1]]
        else:
            found.append(kinds.element(kind))
    names = [each.name.lower() for each in function.expressions]
    return {name: found[index] if index < len(found) else None for index, name in enumerate(names)}


def bind_parameters(function: exp.Lambda) -> None:
    """Note the types of a lambda's parameters before its body is rewritten."""
    types = parameter_types(function)
    function.meta["parameters"] = types
    for node in function.this.find_all(exp.Identifier):
        # In a body parameters are bare names; names in a column belong to the column.
        if not isinstance(node.parent, exp.Column | exp.Dot) and node.name.lower() in types:
            kinds.typed(node, types[node.name.lower()])
    if isinstance(function.this, exp.Identifier):
        kinds.typed(function.this, types.get(function.this.name.lower()))


def substituted(body: exp.Expr, replacements: dict[str, exp.Expr]) -> exp.Expr:
    """A lambda's body with its parameters replaced."""
    if isinstance(body, exp.Identifier):
        return replacements.get(body.name.lower(), body).copy()
    for node in list(body.find_all(exp.Identifier)):
        if isinstance(node.parent, exp.Column | exp.Dot) and not (
            isinstance(node.parent, exp.Dot) and node.parent.this is node
        ):
            continue
        wanted = replacements.get(node.name.lower())
        if wanted is not None and not node.args.get("quoted"):
            node.replace(wanted.copy())
    return body
