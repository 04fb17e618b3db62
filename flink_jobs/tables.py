"""The StarRocks side of a deployment: which tables exist, window tables, views, the swap."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from emdata.derive.starrocks import RAW_DATABASE
from emdata.warehouse import Warehouse
from flink_jobs.plan import Job
from flink_jobs.windows import WindowTable, window_table_ddl, window_view_ddl


class WindowTables:
    """Creates, swaps and drops the physical tables behind the windows' views."""

    def __init__(self, warehouse: Warehouse, windows: Iterable[WindowTable]) -> None:
        self._warehouse = warehouse
        self._windows = tuple(windows)

    def missing(self, tables: Iterable[str]) -> list[str]:
        """Return those of the tables in ``raw_data`` that do not exist."""
        rows = self._warehouse.query(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s",
            [RAW_DATABASE],
        )
        existing = {str(row["name"]) for row in rows}
        return [table for table in tables if table not in existing]

    def create(self, job: Job, *, empty: bool) -> None:
        """Create a job's tables; ``empty`` drops those that exist, with whatever they hold."""
        statements: list[str] = []
        for window in self.of(job):
            if empty:
                statements.append(_drop(window.physical(job.hash)))
            statements.append(window_table_ddl(window, job.hash))
        self._warehouse.execute(*statements)

    def show(self, job: Job) -> None:
        """Point the views at a job's tables."""
        self._warehouse.execute(*(window_view_ddl(window, job.hash) for window in self.of(job)))

    def drop(self, job: Job, *, but: Job | None = None) -> None:
        """Drop a job's tables, except those that job ``but`` writes."""
        kept = but.tables if but is not None else ()
        self._warehouse.execute(*(_drop(table) for table in job.tables if table not in kept))

    def retire(self, job: Job) -> None:
        """Drop the views and tables of windows that are no longer planned."""
        views = {table.rpartition("__")[0] for table in job.tables}
        self._warehouse.execute(
            *(f"DROP VIEW IF EXISTS {RAW_DATABASE}.{view}" for view in sorted(views))
        )
        self.drop(job)

    def keep_older_rows(self, job: Job, old: Job, now: datetime, retention_days: int) -> None:
        """Mend the far edge of rebuilt tables.

        The topics begin ``retention_days`` ago, so windows about that old were counted from a
        part of their records: they are replaced by the old table's rows, where it has the same
        columns, and left out where it has not.
        """
        edge = (now.astimezone(UTC) - timedelta(days=retention_days - 1)).strftime("%Y-%m-%d")
        for window in self.of(job):
            if window.forever:
                continue
            new_table = f"{RAW_DATABASE}.{window.physical(job.hash)}"
            time_key = window.time_key
            statements = [f"DELETE FROM {new_table} WHERE `{time_key}` < '{edge}'"]
            old_name = _same_window(window, old)
            names = [column.name for column in (*window.keys, *window.measures)]
            if old_name is not None and self._columns(old_name) == names:
                listed = ", ".join(f"`{name}`" for name in names)
                statements.append(
                    f"INSERT INTO {new_table} ({listed}) SELECT {listed} "
                    f"FROM {RAW_DATABASE}.{old_name} WHERE `{time_key}` < '{edge}'"
                )
            self._warehouse.execute(*statements)

    def of(self, job: Job) -> list[WindowTable]:
        """Return the windows that a job writes."""
        return [window for window in self._windows if window.physical(job.hash) in job.tables]

    def _columns(self, table: str) -> list[str]:
        rows = self._warehouse.query(
            "SELECT column_name AS name FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            [RAW_DATABASE, table],
        )
        return [str(row["name"]) for row in rows]


def _same_window(window: WindowTable, job: Job) -> str | None:
    name = window.physical(job.hash)
    return name if name in job.tables else None


def _drop(table: str) -> str:
    return f"DROP TABLE IF EXISTS {RAW_DATABASE}.{table} FORCE"
