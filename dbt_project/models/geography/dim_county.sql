{{ config(keys=['county_fips'], distributed_by=['county_fips'], buckets=1) }}
select
    counties.county_fips,
    counties.county_name,
    trim(concat(counties.county_name, ' ', coalesce(counties.county_type, ''))) as full_name,
    counties.county_type,
    states.state,
    states.state_name,
    counties.state_fips,
    counties.point_longitude,
    counties.point_latitude,
    counties.bbox_west,
    counties.bbox_south,
    counties.bbox_east,
    counties.bbox_north,
    counties.boundary_detail,
    counties.valid_until is null as is_current,
    counties.valid_until,
    counties.successor_fips
from {{ ref('geo_counties') }} as counties
inner join {{ ref('geo_states') }} as states
    on counties.state_fips = states.state_fips
