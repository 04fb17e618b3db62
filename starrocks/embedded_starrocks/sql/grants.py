"""GRANT and REVOKE, of privileges and of roles.

Source: StarRocks 3.5 documentation, "GRANT" and "REVOKE".
"""

from __future__ import annotations

from embedded_starrocks.errors import (
    admin_denied,
    semantic_error,
    unknown_database,
    unknown_table,
    unsupported,
)
from embedded_starrocks.mysql.resultset import Done
from embedded_starrocks.sql import accounts
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import rights
from embedded_starrocks.storage.rights import (
    BUILT_IN,
    CATALOG,
    DATABASE,
    MATERIALIZED,
    PRIVILEGES,
    PUBLIC,
    ROLE,
    SYSTEM,
    TABLE,
    USER,
    VIEW,
    Grant,
)

_ALL = "ALL"
_KINDS = {"TABLES": TABLE, "VIEWS": VIEW}


def grant(context: Context, found: list[Token], sql: str) -> Done:
    """GRANT privileges ON objects TO grantee [WITH GRANT OPTION]; GRANT role, ... TO grantee."""
    return _change(context, Words(found, sql), "GRANT")


def revoke(context: Context, found: list[Token], sql: str) -> Done:
    return _change(context, Words(found, sql), "REVOKE")


def _change(context: Context, words: Words, verb: str) -> Done:
    words.expect(verb)
    given = _names(words)
    link = "TO" if verb == "GRANT" else "FROM"
    if words.accept(link):
        return _change_roles(context, words, verb, given)
    words.expect("ON")
    kind, places = _places(context, words)
    words.expect(link)
    grantee_kind, grantee = _grantee(context, words)
    grantable = words.accept("WITH", "GRANT", "OPTION")
    words.finish()
    wanted = [
        Grant(grantee_kind, grantee, privilege, kind, db, name, grantable)
        for privilege in _privileges(kind, given)
        for db, name in places
    ]
    _require_may_grant(context, wanted)
    with context.store.change() as connection:
        for each in wanted:
            change = rights.add_grant if verb == "GRANT" else rights.remove_grant
            change(connection, each)
    return Done()


def _names(words: Words) -> list[str]:
    """Privileges or roles in front of ON or TO; a privilege may have several words."""
    names: list[str] = []
    while True:
        parts = [words.name()]
        while words.peek() not in (",", "ON", "TO", "FROM") and not words.done:
            parts.append(words.name())
        names.append(" ".join(parts))
        if not words.accept(","):
            return names


def _grantee(context: Context, words: Words) -> tuple[str, str]:
    if words.accept("ROLE"):
        name = words.name()
        accounts.require_roles(context, [name])
        if name in BUILT_IN and name != PUBLIC:
            raise semantic_error(f"role {name} is built in; its privileges can't be changed")
        return ROLE, name
    words.accept("USER")
    name = accounts.user_name(words)
    accounts.require_user(context, name)
    return USER, name


def _privileges(kind: str, given: list[str]) -> list[str]:
    allowed = PRIVILEGES[kind]
    found: list[str] = []
    for name in given:
        upper = name.upper()
        if upper in ("ALL", "ALL PRIVILEGES"):
            found += allowed
        elif upper in allowed:
            found.append(upper)
        else:
            raise unsupported(f"privilege {upper} on {kind}; there are {', '.join(allowed)}")
    return found


def _require_may_grant(context: Context, wanted: list[Grant]) -> None:
    """An administrator of users may give everything; else only what was given WITH GRANT OPTION."""
    if context.allows("GRANT", SYSTEM, "*", "*"):
        return
    own = context.catalog.rights.effective(context.session.user, context.roles)
    for each in wanted:
        if not any(
            known.grantable and known.covers(each.privilege, each.kind, each.db, each.name)
            for known in own
        ):
            raise admin_denied(context.session.user, f"give or take {each.privilege}")


def _change_roles(context: Context, words: Words, verb: str, roles: list[str]) -> Done:
    context.require_system("GRANT", "change roles")
    accounts.require_roles(context, roles)
    if any(role in BUILT_IN for role in roles):
        context.require_admin("give or take built-in roles")
    if words.accept("ROLE"):
        kind, member = ROLE, words.name()
        accounts.require_roles(context, [member])
    else:
        words.accept("USER")
        kind, member = USER, accounts.user_name(words)
        accounts.require_user(context, member)
    words.finish()
    if kind == ROLE and verb == "GRANT":
        for role in roles:
            if member in context.catalog.rights.closure([role]):
                raise semantic_error(f"role {role} holds {member} already: a circle")
    with context.store.change() as connection:
        for role in roles:
            if verb == "GRANT":
                accounts.add_membership(connection, role, kind, member, is_default=False)
            else:
                accounts.remove_membership(connection, role, kind, member)
    return Done()


def _places(context: Context, words: Words) -> tuple[str, list[tuple[str, str]]]:
    """The kind of object, and which ones as (database, name)."""
    if words.accept(_ALL):
        return _all_of(context, words)
    if words.accept("SYSTEM"):
        return SYSTEM, [("*", "*")]
    if words.accept("CATALOG"):
        name = words.name()
        if name.lower() != "default_catalog":
            raise unsupported(f"catalog '{name}'; the only one is default_catalog")
        return CATALOG, [("*", "*")]
    if words.accept("DATABASE"):
        names = [_database(context, words.name())]
        while words.accept(","):
            names.append(_database(context, words.name()))
        return DATABASE, [(name, "*") for name in names]
    if words.peek() in ("USER", "RESOURCE", "FUNCTION", "GLOBAL", "STORAGE", "PIPE", "WAREHOUSE"):
        raise unsupported(f"privileges on {words.peek()}")
    kind = _object_kind(words)
    places = [_object(context, words, kind)]
    while words.accept(","):
        places.append(_object(context, words, kind))
    return kind, places


def _object_kind(words: Words) -> str:
    if words.accept("MATERIALIZED", "VIEW"):
        return MATERIALIZED
    if words.accept("VIEW"):
        return VIEW
    words.accept("TABLE")
    return TABLE


def _all_of(context: Context, words: Words) -> tuple[str, list[tuple[str, str]]]:
    if words.accept("DATABASES"):
        return DATABASE, [("*", "*")]
    if words.accept("CATALOGS"):
        return CATALOG, [("*", "*")]
    if words.accept("MATERIALIZED", "VIEWS"):
        kind = MATERIALIZED
    else:
        word = words.any_of(*_KINDS)
        if not word:
            raise words.error("expected TABLES, VIEWS, MATERIALIZED VIEWS or DATABASES")
        kind = _KINDS[word]
    words.expect("IN")
    if words.accept("ALL", "DATABASES"):
        return kind, [("*", "*")]
    words.expect("DATABASE")
    return kind, [(_database(context, words.name()), "*")]


def _object(context: Context, words: Words, kind: str) -> tuple[str, str]:
    table = words.table()
    db = _database(context, table.db or context.session.database)
    if table.name == "*":
        raise unsupported(f"{db}.*; write ON ALL {kind}S IN DATABASE {db}")
    relation = context.catalog.relation(db, table.name)
    if relation is None:
        raise unknown_table(db, table.name)
    if relation.kind != kind:
        raise semantic_error(f"'{relation.name}' is a {relation.kind}: write ON {relation.kind}")
    return relation.db, relation.name


def _database(context: Context, name: str) -> str:
    found = context.catalog.database(name)
    if found is None:
        raise unknown_database(name)
    return found
