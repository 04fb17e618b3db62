{{
    config(
        keys=['disaster_number', 'place_code', 'county_fips'],
        distributed_by=['disaster_number'],
        buckets=1
    )
}}
-- A statewide declaration covers every current county of its state; an area that is neither a
-- county nor statewide (tribal land, a school district) has no row here.
select
    areas.disaster_number,
    areas.place_code,
    areas.county_fips,
    'county' as coverage
from {{ ref('stg_fema__disaster_declarations') }} as areas
where areas.county_fips is not null
union all
select
    areas.disaster_number,
    areas.place_code,
    counties.county_fips,
    'statewide' as coverage
from {{ ref('stg_fema__disaster_declarations') }} as areas
inner join {{ ref('dim_county') }} as counties
    on areas.state = counties.state
where areas.county_fips is null and areas.place_code = '0' and counties.is_current
