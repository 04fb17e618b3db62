"""Making, rotating and ending API keys; each change and its audit entry are one transaction."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from emdata.errors import PermanentError
from emdata.state.access import Key, key_of, organization_in
from emdata.state.access_tables import api_keys, organizations, sign_ups
from emdata.state.audit_chain import Tail
from emdata.state.changes import Change
from emdata.state.database import transaction

PREFIX_LENGTH = 12
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
PUBLIC_NAMES = "public-"
"""How the ids of organizations begin that somebody made for themselves."""
REMEMBERED = timedelta(days=30)
MOST_KEYS = 50
"""Keys in force of one organization."""


class TooManyKeys(PermanentError):
    """An organization, a network or all together made as many keys as they may."""

    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is to be. networks: CIDR texts, empty: from anywhere."""

    organization: str
    label: str
    scopes: frozenset[str]
    expires_at: datetime
    networks: tuple[str, ...] = ()
    rotated_from: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was made; ``token`` is shown once, only its hash is kept."""

    token: str
    key: Key
    tail: Tail


def secret_hash(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def make_key(engine: Engine, new: NewKey, change: Change) -> Made:
    """Make a key.

    Raises StateUnavailable, TooManyKeys, and LookupError without the organization.
    """
    with transaction(engine) as connection:
        return make_key_in(connection, new, change)


def make_key_in(connection: Connection, new: NewKey, change: Change) -> Made:
    """As ``make_key``, within a transaction."""
    if organization_in(connection, new.organization) is None:
        raise LookupError(new.organization)
    in_force = sa.select(sa.func.count()).where(
        api_keys.c.organization == new.organization,
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at > change.now,
    )
    if (connection.execute(in_force).scalar() or 0) >= MOST_KEYS:
        raise TooManyKeys(f"{new.organization} has {MOST_KEYS} keys in force: revoke one first")
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    secret = secrets.token_urlsafe(32)
    row = {
        "prefix": prefix,
        "secret_hash": secret_hash(secret),
        "organization": new.organization,
        "label": new.label,
        "scopes": sorted(new.scopes),
        "networks": list(new.networks),
        "created_at": change.now,
        "created_by": change.actor,
        "expires_at": new.expires_at,
        "rotated_from": new.rotated_from,
    }
    connection.execute(api_keys.insert().values(row))
    said = {"organization": new.organization, "scopes": sorted(new.scopes),
            "expires_at": new.expires_at, "networks": new.networks}  # fmt: skip
    if new.rotated_from:
        said["rotated_from"] = new.rotated_from
    tail = change.note(connection, "key.create", f"key:{prefix}", **said)
    key = key_of({**row, "revoked_at": None, "last_used_on": None})
    return Made(f"emdata_{prefix}_{secret}", key, tail)


def keys_of(engine: Engine, organization: str) -> list[Key]:
    """Return an organization's keys, newest first. Raises StateUnavailable."""
    query = (
        sa.select(api_keys)
        .where(api_keys.c.organization == organization)
        .order_by(api_keys.c.created_at.desc(), api_keys.c.prefix)
    )
    with transaction(engine) as connection:
        return [key_of(row) for row in connection.execute(query).mappings()]


def revoke_key(engine: Engine, prefix: str, organization: str | None, change: Change) -> Tail:
    """End a key at once; ``organization`` None: whosever it is. Again changes nothing but the log.

    Raises StateUnavailable, and LookupError where that organization has no such key.
    """
    with transaction(engine) as connection:
        key = _key_in(connection, prefix, organization)
        if key.revoked_at is None:
            _update(connection, prefix, revoked_at=change.now)
        return change.note(connection, "key.revoke", f"key:{prefix}", organization=key.organization)


def rotate_key(
    engine: Engine, prefix: str, organization: str, overlap: timedelta, change: Change
) -> Made:
    """Make a key like another one, which ends after ``overlap``; the new one lives as long.

    Raises StateUnavailable, TooManyKeys, and LookupError without such a key in force.
    """
    with transaction(engine) as connection:
        old = _key_in(connection, prefix, organization)
        if old.revoked_at is not None or old.expires_at <= change.now:
            raise LookupError(prefix)
        _update(connection, prefix, expires_at=min(old.expires_at, change.now + overlap))
        new = NewKey(
            organization,
            old.label,
            old.scopes,
            change.now + (old.expires_at - old.created_at),
            old.networks,
            prefix,
        )
        return make_key_in(connection, new, change)


def count_sign_up(
    connection: Connection, network: bytes, *, now: datetime, most: int, most_together: int
) -> None:
    """Count one more key that somebody made for themselves; forgets the days before.

    network: a hash that changes every day. Raises TooManyKeys.
    """
    day = now.date()
    connection.execute(sign_ups.delete().where(sign_ups.c.day < day))
    row = insert(sign_ups).values(day=day, network=network, count=1)
    counted: int = connection.execute(
        row.on_conflict_do_update(
            index_elements=["day", "network"], set_={"count": sign_ups.c.count + 1}
        ).returning(sign_ups.c.count)
    ).scalar_one()
    together: int = connection.execute(
        sa.select(sa.func.sum(sign_ups.c.count)).where(sign_ups.c.day == day)
    ).scalar_one()
    if counted > most or together > most_together:
        raise TooManyKeys("no more keys can be made from here today; ask again tomorrow")


def forget_public(connection: Connection, now: datetime) -> None:
    """Forget organizations of keys that somebody made for themselves, some time after their end."""
    live = sa.exists().where(
        api_keys.c.organization == organizations.c.id, api_keys.c.expires_at > now - REMEMBERED
    )
    public = organizations.c.id.startswith(PUBLIC_NAMES, autoescape=True)
    connection.execute(organizations.delete().where(public, ~live))


def _key_in(connection: Connection, prefix: str, organization: str | None) -> Key:
    query = sa.select(api_keys).where(api_keys.c.prefix == prefix).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None or (organization is not None and row["organization"] != organization):
        raise LookupError(prefix)
    return key_of(row)


def _update(connection: Connection, prefix: str, **values: object) -> None:
    connection.execute(api_keys.update().where(api_keys.c.prefix == prefix).values(values))
