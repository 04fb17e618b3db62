"""Fixtures: a statement runner without a network, and a shared server process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql.context import Context, Session, Sessions
from embedded_starrocks.sql.executor import execute, statements
from embedded_starrocks.storage.engine import Engine
from embedded_starrocks.storage.store import Store
from tests.starrocks.running import RunningServer

Run = Callable[[str], list[tuple[Any, ...]]]


class Statements:
    """Runs SQL in this process: parsing, rewriting and DuckDB, without packets."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(Engine(directory / "data", "512MB", 2), "secret", "")
        self.sessions = Sessions()
        self.context = self.session("root")

    def session(self, user: str) -> Context:
        session = Session(
            id=self.sessions.new_id(),
            user=user,
            host="127.0.0.1",
            store=self.store,
            connection=self.store.engine.reader(),
        )
        return Context(session, self.sessions)

    def __call__(self, sql: str, context: Context | None = None) -> list[tuple[Any, ...]]:
        """Rows of the last statement; a list with the affected count for one without rows."""
        rows: list[tuple[Any, ...]] = []
        for tokens, text in statements(sql):
            result = execute(context or self.context, tokens, text)
            if isinstance(result, Done):
                rows = [(result.affected,)]
            else:
                rows = [row for chunk in result.chunks for row in chunk]
        return rows

    def value(self, expression: str) -> Any:
        return self(f"SELECT {expression}")[0][0]

    def close(self) -> None:
        self.store.engine.close()


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Statements]:
    """A store of the module's own, with database `d` in use."""
    statements_of_module = Statements(tmp_path_factory.mktemp("embedded"))
    statements_of_module("CREATE DATABASE d; USE d")
    yield statements_of_module
    statements_of_module.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server process of the module's own, with database `d`."""
    running = RunningServer(tmp_path_factory.mktemp("server"), "--banner", "SIMULATED DATA")
    running.start()
    running.query("CREATE DATABASE d")
    yield running
    assert running.stop() == 0
