"""BEGIN, COMMIT, ROLLBACK as StarRocks 3.5 has them, and the labels of INSERT.

A transaction holds INSERTs into different tables. Each statement sees what was committed before it
began, and nothing of its own transaction. Source: StarRocks 3.5 documentation, "SQL transaction".
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable

import duckdb

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.engine import STAGE_DATABASE
from embedded_starrocks.storage.labels import VISIBLE, Label, LabelExists
from embedded_starrocks.storage.metadata import Relation, same_shape
from embedded_starrocks.storage.tables import apply_stage, count_rows

# What may stand between BEGIN and COMMIT, by first word.
_READING = ("SELECT", "WITH", "(", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "SET", "USE", "KILL")
_PREPARED = ("PREPARE", "EXECUTE", "DEALLOCATE")
ALLOWED = frozenset((*_READING, *_PREPARED, "INSERT", "COMMIT", "ROLLBACK", "BEGIN", "START"))


@dataclasses.dataclass
class Transaction:
    """The rows of a session's open transaction, staged and not yet visible."""

    label: str
    stages: list[tuple[Relation, str]] = dataclasses.field(default_factory=list)

    def next_stage(self, relation: Relation) -> str:
        """The stage table for one more INSERT. Raises SqlError for a second one into a table."""
        for known, _ in self.stages:
            if known.id == relation.id:
                raise semantic_error(
                    f"a transaction takes one INSERT for each table; {relation.name} has one"
                )
        number = uuid.uuid4().hex
        return f"{STAGE_DATABASE}.main.t{number}"

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        for _, stage in self.stages:
            connection.execute(f"DROP TABLE IF EXISTS {stage}")
        self.stages.clear()


def begin(context: Context, found: list[Token], sql: str) -> Done:
    words = Words(found, sql)
    if words.accept("START"):
        words.expect("TRANSACTION")
    else:
        words.expect("BEGIN")
        words.accept("WORK")
    words.finish()
    if context.session.transaction is None:
        context.session.transaction = Transaction(f"txn_{uuid.uuid4()}")
    return Done(info=_info(context.session.transaction.label, "PREPARE", 0))


def check_allowed(context: Context, word: str) -> None:
    """Raises SqlError for a statement that a transaction can't hold."""
    if context.session.transaction is not None and word not in ALLOWED:
        raise unsupported(f"{word} in a transaction; StarRocks 3.5 takes INSERT only")


def commit(context: Context, found: list[Token], sql: str) -> Done:
    """Outside of a transaction it does nothing, as in StarRocks."""
    _end(found, sql, "COMMIT")
    transaction = context.session.transaction
    if transaction is None:
        return Done()
    context.session.transaction = None
    if not transaction.stages:
        return Done(info=_info(transaction.label, "VISIBLE", 0))
    stages = list(transaction.stages)
    label = reserve(context, stages[0][0], transaction.label)
    try:
        with context.store.write() as connection:
            for relation, stage in stages:
                _require_unchanged(context, relation)
                label.total += count_rows(connection, stage)
                apply_stage(connection, relation, stage)
            context.store.labels.write(connection, label, VISIBLE)
    except BaseException as error:
        context.store.labels.abort(label, str(error))
        raise
    finally:
        transaction.drop(context.session.connection)
    label.state = VISIBLE
    for relation, _ in stages:
        context.store.note_change(relation.id)
    return Done(label.total, _info(label.name, VISIBLE, label.txn_id))


def rollback(context: Context, found: list[Token], sql: str) -> Done:
    _end(found, sql, "ROLLBACK")
    transaction = context.session.transaction
    if transaction is not None:
        context.session.transaction = None
        transaction.drop(context.session.connection)
    return Done()


def _end(found: list[Token], sql: str, word: str) -> None:
    words = Words(found, sql)
    words.expect(word)
    words.accept("WORK")
    words.finish()


def _require_unchanged(context: Context, relation: Relation) -> None:
    now = context.catalog.relation(relation.db, relation.name)
    if now is None or not same_shape(now, relation):
        raise semantic_error(f"table {relation.db}.{relation.name} was changed meanwhile")


def reserve(context: Context, relation: Relation, name: str) -> Label:
    """Take the label of an INSERT. Raises SqlError when a load has it."""
    try:
        label = context.store.labels.reserve(relation.db, name, relation.name, "INSERT")
    except LabelExists as taken:
        raise semantic_error(str(taken)) from None
    label.owner = context.session.user
    return label


def labelled(
    context: Context,
    relation: Relation,
    name: str,
    work: Callable[[duckdb.DuckDBPyConnection], int],
) -> Done:
    """Do the work of an INSERT, its label in the same transaction when it has one."""
    if not name:
        with context.store.write() as connection:
            done = Done(work(connection))
        context.store.note_change(relation.id)
        return done
    label = reserve(context, relation, name)
    try:
        with context.store.write() as connection:
            label.total = work(connection)
            context.store.labels.write(connection, label, VISIBLE)
    except (SqlError, duckdb.Error) as error:
        context.store.labels.abort(label, str(error))
        raise
    label.state = VISIBLE
    context.store.note_change(relation.id)
    return Done(label.total, _info(name, VISIBLE, label.txn_id))


def _info(label: str, status: str, txn_id: int) -> str:
    """The line that StarRocks puts behind the affected rows."""
    return f"{{'label':'{label}', 'status':'{status}', 'txnId':'{txn_id}'}}"


def take_label(found: list[Token]) -> tuple[list[Token], str]:
    """The tokens of an INSERT without WITH LABEL name, and the name."""
    for index in range(min(len(found) - 2, 40)):
        texts = [token.text.upper() for token in found[index : index + 2]]
        if texts == ["WITH", "LABEL"]:
            return [*found[:index], *found[index + 3 :]], found[index + 2].text
        if texts[0] in ("SELECT", "VALUES"):
            break
    return found, ""
