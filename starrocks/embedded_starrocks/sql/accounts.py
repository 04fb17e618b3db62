"""Users, passwords and roles: CREATE, ALTER, DROP, SET ROLE, SET PASSWORD.

Source: StarRocks 3.5 documentation, "Account management".
"""

from __future__ import annotations

import re

import duckdb

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.mysql.auth import PLUGIN, stored_hash
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import rights
from embedded_starrocks.storage.metadata import SCHEMA
from embedded_starrocks.storage.rights import BUILT_IN, PUBLIC, ROLE, ROOT, USER

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASH = re.compile(r"\*[0-9A-Fa-f]{40}")


def user_name(words: Words) -> str:
    """'name'[@'%']; other hosts are refused, because every client comes from this machine."""
    name = words.name()
    if words.accept("@"):
        host = words.name()
        if host != "%":
            raise unsupported(f"user host '{host}'; use '%'")
    if not _NAME.fullmatch(name):
        raise semantic_error(f"user name '{name}' is not 1-64 letters, digits, _ . -")
    return name


def role_names(words: Words) -> list[str]:
    names = [words.name()]
    while words.accept(","):
        names.append(words.name())
    for name in names:
        if not _NAME.fullmatch(name):
            raise semantic_error(f"role name '{name}' is not 1-64 letters, digits, _ . -")
    return names


def require_user(context: Context, name: str) -> None:
    if name not in context.catalog.rights.accounts:
        raise semantic_error(f"cannot find user '{name}'@'%'")


def require_roles(context: Context, names: list[str]) -> None:
    for name in names:
        if name not in context.catalog.rights.roles:
            raise semantic_error(f"cannot find role {name}")


def _password_hash(words: Words) -> str | None:
    """IDENTIFIED BY 'text' | BY PASSWORD '*hash' | WITH mysql_native_password BY | AS."""
    if not words.accept("IDENTIFIED"):
        return None
    hashed = False
    if words.accept("WITH"):
        plugin = words.name()
        if plugin.lower() != PLUGIN:
            raise unsupported(f"authentication plugin {plugin}; use {PLUGIN}")
        hashed = words.accept("AS")
        if not hashed:
            words.expect("BY")
    else:
        words.expect("BY")
        hashed = words.accept("PASSWORD")
    text = words.string()
    if not hashed:
        return stored_hash(text)
    if not _HASH.fullmatch(text):
        raise semantic_error("a hashed password is * and 40 hexadecimal digits")
    return text.upper()


def _properties(words: Words) -> int | None:
    """PROPERTIES ("max_user_connections" = "n"); the only property that means something here."""
    if not words.accept("PROPERTIES"):
        return None
    words.expect("(")
    limit = None
    while not words.accept(")"):
        limit = _property(words)
        words.accept(",")
    return limit


def _property(words: Words) -> int:
    name = words.name()
    words.expect("=")
    value = words.name()
    if name.lower() != "max_user_connections":
        raise unsupported(f"user property {name}; known is max_user_connections")
    if not value.isdigit() or not 1 <= int(value) <= 10_000:
        raise semantic_error(f"max_user_connections is '{value}'; allowed is 1 to 10000")
    return int(value)


def _failed(verb: str, name: str) -> SqlError:
    return SqlError(1396, "HY000", f"Operation {verb} USER failed for '{name}'@'%'")


def create_user(context: Context, found: list[Token], sql: str) -> Done:
    context.require_system("GRANT", "create users")
    words = Words(found, sql)
    words.expect("CREATE", "USER")
    if_not_exists = words.accept("IF", "NOT", "EXISTS")
    name = user_name(words)
    password = _password_hash(words)
    roles = role_names(words) if words.accept("DEFAULT", "ROLE") else []
    limit = _properties(words)
    words.finish()
    if not password:
        raise unsupported("a user without a password; write IDENTIFIED BY 'password'")
    require_roles(context, roles)
    _require_may_give(context, roles)
    with context.store.change() as connection:
        if name in context.catalog.rights.accounts:
            if if_not_exists:
                return Done()
            raise _failed("CREATE", name)
        connection.execute(
            f"INSERT INTO {SCHEMA}.users (name, password_hash, max_connections) VALUES (?, ?, ?)",
            [name, password, limit or rights.MAX_USER_CONNECTIONS],
        )
        for role in roles:
            add_membership(connection, role, USER, name, is_default=True)
    return Done()


