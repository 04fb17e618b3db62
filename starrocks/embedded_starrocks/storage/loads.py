"""Loads: staged side by side, committed one after another, many small ones in one transaction.

A label's row is written in the transaction of its data: after a SIGKILL either both are there or
neither. The transaction API keeps prepared rows in tables of the file, so that a commit that comes
after a crash finds them; committing twice is answered as the first time.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import structlog

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql.partitions import outside
from embedded_starrocks.sql.translate import translated
from embedded_starrocks.storage import staging
from embedded_starrocks.storage.labels import ABORTED, COMMITTED, PREPARED, VISIBLE, Label
from embedded_starrocks.storage.metadata import SCHEMA, Relation, same_shape
from embedded_starrocks.storage.readers import LoadError, LoadOptions
from embedded_starrocks.storage.staging import Staged
from embedded_starrocks.storage.store import Store
from embedded_starrocks.storage.tables import Merge, apply_stage

log = structlog.get_logger("embedded_starrocks")

Work = Callable[[duckdb.DuckDBPyConnection], None]
HOUSEKEEPING_SECONDS = 60.0


@dataclasses.dataclass
class _Task:
    work: Work
    is_done: bool = False
    error: Exception | None = None


@dataclasses.dataclass
class _Transaction:
    """An open transaction of the transaction API: what was loaded but not committed yet."""

    label: Label
    stages: list[Staged] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class TransactionError(Exception):
    """A request to the transaction API that can't be done. `status` goes into the answer."""

    def __init__(self, message: str, status: str = "FAILED") -> None:
        super().__init__(message)
        self.status = status


class Counters:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.loads = 0
        self.failed = 0
        self.rows = 0
        self.bytes = 0


