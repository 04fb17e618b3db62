"""What a statement runs in: the session, the store, and the rights of the user."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import duckdb

from embedded_starrocks import VERSION
from embedded_starrocks.errors import (
    admin_denied,
    database_denied,
    interrupted,
    table_denied,
    unknown_database,
)
from embedded_starrocks.sql.partitions import rows_of
from embedded_starrocks.sql.rewrite import Scope
from embedded_starrocks.sql.variables import (
    MYSQL_VERSION,
    STARROCKS_VERSION,
    Value,
    find_variable,
    version_comment,
)
from embedded_starrocks.storage.metadata import Catalog, Relation
from embedded_starrocks.storage.rights import (
    CATALOG,
    DATABASE,
    ROOT,
    SYSTEM,
    TABLE,
)
from embedded_starrocks.storage.store import Store

if TYPE_CHECKING:
    from embedded_starrocks.sql.transactions import Transaction


@dataclasses.dataclass
class Session:
    """One connection's state. Only its own statements touch it, but for `kill`."""

    id: int
    user: str
    host: str
    store: Store
    connection: duckdb.DuckDBPyConnection
    database: str = ""
    variables: dict[str, Value] = dataclasses.field(default_factory=dict)
    user_variables: dict[str, Value] = dataclasses.field(default_factory=dict)
    # Statements of PREPARE, by name.
    prepared: dict[str, str] = dataclasses.field(default_factory=dict)
    # Variables of the running statement's SET_VAR.
    hints: dict[str, Value] = dataclasses.field(default_factory=dict)
    statement: str = ""
    started: datetime.datetime | None = None
    killed: bool = False
    disconnect: Callable[[], None] = lambda: None
    writing_thread: int = 0
    # Roles chosen by SET ROLE; None stands for the user's default roles.
    roles: frozenset[str] | None = None
    transaction: Transaction | None = None
    # Whether large results may come as payloads of the text protocol.
    wants_encoded: bool = False
    # The time limit that ended the running statement, in seconds.
    timed_out_after: float = 0.0

    def reset(self, user: str) -> None:
        """As after a login of that user."""
        if self.transaction is not None:
            self.transaction.drop(self.connection)
            self.transaction = None
        if user != self.user:
            self.database = ""
        self.user = user
        self.roles = None
        self.variables.clear()
        self.user_variables.clear()
        self.prepared.clear()

    def time_out(self, seconds: float) -> None:
        """Stop the running statement because it took too long."""
        self.timed_out_after = seconds
        self.kill(whole_connection=False)

    def close(self) -> None:
        """Throw away what is not committed, and let go of DuckDB."""
        if self.transaction is not None:
            self.transaction.drop(self.connection)
        self.connection.close()

    def kill(self, whole_connection: bool) -> None:
        """Stop the running statement, and the connection when asked to."""
        self.killed = True
        if self.writing_thread:
            self.store.engine.interrupt_writer(self.writing_thread)
        self.connection.interrupt()
        if whole_connection:
            self.disconnect()

    def check_alive(self) -> None:
        if self.killed:
            raise interrupted()


