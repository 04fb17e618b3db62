{#-
    Message by area: when each message was in force.

    A message is in force in an area of its event from the instant it was sent until the first of:
    the next message of the same event for the same area, the end of the hazard, the expiry of the
    product. A message that closes (cancel, past, all clear, VTEC) is never in force; by being the
    next one it ends what was. So a cancellation of one county of eleven ends one area, and a
    product that lapses without a successor ends by itself.

    known_at: SQL of an instant; only what had been accepted by then counts. None: all.
    Messages of tests and exercises are left out, as are acknowledgments.
-#}
{% macro alert_zone_intervals(known_at=none) %}
select
    placed.event_key,
    placed.zone_code,
    placed.alert_id,
    placed.code_type,
    placed.state,
    placed.event,
    placed.severity,
    placed.message_type,
    placed.sent_at,
    placed.onset_at,
    placed.expires_at,
    placed.hazard_ends_at,
    placed.is_closing,
    placed.closing_reason,
    placed.accepted_at,
    placed.priority,
    placed.is_simulated,
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
from (
    select
        messages.*,
        least(
            coalesce(messages.expires_at, messages.hazard_ends_at),
            coalesce(messages.hazard_ends_at, messages.expires_at)
        ) as ends_at,
        lead(messages.sent_at) over (
            partition by messages.event_key, messages.zone_code
            order by messages.sent_at, messages.seq
        ) as next_sent_at
    from (
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
        {%- if known_at is not none %}
        where accepted_at <= {{ known_at }}
        {%- endif %}
    ) as messages
    where
        messages.version_rank = 1
        and messages.status = 'Actual'
        and coalesce(messages.message_type, 'Alert') not in ('Ack', 'Error')
        -- A message without UGC codes is placed by its SAME codes.
        and (messages.code_type = 'ugc' or messages.has_ugc = 0)
) as placed
{% endmacro %}

{#- Rows of alert_zone_intervals in force at an instant, given as SQL. -#}
{% macro in_force_at(relation, instant) -%}
    {{ relation }}.valid_from <= {{ instant }}
    and ({{ relation }}.valid_until is null or {{ instant }} < {{ relation }}.valid_until)
{%- endmacro %}

{#- What was in force at an instant, event by area; known_at: by what had been accepted by then. -#}
{% macro alerts_as_of(instant, known_at=none) %}
select intervals.*
from ({{ alert_zone_intervals(known_at) }}) as intervals
where {{ in_force_at('intervals', instant) }}
{% endmacro %}
