{{ config(severity='warn', tags=['windows']) }}
{{
    window_differences(
        source('raw_data', 'disaster_alerts_daily'),
        disaster_alerts_daily_recount(),
        ['declared_on', 'declaration_type', 'state'],
        ['declaration_count', 'area_count']
    )
}}
