"""The documentation's table of functions says what the server does."""

from __future__ import annotations

import pytest

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql import functions, reference
from tests.starrocks.conftest import Statements, sql

__all__ = ["sql"]


def test_every_macro_that_the_table_names_is_made() -> None:
    assert functions.missing_macros() == []


def test_a_note_belongs_to_a_function_that_is_answered() -> None:
    assert set(reference._NOTES) <= set(functions.supported())


def test_a_function_is_answered_or_refused_and_not_both() -> None:
    names = [entry.name for entry in reference.entries()]
    assert len(names) == len(set(names))


@pytest.mark.integration
def test_what_the_table_calls_refused_is_refused(sql: Statements) -> None:
    for entry in reference.entries():
        if not entry.is_answered:
            with pytest.raises(SqlError, match="No matching function"):
                sql(f"SELECT {entry.name}('x')")


def _refusal(sql: Statements, statement: str) -> str:
    try:
        sql(statement)
    except SqlError as error:
        return error.message
    return ""


@pytest.mark.integration
def test_what_the_table_calls_answered_is_known(sql: Statements) -> None:
    for entry in reference.entries():
        if entry.is_answered and entry.name not in functions.OWN_SYNTAX:
            # Another number of arguments may be asked for; the name itself is known.
            refusal = _refusal(sql, f"SELECT {entry.name}()")
            assert f"signature: {entry.name};" not in refusal
