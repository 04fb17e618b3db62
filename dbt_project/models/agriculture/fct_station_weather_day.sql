{{
    config(
        keys=['station_id', 'observed_on'],
        partition_type='Expr',
        partition_by=["date_trunc('month', observed_on)"],
        distributed_by=['station_id'],
        buckets=1
    )
}}
with observations as (
    select
        *,
        -- 7 h to standard time, all year, and 1 s because the label is the end of the hour.
        cast(date_sub(observed_at, interval 25201 second) as date) as observed_on
    from {{ ref('stg_coagmet__hourly_observations') }}
)

select
    observations.station_id,
    observations.observed_on,
    stations.county_fips,
    count(*) as observation_count,
    count(*) = 24 as is_complete,
    min(observations.air_temperature_c) as air_temperature_min_c,
    avg(observations.air_temperature_c) as air_temperature_mean_c,
    max(observations.air_temperature_c) as air_temperature_max_c,
    avg(observations.relative_humidity) as relative_humidity_mean,
    min(observations.relative_humidity) as relative_humidity_min,
    avg(observations.dewpoint_c) as dewpoint_mean_c,
    avg(observations.vapor_pressure_kpa) as vapor_pressure_mean_kpa,
    -- W/m2 over an hour is 3,600 J/m2.
    sum(observations.solar_radiation_w_m2) * 0.0036 as solar_radiation_mj_m2,
    sum(observations.precipitation_mm) as precipitation_mm,
    avg(observations.wind_speed_m_s) as wind_speed_mean_m_s,
    max(observations.wind_gust_m_s) as wind_gust_max_m_s,
    avg(observations.soil_temperature_5cm_c) as soil_temperature_5cm_mean_c,
    avg(observations.soil_temperature_15cm_c) as soil_temperature_15cm_mean_c,
    max(observations.accepted_at) as last_accepted_at,
    max(case when observations.is_simulated then 1 else 0 end) = 1 as is_simulated
from observations
left join {{ ref('dim_station') }} as stations
    on observations.station_id = stations.station_id
group by observations.station_id, observations.observed_on, stations.county_fips