def _require_may_give(context: Context, roles: list[str]) -> None:
    """Only an administrator makes administrators: else GRANT on SYSTEM would be root's power."""
    if any(role in BUILT_IN and role != PUBLIC for role in roles):
        context.require_admin("give built-in roles")


def alter_user(context: Context, found: list[Token], sql: str) -> Done:
    words = Words(found, sql)
    words.expect("ALTER", "USER")
    if_exists = words.accept("IF", "EXISTS")
    name = user_name(words)
    password = _password_hash(words)
    roles = _role_choice(context, words, name) if words.accept("DEFAULT", "ROLE") else None
    words.accept("SET")
    limit = _properties(words)
    words.finish()
    _require_may_change(context, name, own=limit is None)
    with context.store.change() as connection:
        if name not in context.catalog.rights.accounts:
            if if_exists:
                return Done()
            raise _failed("ALTER", name)
        if password is not None:
            _set_password(connection, name, password)
        if roles is not None:
            _set_default_roles(connection, name, roles)
        if limit is not None:
            connection.execute(
                f"UPDATE {SCHEMA}.users SET max_connections = ? WHERE name = ?", [limit, name]
            )
    return Done()


def _require_may_change(context: Context, name: str, *, own: bool) -> None:
    """Everybody changes their own password; root's account is changed by root alone."""
    if name == context.session.user and own:
        return
    context.require_system("GRANT", "change other users")
    if name == ROOT or context.catalog.rights.granted_roles(name) & (set(BUILT_IN) - {PUBLIC}):
        context.require_admin("change administrators")


def _set_password(connection: duckdb.DuckDBPyConnection, name: str, password: str) -> None:
    if name == ROOT:
        raise unsupported("changing root's password by SQL; it is in the server's password file")
    if not password:
        raise unsupported("an empty password")
    connection.execute(
        f"UPDATE {SCHEMA}.users SET password_hash = ? WHERE name = ?", [password, name]
    )


def drop_user(context: Context, found: list[Token], sql: str) -> Done:
    context.require_system("GRANT", "drop users")
    words = Words(found, sql)
    words.expect("DROP", "USER")
    if_exists = words.accept("IF", "EXISTS")
    name = user_name(words)
    words.finish()
    if name == ROOT:
        raise semantic_error("root can't be dropped")
    _require_may_change(context, name, own=False)
    with context.store.change() as connection:
        if name not in context.catalog.rights.accounts:
            if if_exists:
                return Done()
            raise _failed("DROP", name)
        connection.execute(f"DELETE FROM {SCHEMA}.users WHERE name = ?", [name])
        rights.forget_grantee(connection, USER, name)
    for session in context.sessions.of_user(name):
        session.kill(whole_connection=True)
    return Done()


# Roles


def create_role(context: Context, found: list[Token], sql: str) -> Done:
    context.require_system("GRANT", "create roles")
    words = Words(found, sql)
    words.expect("CREATE", "ROLE")
    if_not_exists = words.accept("IF", "NOT", "EXISTS")
    names = role_names(words)
    comment = words.string() if words.accept("COMMENT") else ""
    words.finish()
    with context.store.change() as connection:
        for name in names:
            if name not in context.catalog.rights.roles:
                connection.execute(f"INSERT INTO {SCHEMA}.roles VALUES (?, ?)", [name, comment])
            elif not if_not_exists:
                raise semantic_error(
                    f"Operation CREATE ROLE failed for {name}: role already exists"
                )
    return Done()


