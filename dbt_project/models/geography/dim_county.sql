{{ config(keys=['county_fips'], distributed_by=['county_fips'], buckets=1) }}
with counties as (
    select
        county_fips,
        county_name,
        county_type,
        point_longitude,
        point_latitude,
        boundary_detail,
        cast(null as date) as valid_until,
        cast(null as varchar(5)) as successor_fips
    from {{ ref('geo_counties') }}
    union all
    select
        county_fips,
        county_name,
        county_type,
        point_longitude,
        point_latitude,
        'none' as boundary_detail,
        valid_until,
        successor_fips
    from {{ ref('geo_retired_counties') }}
),

boxes as (
    select
        county_fips,
        min(least(longitude_1, longitude_2)) as bbox_west,
        min(least(latitude_1, latitude_2)) as bbox_south,
        max(greatest(longitude_1, longitude_2)) as bbox_east,
        max(greatest(latitude_1, latitude_2)) as bbox_north
    from {{ ref('int_county_edges') }}
    group by county_fips
)

select
    counties.county_fips,
    counties.county_name,
    trim(concat(counties.county_name, ' ', coalesce(counties.county_type, ''))) as full_name,
    counties.county_type,
    states.state,
    states.state_name,
    states.state_fips,
    counties.point_longitude,
    counties.point_latitude,
    boxes.bbox_west,
    boxes.bbox_south,
    boxes.bbox_east,
    boxes.bbox_north,
    counties.boundary_detail,
    counties.valid_until is null as is_current,
    counties.valid_until,
    counties.successor_fips
from counties
inner join {{ ref('geo_states') }} as states
    on left(counties.county_fips, 2) = states.state_fips
left join boxes
    on counties.county_fips = boxes.county_fips
