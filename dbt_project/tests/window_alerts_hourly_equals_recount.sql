{#- meta names the model whose check this is in Dagster; a test of two relations has none -#}
{{
    config(
        severity='warn',
        tags=['windows'],
        meta={'dagster': {'ref': {'name': 'int_alerts_hourly_recount'}}}
    )
}}
{{
    window_differences(
        source('raw_data', 'alerts_hourly'),
        alerts_hourly_recount(var('window_correction_days')),
        ['window_start', 'event', 'state', 'severity'],
        ['alert_count']
    )
}}
