{{ config(severity='warn', tags=['windows']) }}
{{
    window_differences(
        source('raw_data', 'alerts_hourly'),
        alerts_hourly_recount(var('window_correction_days')),
        ['window_start', 'event', 'state', 'severity'],
        ['alert_count']
    )
}}
