{{
    config(
        keys=['event_key', 'zone_code', 'alert_id'],
        partition_type='Expr',
        partition_by=["date_trunc('month', valid_from)"],
        distributed_by=['event_key'],
        buckets=1
    )
}}
select
    event_key,
    zone_code,
    alert_id,
    code_type,
    state,
    event,
    severity,
    message_type,
    valid_from,
    valid_until,
    ended_by,
    onset_at,
    expires_at,
    hazard_ends_at,
    is_closing,
    closing_reason,
    accepted_at,
    is_simulated
from {{ ref('int_alert_zone_intervals') }}
