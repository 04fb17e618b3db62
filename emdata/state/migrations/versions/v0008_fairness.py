"""Token buckets and daily quotas that the processes of the open API share, and their day's salt.

One call answers for many buckets. Callers pass keys in order, so that two of them never wait for
each other.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TAKE = """
CREATE FUNCTION api_take_tokens(
    keys text[], wanted int[], returned int[], spent int[],
    rates float8[], bursts int[], per_days bigint[]
) RETURNS TABLE (granted int, left_over float8, day_left bigint, day_seconds float8)
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    today date := (moment AT TIME ZONE 'UTC')::date;
    bucket api_buckets;
    day_used bigint;
BEGIN
    FOR i IN 1 .. coalesce(array_length(keys, 1), 0) LOOP
        INSERT INTO api_buckets AS b (key, tokens, refilled_at, used_on, used)
        VALUES (keys[i], bursts[i], moment, today, 0)
        ON CONFLICT (key) DO UPDATE SET
            tokens = least(
                bursts[i],
                b.tokens + returned[i]
                + rates[i] * greatest(0, extract(epoch FROM moment - b.refilled_at))
            ),
            refilled_at = greatest(moment, b.refilled_at),
            used = CASE WHEN b.used_on < today THEN 0 ELSE b.used END,
            used_on = greatest(today, b.used_on)
        RETURNING b.* INTO bucket;
        day_used := greatest(0, bucket.used - returned[i] + spent[i]);
        granted := greatest(
            0, least(wanted[i], floor(bucket.tokens)::int, per_days[i] - day_used)
        );
        left_over := bucket.tokens - granted;
        day_left := greatest(0, per_days[i] - day_used - granted);
        day_seconds := extract(
            epoch FROM (today + 1)::timestamp AT TIME ZONE 'UTC' - moment
        );
        UPDATE api_buckets SET tokens = left_over, used = day_used + granted
        WHERE key = keys[i];
        RETURN NEXT;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_buckets",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_on", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_api_buckets_refilled_at", "api_buckets", ["refilled_at"])
    op.create_table(
        "api_salts",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
    )
    op.execute(_TAKE)
