{{ config(severity='warn', tags=['windows']) }}
{{
    window_differences(
        source('raw_data', 'disaster_alerts_hourly'),
        disaster_alerts_hourly_recount(),
        ['window_start', 'declaration_type', 'state'],
        ['declaration_count', 'area_count']
    )
}}
