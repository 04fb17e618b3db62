{#- meta names the model whose check this is in Dagster; a test of two relations has none -#}
{{
    config(
        severity='warn',
        tags=['windows'],
        meta={'dagster': {'ref': {'name': 'int_aggregated_emission_recount'}}}
    )
}}
{{
    window_differences(
        source('raw_data', 'aggregated_emission'),
        aggregated_emission_recount(),
        ['organization_id', 'month'],
        ['total', 'emission_count']
    )
}}
