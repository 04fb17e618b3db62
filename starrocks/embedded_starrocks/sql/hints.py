"""SET_VAR: variables of one statement, in a hint behind its first word.

Source: StarRocks 3.5 documentation, "Set variables in a single query statement".
"""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import syntax_error, unsupported
from embedded_starrocks.sql import dialect
from embedded_starrocks.sql.dialect import Token, TokenType
from embedded_starrocks.sql.variables import Value, checked_value

_WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def _hint(found: list[Token]) -> Token | None:
    if len(found) < 2 or found[1].token_type != TokenType.HINT:
        return None
    return found[1] if found[0].text.upper() in _WORDS else None


def without_hint(found: list[Token]) -> list[Token]:
    """The statement without the hint behind its first word, for grammars that know none there."""
    return found if _hint(found) is None else [found[0], *found[2:]]


def set_var_hints(found: list[Token]) -> dict[str, Value]:
    """The variables of a statement's hint, checked. Raises SqlError; other hints are left alone."""
    token = _hint(found)
    if token is None:
        return {}
    text = token.text.removeprefix("/*+").removesuffix("*/").strip()
    if text.upper().startswith("SET_USER_VARIABLE"):
        raise unsupported("the hint SET_USER_VARIABLE; use SET @name = value")
    if not text.upper().startswith("SET_VAR"):
        return {}
    call = dialect.parse(f"SELECT {text}").expressions[0]
    if not isinstance(call, exp.Anonymous):
        raise syntax_error(f"unreadable hint '{text[:60]}'")
    return dict(_assigned(part) for part in call.expressions)


def _assigned(part: exp.Expr) -> tuple[str, Value]:
    if not isinstance(part, exp.EQ) or not isinstance(part.this, exp.Column):
        raise syntax_error(f"SET_VAR takes name = value, not '{part.sql('starrocks')[:60]}'")
    value = part.expression
    name = part.this.name.lower()
    if isinstance(value, exp.Boolean):
        return name, checked_value(name, "true" if value.this else "false")
    if isinstance(value, exp.Neg):
        return name, checked_value(name, f"-{value.this.name}")
    if not isinstance(value, exp.Literal | exp.Column):
        raise unsupported(f"SET_VAR({name} = {value.sql('starrocks')[:60]}); write the value")
    return name, checked_value(name, value.name)
