{{ config(materialized='view') }}
{{ alert_zone_intervals() }}
