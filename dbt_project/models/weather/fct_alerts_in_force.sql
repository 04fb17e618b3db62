{{ config(materialized='view') }}
-- A view down to the landed tables: true as soon as a message has landed. Past about a million
-- rows of nws_alert_zones (half a year of the whole country) it takes seconds on one node; then
-- build int_alert_zone_intervals as a table and accept its age.
select
    intervals.event_key,
    intervals.zone_code,
    intervals.code_type,
    intervals.state,
    counties.county_fips,
    intervals.alert_id,
    intervals.event,
    intervals.severity,
    alerts.urgency,
    alerts.certainty,
    intervals.message_type,
    alerts.headline,
    alerts.sender_name,
    intervals.sent_at,
    intervals.onset_at,
    coalesce(intervals.onset_at, intervals.sent_at) <= utc_timestamp() as has_begun,
    intervals.expires_at,
    intervals.hazard_ends_at,
    intervals.valid_until as in_force_until,
    intervals.accepted_at,
    intervals.priority,
    intervals.is_simulated
from {{ ref('int_alert_zone_intervals') }} as intervals
left join {{ ref('stg_nws__alerts') }} as alerts
    on intervals.alert_id = alerts.alert_id
left join {{ ref('geo_states') }} as states
    on substr(intervals.zone_code, 1, 2) = states.state
left join {{ ref('dim_county') }} as counties
    on
        counties.county_fips = case
            when intervals.code_type = 'same' then right(intervals.zone_code, 5)
            when substr(intervals.zone_code, 3, 1) = 'C'
                then concat(states.state_fips, substr(intervals.zone_code, 4, 3))
        end
where {{ in_force_at('intervals', 'utc_timestamp()') }}
