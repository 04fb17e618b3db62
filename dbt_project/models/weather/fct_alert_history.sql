{{
    config(
        keys=['alert_id', 'version_number'],
        partition_type='Expr',
        partition_by=["date_trunc('month', valid_from)"],
        distributed_by=['alert_id'],
        buckets=1
    )
}}
/*
    Every landed version of every message. Two clocks: valid_from to superseded_at is the sender's
    (which message of the event spoke last), known_from to known_until is ours (which version of
    this message we had). The long texts and the polygon stay in raw_data.nws_alerts, whose primary
    key (accepted_on, writer, seq) is here.
*/
with versions as (
    select
        alert_id,
        event_key,
        event,
        status,
        message_type,
        severity,
        certainty,
        urgency,
        response,
        headline,
        sender_name,
        vtec_actions,
        is_closing,
        closing_reason,
        sent_at,
        effective_at,
        onset_at,
        expires_at,
        hazard_ends_at,
        point_longitude,
        point_latitude,
        accepted_on,
        writer,
        seq,
        accepted_at,
        content_hash,
        priority,
        is_simulated,
        row_number() over (
            partition by record_key order by record_version, seq, writer
        ) as version_number,
        lead(accepted_at) over (
            partition by record_key order by record_version, seq, writer
        ) as known_until
    from {{ source('raw_data', 'nws_alerts') }}
),

messages as (
    select
        alert_id,
        row_number() over (partition by event_key order by sent_at, seq) as message_number,
        lead(alert_id) over (partition by event_key order by sent_at, seq) as superseded_by,
        lead(sent_at) over (partition by event_key order by sent_at, seq) as superseded_at
    from {{ ref('stg_nws__alerts') }}
),

areas as (
    select
        alert_id,
        count(distinct zone_code) as zone_count,
        max(case when valid_until is null then 1 else 0 end) as is_open,
        max(valid_until) as last_valid_until
    from {{ ref('fct_alert_zone_history') }}
    group by alert_id
)

select
    versions.alert_id,
    versions.version_number,
    versions.event_key,
    messages.message_number,
    versions.event,
    versions.status,
    versions.message_type,
    versions.severity,
    versions.certainty,
    versions.urgency,
    versions.response,
    versions.headline,
    versions.sender_name,
    versions.vtec_actions,
    versions.is_closing,
    versions.closing_reason,
    versions.sent_at as valid_from,
    messages.superseded_at,
    messages.superseded_by,
    case when areas.is_open = 1 then null else areas.last_valid_until end as in_force_until,
    coalesce(areas.zone_count, 0) as zone_count,
    versions.accepted_at as known_from,
    versions.known_until,
    versions.known_until is null as is_current_version,
    versions.effective_at,
    versions.onset_at,
    versions.expires_at,
    versions.hazard_ends_at,
    versions.point_longitude,
    versions.point_latitude,
    versions.content_hash,
    versions.accepted_on,
    versions.writer,
    versions.seq,
    versions.priority,
    versions.is_simulated
from versions
inner join messages
    on versions.alert_id = messages.alert_id
left join areas
    on versions.alert_id = areas.alert_id