class Loads:
    """All loads of one server."""

    def __init__(self, store: Store, label_keep_seconds: int) -> None:
        self._store = store
        self._keep_seconds = label_keep_seconds
        self.labels = store.labels
        self.counters = Counters()
        self._numbers = itertools.count(1)
        self._transactions: dict[tuple[str, str], _Transaction] = {}
        self._errors: dict[str, list[str]] = {}
        self._waiting: collections.deque[_Task] = collections.deque()
        self._leading = threading.Lock()
        self._kept_house = time.monotonic()
        self._local = threading.local()

    def new_body(self) -> Path:
        """A new file in the spool for a body that arrives."""
        return self._store.engine.spool / f"body-{next(self._numbers)}"

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's connection for staging."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._store.engine.reader()
        connection: duckdb.DuckDBPyConnection = self._local.connection
        return connection

    # Stream load

    def load(self, relation: Relation, label: Label, body: Path, options: LoadOptions) -> Staged:
        """Load a body under a reserved label; returns once it is durable and visible.

        Raises LoadError when nothing was loaded; the label is then free again.
        """
        try:
            staged = self._stage(relation, body, options)
            label.total, label.filtered, label.size = staged.total, staged.filtered, staged.size
            label.unselected = staged.unselected
            self._keep_errors(label, staged.errors)
            try:
                self._commit(lambda connection: self._apply(connection, [staged], label))
            finally:
                staging.drop(self._connection(), staged.table)
        except LoadError as error:
            self.labels.abort(label, str(error))
            self.counters.failed += 1
            if isinstance(error, staging.TooManyFiltered):
                label.total, label.filtered = error.total, error.filtered
                self._keep_errors(label, error.errors)
            raise
        except Exception as error:
            self.labels.abort(label, str(error))
            self.counters.failed += 1
            raise
        label.state = VISIBLE
        self._count([staged])
        return staged

    def _stage(self, relation: Relation, body: Path, options: LoadOptions) -> Staged:
        number = next(self._numbers)
        catalog = self._store.catalog
        return staging.stage(self._connection(), catalog, relation, body, options, number)

    def _count(self, stages: list[Staged]) -> None:
        for staged in stages:
            self._store.note_change(staged.relation.id)
        self.counters.loads += 1
        self.counters.rows += sum(staged.loaded for staged in stages)
        self.counters.bytes += sum(staged.size for staged in stages)

    def _apply(
        self, connection: duckdb.DuckDBPyConnection, stages: list[Staged], label: Label
    ) -> None:
        """Rows and label, in the open transaction."""
        for staged in stages:
            relation = self._same_table(staged.relation)
            if staged.loaded:
                apply_stage(connection, relation, staged.table, staged.merge)
        self.labels.write(connection, label, VISIBLE)

    def _same_table(self, planned: Relation) -> Relation:
        """The table as it is now; it may have been dropped or altered since the load began."""
        now = self._store.catalog.relation(planned.db, planned.name)
        if now is None or not same_shape(now, planned):
            raise LoadError(f"table {planned.db}.{planned.name} was changed while the load ran")
        return now

    # Errors of rows

    def _keep_errors(self, label: Label, errors: list[str]) -> None:
        if errors:
            self._errors[label.error_key] = errors
            while len(self._errors) > 100:
                self._errors.pop(next(iter(self._errors)))

    def errors_of(self, error_key: str) -> list[str] | None:
        return self._errors.get(error_key)

    # Transaction API

    def begin(self, db: str, table: str, name: str) -> Label:
        """Open a transaction. Raises LabelExists."""
        label = self.labels.reserve(db, name, table, "TRANSACTION")
        self._transactions[db, name] = _Transaction(label)
        return label

    def transaction_load(
        self, relation: Relation, name: str, body: Path, options: LoadOptions
    ) -> tuple[Label, Staged]:
        """Add a body to an open transaction."""
        transaction = self._open(relation.db, name)
        with transaction.lock:
            staged = self._stage(relation, body, options)
            transaction.stages.append(staged)
            label = transaction.label
            label.total += staged.total
            label.filtered += staged.filtered
            label.unselected += staged.unselected
            label.size += staged.size
            self._keep_errors(label, staged.errors)
        return label, staged

    def _open(self, db: str, name: str) -> _Transaction:
        transaction = self._transactions.get((db, name))
        if transaction is None:
            raise TransactionError(f"transaction with label {name} doesn't exist", "TXN_NOT_EXISTS")
        return transaction

    def prepare(self, db: str, name: str) -> Label:
        """Make a transaction's rows durable without showing them; repeating it changes nothing."""
        known = self.labels.get(db, name)
        if known is not None and known.state in (PREPARED, COMMITTED, VISIBLE):
            return known
        transaction = self._open(db, name)
        with transaction.lock:
            self._commit(lambda connection: self._persist(connection, transaction))
            transaction.label.state = PREPARED
            self._close_transaction(db, name, transaction)
        return transaction.label

    def _persist(self, connection: duckdb.DuckDBPyConnection, transaction: _Transaction) -> None:
        label = transaction.label
        for index, staged in enumerate(transaction.stages):
            self._same_table(staged.relation)
            kept = _prepared_table(label.txn_id, index)
            connection.execute(f"CREATE TABLE {kept} AS FROM {staged.table}")
            connection.execute(
                f"INSERT INTO {SCHEMA}.prepared VALUES (?, ?, ?, ?, ?)",
                [
                    label.txn_id,
                    index,
                    staged.relation.db,
                    staged.relation.name,
                    json.dumps(dataclasses.asdict(staged.merge)),
                ],
            )
        self.labels.write(connection, label, PREPARED)

    def _close_transaction(self, db: str, name: str, transaction: _Transaction) -> None:
        for staged in transaction.stages:
            staging.drop(self._connection(), staged.table)
        self._transactions.pop((db, name), None)

    def commit(self, db: str, name: str) -> Label:
        """Show a transaction's rows. Committing again is answered as the first time."""
        label = self.labels.get(db, name)
        if label is None:
            raise TransactionError(f"transaction with label {name} doesn't exist", "TXN_NOT_EXISTS")
        if label.state == VISIBLE:
            return label
        if label.state == ABORTED:
            raise TransactionError(f"transaction with label {name} was aborted: {label.message}")
        if label.state != PREPARED:
            self._commit_open(db, name)
        else:
            self._commit(lambda connection: self._apply_prepared(connection, label))
        label.state = VISIBLE
        return label

    def _commit_open(self, db: str, name: str) -> None:
        transaction = self._open(db, name)
        with transaction.lock:
            label = transaction.label
            self._commit(lambda connection: self._apply(connection, transaction.stages, label))
            self._count(transaction.stages)
            self._close_transaction(db, name, transaction)

    def _apply_prepared(self, connection: duckdb.DuckDBPyConnection, label: Label) -> None:
        if label.state == VISIBLE:
            # Another request committed it while this one waited.
            return
        rows = connection.execute(
            f"SELECT part, db, tbl, merge FROM {SCHEMA}.prepared WHERE txn_id = ? ORDER BY part",
            [label.txn_id],
        ).fetchall()
        for part, db, table, merge in rows:
            relation = self._store.catalog.relation(db, table)
            if relation is None:
                raise LoadError(f"table {db}.{table} is gone")
            kept = _prepared_table(label.txn_id, part)
            # A partition may have been dropped since.
            if gone := outside(self._store.catalog, relation):
                connection.execute(f"DELETE FROM {kept} WHERE {gone}")
            apply_stage(connection, relation, kept, _merge_of(merge))
            self._store.note_change(relation.id)
        self._drop_prepared(connection, label)
        self.labels.write(connection, label, VISIBLE)
        self.counters.loads += 1
        self.counters.rows += label.total - label.filtered

    def _drop_prepared(self, connection: duckdb.DuckDBPyConnection, label: Label) -> None:
        parts = connection.execute(
            f"DELETE FROM {SCHEMA}.prepared WHERE txn_id = ? RETURNING part", [label.txn_id]
        ).fetchall()
        for (part,) in parts:
            connection.execute(f"DROP TABLE {_prepared_table(label.txn_id, part)}")

    def rollback(self, db: str, name: str) -> Label:
        """Throw a transaction away; repeating it changes nothing."""
        label = self.labels.get(db, name)
        if label is None:
            raise TransactionError(f"transaction with label {name} doesn't exist", "TXN_NOT_EXISTS")
        if label.state == VISIBLE:
            raise TransactionError(f"transaction with label {name} is already committed")
        if label.state == PREPARED:
            self._commit(lambda connection: self._abort_prepared(connection, label))
        else:
            transaction = self._transactions.get((db, name))
            if transaction is not None:
                with transaction.lock:
                    self._close_transaction(db, name, transaction)
        self.labels.abort(label, "rolled back by the client")
        return label

    def _abort_prepared(self, connection: duckdb.DuckDBPyConnection, label: Label) -> None:
        self._drop_prepared(connection, label)
        self.labels.write(connection, label, ABORTED)

    def state(self, db: str, name: str) -> str:
        """get_load_state: UNKNOWN for a label nobody knows."""
        label = self.labels.get(db, name)
        return label.state if label is not None else "UNKNOWN"

    # Group commit

    def _commit(self, work: Work) -> None:
        """Do the work in a transaction, shared with what else waits; returns when it is durable."""
        task = _Task(work)
        self._waiting.append(task)
        with self._leading:
            # Whoever comes first does the work of all that wait; the others find theirs done.
            if not task.is_done:
                self._run_group([self._waiting.popleft() for _ in range(len(self._waiting))])
            self._keep_house()
        if isinstance(task.error, duckdb.Error):
            raise LoadError(translated(task.error).message) from None
        if isinstance(task.error, SqlError):
            raise LoadError(task.error.message) from None
        if task.error is not None:
            raise task.error

    def _run_group(self, group: list[_Task]) -> None:
        """All in one transaction; if that fails, each alone, so that only the bad one fails."""
        try:
            with self._store.write() as connection:
                for task in group:
                    task.work(connection)
        except Exception as error:  # noqa: BLE001 - it is raised again by the load it belongs to
            if len(group) > 1:
                for task in group:
                    self._run_group([task])
                return
            group[0].error = error
        for task in group:
            task.is_done = True

    def _keep_house(self) -> None:
        """Now and then, forget old labels."""
        now = time.monotonic()
        if now - self._kept_house < HOUSEKEEPING_SECONDS:
            return
        self._kept_house = now
        try:
            with self._store.write() as connection:
                self.labels.forget_old(connection, self._keep_seconds)
        except duckdb.Error as error:
            log.warning("housekeeping_failed", error=str(error))


def _merge_of(text: str) -> Merge:
    """How a prepared part is merged; parts of the first layout carry an operation and no more."""
    values = json.loads(text) if text else {"has_operation": True}
    return Merge(**{**values, "columns": tuple(values.get("columns", ()))})


def _prepared_table(txn_id: int, part: int) -> str:
    return f"{SCHEMA}.prepared_{txn_id}_{part}"