class Sessions:
    """All open connections, for SHOW PROCESSLIST, KILL and the limit."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def new_id(self) -> int:
        return next(self._ids)

    def add(self, session: Session) -> None:
        with self._lock:
            self._sessions[session.id] = session

    def remove(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.id, None)

    def get(self, session_id: int) -> Session | None:
        return self._sessions.get(session_id)

    def of_user(self, user: str) -> list[Session]:
        return [session for session in self.all() if session.user == user]

    def all(self) -> list[Session]:
        with self._lock:
            return list(self._sessions.values())


@dataclasses.dataclass
class Context:
    """Everything a statement handler needs."""

    session: Session
    sessions: Sessions

    @property
    def store(self) -> Store:
        return self.session.store

    @property
    def catalog(self) -> Catalog:
        return self.session.store.catalog

    def scope(self) -> Scope:
        return Scope(
            catalog=self.catalog,
            database=self.session.database,
            user=self.session.user,
            variable=self.variable,
            user_variable=lambda name: self.session.user_variables.get(name.lower()),
            session_function=self.session_function,
            visible=self.visible_tables(),
            partition_rows=lambda relation, names: rows_of(self.catalog, relation, names),
            partitions_meta=self._partitions_meta,
        )

    def _partitions_meta(self) -> str:
        seen = [each for each in self.catalog.relations.values() if self.sees(each)]
        return self.store.partition_lists.sql(self.session.connection, self.catalog, seen)

    def variable(self, name: str) -> Value:
        """As a hint, the session, SET GLOBAL or the default has it. Raises 1193.

        `global.name` is what new sessions get.
        """
        found = find_variable(name.removeprefix("global."))
        places = [self.session.hints, self.session.variables, self.store.global_variables]
        for values in places[2:] if name.startswith("global.") else places:
            if found.name in values:
                return values[found.name]
        if found.name == "version_comment":
            return version_comment(self.store.banner)
        return found.default

    def session_function(self, name: str) -> Value:
        session = self.session
        values: dict[str, Value] = {
            "version": MYSQL_VERSION,
            "current_version": f"{STARROCKS_VERSION} embedded-{VERSION}",
            "database": session.database or None,
            "schema": session.database or None,
            "catalog": "default_catalog",
            "user": f"'{session.user}'@'{session.host}'",
            "session_user": f"'{session.user}'@'{session.host}'",
            "current_user": f"'{session.user}'@'%'",
            "connection_id": session.id,
            "current_role": ", ".join(sorted(self.roles)) or "NONE",
            "last_query_id": "",
        }
        return values.get(name)

    # Rights

    @property
    def roles(self) -> frozenset[str]:
        """The active roles."""
        if self.session.roles is None:
            return self.catalog.rights.default_roles(self.session.user)
        # A role that was revoked meanwhile counts no more.
        return self.session.roles & self.catalog.rights.granted_roles(self.session.user)

    def is_admin(self) -> bool:
        return ROOT in self.catalog.rights.closure(self.roles)

    def require_admin(self, action: str) -> None:
        if not self.is_admin():
            raise admin_denied(self.session.user, action)

    def allows(self, privilege: str, kind: str, db: str, name: str) -> bool:
        rights = self.catalog.rights
        return rights.allows(self.session.user, self.roles, privilege, kind, db, name)

    def require_system(self, privilege: str, action: str) -> None:
        if not self.allows(privilege, SYSTEM, "*", "*"):
            raise admin_denied(self.session.user, action)

    def require_catalog(self, privilege: str, action: str) -> None:
        if not self.allows(privilege, CATALOG, "*", "*"):
            raise admin_denied(self.session.user, action)

    def require_database(self, privilege: str, db: str) -> None:
        if not self.allows(privilege, DATABASE, db, "*"):
            raise database_denied(self.session.user, db)

    def may(self, privilege: str, db: str, name: str) -> bool:
        """Whether the user has a privilege on a table or view, through itself or a role."""
        relation = self.catalog.relation(db, name)
        kind = relation.kind if relation is not None else TABLE
        return self.allows(privilege, kind, db, relation.name if relation is not None else name)

    def require(self, privilege: str, db: str, table: str) -> None:
        if not self.may(privilege, db, table):
            raise table_denied(self.session.user, privilege, f"{db}.{table}")

    def require_reads(self, relations: Iterable[Relation]) -> None:
        for relation in relations:
            self.require("SELECT", relation.db, relation.name)

    def sees(self, relation: Relation) -> bool:
        """Whether the user has any privilege on a table or view."""
        rights = self.catalog.rights
        return rights.sees(self.session.user, self.roles, relation.kind, relation.db, relation.name)

    def require_any(self, relation: Relation) -> None:
        """A table's definition is shown to whoever may do something with it."""
        if not self.sees(relation):
            raise table_denied(self.session.user, "ANY", f"{relation.db}.{relation.name}")

    def visible_tables(self) -> frozenset[tuple[str, str]] | None:
        """The tables that information_schema tells the user of; None means all.

        A database that the user sees is there with an empty name too: it may hold no table yet.
        """
        if self.is_admin():
            return None
        relations = self.catalog.relations.values()
        databases = ((name, "") for name in self.catalog.databases if self.sees_database(name))
        return frozenset(
            [*databases, *((each.db, each.name) for each in relations if self.sees(each))]
        )

    def sees_database(self, db: str) -> bool:
        if self.is_admin() or db == "information_schema":
            return True
        rights = self.catalog.rights
        if "db_admin" in rights.closure(self.roles):
            return True
        return any(
            grant.db in ("*", db) and grant.kind not in (SYSTEM, CATALOG)
            for grant in rights.effective(self.session.user, self.roles)
        )

    def use(self, name: str) -> None:
        """Change the current database. Raises 1049."""
        plain = name.removeprefix("default_catalog.")
        if plain.lower() == "information_schema":
            self.session.database = "information_schema"
            return
        found = self.catalog.database(plain)
        if found is None or not self.sees_database(found):
            raise unknown_database(plain)
        self.session.database = found
