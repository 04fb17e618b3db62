"""What a start does between servers: databases, topics, tables, Flink jobs."""

from __future__ import annotations

from runtime.context import Context
from runtime.install import Java
from runtime.services import postgres
from runtime.steps import Step


def tasks(context: Context, java: Java, chosen: set[str]) -> list[Step]:
    """The steps whose servers are among the chosen ones (or run elsewhere)."""
    steps: list[Step] = []
    if "postgres" in chosen:
        steps.append(Step("databases", lambda: _databases(context), ("postgres",)))
    return steps


def _databases(context: Context) -> str:
    postgres.create_databases(context)
    return ""