def drop_role(context: Context, found: list[Token], sql: str) -> Done:
    context.require_system("GRANT", "drop roles")
    words = Words(found, sql)
    words.expect("DROP", "ROLE")
    if_exists = words.accept("IF", "EXISTS")
    names = role_names(words)
    words.finish()
    with context.store.change() as connection:
        for name in names:
            if name in BUILT_IN:
                raise semantic_error(f"role {name} is built in and can't be dropped")
            if name not in context.catalog.rights.roles and not if_exists:
                raise semantic_error(f"Operation DROP ROLE failed for {name}: role doesn't exist")
            connection.execute(f"DELETE FROM {SCHEMA}.roles WHERE name = ?", [name])
            rights.forget_grantee(connection, ROLE, name)
    return Done()


def add_membership(
    connection: duckdb.DuckDBPyConnection, role: str, kind: str, member: str, *, is_default: bool
) -> None:
    remove_membership(connection, role, kind, member)
    connection.execute(
        f"INSERT INTO {SCHEMA}.memberships VALUES (?, ?, ?, ?)", [role, kind, member, is_default]
    )


def remove_membership(
    connection: duckdb.DuckDBPyConnection, role: str, kind: str, member: str
) -> None:
    connection.execute(
        f"DELETE FROM {SCHEMA}.memberships WHERE role_name = ? AND member_kind = ? AND member = ?",
        [role, kind, member],
    )


def _set_default_roles(
    connection: duckdb.DuckDBPyConnection, user: str, roles: frozenset[str]
) -> None:
    connection.execute(
        f"UPDATE {SCHEMA}.memberships SET is_default = list_contains(?::VARCHAR[], role_name) "
        "WHERE member_kind = 'USER' AND member = ?",
        [sorted(roles), user],
    )


def _role_choice(context: Context, words: Words, user: str) -> frozenset[str]:
    """NONE | ALL [EXCEPT role, ...] | role, ...: of the roles that the user was given."""
    given = context.catalog.rights.granted_roles(user)
    if words.accept("NONE"):
        return frozenset()
    if words.accept("ALL"):
        return given - set(role_names(words)) if words.accept("EXCEPT") else given
    wanted = role_names(words)
    for name in wanted:
        if name not in given:
            raise semantic_error(f"role {name} is not granted to '{user}'@'%'")
    return frozenset(wanted)


def set_statement(context: Context, words: Words) -> Done:
    """SET ROLE, SET DEFAULT ROLE, SET PASSWORD, SET PROPERTY; the word SET is taken already."""
    if words.accept("ROLE"):
        chosen = (
            None if words.accept("DEFAULT") else _role_choice(context, words, context.session.user)
        )
        words.finish()
        context.session.roles = chosen
        return Done()
    if words.accept("DEFAULT", "ROLE"):
        return _set_default(context, words)
    if words.accept("PROPERTY"):
        name = user_name(words) if words.accept("FOR") else context.session.user
        limit = _property(words)
        _require_may_change(context, name, own=False)
        require_user(context, name)
        with context.store.change() as connection:
            connection.execute(
                f"UPDATE {SCHEMA}.users SET max_connections = ? WHERE name = ?", [limit, name]
            )
        return Done()
    words.expect("PASSWORD")
    name = user_name(words) if words.accept("FOR") else context.session.user
    words.expect("=")
    if words.accept("PASSWORD", "("):
        password = stored_hash(words.string())
        words.expect(")")
    else:
        password = words.string().upper()
        if not _HASH.fullmatch(password):
            raise semantic_error("SET PASSWORD takes PASSWORD('text') or '*' and 40 hex digits")
    words.finish()
    _require_may_change(context, name, own=True)
    require_user(context, name)
    with context.store.change() as connection:
        _set_password(connection, name, password)
    return Done()


def _set_default(context: Context, words: Words) -> Done:
    """SET DEFAULT ROLE NONE | ALL | role, ... TO user."""
    at = words.save()
    # The user stands last and decides which roles may be named.
    while not words.accept("TO"):
        words.name()
    name = user_name(words)
    words.finish()
    words.restore(at)
    require_user(context, name)
    roles = _role_choice(context, words, name)
    if name != context.session.user:
        context.require_system("GRANT", "change other users")
    with context.store.change() as connection:
        _set_default_roles(connection, name, roles)
    return Done()
