"""SHOW GRANTS, SHOW USERS and SHOW ROLES."""

from __future__ import annotations

from embedded_starrocks.errors import admin_denied
from embedded_starrocks.mysql.resultset import ResultSet, Row, table_of
from embedded_starrocks.sql.accounts import require_roles, require_user, user_name
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage.rights import BUILT_IN, ROLE, ROOT, SYSTEM, USER, Grant


def _granted_text(grant: Grant) -> str:
    if grant.kind in (SYSTEM,):
        place = "SYSTEM"
    elif grant.kind == "CATALOG":
        place = "CATALOG default_catalog"
    elif grant.kind == "DATABASE":
        place = "ALL DATABASES" if grant.db == "*" else f"DATABASE {grant.db}"
    elif grant.name != "*":
        place = f"{grant.kind} {grant.db}.{grant.name}"
    else:
        where = "ALL DATABASES" if grant.db == "*" else f"DATABASE {grant.db}"
        place = f"ALL {grant.kind}S IN {where}"
    to = f"ROLE '{grant.grantee}'" if grant.grantee_kind == ROLE else f"USER '{grant.grantee}'@'%'"
    option = " WITH GRANT OPTION" if grant.grantable else ""
    return f"GRANT {grant.privilege} ON {place} TO {to}{option}"


def show_grants(context: Context, words: Words) -> ResultSet:
    """SHOW GRANTS [FOR user | FOR ROLE role]."""
    kind, name = USER, context.session.user
    if words.accept("FOR"):
        kind = ROLE if words.accept("ROLE") else USER
        name = words.name() if kind == ROLE else user_name(words)
    words.finish()
    known = context.catalog.rights
    own = (kind == USER and name == context.session.user) or (
        kind == ROLE and name in known.closure(known.granted_roles(context.session.user))
    )
    if not own and not context.allows("GRANT", SYSTEM, "*", "*"):
        raise admin_denied(context.session.user, "see the grants of others")
    if kind == ROLE:
        require_roles(context, [name])
    else:
        require_user(context, name)
    identity = name if kind == ROLE else f"'{name}'@'%'"
    roles = sorted(m.role for m in known.memberships if (m.member_kind, m.member) == (kind, name))
    if kind == USER and name == ROOT:
        roles.insert(0, ROOT)
    rows: list[Row] = []
    if roles:
        text = ", ".join(f"'{role}'" for role in roles)
        to = f"ROLE {name}" if kind == ROLE else identity
        rows.append((identity, None, f"GRANT {text} TO {to}"))
    for grant in sorted(known.grants):
        if (grant.grantee_kind, grant.grantee) == (kind, name):
            rows.append((identity, "default", _granted_text(grant)))
    return table_of(["RoleName" if kind == ROLE else "UserIdentity", "Catalog", "Grants"], rows)


def show_users(context: Context, words: Words) -> ResultSet:
    context.require_system("GRANT", "list users")
    words.finish()
    names = sorted(context.catalog.rights.accounts)
    return table_of(["User"], [(f"'{name}'@'%'",) for name in names])


def show_roles(context: Context, words: Words) -> ResultSet:
    context.require_system("GRANT", "list roles")
    words.finish()
    known = context.catalog.rights.roles
    rows: list[Row] = [
        (name, "true" if name in BUILT_IN else "false", "") for name in sorted(known)
    ]
    return table_of(["Name", "Builtin", "Comment"], rows)
