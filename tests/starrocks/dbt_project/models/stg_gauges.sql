{{ config(materialized='view') }}
select gauge_id, name, opened_on, coalesce(level_m, 0.0) as level_m, is_active
from {{ ref('gauges') }}
