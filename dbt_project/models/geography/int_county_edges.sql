{{ config(keys=['county_fips'], distributed_by=['county_fips'], buckets=1) }}
-- An edge borders one or two counties and stands once for each.
with unpacked as (
    select
        split_part(parts.edge, ' ', 1) as left_fips,
        split_part(parts.edge, ' ', 2) as right_fips,
        cast(split_part(parts.edge, ' ', 3) as double) / 10000 as longitude_1,
        cast(split_part(parts.edge, ' ', 4) as double) / 10000 as latitude_1,
        cast(split_part(parts.edge, ' ', 5) as double) / 10000 as longitude_2,
        cast(split_part(parts.edge, ' ', 6) as double) / 10000 as latitude_2
    from {{ ref('geo_county_edges') }} as packs,
        unnest(split(packs.edges, ';')) as parts (edge)
)

select
    left_fips as county_fips,
    longitude_1,
    latitude_1,
    longitude_2,
    latitude_2
from unpacked
where left_fips != '-'
union all
select
    right_fips as county_fips,
    longitude_1,
    latitude_1,
    longitude_2,
    latitude_2
from unpacked
where right_fips != '-'
