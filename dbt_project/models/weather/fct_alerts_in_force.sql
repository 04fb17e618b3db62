{{ config(materialized='view') }}
-- A view down to the landed tables: true as soon as a message has landed. It reads a few columns of
-- all areas of all messages and works on the alive ones only; some million rows are a second.
with in_force as (
    {{ alerts_as_of('utc_timestamp()') }}
),

texts as (
    select
        alerts.alert_id,
        alerts.headline,
        alerts.sender_name,
        row_number() over (
            partition by alerts.record_key
            order by alerts.record_version desc, alerts.seq desc, alerts.writer desc
        ) as version_rank
    from {{ source('raw_data', 'nws_alerts') }} as alerts
    where alerts.alert_id in (select in_force.alert_id from in_force)
)

select
    in_force.event_key,
    in_force.zone_code,
    in_force.code_type,
    in_force.state,
    counties.county_fips,
    in_force.alert_id,
    in_force.event,
    in_force.severity,
    in_force.urgency,
    in_force.certainty,
    in_force.message_type,
    texts.headline,
    texts.sender_name,
    in_force.sent_at,
    in_force.onset_at,
    coalesce(in_force.onset_at, in_force.sent_at) <= utc_timestamp() as has_begun,
    in_force.expires_at,
    in_force.hazard_ends_at,
    in_force.valid_until as in_force_until,
    in_force.accepted_at,
    in_force.priority,
    in_force.is_simulated
from in_force
left join texts
    on in_force.alert_id = texts.alert_id and texts.version_rank = 1
left join {{ ref('geo_states') }} as states
    on substr(in_force.zone_code, 1, 2) = states.state
left join {{ ref('dim_county') }} as counties
    on
        counties.county_fips = case
            when in_force.code_type = 'same' then right(in_force.zone_code, 5)
            when substr(in_force.zone_code, 3, 1) = 'C'
                then concat(states.state_fips, substr(in_force.zone_code, 4, 3))
        end
