"""Who may ask the open API for what, and the chain of what they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

_TEXTS = postgresql.ARRAY(sa.Text())
_NONE = sa.text("'{}'")
_AT = sa.DateTime(timezone=True)
_RULES = ("policies", "tenants", "tenant_collections", "revoked_tokens")


def upgrade() -> None:
    """Apply."""
    op.bulk_insert(_policies(), [dict(zip(_COLUMNS, row, strict=True)) for row in _DEFAULTS])
    _organizations()
    _keys()
    _chain()
    _notices()
    op.execute("INSERT INTO tenants (id, title) VALUES ('operator', 'Who runs this platform')")


_COLUMNS = (
    "organization_class", "requests_per_minute", "burst", "requests_per_day", "rows_per_page",
    "rows_per_export", "query_seconds", "export_seconds", "concurrent", "priority",
    "may_see_sensitive",
)  # fmt: skip
_DEFAULTS = (
    ("government", 600, 200, 500_000, 10_000, 10_000_000, 30.0, 600.0, 16, 0, True),
    ("academic", 300, 100, 200_000, 10_000, 10_000_000, 30.0, 600.0, 8, 1, False),
    ("commercial", 300, 100, 200_000, 5_000, 5_000_000, 20.0, 300.0, 8, 2, False),
    ("public", 60, 30, 20_000, 1_000, 1_000_000, 10.0, 120.0, 4, 3, False),
)


def _policies() -> sa.Table:
    return op.create_table(
        "policies",
        sa.Column("organization_class", sa.Text(), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=False),
        sa.Column("requests_per_day", sa.Integer(), nullable=False),
        sa.Column("rows_per_page", sa.Integer(), nullable=False),
        sa.Column("rows_per_export", sa.BigInteger(), nullable=False),
        sa.Column("query_seconds", sa.Float(), nullable=False),
        sa.Column("export_seconds", sa.Float(), nullable=False),
        sa.Column("concurrent", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("may_see_sensitive", sa.Boolean(), nullable=False),
        sa.Column("datasets", _TEXTS, server_default=_NONE, nullable=False),
        sa.CheckConstraint(
            "organization_class IN ('government', 'academic', 'commercial', 'public')",
            name=op.f("ck_policies_class_known"),
        ),
        sa.CheckConstraint(
            "requests_per_minute > 0 AND burst > 0 AND requests_per_day > 0 AND rows_per_page > 0"
            " AND rows_per_export > 0 AND query_seconds > 0 AND export_seconds > 0"
            " AND concurrent > 0 AND priority >= 0",
            name=op.f("ck_policies_limits_positive"),
        ),
        sa.PrimaryKeyConstraint("organization_class", name=op.f("pk_policies")),
    )


def _organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organization_class", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.ForeignKeyConstraint(["organization_class"], ["policies.organization_class"]),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "organization_tenants",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "tenant", name=op.f("pk_organization_tenants")),
        sa.ForeignKeyConstraint(["organization"], ["organizations.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "tenant_collections",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection", name=op.f("pk_tenant_collections")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"]),
    )


def _keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("scopes", _TEXTS, nullable=False),
        sa.Column("networks", _TEXTS, server_default=_NONE, nullable=False),
        sa.Column("created_at", _AT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", _AT, nullable=False),
        sa.Column("revoked_at", _AT, nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.Column("rotated_from", sa.Text(), nullable=True),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_api_keys_hash_length")),
        sa.CheckConstraint(
            "scopes <@ ARRAY['read', 'write', 'keys', 'admin']",
            name=op.f("ck_api_keys_scopes_known"),
        ),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_api_keys")),
        sa.ForeignKeyConstraint(["organization"], ["organizations.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_organization", "api_keys", ["organization"], unique=False)
    op.create_table(
        "revoked_tokens",
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("revoked_at", _AT, nullable=False),
        sa.Column("until", _AT, nullable=False),
        sa.CheckConstraint("claim IN ('jti', 'sub')", name=op.f("ck_revoked_tokens_claim_known")),
        sa.PrimaryKeyConstraint("claim", "value", name=op.f("pk_revoked_tokens")),
    )
    op.create_table(
        "sign_ups",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("network", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "network", name=op.f("pk_sign_ups")),
    )


def _chain() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_chain")),
        sa.UniqueConstraint("prev_hash", name=op.f("uq_audit_chain_prev_hash")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_chain_hash")),
    )
    op.execute(
        "CREATE FUNCTION audit_chain_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'audit_chain only grows: % is refused', TG_OP"
        " USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_chain_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_chain_only_grows()"
    )


def _notices() -> None:
    """Tell the processes of the API what changed. The day of a key's last use is no change."""
    functions = {
        "access_rules_changed": "PERFORM pg_notify('emdata_access', 'rules'); RETURN NULL;",
        "access_key_changed": (
            "PERFORM pg_notify('emdata_access',"
            " 'key:' || CASE TG_OP WHEN 'DELETE' THEN OLD.prefix ELSE NEW.prefix END);"
            " RETURN NULL;"
        ),
        "access_organization_changed": (
            "PERFORM pg_notify('emdata_access',"
            " 'organization:' || CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END);"
            " RETURN NULL;"
        ),
        "access_membership_changed": (
            "PERFORM pg_notify('emdata_access', 'organization:' ||"
            " CASE TG_OP WHEN 'DELETE' THEN OLD.organization ELSE NEW.organization END);"
            " RETURN NULL;"
        ),
    }
    for name, body in functions.items():
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
        )
    for table in _RULES:
        op.execute(
            f"CREATE TRIGGER access_changed AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION access_rules_changed()"
        )
    columns = "secret_hash, organization, scopes, networks, expires_at, revoked_at"
    for table, changes, function in (
        ("api_keys", f"INSERT OR DELETE OR UPDATE OF {columns}", "access_key_changed"),
        ("organizations", "INSERT OR DELETE OR UPDATE", "access_organization_changed"),
        ("organization_tenants", "INSERT OR DELETE OR UPDATE", "access_membership_changed"),
    ):
        op.execute(
            f"CREATE TRIGGER access_changed AFTER {changes} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
