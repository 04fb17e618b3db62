"""Tables of who may ask the open API for what, and the chain of what they did.

Changes of the first group are told to every process of the API by triggers (channel CHANNEL), so a
change made by hand counts too. ``audit_chain`` only grows: a trigger refuses everything else, and
``audit_chain.verify`` finds what was done in spite of it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from emdata.state.tables import metadata

CHANNEL = "emdata_access"
"""Payloads: ``key:<prefix>``, ``organization:<id>``, ``rules``."""
_NONE = text("'{}'")
_YES = text("true")


def _at(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


policies = Table(
    "policies",
    metadata,
    Column("organization_class", Text, primary_key=True),
    Column("requests_per_minute", Integer, nullable=False),
    Column("burst", Integer, nullable=False),
    Column("requests_per_day", Integer, nullable=False),
    Column("rows_per_page", Integer, nullable=False),
    Column("rows_per_export", BigInteger, nullable=False),
    Column("query_seconds", Float, nullable=False),
    Column("export_seconds", Float, nullable=False),
    Column("concurrent", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("may_see_sensitive", Boolean, nullable=False),
    Column("datasets", ARRAY(Text), nullable=False, server_default=_NONE),
    CheckConstraint(
        "organization_class IN ('government', 'academic', 'commercial', 'public')",
        name="class_known",
    ),
    CheckConstraint(
        "requests_per_minute > 0 AND burst > 0 AND requests_per_day > 0 AND rows_per_page > 0"
        " AND rows_per_export > 0 AND query_seconds > 0 AND export_seconds > 0 AND concurrent > 0"
        " AND priority >= 0",
        name="limits_positive",
    ),
)

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column(
        "organization_class",
        Text,
        ForeignKey("policies.organization_class"),
        nullable=False,
    ),
    Column("contact", Text, nullable=False, server_default=text("''")),
    Column("is_active", Boolean, nullable=False, server_default=_YES),
    _at("created_at", nullable=False),
    Column("created_by", Text, nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
)

organization_tenants = Table(
    "organization_tenants",
    metadata,
    Column(
        "organization", Text, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("tenant", Text, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
)

# A collection that is not here, and whose contract or model names no tenant, is public.
tenant_collections = Table(
    "tenant_collections",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", Text, primary_key=True),
    # SHA-256 of 32 random bytes: nothing shorter than trying them all leads back.
    Column("secret_hash", LargeBinary, nullable=False),
    Column(
        "organization", Text, ForeignKey("organizations.id", ondelete="CASCADE"), nullable=False
    ),
    Column("label", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("networks", ARRAY(Text), nullable=False, server_default=_NONE),
    _at("created_at", nullable=False),
    Column("created_by", Text, nullable=False),
    _at("expires_at", nullable=False),
    _at("revoked_at"),
    Column("last_used_on", Date),
    Column("rotated_from", Text),
    CheckConstraint("octet_length(secret_hash) = 32", name="hash_length"),
    CheckConstraint("scopes <@ ARRAY['read', 'write', 'keys', 'admin']", name="scopes_known"),
    Index("ix_api_keys_organization", "organization"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    # jti: that token; sub: every token of that subject issued until then.
    Column("claim", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    _at("revoked_at", nullable=False),
    _at("until", nullable=False),
    CheckConstraint("claim IN ('jti', 'sub')", name="claim_known"),
)

# Keyed by a hash that changes every day; rows of other days are removed.
sign_ups = Table(
    "sign_ups",
    metadata,
    Column("day", Date, primary_key=True),
    Column("network", LargeBinary, primary_key=True),
    Column("count", Integer, nullable=False),
)

audit_chain = Table(
    "audit_chain",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _at("at", nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # JSON as the text that was hashed; JSONB would write it anew.
    Column("details", Text, nullable=False),
    # Unique: no two entries follow the same one.
    Column("prev_hash", LargeBinary, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
)
