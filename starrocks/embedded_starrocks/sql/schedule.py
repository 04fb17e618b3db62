"""What happens by itself: materialized views that are due or whose tables changed, and tasks."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import structlog
from sqlglot import exp

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql import dialect, mviews, tasks
from embedded_starrocks.sql.context import Context, Session, Sessions
from embedded_starrocks.sql.executor import execute
from embedded_starrocks.storage.metadata import SCHEMA, Catalog, Relation
from embedded_starrocks.storage.rights import ROOT
from embedded_starrocks.storage.store import Store

log = structlog.get_logger("embedded_starrocks")
Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Now as UTC without a zone, as times are stored."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


class Scheduler:
    """Looks every so often, in a thread of its own, what is due."""

    def __init__(self, store: Store, sessions: Sessions, now: Now = utc_now) -> None:
        self._store = store
        self._sessions = sessions
        self._now = now
        self._seen: dict[int, tuple[int, ...]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._running: Session | None = None

    def start(self, seconds: float) -> None:
        self._thread = threading.Thread(
            target=self._loop, args=(seconds,), name="schedule", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what runs is interrupted."""
        self._stop.set()
        running = self._running
        if running is not None:
            running.kill(whole_connection=False)
        if self._thread is not None:
            self._thread.join(5)

    def _loop(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                self.run_due()
            except Exception:
                # One bad look must not end the schedule; the next one comes.
                log.exception("schedule_failed")

    def run_due(self) -> None:
        """Refresh and run what is due now."""
        for relation in list(self._store.catalog.relations.values()):
            if self._stop.is_set():
                return
            if relation.kind == "MATERIALIZED VIEW" and self._is_due(relation):
                self._refresh(relation)
        self._run_tasks()

    def _context(self, user: str, database: str = "") -> Context:
        session = Session(
            id=0,
            user=user,
            host="localhost",
            store=self._store,
            connection=self._store.engine.reader(),
            database=database,
        )
        self._running = session
        return Context(session, self._sessions)

    # Materialized views

    def _is_due(self, relation: Relation) -> bool:
        if not relation.is_active or not relation.refresh.upper().lstrip().startswith(
            ("ASYNC", "DEFERRED ASYNC", "IMMEDIATE ASYNC")
        ):
            return False
        now = self._now()
        schedule = mviews.parse_schedule(relation.refresh)
        if schedule is not None:
            return schedule.is_due(relation.refreshed_at or now, now)
        versions = self._versions(self._store.catalog, relation)
        return self._seen.get(relation.id, ()) != versions and any(versions)

    def _versions(self, catalog: Catalog, relation: Relation) -> tuple[int, ...]:
        """The number of the last commit of each table under a view since the start."""
        found: dict[int, int] = {}
        todo = [relation]
        while todo:
            for table in dialect.parse(todo.pop().definition).find_all(exp.Table):
                base = catalog.relation(table.db, table.name)
                if base is None or base.id in found:
                    continue
                found[base.id] = self._store.versions.changes(base.id)
                if base.kind == "VIEW":
                    todo.append(base)
        return tuple(found.values())

    def _refresh(self, relation: Relation) -> None:
        versions = self._versions(self._store.catalog, relation)
        context = self._context(ROOT)
        try:
            mviews.refresh_now(context, relation)
            self._seen[relation.id] = versions
            log.info("view_refreshed", view=f"{relation.db}.{relation.name}")
        except SqlError as error:
            log.warning(
                "view_not_refreshed", view=f"{relation.db}.{relation.name}", problem=error.message
            )
        finally:
            self._running = None
            context.session.close()

    # Tasks

    def _run_tasks(self) -> None:
        reader = self._store.engine.reader()
        try:
            rows = reader.execute(
                f"SELECT name, db, definition, starts_at, every_seconds, owner, created_at, "
                f"(SELECT max(created_at) FROM {SCHEMA}.task_runs r WHERE r.task_name = t.name) "
                f"FROM {SCHEMA}.tasks t ORDER BY name"
            ).fetchall()
        finally:
            reader.close()
        for name, db, definition, starts, every, owner, created, last in rows:
            schedule = mviews.Schedule(every, starts)
            before = created - datetime.timedelta(seconds=every)
            if self._stop.is_set() or not schedule.is_due(last or before, self._now()):
                continue
            context = self._context(owner, db)
            try:
                began = self._now().replace(tzinfo=datetime.UTC)
                problem = tasks.run_task(context, name, definition, execute, began)
                log.info("task_ran", task=name, problem=problem)
            finally:
                self._running = None
                context.session.close()
