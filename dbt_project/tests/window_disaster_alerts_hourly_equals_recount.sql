{#- meta names the model whose check this is in Dagster; a test of two relations has none -#}
{{
    config(
        severity='warn',
        tags=['windows'],
        meta={'dagster': {'ref': {'name': 'int_disaster_alerts_hourly_recount'}}}
    )
}}
{{
    window_differences(
        source('raw_data', 'disaster_alerts_hourly'),
        disaster_alerts_hourly_recount(),
        ['window_start', 'declaration_type', 'state'],
        ['declaration_count', 'area_count']
    )
}}
