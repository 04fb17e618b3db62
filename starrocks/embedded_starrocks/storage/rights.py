"""Users, roles and grants: who may do what with which object.

Source: StarRocks 3.5 documentation, "Overview of privileges" and "Privilege items". Names of
databases and objects are kept as they were created; `*` stands for all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import duckdb

ROOT = "root"
PUBLIC = "public"
SCHEMA = "__starrocks"
USER, ROLE = "USER", "ROLE"
MAX_USER_CONNECTIONS = 1024

TABLE, VIEW, MATERIALIZED, DATABASE, CATALOG, SYSTEM = (
    "TABLE",
    "VIEW",
    "MATERIALIZED VIEW",
    "DATABASE",
    "CATALOG",
    "SYSTEM",
)
# What can be granted on each kind of object; those without meaning here are refused.
PRIVILEGES: dict[str, tuple[str, ...]] = {
    TABLE: ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "DROP", "EXPORT", "REFRESH"),
    VIEW: ("SELECT", "ALTER", "DROP"),
    MATERIALIZED: ("SELECT", "ALTER", "REFRESH", "DROP"),
    DATABASE: ("CREATE TABLE", "CREATE VIEW", "CREATE MATERIALIZED VIEW", "ALTER", "DROP"),
    CATALOG: ("USAGE", "CREATE DATABASE", "ALTER", "DROP"),
    SYSTEM: ("GRANT", "OPERATE", "REPOSITORY"),
}
_DATA = (TABLE, VIEW, MATERIALIZED, DATABASE, CATALOG)
# The roles that every StarRocks has, with the kinds of objects whose privileges they hold in full.
BUILT_IN: dict[str, tuple[str, ...]] = {
    ROOT: (*_DATA, SYSTEM),
    "cluster_admin": (),
    "db_admin": _DATA,
    "user_admin": (),
    "security_admin": (),
    PUBLIC: (),
}


@dataclasses.dataclass(frozen=True, order=True)
class Grant:
    """One privilege on one object, or on all of a database (`name` is *), or on all (both are)."""

    grantee_kind: str
    grantee: str
    privilege: str
    kind: str
    db: str
    name: str
    grantable: bool = False

    def covers(self, privilege: str, kind: str, db: str, name: str) -> bool:
        return (
            self.privilege == privilege
            and self.kind == kind
            and self.db in ("*", db)
            and self.name in ("*", name)
        )


@dataclasses.dataclass(frozen=True)
class Account:
    """One user: the stored hash of the password, and how many connections it may hold."""

    name: str
    password_hash: str
    max_connections: int = MAX_USER_CONNECTIONS


@dataclasses.dataclass(frozen=True, order=True)
class Membership:
    """A role given to a user or to another role; default ones are active from the login on."""

    role: str
    member_kind: str
    member: str
    is_default: bool


@dataclasses.dataclass
class Rights:
    """A picture of all rights after some commit."""

    accounts: dict[str, Account]
    roles: frozenset[str]
    memberships: tuple[Membership, ...]
    grants: tuple[Grant, ...]
    _effective: dict[tuple[str, frozenset[str]], tuple[Grant, ...]] = dataclasses.field(
        default_factory=dict
    )

    def granted_roles(self, user: str) -> frozenset[str]:
        """Roles that the user may activate."""
        given = {m.role for m in self.memberships if (m.member_kind, m.member) == (USER, user)}
        return frozenset({ROOT} | given if user == ROOT else given)

    def default_roles(self, user: str) -> frozenset[str]:
        """Roles that are active after the login."""
        given = {
            m.role
            for m in self.memberships
            if m.is_default and (m.member_kind, m.member) == (USER, user)
        }
        return frozenset({ROOT} | given if user == ROOT else given)

    def closure(self, roles: Iterable[str]) -> frozenset[str]:
        """The roles with every role that was granted to one of them."""
        found = set(roles)
        todo = list(found)
        while todo:
            role = todo.pop()
            for each in self.memberships:
                if (each.member_kind, each.member) == (ROLE, role) and each.role not in found:
                    found.add(each.role)
                    todo.append(each.role)
        return frozenset(found)

    def effective(self, user: str, active: frozenset[str]) -> tuple[Grant, ...]:
        """Every grant that counts for a user with these active roles."""
        key = (user, active)
        known = self._effective.get(key)
        if known is None:
            roles = self.closure({*active, PUBLIC})
            known = tuple(
                grant
                for grant in self.grants
                if (grant.grantee_kind == USER and grant.grantee == user)
                or (grant.grantee_kind == ROLE and grant.grantee in roles)
            )
            self._effective[key] = known
        return known

    def allows(
        self, user: str, active: frozenset[str], privilege: str, kind: str, db: str, name: str
    ) -> bool:
        """Whether a user with these active roles has a privilege on an object."""
        roles = self.closure(active)
        if any(kind in BUILT_IN.get(role, ()) for role in roles):
            return True
        if kind == SYSTEM and privilege == "GRANT" and "user_admin" in roles:
            return True
        return any(
            grant.covers(privilege, kind, db, name) for grant in self.effective(user, active)
        )

    def sees(self, user: str, active: frozenset[str], kind: str, db: str, name: str) -> bool:
        """Whether a user has any privilege on a table or view."""
        return any(
            self.allows(user, active, privilege, kind, db, name) for privilege in PRIVILEGES[kind]
        )


def read_rights(connection: duckdb.DuckDBPyConnection) -> Rights:
    def rows(table: str, columns: str) -> list[tuple[Any, ...]]:
        return connection.execute(f"SELECT {columns} FROM {SCHEMA}.{table}").fetchall()

    accounts = [Account(*row) for row in rows("users", "name, password_hash, max_connections")]
    return Rights(
        accounts={account.name: account for account in accounts},
        roles=frozenset({name for (name,) in rows("roles", "name")} | set(BUILT_IN)),
        memberships=tuple(
            Membership(*row)
            for row in rows("memberships", "role_name, member_kind, member, is_default")
        ),
        grants=tuple(
            Grant(*row)
            for row in rows(
                "grants", "grantee_kind, user_name, privilege, object_kind, db, tbl, grantable"
            )
        ),
    )


def add_grant(connection: duckdb.DuckDBPyConnection, grant: Grant) -> None:
    remove_grant(connection, grant)
    connection.execute(
        f"INSERT INTO {SCHEMA}.grants "
        "(grantee_kind, user_name, privilege, object_kind, db, tbl, grantable) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        list(dataclasses.astuple(grant)),
    )


def remove_grant(connection: duckdb.DuckDBPyConnection, grant: Grant) -> None:
    connection.execute(
        f"DELETE FROM {SCHEMA}.grants WHERE grantee_kind = ? AND user_name = ? "
        "AND privilege = ? AND object_kind = ? AND db = ? AND tbl = ?",
        list(dataclasses.astuple(grant))[:6],
    )


def forget_object(connection: duckdb.DuckDBPyConnection, db: str, name: str) -> None:
    """Grants belong to an object, not to its name: a new one of the name starts without."""
    connection.execute(
        f"DELETE FROM {SCHEMA}.grants WHERE db = ? AND tbl = ? "
        "AND object_kind IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW')",
        [db, name],
    )


def rename_object(connection: duckdb.DuckDBPyConnection, db: str, old: str, new: str) -> None:
    connection.execute(
        f"UPDATE {SCHEMA}.grants SET tbl = ? WHERE db = ? AND tbl = ? "
        "AND object_kind IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW')",
        [new, db, old],
    )


def forget_grantee(connection: duckdb.DuckDBPyConnection, kind: str, name: str) -> None:
    connection.execute(
        f"DELETE FROM {SCHEMA}.grants WHERE grantee_kind = ? AND user_name = ?", [kind, name]
    )
    connection.execute(
        f"DELETE FROM {SCHEMA}.memberships WHERE member_kind = ? AND member = ?", [kind, name]
    )
    if kind == ROLE:
        connection.execute(f"DELETE FROM {SCHEMA}.memberships WHERE role_name = ?", [name])
