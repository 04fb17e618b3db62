{#-
    Message by event and area: when each message was in force.

    A message is in force in an area of its event from the instant it was sent until the first of:
    the next message of the same event for the same area, the end of the hazard, the expiry of the
    product. A message that closes (cancel, past, all clear, VTEC) is never in force; by being the
    next one it ends what was. So a cancellation of one county of eleven ends one area, and a
    product that lapses without a successor ends by itself. A message about one event may end
    others (the upgrade of a watch to a warning): it stands once more for each of them.

    known_at: SQL of an instant; only what had been accepted by then counts. None: all.
    in_force_at: SQL of an instant; events that cannot be in force then are left out early, so that
    the cost is that of what is alive and not of all history. None: all.
    Messages of tests and exercises are left out, as are acknowledgments.
-#}
{% macro alert_zone_intervals(known_at=none, in_force_at=none) %}
{%- set columns = [
    'event_key', 'zone_code', 'alert_id', 'code_type', 'state', 'event', 'severity', 'message_type',
    'urgency', 'certainty', 'sent_at', 'onset_at', 'expires_at', 'hazard_ends_at', 'accepted_at',
    'seq', 'priority', 'is_simulated',
] -%}
with {% if in_force_at is not none -%}
relevant as (
    -- All messages of events with a message that neither closes nor has run out by then, and all
    -- messages that end events of others.
    select alert_id
    from {{ source('raw_data', 'nws_alert_zones') }}
    where event_key in (
        select event_key
        from {{ source('raw_data', 'nws_alert_zones') }}
        where
            not coalesce(is_closing, false)
            and (expires_at is null or expires_at > {{ in_force_at }})
            and (hazard_ends_at is null or hazard_ends_at > {{ in_force_at }})
    )
    union all
    select alert_id
    from {{ source('raw_data', 'nws_alerts') }}
    where closed_event_keys != concat('["', event_key, '"]')
),

{% endif -%}
versions as (
    select
        *,
        row_number() over (
            partition by record_key
            order by record_version desc, seq desc, writer desc
        ) as version_rank,
        max(case when code_type = 'ugc' then 1 else 0 end) over (
            partition by alert_id
        ) as has_ugc
    from {{ source('raw_data', 'nws_alert_zones') }}
    where
        {{ 'true' if known_at is none else 'accepted_at <= ' ~ known_at }}
        {%- if in_force_at is not none %}
        and alert_id in (select alert_id from relevant)
        {%- endif %}
),

messages as (
    select
        {{ columns | join(',\n        ') }},
        is_closing,
        closing_reason
    from versions
    where
        version_rank = 1
        and status = 'Actual'
        and coalesce(message_type, 'Alert') not in ('Ack', 'Error')
        -- A message without UGC codes is placed by its SAME codes.
        and (code_type = 'ugc' or has_ugc = 0)
),

events as (
    select distinct
        event_key,
        zone_code
    from messages
),

enders as (
    select distinct
        alert_id,
        closed_event_keys
    from {{ source('raw_data', 'nws_alerts') }}
    where
        closed_event_keys != concat('["', event_key, '"]')
        {%- if known_at is not none %}
        and accepted_at <= {{ known_at }}
        {%- endif %}
),

endings as (
    select
        events.event_key,
        {%- for column in columns[1:] %}
        messages.{{ column }},
        {%- endfor %}
        true as is_closing,
        'vtec' as closing_reason
    from messages
    inner join enders
        on messages.alert_id = enders.alert_id
    inner join events
        on messages.zone_code = events.zone_code
    where
        events.event_key != messages.event_key
        and instr(enders.closed_event_keys, concat('"', events.event_key, '"')) > 0
),

placed as (
    select
        together.*,
        least(
            coalesce(together.expires_at, together.hazard_ends_at),
            coalesce(together.hazard_ends_at, together.expires_at)
        ) as ends_at,
        lead(together.sent_at) over (
            partition by together.event_key, together.zone_code
            order by together.sent_at, together.seq
        ) as next_sent_at
    from (
        select * from messages
        union all
        select * from endings
    ) as together
)

select
    {%- for column in columns if column != 'seq' %}
    placed.{{ column }},
    {%- endfor %}
    placed.is_closing,
    placed.closing_reason,
    placed.sent_at as valid_from,
    case
        when placed.is_closing then placed.sent_at
        when placed.next_sent_at is null and placed.ends_at is null then null
        else
            greatest(
                placed.sent_at,
                least(
                    coalesce(placed.next_sent_at, placed.ends_at),
                    coalesce(placed.ends_at, placed.next_sent_at)
                )
            )
    end as valid_until,
    case
        when placed.is_closing then placed.closing_reason
        when
            placed.next_sent_at is not null
            and (placed.ends_at is null or placed.next_sent_at <= placed.ends_at)
            then 'superseded'
        when placed.hazard_ends_at <= placed.ends_at then 'hazard_end'
        when placed.ends_at is not null then 'product_expired'
    end as ended_by
from placed
{% endmacro %}

{#- Rows of alert_zone_intervals in force at an instant, given as SQL. -#}
{% macro in_force_at(relation, instant) -%}
    {{ relation }}.valid_from <= {{ instant }}
    and ({{ relation }}.valid_until is null or {{ instant }} < {{ relation }}.valid_until)
{%- endmacro %}

{#- What was in force at an instant, event by area; known_at: by what had been accepted by then. -#}
{% macro alerts_as_of(instant, known_at=none) %}
select intervals.*
from ({{ alert_zone_intervals(known_at, instant) }}) as intervals
where {{ in_force_at('intervals', instant) }}
{% endmacro %}
