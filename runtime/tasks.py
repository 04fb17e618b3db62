"""What a start does between servers: databases, topics, tables, models, Flink jobs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

from emdata.contracts import contracts
from emdata.derive.starrocks import RAW_DATABASE
from emdata.errors import ServiceError
from emdata.migrate import database_statements, plan_changes, read_tables
from emdata.reader_account import reader_statements
from emdata.state.database import dsn_of
from emdata.warehouse_accounts import loader_statements, transformer_statements
from runtime import models
from runtime.context import Context
from runtime.environment import child_environment
from runtime.flink_start import FlinkStart
from runtime.install import Java
from runtime.readiness import last_lines
from runtime.services import postgres
from runtime.steps import Step
from runtime.topics import create_topics
from runtime.warehouse import warehouse_of

_FLINK = {"jobmanager", "taskmanager"}
_COMMAND_TIMEOUT_S = 600.0
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def tasks(
    context: Context, java: Java, chosen: set[str], away: set[str], jobs: FlinkStart
) -> list[Step]:
    """The steps whose servers are all among the chosen ones or ``away`` (run by somebody else)."""
    there = chosen | away
    steps: list[Step] = []
    if "postgres" in there:
        steps.append(Step("databases", lambda: _databases(context), _NEEDS["databases"]))
        steps.append(Step("state", lambda: _state(context), _NEEDS["state"]))
    if "kafka" in there:
        steps.append(Step("topics", lambda: create_topics(context.settings), _NEEDS["topics"]))
    if "starrocks" in there:
        steps.append(Step("tables", lambda: _tables(context), _NEEDS["tables"]))
    if "dagster-code" in chosen:
        steps.append(Step("models", lambda: _models(context, java), _NEEDS["models"]))
    if {*_FLINK, "kafka", "starrocks"} <= there:
        steps.append(Step("flink-client", jobs.warm_up, _NEEDS["flink-client"]))
        steps.append(Step("jobs", jobs.deploy, _NEEDS["jobs"]))
    return steps


_NEEDS: dict[str, tuple[str, ...]] = {
    "databases": ("postgres",),
    "state": ("databases",),
    "topics": ("kafka",),
    "tables": ("starrocks",),
    "models": ("tables",),
    "flink-client": (),
    "jobs": ("flink-client", "jobmanager", "taskmanager", "topics", "tables"),
}


def state_dsn(context: Context) -> str:
    """SQLAlchemy's address of the state in PostgreSQL, with the password."""
    return dsn_of(context.settings, context.credentials.postgres_password)


def migrations(context: Context) -> dict[str, Callable[[], str]]:
    """What brings PostgreSQL and StarRocks to this release, in order, by name."""
    return {
        "databases": lambda: _databases(context),
        "state": lambda: _state(context),
        "tables": lambda: _tables(context),
    }


def _databases(context: Context) -> str:
    postgres.create_databases(context)
    return ""


def _state(context: Context) -> str:
    from emdata.state import upgrade

    return f"revision {upgrade(state_dsn(context))}"


def _tables(context: Context) -> str:
    """Create databases and the users by role, and bring the landed tables to the contracts."""
    warehouse = warehouse_of(context)
    databases = (RAW_DATABASE, context.settings.starrocks_database)
    warehouse.execute(*database_statements(databases))
    known = context.credentials
    warehouse.execute(
        *reader_statements(known.starrocks_reader_password, databases),
        *loader_statements(known.starrocks_loader_password),
        *transformer_statements(known.starrocks_transformer_password, databases[1]),
    )
    changes = plan_changes(contracts().values(), read_tables(warehouse))
    warehouse.execute(*(change.statement for change in changes))
    return f"{len(changes)} changes applied" if changes else "as the contracts say"


def _models(context: Context, java: Java) -> str:
    return models.prepare(context, lambda: _command(context, java, "models", ("dbt", "prepare")))


def _command(context: Context, java: Java, name: str, arguments: Sequence[str]) -> str:
    """Run one of our commands; its output goes to a log, its last line is the text."""
    log = context.paths.logs / f"start-{name}.log"
    with log.open("w", encoding="utf-8") as file:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "runtime", *arguments],
                env=child_environment(context, java, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_COMMAND_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise ServiceError(
                f"{name}: `emdata {' '.join(arguments)}` did not end within "
                f"{_COMMAND_TIMEOUT_S:.0f} s{last_lines(log)}"
            ) from None
    if done.returncode != 0:
        raise ServiceError(
            f"{name}: `emdata {' '.join(arguments)}` ended with {done.returncode}{last_lines(log)}"
        )
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return _COLORS.sub("", lines[-1])[:100] if lines else ""
