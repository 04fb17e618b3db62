"""Macros are made once for a file, and again when they are not those of the code."""

from __future__ import annotations

import duckdb
import pytest

from embedded_starrocks.sql import macrostate
from embedded_starrocks.sql.macros import all_macros, create_macros
from embedded_starrocks.sql.macros_values import SCHEMA


def test_macros_are_made_once_and_again_when_they_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counting(connection: duckdb.DuckDBPyConnection) -> None:
        made.append(1)
        create_macros(connection)

    monkeypatch.setattr(macrostate, "create_macros", counting)
    with duckdb.connect() as connection:
        for _ in range(2):
            macrostate.keep_macros(connection)
        assert len(made) == 1
        close_look = f"SELECT {SCHEMA}.text_to_datetime('2026-11-21T09:14')::VARCHAR"
        assert connection.execute(close_look).fetchall() == [("2026-11-21 09:14:00",)]
        bodies = all_macros()
        monkeypatch.setattr(macrostate, "all_macros", lambda: {**bodies, "one_more(x)": "x"})
        for _ in range(2):
            macrostate.keep_macros(connection)
        assert len(made) == 2
