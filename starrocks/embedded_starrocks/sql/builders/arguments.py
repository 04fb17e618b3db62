"""What the builders of functions ask of their arguments."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported


def literal(name: str, argument: exp.Expr, what: str) -> str:
    """The text of an argument that must be a literal. Raises SqlError 1064."""
    if isinstance(argument, exp.Literal) and argument.is_string:
        return str(argument.this)
    raise unsupported(f"{name} with {what} that is no literal")


def count(name: str, arguments: list[exp.Expr], low: int, high: int) -> None:
    """Raises SqlError 1064 unless the number of arguments is between the two."""
    if not low <= len(arguments) <= high:
        raise semantic_error(
            f"No matching function with signature: {name} with {len(arguments)} arguments"
        )


def word(argument: exp.Expr) -> str:
    """A keyword argument such as FLOOR, which is parsed as a column or a text."""
    return argument.name.lower()
