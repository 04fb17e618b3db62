{{ config(
    materialized='incremental', incremental_strategy='default', table_type='PRIMARY',
    keys=['gauge_id'], unique_key='gauge_id', distributed_by=['gauge_id'],
    properties={'replication_num': '1'}
) }}
select gauge_id, name, now() as seen_at from {{ ref('stg_gauges') }}
