{{ config(
    materialized='table', table_type='PRIMARY', keys=['gauge_id'],
    distributed_by=['gauge_id'], buckets=1, properties={'replication_num': '1'}
) }}
select cast(gauge_id as int) as gauge_id, name, opened_on, level_m,
    date_trunc('month', opened_on) as opened_month,
    row_number() over (order by opened_on) as position
from {{ ref('stg_gauges') }}
