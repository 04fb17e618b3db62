{{ config(
    materialized='incremental', incremental_strategy='default', table_type='DUPLICATE',
    keys=['gauge_id'], distributed_by=['gauge_id'], properties={'replication_num': '1'}
) }}
select gauge_id, hours_add(opened_on, 1) as read_at, level_m
from {{ ref('stg_gauges') }}
{% if is_incremental() %}
where gauge_id > (select max(gauge_id) from {{ this }})
{% endif %}
