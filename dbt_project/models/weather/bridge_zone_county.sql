{{ config(keys=['zone_code', 'county_fips'], distributed_by=['zone_code'], buckets=1) }}
/*
    UGC zone -> county, from what the alerts themselves say.

    A county zone (COC013) is its county. A forecast or fire zone (COZ036) has no fixed relation to
    counties in any feed, but every message names the zones and, as SAME codes, the counties: a
    message with one zone names exactly the counties of that zone, and over several messages the
    counties that came along every time are all that the zone can have.
*/
with areas as (
    select
        alert_id,
        zone_code,
        code_type
    from {{ ref('stg_nws__alert_zones') }}
    where status = 'Actual'
),

county_zones as (
    select distinct
        areas.zone_code,
        concat(states.state_fips, substr(areas.zone_code, 4, 3)) as county_fips
    from areas
    inner join {{ ref('geo_states') }} as states
        on substr(areas.zone_code, 1, 2) = states.state
    where areas.code_type = 'ugc' and substr(areas.zone_code, 3, 1) = 'C'
),

-- SAME is P SS CCC: part of the county, state, county; county 000 is the whole state.
same_counties as (
    select distinct
        alert_id,
        right(zone_code, 5) as county_fips
    from areas
    where code_type = 'same' and right(zone_code, 3) != '000'
),

alerts_with_counties as (
    select distinct alert_id
    from same_counties
),

zones as (
    select
        areas.alert_id,
        areas.zone_code,
        count(*) over (partition by areas.alert_id) as zones_in_alert,
        count(*) over (partition by areas.zone_code) as alerts_of_zone
    from areas
    inner join alerts_with_counties
        on areas.alert_id = alerts_with_counties.alert_id
    where areas.code_type = 'ugc'
),

pairs as (
    select
        zones.zone_code,
        same_counties.county_fips,
        max(zones.alerts_of_zone) as alerts_of_zone,
        count(*) as alerts_with_county,
        max(case when zones.zones_in_alert = 1 then 1 else 0 end) as is_alone
    from zones
    inner join same_counties
        on zones.alert_id = same_counties.alert_id
    where substr(zones.zone_code, 3, 1) != 'C'
    group by zones.zone_code, same_counties.county_fips
),

crosswalk as (
    select
        zone_code,
        county_fips,
        'county_zone' as method,
        cast(null as bigint) as alerts_observed
    from county_zones
    union all
    select
        zone_code,
        county_fips,
        case when is_alone = 1 then 'same_alone' else 'same_common' end as method,
        alerts_of_zone as alerts_observed
    from pairs
    where alerts_with_county = alerts_of_zone
)

-- Codes of sea areas and whole states are no counties and fall away here.
select
    crosswalk.zone_code,
    crosswalk.county_fips,
    crosswalk.method,
    crosswalk.method != 'same_common' as is_exact,
    crosswalk.alerts_observed
from crosswalk
inner join {{ ref('dim_county') }} as counties
    on crosswalk.county_fips = counties.county_fips
