{{ config(
    materialized='materialized_view', distributed_by=['gauge_id'], refresh_method='manual',
    properties={'replication_num': '1'}
) }}
select gauge_id, name from {{ ref('dim_gauge') }} where level_m > 0
