{{ config(keys=['station_id'], distributed_by=['station_id'], buckets=1) }}
-- Even-odd rule: a ray to the east crosses the boundary of the county around a point an odd number
-- of times. The bounding box keeps the pairs few.
with crossings as (
    select
        stations.station_id,
        counties.county_fips,
        counties.boundary_detail,
        count(*) as crossing_count
    from {{ ref('stg_coagmet__stations') }} as stations
    inner join {{ ref('dim_county') }} as counties
        on
            stations.longitude between counties.bbox_west and counties.bbox_east
            and stations.latitude between counties.bbox_south and counties.bbox_north
    inner join {{ ref('int_county_edges') }} as edges
        on counties.county_fips = edges.county_fips
    where
        counties.is_current
        and (edges.latitude_1 > stations.latitude) != (edges.latitude_2 > stations.latitude)
        and stations.longitude
        < edges.longitude_1
        + (stations.latitude - edges.latitude_1)
        * (edges.longitude_2 - edges.longitude_1)
        / (edges.latitude_2 - edges.latitude_1)
    group by stations.station_id, counties.county_fips, counties.boundary_detail
),

ranked as (
    -- Where two editions of a boundary overlap by a sliver, the detailed one decides.
    select
        station_id,
        county_fips,
        row_number() over (
            partition by station_id
            order by boundary_detail desc, county_fips asc
        ) as choice
    from crossings
    where crossing_count % 2 = 1
)

select
    station_id,
    county_fips
from ranked
where choice = 1
