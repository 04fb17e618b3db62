{{ config(
    materialized='incremental', incremental_strategy='dynamic_overwrite', table_type='DUPLICATE',
    keys=['opened_on'], partition_by=['opened_on'], partition_type='Expr', distributed_by=['opened_on'],
    properties={'replication_num': '1'}
) }}
select opened_on, count(*) as gauges, sum(level_m) as level_m
from {{ ref('stg_gauges') }} group by opened_on
