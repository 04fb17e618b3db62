{{ config(keys=['station_id'], distributed_by=['station_id'], buckets=1) }}
select
    stations.station_id,
    stations.name as station_name,
    stations.network,
    stations.location,
    placed.county_fips,
    counties.county_name,
    counties.state,
    stations.latitude,
    stations.longitude,
    stations.elevation_m,
    stations.anemometer_height_m,
    stations.is_active,
    stations.irrigation,
    stations.first_observed_at,
    stations.last_observed_at,
    stations.timestep_seconds,
    stations.is_simulated
from {{ ref('stg_coagmet__stations') }} as stations
left join {{ ref('int_station_county') }} as placed
    on stations.station_id = placed.station_id
left join {{ ref('dim_county') }} as counties
    on placed.county_fips = counties.county_fips
