{#-
    The windows that Flink keeps, counted again from the landed rows.

    correction_days: leave out what was accepted later than that many days after its own event time,
    as Flink does, whose state has a time to live. None counts every row: that is the truth that the
    models show, and for recent hours it equals the window.
-#}
{% macro latest_rows(table, event_time=none, correction_days=none) %}
select *
from (
    select
        *,
        row_number() over (
            partition by record_key
            order by record_version desc, seq desc, writer desc
        ) as version_rank,
        min(accepted_at) over (partition by record_key) as first_seen_at
    from {{ source('raw_data', table) }}
    {%- if correction_days is not none %}
    where accepted_at < date_add({{ event_time }}, interval {{ correction_days }} day)
    {%- endif %}
) as versions
where version_rank = 1
{% endmacro %}

{% macro alerts_hourly_recount(correction_days=none) %}
select
    date_trunc('hour', sent_at) as window_start,
    coalesce(left(event, 80), 'Unknown') as event,
    coalesce(left(state, 8), 'Unknown') as state,
    coalesce(left(severity, 16), 'Unknown') as severity,
    count(distinct alert_id) as alert_count,
    max(accepted_at) as last_accepted_at
from ({{ latest_rows('nws_alert_zones', 'sent_at', correction_days) }}) as latest
where status = 'Actual' and not coalesce(is_closing, false)
group by
    date_trunc('hour', sent_at),
    coalesce(left(event, 80), 'Unknown'),
    coalesce(left(state, 8), 'Unknown'),
    coalesce(left(severity, 16), 'Unknown')
{% endmacro %}

{% macro disaster_alerts_hourly_recount() %}
select
    date_trunc('hour', first_seen_at) as window_start,
    coalesce(left(declaration_type, 8), 'Unknown') as declaration_type,
    coalesce(left(state, 8), 'Unknown') as state,
    count(distinct disaster_number) as declaration_count,
    count(*) as area_count,
    max(accepted_at) as last_accepted_at
from ({{ latest_rows('fema_disaster_declarations') }}) as latest
group by
    date_trunc('hour', first_seen_at),
    coalesce(left(declaration_type, 8), 'Unknown'),
    coalesce(left(state, 8), 'Unknown')
{% endmacro %}

{% macro disaster_alerts_daily_recount() %}
select
    declared_on,
    coalesce(left(declaration_type, 8), 'Unknown') as declaration_type,
    coalesce(left(state, 8), 'Unknown') as state,
    count(distinct disaster_number) as declaration_count,
    count(*) as area_count,
    max(accepted_at) as last_accepted_at
from ({{ latest_rows('fema_disaster_declarations') }}) as latest
where declared_on is not null
group by
    declared_on,
    coalesce(left(declaration_type, 8), 'Unknown'),
    coalesce(left(state, 8), 'Unknown')
{% endmacro %}

{% macro weather_station_daily_recount(correction_days=none) %}
select
    station_id,
    cast(date_sub(observed_at, interval 25201 second) as date) as observed_on,
    count(*) as observation_count,
    min(air_temperature_c) as air_temperature_min_c,
    cast(sum(cast(air_temperature_c as decimal(14, 4))) as double)
    / nullif(count(air_temperature_c), 0) as air_temperature_mean_c,
    max(air_temperature_c) as air_temperature_max_c,
    cast(sum(cast(precipitation_mm as decimal(14, 4))) as double) as precipitation_mm,
    max(wind_gust_m_s) as wind_gust_max_m_s,
    max(accepted_at) as last_accepted_at
from ({{ latest_rows('coagmet_hourly_observations', 'observed_at', correction_days) }}) as latest
group by station_id, cast(date_sub(observed_at, interval 25201 second) as date)
{% endmacro %}

{% macro aggregated_emission_recount() %}
select
    organization_id,
    cast(date_trunc('month', first_seen_at) as date) as month,
    sum(cast(value as decimal(15, 6))) as total,
    count(*) as emission_count,
    max(accepted_at) as last_accepted_at
from ({{ latest_rows('emission') }}) as latest
group by organization_id, cast(date_trunc('month', first_seen_at) as date)
{% endmacro %}

{#-
    Groups in which a window of Flink and its recount differ by a millionth or more.

    Landing and windows are jobs of their own, which reach the tables seconds apart. So a group whose
    newest landed row was accepted within the last `window_grace_seconds` is left out; every other
    difference is reported, that of a group which only one side has included.
    keys: columns that name a group; measures: numbers that must agree.
-#}
{% macro window_differences(window, recount, keys, measures) %}
select
    {% for key in keys -%}
    coalesce(kept.{{ key }}, counted.{{ key }}) as {{ key }},
    {% endfor -%}
    {% for measure in measures -%}
    kept.{{ measure }} as {{ measure }}_kept,
    counted.{{ measure }} as {{ measure }}_counted,
    {% endfor -%}
    counted.last_accepted_at
from {{ window }} as kept
full outer join ({{ recount }}) as counted
    on {% for key in keys %}kept.{{ key }} = counted.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
where
    coalesce(counted.last_accepted_at, cast('1970-01-01 00:00:00' as datetime))
    < date_sub(utc_timestamp(), interval {{ var('window_grace_seconds') }} second)
    and (
        kept.{{ keys[0] }} is null
        or counted.{{ keys[0] }} is null
        {%- for measure in measures %}
        or (kept.{{ measure }} is null) != (counted.{{ measure }} is null)
        or abs(kept.{{ measure }} - counted.{{ measure }}) > 0.0000009
        {%- endfor %}
    )
{% endmacro %}
