{#- meta names the model whose check this is in Dagster; a test of two relations has none -#}
{{
    config(
        severity='warn',
        tags=['windows'],
        meta={'dagster': {'ref': {'name': 'int_weather_station_daily_recount'}}}
    )
}}
{{
    window_differences(
        source('raw_data', 'weather_station_daily'),
        weather_station_daily_recount(var('window_correction_days')),
        ['station_id', 'observed_on'],
        [
            'observation_count',
            'air_temperature_min_c',
            'air_temperature_mean_c',
            'air_temperature_max_c',
            'precipitation_mm',
            'wind_gust_max_m_s'
        ]
    )
}}
